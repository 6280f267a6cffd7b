"""DVC's cache: putting artifacts into it, and finding objects there."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import NotFound
from mlv.store.disk import on_disk, sync_file, sync_folder
from mlv.store.dvc.surveying import survey
from mlv.store.dvcfiles import Member, read_listing
from mlv.store.hashing import Digest, changed, copy_hashed, listing_sha256, sha256_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlv.store.dvc.surveying import Survey
    from mlv.store.hashing import Progress

_CACHE_MODE = 0o444  # by this DVC knows that an object is whole


class Stored(NamedTuple):
    """What was put into the cache; a directory also has its files counted."""

    md5: str
    sha256: str
    size: int
    nfiles: int | None = None


class Cache:
    """The cache in ``folder``, and ``sibling``, that of the main work tree, where there are two.

    ``makedirs`` makes a folder as DVC would (shared caches); ``is_hidden`` asks ``.dvcignore``.
    """

    def __init__(
        self,
        folder: Path,
        sibling: Path | None,
        makedirs: Callable[[str], None],
        is_hidden: Callable[[Path], bool],
    ) -> None:
        self._cache = folder
        self._sibling = sibling
        self._makedirs = makedirs
        self._is_hidden = is_hidden

    # Putting in ---------------------------------------------------------------------------

    def survey(self, source: Path, target: Path) -> Survey:
        """Look through an artifact that DVC will see at ``target``; refuse what cannot be kept.

        What ``.dvcignore`` hides there is left out.
        """
        return survey(source, self._cache, lambda inside: self._is_hidden(target / inside))

    def put(self, source: Path, target: Path, survey: Survey, progress: Progress) -> Stored:
        """Copy an artifact into the cache, durably, under its md5.

        `InvalidInput` if it is not, in the end, what was surveyed.
        """
        try:
            stored = self._put_all(survey, progress)
            is_same = survey.is_file or survey.is_still_so(
                source, self._cache, lambda inside: self._is_hidden(target / inside)
            )
        except FileNotFoundError:
            raise changed(source) from None
        if not is_same:
            raise changed(source)
        return stored

    def _put_all(self, survey: Survey, progress: Progress) -> Stored:
        with self._scratch() as folder:
            if survey.is_file:
                copy = folder / "copy"
                digest = copy_hashed(survey.files[0].path, copy, progress)
                self.install(copy, digest)
                stored = Stored(*digest)
            else:
                stored = self._put_folder(survey, folder, progress)
            sync_folder(self._path(self._cache, stored.md5).parent)
        return stored

    def _put_folder(self, survey: Survey, folder: Path, progress: Progress) -> Stored:
        """Copy all files, then have them on the disk, and only then where objects are found.

        One after the other each would wait for the disk; thousands of small files are faster so.
        """
        digests = []
        for number, file in enumerate(survey.files):
            digests.append(copy_hashed(file.path, folder / str(number), progress, durably=False))
        for number in range(len(digests)):
            sync_file(folder / str(number))
        for number, digest in enumerate(digests):
            self.install(folder / str(number), digest)
        for parent in {self._path(self._cache, digest.md5).parent for digest in digests}:
            sync_folder(parent)
        named = list(zip([file.inside for file in survey.files], digests, strict=True))
        md5 = self._put_listing([Member(inside, digest.md5) for inside, digest in named], folder)
        sha256 = listing_sha256((inside, digest.sha256) for inside, digest in named)
        return Stored(md5, sha256, sum(digest.size for digest in digests), len(digests))

    def _put_listing(self, members: list[Member], scratch: Path) -> str:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        tree = Tree()  # type: ignore[no-untyped-call]
        for member in members:
            tree.add(tuple(member.path.split("/")), None, HashInfo("md5", member.md5))
        source, copy = scratch / "listing", scratch / "listing-copy"
        source.write_bytes(tree.as_bytes())
        digest = copy_hashed(source, copy, lambda _: None)
        self.install(copy, digest._replace(md5=f"{digest.md5}.dir"))
        return f"{digest.md5}.dir"

    def install(self, copy: Path, digest: Digest) -> None:
        """Rename a whole copy to where the cache keeps it, in place of what may lie there.

        The copy lies on the cache's file system. An object that is there already may be damaged,
        and DVC would not notice.
        """
        target = self._path(self._cache, digest.md5)
        copy.chmod(_CACHE_MODE)
        self._makedirs(str(target.parent))
        try:
            copy.replace(target)
        except PermissionError:  # a shared cache, and the object is somebody else's
            if not target.is_file() or sha256_of(target) != digest.sha256:
                raise
        if self._sibling:
            _link_or_copy(target, self._path(self._sibling, digest.md5))

    def _scratch(self) -> AbstractContextManager[Path]:
        """Make a folder on the cache's file system."""
        return scratch(self.scratch_folder)

    @property
    def scratch_folder(self) -> Path:
        """Where objects are made, before they are renamed into the cache."""
        return self._cache.parent.parent / "mlv-partial"

    # Taking out ---------------------------------------------------------------------------

    def object_path(self, md5: str) -> Path | None:
        """Find an object in the cache."""
        for cache in filter(None, (self._cache, self._sibling)):
            path = self._path(cache, md5)
            if path.is_file():
                return path
        return None

    def members(self, md5: str, name: str) -> list[Member]:
        """Read the files of a directory whose listing is in the cache."""
        path = self.object_path(md5)
        if path is None:
            raise NotFound(f"the listing of {name} is not in the DVC cache")
        with on_disk(path):
            return read_listing(path.read_bytes(), name)

    def missing(self, md5s: Iterable[str], name: str) -> list[str]:
        """Name the objects that are not in the cache, of directories also their files."""
        absent = []
        for md5 in md5s:
            if self.object_path(md5) is None:
                absent.append(md5)
            elif md5.endswith(".dir"):
                absent += [m.md5 for m in self.members(md5, name) if not self.object_path(m.md5)]
        return absent

    def link(self, source: Path, target: Path) -> None:
        """Make ``target`` a read-only twin of an object."""
        link(source, target)

    def lay_out(self, md5: str, target: Path) -> None:
        """Link or copy an object, of a directory its files, to where nothing lies."""
        members = self.members(md5, target.name) if md5.endswith(".dir") else None
        if members is None:
            self._lay_out(md5, target)
            return
        for member in members:
            path = target / member.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lay_out(member.md5, path)

    def _lay_out(self, md5: str, target: Path) -> None:
        source = self.object_path(md5)
        assert source
        self.link(source, target)

    def sha256(self, md5: str, twin: Path, progress: Progress | None) -> str:  # noqa: ARG002 - a cache that hashed it knows it by that
        """Hash an object's twin."""
        return sha256_of(twin, progress)

    # Deleting -----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._cache

    def sizes(self, md5s: Iterable[str]) -> dict[str, int]:
        """Give the size in bytes of each of these objects that is here."""
        found = ((md5, self.object_path(md5)) for md5 in sorted(set(md5s)))
        return {md5: path.stat().st_size for md5, path in found if path}

    def delete(self, md5s: Iterable[str]) -> None:
        """Delete objects, listings last: they tell what else there was."""
        for md5 in sorted(md5s, key=lambda md5: (md5.endswith(".dir"), md5)):
            for cache in filter(None, (self._cache, self._sibling)):
                path = self._path(cache, md5)
                with on_disk(path):
                    if os.name == "nt" and path.exists():
                        path.chmod(0o666)  # what is read-only cannot be deleted there
                    path.unlink(missing_ok=True)

    @staticmethod
    def _path(cache: Path, md5: str) -> Path:
        return cache / md5[:2] / md5[2:]


def link(source: Path, target: Path) -> None:
    """Make ``target`` a read-only twin of a cache object: reflink, hard link or copy.

    A hard link only where the object belongs to this user: its owner can change it.
    """
    from dvc_objects.fs import system

    with contextlib.suppress(OSError, NotImplementedError):
        system.reflink(str(source), str(target))  # type: ignore[no-untyped-call]
        target.chmod(_CACHE_MODE)
        return
    target.unlink(missing_ok=True)
    facts = source.stat()
    is_own = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    if is_own and stat.S_IMODE(facts.st_mode) == _CACHE_MODE:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    target.chmod(_CACHE_MODE)


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    beside = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    link(source, beside)
    beside.replace(target)
