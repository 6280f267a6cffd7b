"""The file: a tar, which any tar unpacks, with a list of what is in it at its start.

There is one way to write a given content, and nothing else is read: each header must be, byte for
byte, the one that is written here for the next member of the list. So what comes from elsewhere
holds no link, no path, no size and no second copy of anything that the list does not state.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tarfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from mlv.errors import IntegrityError, InvalidInput
from mlv.store.disk import on_disk, sync_folder
from mlv.store.hashing import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.store.hashing import Progress

LIST = "mlv-bundle.json"
_BLOCK = 512
_CHUNK = 1024 * 1024
_LARGEST_LIST = 64 * 1024 * 1024  # bytes; some hundred thousand files
_END = bytes(2 * _BLOCK)
_PART = ".mlv-part"
_MOST = 40  # characters of a file's name, so that a longer one is none too long
_DEAD = 600.0  # seconds since its last byte, after which nobody writes a file any more

Source = bytes | Path


class Member(NamedTuple):
    """A file in the archive: its path there, its size in bytes, and its SHA-256."""

    path: str
    size: int
    sha256: str


# Writing -----------------------------------------------------------------------------------


def is_one(path: Path) -> bool:
    """Whether a file begins as an archive of ours does."""
    with on_disk(path):
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(LIST) + 1) == f"{LIST}\0".encode()


def member(path: str, sources: list[Source]) -> Member:
    """Describe a member that is made of these, one after the other."""
    digest, size = hashlib.sha256(), 0
    for data in _chunks(sources):
        digest.update(data)
        size += len(data)
    return Member(path, size, digest.hexdigest())


def write(
    target: Path, listed: bytes, members: Sequence[tuple[Member, list[Source]]], progress: Progress
) -> Digest:
    """Write an archive whole, or leave what is at ``target``; give the digest of the file.

    Each member is made of its sources, one after the other. `InvalidInput` if one of them is not
    what the list says.
    """
    with on_disk(target), _beside(target) as path:
        with path.open("xb") as file:
            out = _Output(file)
            out.write(_header(LIST, len(listed)) + listed + _padding(len(listed)))
            for member, sources in members:
                out.write(_header(member.path, member.size))
                _copy(member, sources, out, progress)
                out.write(_padding(member.size))
            out.write(_END)
            file.flush()
            os.fsync(file.fileno())
        path.replace(target)
        sync_folder(target.parent)
        return out.digest()


class _Output:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._md5.update(data)
        self._sha256.update(data)
        self._size += len(data)

    def digest(self) -> Digest:
        return Digest(self._md5.hexdigest(), self._sha256.hexdigest(), self._size)


def _copy(member: Member, sources: list[Source], out: _Output, progress: Progress) -> None:
    seen, size = hashlib.sha256(), 0
    for data in _chunks(sources):
        seen.update(data)
        size += len(data)
        if size > member.size:
            break
        out.write(data)
        progress(len(data))
    if (size, seen.hexdigest()) != (member.size, member.sha256):
        raise InvalidInput(
            f"{member.path} changed while it was being bundled", hint="run the command again"
        )


def _chunks(sources: list[Source]) -> Iterator[bytes]:
    for source in sources:
        if isinstance(source, bytes):
            yield source
            continue
        with source.open("rb", buffering=0) as file:
            while data := file.read(_CHUNK):
                yield data


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a name beside a file, and leave nothing there; what killed ones left goes as well."""
    start = f".{target.name[:_MOST]}."
    for left in target.parent.glob(f"{glob.escape(start)}*{_PART}"):
        if time.time() - left.stat().st_mtime > _DEAD:
            left.unlink(missing_ok=True)
    path = target.with_name(f"{start}{uuid.uuid4().hex}{_PART}")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _header(path: str, size: int) -> bytes:
    """Write a member's header: a file's, of nobody, of no time."""
    facts = tarfile.TarInfo(path)
    facts.size, facts.mode = size, 0o444
    return facts.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


# Reading -----------------------------------------------------------------------------------


def _no_bundle(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} is no bundle of mlv's", hint="mlv bundle REF FILE makes one")


class Archive:
    """An archive that is read from start to end, once; a context manager.

    `IntegrityError` for whatever is not as it would have been written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():  # reading from anything else might never end
            raise InvalidInput(f"there is no file {path}", hint="mlv bundle REF FILE makes one")
        with on_disk(path):
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        try:
            self.listed = self._read_list()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read_list(self) -> bytes:
        if self.size and not is_one(self._path):
            raise _no_bundle(self._path)
        start = self._take(_BLOCK)
        try:
            size = int(start[124:135], 8)
        except ValueError:
            size = -1
        if not 0 <= size <= _LARGEST_LIST or start != _header(LIST, size):
            raise _no_bundle(self._path)
        listed = self._take(size)
        self._expect(_padding(size))
        return listed

    def check_size(self, members: Sequence[Member]) -> None:
        """Raise `IntegrityError` unless the file is as long as its list says."""
        whole = sum(_BLOCK + m.size + len(_padding(m.size)) for m in members) + len(_END)
        whole += _BLOCK + len(self.listed) + len(_padding(len(self.listed)))
        if self.size != whole:
            how = "it was cut off" if self.size < whole else "something was added"
            raise IntegrityError(
                f"{self._path} has {self.size} bytes, and should have {whole}: {how}",
                hint="copy it again from where it was made",
            )

    def read(self, member: Member, target: Path | None, progress: Progress) -> Digest:
        """Read the next member, to a new file if one is named, and give its digest."""
        self._expect(_header(member.path, member.size))
        with on_disk(target or self._path):
            if target is None:
                digest = self._copy(member, None, progress)
            else:
                with target.open("xb") as file:
                    digest = self._copy(member, file, progress)
                    file.flush()
                    os.fsync(file.fileno())
        self._expect(_padding(member.size))
        if digest.sha256 != member.sha256:
            raise IntegrityError(
                f"{member.path} in {self._path} is damaged: expected SHA-256 {member.sha256}, "
                f"found {digest.sha256}",
                hint="nothing was brought. Copy it again from where it was made",
            )
        return digest

    def _copy(self, member: Member, file: IO[bytes] | None, progress: Progress) -> Digest:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        left = member.size
        while left:
            data = self._take(min(left, _CHUNK))
            md5.update(data)
            sha256.update(data)
            if file:
                file.write(data)
            progress(len(data))
            left -= len(data)
        return Digest(md5.hexdigest(), sha256.hexdigest(), member.size)

    def end(self) -> None:
        """Read what stands after the last member."""
        self._expect(_END)

    def _expect(self, wanted: bytes) -> None:
        if self._take(len(wanted)) != wanted:
            raise IntegrityError(
                f"{self._path} is not what its list says",
                hint="nothing was brought. mlv did not write it so: ask who gave it to you",
            )

    def _take(self, size: int) -> bytes:
        with on_disk(self._path):
            data = self._file.read(size)
        if len(data) != size:
            raise IntegrityError(
                f"{self._path} was cut off", hint="copy it again from where it was made"
            )
        return data
