"""`mlv bundle`: Git's objects and DVC's, gathered, checked and written to one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.bundling import archive
from mlv.bundling.archive import Member
from mlv.bundling.artifacts import check_address, check_artifacts
from mlv.bundling.contents import GIT, Contents, git_start, object_path
from mlv.domain import pointer as pointers
from mlv.errors import ConfigError, InvalidInput, NotFound, StatusError
from mlv.overview import check_folders, live_on
from mlv.sharing.objects import refuse_credentials, whose
from mlv.store.bare import make_aside
from mlv.store.disk import on_disk
from mlv.store.dvc.remote import Place
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import SCRATCH
from mlv.store.hashing import Digest, digest_of
from mlv.store.locks import bytes_lock
from mlv.store.naming import FOLDER, folder_of
from mlv.store.scratch import scratch
from mlv.trust import check_trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mlv.bundling.archive import Source
    from mlv.domain.names import Version
    from mlv.store.dvc.outputs import Output
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tip, Versions

# One history makes one pack, whatever this clone's packs are and its user's settings say.
_PACK = (
    "-c", "core.compression=-1", "-c", "pack.compression=-1", "-c", "pack.packSizeLimit=0",
    "-c", "core.bigFileThreshold=512m",
    "pack-objects", "--revs", "--threads=1", "--window=10", "--depth=50", "--window-memory=0",
    "--no-reuse-delta", "--no-reuse-object", "--delta-base-offset", "--no-sparse", "--quiet",
)  # fmt: skip


class Bundled(NamedTuple):
    """What is in a bundle that was written, and the file's size in bytes and SHA-256.

    ``objects`` counts those of DVC; ``lacking`` are outputs of pipelines that nobody has.
    """

    path: Path
    versions: tuple[Version, ...]
    branch: str
    commit: str
    objects: int
    size: int
    sha256: str
    lacking: tuple[str, ...]


class Request(NamedTuple):
    """Which versions go into which file; ``partial`` goes without outputs that nobody has."""

    versions: Sequence[Version]
    target: Path
    partial: bool = False


class _Gathered(NamedTuple):
    """Each object's file and what it is of, by md5; and outputs of which nobody has a copy."""

    files: dict[str, Path]
    names: dict[str, str]
    lacking: set[str]


def bundle(
    versions: Versions,
    request: Request,
    notify: Callable[[str], None],
    progress: ProgressBar,
) -> Bundled:
    """Write versions, their bytes, and the registry branch to one file."""
    target = _check_target(request.target)
    tip = versions.need_tip()
    records = _records(versions, tip, request.versions)
    live = _live(versions, tip, records, notify)
    check_folders(versions, tip, [*records, *live])
    layout = versions.git.layout
    with (
        bytes_lock(layout.common_dir, shared=True),  # until they are in the file
        scratch(layout.common_dir / SCRATCH) as folder,
        open_dvc(layout) as dvc,
    ):
        found = _gather(dvc, tip, records, partial=request.partial)
        lacking = tuple(sorted(found.lacking))
        for path in lacking:
            notify(f"{path} is not in the bundle: nobody has it")
        sums = _hash(found, progress)
        for record in records:
            check_artifacts(record, sums, found.files, "the DVC cache")
        contents = Contents(
            versions.config.branch, tip.commit, _tags(records), _tags(live), (), lacking
        )
        contents, sources = _with_files(contents, versions.git, found, sums, folder)
        pairs = list(zip(contents.members, sources, strict=True))
        with progress(f"writing {target.name}", contents.size) as advance:
            written = archive.write(target, contents.to_bytes(), pairs, advance)
    return Bundled(
        target, tuple(sorted(contents.versions)), contents.branch, contents.commit,
        len(found.files), written.size, written.sha256, contents.lacking,
    )  # fmt: skip


def _check_target(target: Path) -> Path:
    """Refuse a file that is something else than an older bundle."""
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}", hint=f"mkdir -p {target.parent}")
    if target.exists() and not archive.is_one(target):
        raise InvalidInput(f"{target} exists, and is no bundle", hint="choose another name")
    return target


# What goes in ------------------------------------------------------------------------------


def _records(versions: Versions, tip: Tip, named: Iterable[Version]) -> list[Record]:
    """Read the versions, of which each must be one that is handed out; no secret goes along."""
    if versions.git.is_shallow():
        raise ConfigError(
            "history is cut off here, and a bundle has all of it",
            hint=f"git fetch --unshallow {versions.config.remote}",
        )
    refuse_credentials(versions, tip.commit, versions.config.branch)
    return [_record(versions, tip, version) for version in sorted(set(named))]


