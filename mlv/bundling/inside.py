"""The Git part of a bundle, taken apart in a repository of its own before anybody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv import overview
from mlv.bundling.contents import git_start
from mlv.domain.dvcconfig import dangers
from mlv.errors import ConfigError, IntegrityError, ProgramError
from mlv.sharing.pushcheck import check_successor
from mlv.store import config as configs
from mlv.store.bare import make_aside
from mlv.store.git import failed
from mlv.store.naming import FOLDER, folder_of, tag_ref
from mlv.store.objects import BLOB, FOLDER_MODE, REGULAR
from mlv.store.versions import Tip, Versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.bundling.contents import Contents
    from mlv.domain.names import Version
    from mlv.store.git import Git
    from mlv.store.versions import Record

_LARGEST = 16 * 1024 * 1024  # bytes of a file of Git's that mlv reads
_DVC = ".dvc"
# What DVC keeps there for itself alone; a repository that brings it would have it believed.
_NEVER_TRACKED = ("cache", "config.local", "tmp")
# Faults of old programs, which whoever has them in a history cannot mend any more.
_OLD_FAULTS = ("zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone")
_LENIENT = (part for fault in _OLD_FAULTS for part in ("-c", f"fetch.fsck.{fault}=ignore"))
_FETCH = (
    "-c", "fetch.fsckObjects=true", *_LENIENT,
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
    "--recurse-submodules=no", "--stdin",
)  # fmt: skip


class Inside(NamedTuple):
    """What a bundle's Git part says: its registry branch's tip, and its versions.

    ``live`` are those that are live on the branch, and of which it holds the tag alone.
    """

    versions: Versions
    tip: Tip
    records: list[Record]
    live: list[Record]

    @property
    def git(self) -> Git:
        """The repository in which it lies, apart from any other."""
        return self.versions.git


def look_inside(folder: Path, pack: Path, contents: Contents, here: Git | None) -> Inside:
    """Take a Git bundle apart in an empty folder, and check what mlv can check of it.

    Objects that ``here`` has are seen there too. `IntegrityError` if it holds anything that is
    not in the list, or a version or a branch that mlv would not read.
    """
    refs = contents.refs()
    start = git_start(refs)
    with pack.open("rb") as file:
        if file.read(len(start)) != start:
            raise IntegrityError(
                "the Git part of the bundle holds other tags and branches than its list names",
                hint="nothing was brought. mlv did not write it so: ask who gave it to you",
            )
    git = make_aside(folder, here)
    lines = "".join(f"+{ref}:{ref}\n" for ref in refs)
    result = git.ask(*_FETCH, str(pack.absolute()), stdin=lines.encode())
    if result.code:
        said: ProgramError = failed(("git", "fetch"), result)
        raise IntegrityError(
            f"the Git part of the bundle is damaged: {said.message.partition(': ')[2]}",
            hint="nothing was brought. Bundle it anew where it was made",
        )
    versions = Versions(git, configs.Config(branch=contents.branch))
    tip = Tip.at(contents.commit)
    _check_sizes(versions, tip, contents)
    versions.config = _config(versions, tip, contents.branch)
    check_successor(versions, None, tip.commit)
    _check_live(versions, tip, contents)
    records, live = (
        [_record(versions, version, oid) for version, oid in tags.items()]
        for tags in (contents.versions, contents.live)
    )
    return Inside(versions, tip, records, live)


def _check_live(versions: Versions, tip: Tip, contents: Contents) -> None:
    """Refuse a bundle by which it could not be told what the branch's folders should hold."""
    live = set(overview.live_on(versions, tip))
    odd = sorted((live - contents.tags.keys()) | (contents.live.keys() - live))
    if odd:
        how = "is live" if odd[0] in live else "is not live"
        raise IntegrityError(
            f"{odd[0].tag} {how} on the bundle's branch, and its list says otherwise",
            hint="nothing was brought. mlv did not write it so: ask who gave it to you",
        )


def _record(versions: Versions, version: Version, oid: str) -> Record:
    record = versions.record(version)
    if record.tag.oid != oid or record.tag.message is None:
        raise IntegrityError(f"{version.tag} in the bundle is no tag that mlv made")
    return record


