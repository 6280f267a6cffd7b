"""Which objects of DVC's are in use: named by a version, a ref's tip, a stash or a work tree.

A tree names what any ``*.dvc`` or ``dvc.lock`` in it spells out, whatever DVC makes of that file
and whichever remote it belongs to: rather an object kept too many than one lost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import IntegrityError, RegistryError
from mlv.store.disk import on_disk
from mlv.store.git import Git, Layout
from mlv.store.naming import kept_ref, tag_ref
from mlv.store.objects import BLOB, TREE, parse_tree
from mlv.store.workspace import read_text, work_trees

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version
    from mlv.store.versions import Versions

_MD5 = re.compile(rb"\b[0-9a-f]{32}(?:\.dir)?\b")
_PATHS = (":(top,glob)**/*.dvc", ":(top,glob)**/dvc.lock")
_STASH = "refs/stash"
_SUBMODULE = "160000"
_OID = re.compile(r"[0-9a-f]{40}")


class Held(NamedTuple):
    """The versions whose tags are here, and every other ref's tip: object id by name.

    ``commits`` are those of the versions, by the full name of their tag.
    """

    manifests: Mapping[Version, Manifest]
    commits: Mapping[str, str]
    tips: Mapping[str, str]


def held(versions: Versions) -> Held:
    """Tell versions from other refs; a tag that cannot be read as a version is any tag."""
    tips = versions.git.refs()
    manifests, commits = {}, {}
    for tag in versions.tags():
        try:
            manifest = versions.manifest_of(tag)
        except RegistryError:
            continue
        if manifest:
            manifests[tag.version] = manifest
            commits[tag_ref(tag.version)] = tag.commit
            for ref in (tag_ref(tag.version), kept_ref(tag.version)):
                if tips.get(ref) == tag.oid:
                    del tips[ref]
    return Held(manifests, commits, tips)


def named_objects(
    versions: Versions, there: Mapping[str, str], purged: Collection[Version]
) -> dict[str, str]:
    """Give the md5 of every object in use, and who names it; ``.dir`` objects are not opened.

    ``there`` are the remote's refs, whose objects must be here. Of versions that are not
    ``purged``, their own folder counts; of all other refs, stashes and work trees, all that is
    in their tips.
    """
    manifests, commits, tips = held(versions)
    used: dict[str, str] = {}
    for version, manifest in manifests.items():
        if version not in purged:
            for artifact in manifest.artifacts.values():
                used.setdefault(artifact.md5, version.tag)
    reader = _Reader(versions.git, used)
    for ref, oid in tips.items():
        if ref == _STASH:
            _read_stashes(reader)
        else:
            reader.read_commit(_short(ref), oid)
    local = {*tips.values()}
    for ref, oid in there.items():
        if oid not in local and not reader.is_at(oid, commits.get(ref)):
            reader.read_commit(f"{_short(ref)} on {versions.config.remote}", oid)
    for top, git_dir in work_trees(versions.git):
        _read_work_tree(reader, top, git_dir)
    return used


class _Reader:
    """Notes who first names an object; a tree seen before is not read again."""

    def __init__(self, git: Git, used: dict[str, str]) -> None:
        self.git = git
        self._used = used
        self._seen: set[str] = set()

    def note(self, who: str, data: bytes) -> None:
        for md5 in _MD5.findall(data):
            self._used.setdefault(md5.decode(), who)

    def is_at(self, oid: str, commit: str | None) -> bool:
        """Whether a tag names this commit: it is the version that is here under its name."""
        found = self.git.objects.read(f"{oid}^{{}}") if commit else None
        return found is not None and found.oid == commit

    def read_commit(self, who: str, oid: str) -> None:
        """Read a commit's tree; what a tag names need be no commit."""
        found = self.git.objects.read(f"{oid}^{{}}")
        if found is None:
            raise _damaged(who)
        if found.kind == BLOB:
            return
        tree = self.git.objects.read(f"{oid}^{{tree}}")
        if tree is None:
            raise _damaged(who)
        self._read_tree(who, tree.oid)

    def _read_tree(self, who: str, oid: str) -> None:
        waiting = [oid]
        while waiting:
            oid = waiting.pop()
            if oid in self._seen:
                continue
            self._seen.add(oid)
            for entry in parse_tree(self._data(who, oid)):
                if entry.kind == TREE:
                    waiting.append(entry.oid)
                elif entry.kind == BLOB and _is_of_dvc(entry.name):
                    self.read_blob(who, entry.oid)

    def read_blob(self, who: str, oid: str) -> None:
        if oid not in self._seen:
            self._seen.add(oid)
            self.note(who, self._data(who, oid))

    def _data(self, who: str, oid: str) -> bytes:
        found = self.git.objects.read(oid)
        if found is None:
            raise _damaged(who)
        return found.data


def _is_of_dvc(name: str) -> bool:
    return name.endswith(".dvc") or name == "dvc.lock"


def _damaged(who: str) -> IntegrityError:
    return IntegrityError(
        f"it cannot be told which bytes {who} needs: git objects of it are damaged, or not here",
        hint="git fsck names them; nothing was deleted",
    )


def _read_stashes(reader: _Reader) -> None:
    """Read every stash: what was edited, what was staged and what was untracked."""
    argv = ("log", "-g", "--no-show-signature", "--format=%H %P", _STASH, "--")
    listing = reader.git.run(*argv)
    for at, line in enumerate(listing.decode().splitlines()):
        stash, _, *added = line.split()
        for commit in (stash, *added):
            reader.read_commit(f"stash@{{{at}}}", commit)


def _read_work_tree(reader: _Reader, top: Path, git_dir: Path) -> None:
    """Read what a work tree has checked out, staged, and not even added yet."""
    who = f"the work tree {top}"
    head = read_text(git_dir / "HEAD")
    if _OID.fullmatch(head):
        reader.read_commit(who, head)
    if not (git_dir / "index").is_file() and not top.is_dir():
        return
    git, env = reader.git, {}
    if top.is_dir():
        git = Git(Layout(top, git_dir, reader.git.layout.common_dir))
    else:  # a volume that is not mounted now: its index is here
        env = {"GIT_INDEX_FILE": str(git_dir / "index")}
    staged = git.run("ls-files", "--stage", "-z", "--", *_PATHS, env=env)
    for mode, oid, *_ in map(str.split, _split(staged)):
        if mode != _SUBMODULE:
            reader.read_blob(who, oid)
    if not top.is_dir():
        return
    lying = git.run("ls-files", "-z", "-co", "--exclude-standard", "--", *_PATHS)
    for name in set(_split(lying)):
        path = top / name
        if path.is_file():
            with on_disk(path):
                reader.note(who, path.read_bytes())


def _split(listing: bytes) -> Iterator[str]:
    return filter(None, listing.decode(errors="surrogateescape").split("\0"))


def _short(ref: str) -> str:
    """Name a ref as people do."""
    for prefix, kind in (
        ("refs/heads/", "the branch "),
        ("refs/remotes/", ""),
        ("refs/tags/", "the tag "),
    ):
        if ref.startswith(prefix):
            return kind + ref.removeprefix(prefix)
    return ref
