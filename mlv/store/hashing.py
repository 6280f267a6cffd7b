"""Copying and hashing in one pass, in constant memory."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from io import FileIO
    from pathlib import Path

    Progress = Callable[[int], None]
    # Asked with what is being done and how many bytes that is; told each step's bytes.
    ProgressBar = Callable[[str, int], AbstractContextManager[Progress]]

_CHUNK = 8 * 1024 * 1024
_BUFFER = 256 * 1024
# Below this, starting threads costs more than they save.
_SMALL = 4 * 1024 * 1024


class Digest(NamedTuple):
    """What a file's bytes are: hex digests, and their number."""

    md5: str
    sha256: str
    size: int


def copy_hashed(source: Path, target: Path, progress: Progress, *, durably: bool = True) -> Digest:
    """Copy ``source`` to the new file ``target``, and give the digest of the copy.

    MD5 and SHA-256 are taken from the bytes of the copy while it is written, each in a thread
    of its own: a source that changes under way cannot make digest and copy differ. ``progress``
    is told the bytes of each step. ``durably``: in the end the copy is on the disk, else on its
    way there. `InvalidInput` if the source changed meanwhile.
    """
    try:
        reading = source.open("rb", buffering=0)
    except FileNotFoundError:
        raise changed(source) from None
    with reading as reader, target.open("xb+", buffering=0) as writer:
        before = os.fstat(reader.fileno())
        size = before.st_size
        if size <= _SMALL:
            digest = _copy_small(reader.fileno(), writer.fileno(), progress)
            (os.fsync if durably else _begin_sync)(writer.fileno())
        else:
            digest = _LargeCopy(target).run(reader.fileno(), writer.fileno(), progress)
        after = os.fstat(reader.fileno())
    is_same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not is_same or digest.size != size:
        raise changed(source)
    return digest


def changed(source: Path) -> InvalidInput:
    """Say that an artifact did not stay as it was."""
    return InvalidInput(
        f"{source} changed while it was being registered",
        hint="wait until training has finished writing it",
    )


def _copy_small(source: int, target: int, progress: Progress) -> Digest:
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    while data := os.read(source, _BUFFER):
        _write_all(target, data)
        md5.update(data)
        sha256.update(data)
        size += len(data)
        progress(len(data))
    return Digest(md5.hexdigest(), sha256.hexdigest(), size)


def _begin_sync(descriptor: int, start: int = 0, length: int = 0) -> None:
    """Have the system begin to write a file, or a part, to the disk, where it can be told to.

    What is not on the disk yet stays in memory all the same.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def copy_with_sha256(source: Path, target: Path, progress: Progress) -> str:
    """Copy ``source`` to the new file ``target``, and give the SHA-256 of the copy."""
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        if os.fstat(reader.fileno()).st_size > _SMALL:
            _LargeCopy(target).follow(reader.fileno(), writer.fileno(), progress, digest)
            return digest.hexdigest()
        while data := os.read(reader.fileno(), _BUFFER):
            _write_all(writer.fileno(), data)
            digest.update(data)
            progress(len(data))
    return digest.hexdigest()


class _LargeCopy:
    """One thread copies, another follows it through the copy and hashes."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._more = threading.Condition()
        self._copied = 0
        self._is_whole = False

    def run(self, source: int, target: int, progress: Progress) -> Digest:
        """Copy durably, with MD5 and SHA-256.

        MD5 takes longest and has a thread of its own. All else, on its way to the disk from the
        first chunk on, takes another no longer: so two cores suffice.
        """
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        with self._followed(md5), self._target.open("rb", buffering=0) as copy:
            view = memoryview(bytearray(_BUFFER))
            for count in self._copy(source, target, progress):
                _begin_sync(target, self._copied - count, count)
                self._hash(copy, view, count, sha256.update)
            os.fsync(target)
        return Digest(md5.hexdigest(), sha256.hexdigest(), self._copied)

    def follow(self, source: int, target: int, progress: Progress, digest: hashlib._Hash) -> None:
        """Copy, and have a digest taken of the copy meanwhile."""
        with self._followed(digest):
            for _ in self._copy(source, target, progress):
                pass

    def _copy(self, source: int, target: int, progress: Progress) -> Iterator[int]:
        for count in _copy_chunks(source, target):
            self._advance(count)
            progress(count)
            yield count
        self._advance(0, is_whole=True)

    @contextmanager
    def _followed(self, digest: hashlib._Hash) -> Iterator[None]:
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(self._follow, digest.update)
            try:
                yield
            finally:
                self._advance(0, is_whole=True)
            following.result()

    def _advance(self, count: int, *, is_whole: bool = False) -> None:
        with self._more:
            self._copied += count
            self._is_whole = is_whole
            self._more.notify_all()

    def _wait_past(self, read: int) -> int:
        with self._more:
            self._more.wait_for(lambda: self._copied > read or self._is_whole)
            return self._copied

    def _follow(self, update: Callable[[memoryview], None]) -> None:
        view, read = memoryview(bytearray(_BUFFER)), 0
        with self._target.open("rb", buffering=0) as file:
            while (copied := self._wait_past(read)) > read:
                self._hash(file, view, copied - read, update)
                read = copied

    def _hash(
        self, file: FileIO, view: memoryview, left: int, update: Callable[[memoryview], None]
    ) -> None:
        while left:
            count = file.readinto(view[: min(_BUFFER, left)])
            if not count:
                raise OSError(errno.EIO, "the copy got shorter", str(self._target))
            update(view[:count])
            left -= count


def _copy_chunks(source: int, target: int) -> Iterable[int]:
    """Copy to the end, inside the kernel where it can, giving the size of each step."""
    in_kernel = hasattr(os, "copy_file_range")
    while True:
        if in_kernel:
            try:
                count = os.copy_file_range(source, target, _CHUNK)
            except OSError:
                count = 0
            if not count:
                # Not between these file systems, or the end, which some of them tell too early:
                # go on by hand from here.
                in_kernel = False
                continue
        else:
            data = os.read(source, _CHUNK)
            _write_all(target, data)
            count = len(data)
        if not count:
            return
        yield count


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """Give a file's SHA-256."""
    digest = hashlib.sha256()
    _feed(path, [digest], progress)
    return digest.hexdigest()


def md5_of(path: Path) -> str:
    """Give a file's MD5, which is DVC's name for it."""
    digest = hashlib.md5(usedforsecurity=False)
    _feed(path, [digest], None)
    return digest.hexdigest()


def digest_of(path: Path, progress: Progress | None = None) -> Digest:
    """Give both of a file, in one reading."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size = _feed(path, [md5, sha256], progress)
    return Digest(md5.hexdigest(), sha256.hexdigest(), size)


def _feed(path: Path, digests: list[hashlib._Hash], progress: Progress | None) -> int:
    view, size = memoryview(bytearray(_BUFFER)), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(view):
            for digest in digests:
                digest.update(view[:count])
            size += count
            if progress:
                progress(count)
    return size


def listing_sha256(files: Iterable[tuple[str, str]]) -> str:
    """Hash a directory's listing: ``<sha256>  <path>`` a line, sorted by path.

    That is what ``sha256sum`` prints for the files in the order of ``LC_ALL=C sort``.
    """
    digest = hashlib.sha256()
    for path, sha256 in sorted(files, key=lambda item: item[0].encode(errors="surrogateescape")):
        digest.update(f"{sha256}  {path}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
