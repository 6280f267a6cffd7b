"""What is handed out: each version's files, verified, in a folder of their own.

They lie in ``<git common dir>/mlv/<model>/<version>/``, read-only. A file verified once is known
by inode, size and times, and is not hashed again until one of these differs.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from mlv.errors import IntegrityError, InvalidInput
from mlv.store.disk import remove_tree
from mlv.store.hashing import listing_sha256, md5_of, sha256_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlv.domain.manifest import Artifact
    from mlv.domain.names import Version
    from mlv.store.dvc.cache import Cache
    from mlv.store.hashing import Progress
    from mlv.store.versions import Record


class Bytes(Protocol):
    """Where objects are, and are brought from; a context manager."""

    @property
    def cache(self) -> Cache:
        """The cache that has them."""

    def fetch(self, md5s: list[str], name: str, progress: Progress) -> None:
        """Bring objects into the cache, of directories also their files."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


MANIFEST, REQUIREMENTS = "manifest.json", "requirements.txt"
_SEEN = ".verified.json"
Stamps = dict[str, list[int]]


def folder_of(common_dir: Path, version: Version) -> Path:
    """Give the folder from which a version is handed out."""
    return common_dir / "mlv" / version.model / version.name


def hand_out(
    common_dir: Path, record: Record, open_bytes: Callable[[], Bytes], progress: Progress
) -> dict[str, Path]:
    """Give a version's files by role, and its manifest; every byte of them was verified.

    The source is opened only where the files are not here yet.
    """
    version, artifacts = record.manifest.version, record.manifest.artifacts
    folder = folder_of(common_dir, version)
    if not _is_whole(folder, record):
        _build(folder, record, open_bytes, progress)
    elif not _is_as_seen(folder, artifacts):
        stamps = _stamps(folder, artifacts)
        check(folder, record, progress)
        _remember(folder, stamps)
    return {
        **{role: folder / artifact.path for role, artifact in artifacts.items()},
        "manifest": folder / MANIFEST,
    }


def check(folder: Path, record: Record, progress: Progress | None = None) -> None:
    """Hash a version's files in ``folder``; `IntegrityError` names the one that differs."""
    for artifact in record.manifest.artifacts.values():
        path = folder / artifact.path
        compare(path, artifact, record.manifest.version, progress)


def compare(
    path: Path, artifact: Artifact, version: Version, progress: Progress | None = None
) -> None:
    """Hash an artifact that lies at ``path``."""
    if artifact.is_directory:
        sums = [(name, sha256_of(path / name, progress)) for name in _files(path)]
        found = listing_sha256(sums)
    else:
        is_plain = path.is_file() and not path.is_symlink()
        found = sha256_of(path, progress) if is_plain else "no plain file"
    expect(artifact, version, found, path)


def expect(artifact: Artifact, version: Version, found: str, path: Path) -> None:
    """Raise `IntegrityError` unless ``found`` is the artifact's SHA-256."""
    if found != artifact.sha256:
        raise IntegrityError(
            f"{artifact.path} of {version.tag} is not what was registered: "
            f"expected SHA-256 {artifact.sha256}, found {found}",
            hint=f"nothing was loaded. Remove {path}; mlv pull {version.tag} then brings it back "
            "from the DVC remote, and says so if the remote's copy is damaged too",
        )


def put_beside(manifest: Path, requirements: bytes) -> Path:
    """Write ``requirements.txt`` beside a version's manifest, if it is not there."""
    path = manifest.with_name(REQUIREMENTS)
    try:
        if path.read_bytes() == requirements:
            return path
    except OSError:
        pass  # it is not there, or somebody put something else there
    beside = path.with_name(f"{REQUIREMENTS}.{uuid.uuid4().hex}")
    beside.write_bytes(requirements)
    beside.chmod(0o444)
    beside.replace(path)
    return path


def _is_whole(folder: Path, record: Record) -> bool:
    try:
        is_same = (folder / MANIFEST).read_bytes() == record.data
    except OSError:
        return False
    return is_same and all(
        (folder / artifact.path).exists() for artifact in record.manifest.artifacts.values()
    )


def _is_as_seen(folder: Path, artifacts: Mapping[str, Artifact]) -> bool:
    try:
        seen = json.loads((folder / _SEEN).read_bytes())
        return bool(seen == _stamps(folder, artifacts))
    except (OSError, ValueError):
        return False


def _stamps(folder: Path, artifacts: Mapping[str, Artifact]) -> Stamps:
    stamps = {}
    for artifact in artifacts.values():
        path = folder / artifact.path
        if artifact.is_directory:
            for name in _files(path):
                stamps[f"{artifact.path}/{name}"] = _stamp(path / name)
        else:
            stamps[artifact.path] = _stamp(path)
    return stamps