def _record(versions: Versions, tip: Tip, version: Version) -> Record:
    record = versions.record(version)
    check_trusted(versions, tip, record)
    status = versions.pointer(tip, version.model).status_of(version.number)
    if pointers.is_withdrawn(status):
        raise StatusError(f"{version.tag} is {status}: it is not handed out", hint="mlv list")
    if record.tag.message is None:
        raise NotFound(
            f"{version.tag} is a lightweight tag here: the one that was made is not",
            hint=f"git fetch --force {versions.config.remote} tag {version.tag}",
        )
    refuse_credentials(versions, record.tag.commit, version.tag)
    return record


def _live(
    versions: Versions, tip: Tip, records: Iterable[Record], notify: Callable[[str], None]
) -> list[Record]:
    """Read what else is live by the branch: its tag goes along, and not its bytes.

    Without the tag nobody there could tell whether the branch's folder is that version's.
    """
    inside = {record.manifest.version for record in records}
    absent = [version for version in live_on(versions, tip) if version not in inside]
    if absent:
        tags = ", ".join(version.tag for version in absent)
        names = " ".join(f"{version.model}@production" for version in absent)
        notify(f"live on {versions.config.branch}, and not in the bundle: {tags} (add {names})")
    return [_record(versions, tip, version) for version in absent]


def _gather(dvc: Dvc, tip: Tip, records: Iterable[Record], *, partial: bool) -> _Gathered:
    """Have every object that the versions' trees and the branch's name in the cache.

    Of the branch's models, those versions alone.
    """
    found = _Gathered({}, {}, set())
    for record in records:
        manifest, tag = record.manifest, record.manifest.version.tag
        own = f"{folder_of(manifest.version.model)}/"
        lacking = [
            output.path
            for output in dvc.outputs(record.tag.commit)
            if not _bring(dvc, output, found)
        ]
        mine = [path for path in lacking if path.startswith(own)]
        if mine:
            raise whose(manifest, mine[0])
        if lacking and not partial:
            raise NotFound(
                f"{lacking[0]} of {tag} is neither in the DVC cache nor on the DVC remote: "
                f"dvc pull at {tag} would fail ({len(lacking)} output(s) in all)",
                hint="dvc repro or dvc commit makes it; --partial goes without",
            )
        found.lacking.update(lacking)
    for output in dvc.outputs(tip.commit):
        if not output.path.startswith(f"{FOLDER}/") and not _bring(dvc, output, found):
            found.lacking.add(output.path)
    return found


def _bring(dvc: Dvc, output: Output, found: _Gathered) -> bool:
    """Find an output's objects in the cache, or bring them there; False if they are nowhere."""
    if output.md5 is None or output.hash_name != "md5":
        return False  # of a stage that never ran, or kept as DVC 2 did
    for _ in ("a directory's listing", "the files that it lists"):
        absent = dvc.cache.missing([output.md5], output.path)
        name = output.remote or dvc.remote_name()
        if absent and name:
            dvc.remote(Place(name)).fetch(absent, lambda _: None)
    if dvc.cache.missing([output.md5], output.path):
        return False
    md5s = [output.md5]
    if output.md5.endswith(".dir"):
        md5s += [member.md5 for member in dvc.cache.members(output.md5, output.path)]
    for md5 in md5s:
        path = dvc.cache.object_path(md5)
        assert path
        found.files[md5] = path
        found.names.setdefault(md5, output.path)
    return True


def _hash(found: _Gathered, progress: ProgressBar) -> dict[str, Digest]:
    """Take the digest of every object, which must be what its address says."""
    sums = {}
    size = sum(path.stat().st_size for path in found.files.values())
    with progress("hashing", size) as advance:
        for md5, path in sorted(found.files.items()):
            with on_disk(path):
                sums[md5] = digest_of(path, advance)
            check_address(md5, sums[md5], f"the DVC cache, of {found.names[md5]},")
    return sums


# Writing it down ---------------------------------------------------------------------------


def _tags(records: Iterable[Record]) -> dict[Version, str]:
    return {record.manifest.version: record.tag.oid for record in records}


def _with_files(
    contents: Contents, git: Git, found: _Gathered, sums: dict[str, Digest], folder: Path
) -> tuple[Contents, list[list[Source]]]:
    """List the files that go in, and where each comes from."""
    start = git_start(contents.refs())
    pack = _pack(git, contents.refs().values(), folder / "git")
    members = [archive.member(GIT, [start, pack])]
    sources: list[list[Source]] = [[start, pack]]
    for md5 in sorted(found.files, key=object_path):
        members.append(Member(object_path(md5), sums[md5].size, sums[md5].sha256))
        sources.append([found.files[md5]])
    return contents._replace(members=members), sources


def _pack(git: Git, oids: Iterable[str], folder: Path) -> Path:
    """Write Git's objects as a pack, of a repository where no other ref has a say in its order."""
    aside = make_aside(folder, git)
    lines = "".join(f"{oid}\n" for oid in oids)
    name = aside.line(*_PACK, str(folder / "pack"), stdin=lines.encode())
    return folder / f"pack-{name}.pack"
