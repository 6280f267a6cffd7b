"""`mlv unbundle`: what a file holds is taken apart and checked, before anything of it is here."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from mlv.bundling.archive import Archive
from mlv.bundling.artifacts import check_address, check_artifacts
from mlv.bundling.contents import Contents, parse
from mlv.bundling.inside import Inside, look_inside
from mlv.store.disk import on_disk, sync_folder
from mlv.store.hashing import Digest, copy_hashed, sha256_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlv.bundling.archive import Member
    from mlv.domain.names import Version
    from mlv.store.dvc.cache import Cache
    from mlv.store.git import Git
    from mlv.store.hashing import Progress, ProgressBar

_DAMAGED = "the bundle"


class Unbundled(NamedTuple):
    """What came out of a bundle, or would.

    ``is_new``: the repository was made. ``versions`` are new here, ``known`` were here; ``commit``
    is where the registry branch ``branch`` is now, or None where it did not move. ``objects`` and
    ``size`` are those that came to the DVC cache; ``lacking`` are outputs that the bundle lacks.
    """

    path: Path
    is_new: bool
    versions: tuple[Version, ...]
    known: tuple[Version, ...]
    branch: str
    commit: str | None
    objects: int
    size: int
    lacking: tuple[str, ...] = ()


class Order(NamedTuple):
    """How to unbundle: with the registry branch or without it.

    ``dry_run`` checks all, and changes nothing.
    """

    branch: bool = True
    dry_run: bool = False


class Arrived(NamedTuple):
    """A bundle that was taken apart: its Git part, and each object's digest and file by md5.

    ``fresh`` are the objects that the cache does not have; their files lie aside.
    """

    contents: Contents
    inside: Inside
    sums: dict[str, Digest]
    places: dict[str, Path]
    fresh: list[str]

    @property
    def size(self) -> int:
        """The bytes that the cache does not have."""
        return sum(self.sums[md5].size for md5 in self.fresh)


class Places(NamedTuple):
    """Where a bundle is taken apart.

    ``git`` is an empty folder for its Git part, ``objects`` one for objects, on the file system of
    ``cache``, if there is one yet. ``here`` is the repository that it comes to, if there is one.
    Where nothing is ``kept`` objects are checked, and not written.
    """

    git: Path
    objects: Path
    cache: Cache | None = None
    here: Git | None = None
    is_kept: bool = True


def take_apart(file: Path, places: Places, progress: ProgressBar) -> Arrived:
    """Read a bundle to its end and check all of it that can be checked without a policy."""
    with Archive(file) as archive:
        contents = parse(archive.listed)
        archive.check_size(contents.members)
        with progress(f"checking {file.name}", contents.size) as advance, on_disk(places.objects):
            places.git.mkdir()
            pack = places.git / "pack"
            archive.read(contents.members[0], pack, advance)
            sums, files, fresh = _read_objects(archive, contents, places, advance)
        archive.end()
    inside = look_inside(places.git / "inside", pack, contents, places.here)
    for record in inside.records:
        check_artifacts(record, sums, files, _DAMAGED)
    return Arrived(contents, inside, sums, files, fresh)


def _read_objects(
    archive: Archive, contents: Contents, places: Places, progress: Progress
) -> tuple[dict[str, Digest], dict[str, Path], list[str]]:
    sums: dict[str, Digest] = {}
    files: dict[str, Path] = {}
    fresh = []
    for md5, member in contents.objects.items():
        there = _find(places.cache, md5, member)
        # A listing says which files a directory has, so that it is needed in any case.
        is_kept = there is None and (places.is_kept or md5.endswith(".dir"))
        target = places.objects / md5 if is_kept else None
        sums[md5] = archive.read(member, target, progress)
        check_address(md5, sums[md5], _DAMAGED)
        found = there or target
        if found:
            files[md5] = found
        if there is None:
            fresh.append(md5)
    return sums, files, fresh


def _find(cache: Cache | None, md5: str, member: Member) -> Path | None:
    """Find an object in the cache that is just what it should be; one that is damaged is not."""
    path = cache.object_path(md5) if cache else None
    if path is None or path.stat().st_size != member.size:
        return None
    return path if sha256_of(path) == member.sha256 else None


# Bytes into the cache ----------------------------------------------------------------------


def install(arrived: Arrived, cache: Cache) -> None:
    """Put the objects that came into the cache, durably, listings last."""
    parents = set()
    for md5 in sorted(arrived.fresh, key=_listings_last):
        digest = arrived.sums[md5]._replace(md5=md5)
        try:
            cache.install(arrived.places[md5], digest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _install_from_elsewhere(cache, arrived.places[md5], digest)
        path = cache.object_path(md5)
        assert path
        parents.add(path.parent)
    for parent in parents:
        sync_folder(parent)


def _listings_last(md5: str) -> tuple[bool, str]:
    return md5.endswith(".dir"), md5


def _install_from_elsewhere(cache: Cache, path: Path, digest: Digest) -> None:
    with scratch(cache.scratch_folder) as folder:
        copy_hashed(path, folder / "copy", lambda _: None)
        cache.install(folder / "copy", digest)


# Git's objects -----------------------------------------------------------------------------


def bring_git(git: Git, arrived: Arrived, refs: Iterable[str]) -> None:
    """Bring what refs of the bundle name, without a ref: nobody sees it yet."""
    lines = "".join(f"{ref}\n" for ref in refs)
    git.run(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
        "--recurse-submodules=no", "--stdin", str(arrived.inside.git.layout.common_dir),
        stdin=lines.encode(),
    )  # fmt: skip