def _stamp(path: Path) -> list[int]:
    facts = path.lstat()
    return [facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def _files(folder: Path) -> Iterator[str]:
    """Walk a directory; anything but files and folders counts as a file that cannot match."""
    for parent, folders, names in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(parent) / name
            if path.is_symlink():
                raise IntegrityError(
                    f"{path} is a symlink, which no version holds", hint=f"remove {folder}"
                )
            yield path.relative_to(folder).as_posix()


def _remember(folder: Path, stamps: Stamps) -> None:
    beside = folder / f"{_SEEN}.{uuid.uuid4().hex}"
    try:
        beside.write_text(json.dumps(stamps), encoding="utf-8")
        beside.replace(folder / _SEEN)
    except OSError:
        return  # a note that only saves time


def _build(
    folder: Path, record: Record, open_bytes: Callable[[], Bytes], progress: Progress
) -> None:
    """Link or copy a version's files aside, verify them, and rename them into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    artifacts, version = record.manifest.artifacts, record.manifest.version
    with scratch(folder.parent.parent / ".scratch") as parent, open_bytes() as source:
        aside = parent / folder.name
        aside.mkdir()
        source.fetch([a.md5 for a in artifacts.values()], version.tag, progress)
        for artifact in artifacts.values():
            bring(source.cache, artifact, version, aside / artifact.path, progress)
        (aside / MANIFEST).write_bytes(record.data)
        (aside / MANIFEST).chmod(0o444)
        _remember(aside, _stamps(aside, artifacts))
        _put_in_place(aside, folder, record)


def bring(
    cache: Cache,
    artifact: Artifact,
    version: Version,
    target: Path,
    progress: Progress | None = None,
) -> None:
    """Link or copy an artifact from the cache to ``target``, and verify what lies there then."""
    if not artifact.is_directory:
        source = _link(cache, artifact.md5, target)
        expect(artifact, version, cache.sha256(artifact.md5, target, progress), source)
        return
    target.mkdir()
    sums, made = [], {target}
    for member in cache.members(artifact.md5, artifact.path):
        path = target / member.path
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        _link(cache, member.md5, path)
        sums.append((member.path, cache.sha256(member.md5, path, progress)))
    found = listing_sha256(sums)
    if found != artifact.sha256:
        expect(artifact, version, found, _damaged(cache, artifact))


def _link(cache: Cache, md5: str, target: Path) -> Path:
    path = cache.object_path(md5)
    assert path
    cache.link(path, target)
    return path


def _damaged(cache: Cache, artifact: Artifact) -> Path:
    """Find the object of a directory that is not what its name says; else the listing."""
    for member in cache.members(artifact.md5, artifact.path):
        path = cache.object_path(member.md5)
        if path and md5_of(path) != member.md5:
            return path
    listing = cache.object_path(artifact.md5)
    assert listing
    return listing


def check_members(cache: Cache, artifact: Artifact, version: Version) -> None:
    """Hash a directory from its objects in the cache, all of which must be there."""
    sums = []
    for member in cache.members(artifact.md5, artifact.path):
        path = cache.object_path(member.md5)
        assert path
        sums.append((member.path, sha256_of(path)))
    found = listing_sha256(sums)
    if found != artifact.sha256:
        expect(artifact, version, found, _damaged(cache, artifact))


def _put_in_place(aside: Path, folder: Path, record: Record) -> None:
    if folder.exists() and not _is_whole(folder, record):
        folder.replace(aside.with_name(f"{aside.name}.old"))
    try:
        aside.rename(folder)
    except OSError:
        if not _is_whole(folder, record):
            raise
        # Another process built the same folder first.


def copy_out(files: Mapping[str, Path], target: Path) -> dict[str, Path]:
    """Copy handed-out files into a folder of the user's, writable; what is there must be the same.

    Raises `InvalidInput` with the path that holds something else.
    """
    placed = {role: target / path.name for role, path in files.items()}
    missing = []
    for role, path in files.items():
        there = placed[role]
        if not there.exists():
            missing.append(role)
        elif not _is_same(path, there):
            raise InvalidInput(
                f"{there} exists, and is something else", hint="move it, or choose another --out"
            )
    target.mkdir(parents=True, exist_ok=True)
    for role in missing:
        _copy(files[role], placed[role])
    return placed


def _is_same(ours: Path, theirs: Path) -> bool:
    if ours.is_dir() != theirs.is_dir():
        return False
    if not ours.is_dir():
        return ours.stat().st_size == theirs.stat().st_size and sha256_of(ours) == sha256_of(theirs)
    names = list(_files(ours))
    return names == list(_files(theirs)) and all(_is_same(ours / n, theirs / n) for n in names)


def _copy(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        if source.is_dir():
            shutil.copytree(source, beside, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, beside)
        beside.rename(target)
    finally:
        if beside.is_dir():
            remove_tree(beside)
        else:
            beside.unlink(missing_ok=True)