def _config(versions: Versions, tip: Tip, branch: str) -> configs.Config:
    config = configs.read_at(versions, tip.commit)
    if config is None:
        raise ConfigError(
            f"the bundle holds no model registry: its branch {branch} has no {configs.FILE}",
            hint="mlv init where it was made, then bundle anew",
        )
    if config.branch != branch:
        raise IntegrityError(
            f"the bundle holds the branch {branch}, and {configs.FILE} there names "
            f"{config.branch!r} as the registry branch",
            hint="check out the registry branch where it was made, then bundle anew",
        )
    return config


def _check_sizes(versions: Versions, tip: Tip, contents: Contents) -> None:
    """Refuse a file without end where mlv reads a small one into memory."""
    commits: list[tuple[str, str | None]] = [(tip.commit, None)]
    commits += [(f"{tag_ref(v)}^{{commit}}", v.model) for v in contents.tags]
    names = [name for commit, _ in commits for name in (commit, f"{commit}^{{tree}}")]
    names += [tag_ref(version) for version in contents.tags]
    _refuse_large(versions.git, names)
    oids = {oid for commit, model in commits for oid in _files(versions, commit, model)}
    _refuse_large(versions.git, sorted(oids))


def _refuse_large(git: Git, names: list[str]) -> None:
    lines = "".join(f"{name}\n" for name in names).encode()
    asked = git.run("cat-file", "--batch-check=%(objectsize)", stdin=lines)
    for line in asked.decode().splitlines():
        if line.isdigit() and int(line) > _LARGEST:
            raise IntegrityError(
                f"the bundle has {line} bytes in Git where mlv keeps a small file",
                hint="nothing was brought. mlv did not write it so: ask who gave it to you",
            )


def _files(versions: Versions, commit: str, model: str | None) -> Iterator[str]:
    """Name the files that mlv reads of a commit: of one model or of all."""
    for folder, only in (("", configs.FILE), (_DVC, "config")):
        for entry in versions.entries(commit, folder) or []:
            if entry.name == only and entry.kind == BLOB:
                yield entry.oid
    for folder in [folder_of(model)] if model else _models(versions, commit):
        for entry in versions.entries(commit, folder) or []:
            if entry.kind == BLOB:
                yield entry.oid


def _models(versions: Versions, commit: str) -> list[str]:
    entries = versions.entries(commit, FOLDER) or []
    return [folder_of(entry.name) for entry in entries if entry.mode == FOLDER_MODE]


def check_folders(inside: Inside) -> None:
    """Refuse a branch whose folders are not those of what is live: `dvc pull` goes by them."""
    try:
        overview.check_folders(inside.versions, inside.tip, [*inside.records, *inside.live])
    except ConfigError as error:
        raise IntegrityError(
            f"in the bundle, {error.message}",
            hint="nothing was brought. Where it was made, mlv bundle says how to mend it; then "
            "bundle it anew",
        ) from error


def absent(version: Version) -> str:
    """Say of a version that is live that its bytes did not come along."""
    return f"{version.tag} is live by the bundle, and its bytes are neither in it nor here"


# What DVC would be told --------------------------------------------------------------------


def check_dvc(inside: Inside, known: bytes = b"") -> None:
    """Refuse a branch that would have DVC run a command, or believe what is not its own.

    ``known`` is the ``.dvc/config`` that was there before: what it says, somebody accepted.
    """
    commit = inside.tip.commit
    for entry in inside.versions.entries(commit) or []:
        if entry.name.casefold() == _DVC and (entry.name, entry.mode) != (_DVC, FOLDER_MODE):
            raise _odd(entry.name)
    for entry in inside.versions.entries(commit, _DVC) or []:
        is_plain = entry.mode in (*REGULAR, FOLDER_MODE)
        if not is_plain or entry.name.casefold() in _NEVER_TRACKED:
            raise _odd(f"{_DVC}/{entry.name}")
    config = inside.versions.blob(commit, f"{_DVC}/config") or b""
    accepted = {danger.text for danger in dangers(known)}
    for danger in dangers(config):
        if danger.text not in accepted:
            raise IntegrityError(
                f".dvc/config:{danger.line} on {inside.versions.config.branch} in the bundle "
                f"{danger.why} ({danger.key})",
                hint="nothing was brought. Ask who made it to take the line out; what only this "
                "machine needs belongs to .dvc/config.local here",
            )


def _odd(path: str) -> IntegrityError:
    return IntegrityError(
        f"the bundle's branch has {path} in Git, which DVC keeps for itself",
        hint="nothing was brought. Ask who made it to take it out of Git",
    )
