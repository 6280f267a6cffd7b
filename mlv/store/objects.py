"""Reading and writing Git objects through a running git."""

from __future__ import annotations

import os
import threading
import weakref
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from mlv.errors import ProgramError
from mlv.store import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

BLOB, TREE, COMMIT, TAG = "blob", "tree", "commit", "tag"
FILE_MODE, PROGRAM_MODE, FOLDER_MODE = "100644", "100755", "40000"
# A file that somebody made executable still says the same.
REGULAR = (FILE_MODE, PROGRAM_MODE)
_AT_ONCE = 64  # the questions fit into a pipe, so that asking never waits for answering


class Object(NamedTuple):
    """A Git object as git hands it out."""

    oid: str
    kind: str
    data: bytes


class Entry(NamedTuple):
    """One line of a Git tree."""

    mode: str
    name: str
    oid: str

    @property
    def kind(self) -> str:
        """Which kind of object the entry names."""
        return {FOLDER_MODE: TREE, "160000": COMMIT}.get(self.mode, BLOB)


class ObjectReader:
    """A running ``git cat-file --batch``; a read through it takes about 0.1 ms.

    It sees refs and objects as they are at the moment of each read. Safe to share between
    threads; a forked child starts its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: list[process.Running] = []
        _READERS.add(self)
        weakref.finalize(self, _end, self._held)

    def forget(self) -> None:
        """Begin anew, as a forked child must: lock and pipes are its parent's."""
        self._lock = threading.Lock()
        self._held.clear()

    def read(self, name: str) -> Object | None:
        """Read what ``name`` means (``refs/heads/main:registry``); None if there is no such.

        It may come from anybody: one of two lines would be two questions, and names nothing.
        """
        if "\n" in name:
            return None
        return self._ask([name])[0]

    def read_many(self, names: Sequence[str]) -> Iterator[Object | None]:
        """Read many objects in turn, by a git of their own that reads on meanwhile."""
        if not names:
            return
        running = process.start(["git", "cat-file", "--batch"], cwd=self._folder)
        assert running.stdin
        assert running.stdout
        asked = 0
        try:
            for at in range(len(names)):
                if asked < min(at + _AT_ONCE, len(names)):
                    _write(running.stdin, names[asked : asked + _AT_ONCE])
                    asked += _AT_ONCE
                yield _answer(running.stdout)
        except BrokenPipeError as error:
            raise self._why(names[0]) from error
        finally:
            process.stop(running)

    def read_tree(self, name: str) -> list[Entry] | None:
        """Read a tree's entries; None if there is no such, or it is not a tree."""
        found = self.read(name)
        return parse_tree(found.data) if found and found.kind == TREE else None

    def _ask(self, names: Sequence[str]) -> list[Object | None]:
        with self._lock:
            try:
                return self._ask_once(names)
            except (OSError, ValueError):
                _end(self._held)  # it died: one more try, with a new one
            except BaseException:
                _end(self._held)  # an answer nobody read would be taken for the next one's
                raise
            try:
                return self._ask_once(names)
            except (OSError, ValueError) as error:
                raise self._why(names[0]) from error

    def _ask_once(self, names: Sequence[str]) -> list[Object | None]:
        running = self._running()
        stdin, stdout = running.stdin, running.stdout
        assert stdin
        assert stdout
        _write(stdin, names)
        return [_answer(stdout) for _ in names]

    def _running(self) -> process.Running:
        if not self._held:
            self._held.append(process.start(["git", "cat-file", "--batch"], cwd=self._folder))
        return self._held[0]

    def _why(self, name: str) -> ProgramError:
        result = process.run(["git", "rev-parse", "--git-dir"], cwd=self._folder)
        return ProgramError(
            f"git cannot read {name} in {self._folder}",
            hint=result.stderr.strip() or "git fsck may say more",
            code=result.code,
            stderr=result.stderr,
        )


def _write(stdin: IO[bytes], names: Sequence[str]) -> None:
    stdin.write("".join(f"{name}\n" for name in names).encode())
    stdin.flush()


def _answer(stdout: IO[bytes]) -> Object | None:
    header = stdout.readline()
    if not header:
        raise BrokenPipeError
    words = header.split()
    if header.endswith((b" missing\n", b" ambiguous\n")) or len(words) != len(Object._fields):
        return None
    size = int(words[2])
    data = stdout.read(size + 1)
    if len(data) != size + 1:
        raise BrokenPipeError
    return Object(words[0].decode(), words[1].decode(), data[:-1])


def read_named(stdout: IO[bytes]) -> tuple[str, Object] | None:
    """Read ``<id> <kind> <size> <name>`` and that object's bytes; None where no more is to come."""
    header = stdout.readline()
    if not header:
        return None
    words = header.split()
    if len(words) <= len(Object._fields):  # missing
        raise BrokenPipeError
    oid, kind, size, name = words
    data = stdout.read(int(size) + 1)
    if len(data) != int(size) + 1:
        raise BrokenPipeError
    return name.decode(errors="replace"), Object(oid.decode(), kind.decode(), data[:-1])


def _end(held: list[process.Running]) -> None:
    while held:
        running = held.pop()
        running.kill()  # a forked child may hold its input open: closing it is not enough
        process.stop(running)


def _forget_all() -> None:
    for reader in _READERS:
        reader.forget()


_READERS: weakref.WeakSet[ObjectReader] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def parse_tree(data: bytes) -> list[Entry]:
    """Read a raw SHA-1 tree: ``<mode> <name>NUL<20 bytes>`` an entry."""
    entries, at = [], 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        oid = data[end + 1 : end + 21].hex()
        entries.append(Entry(mode.decode(), name.decode(errors="surrogateescape"), oid))
        at = end + 21
    return entries


class TreeWriter:
    """A running ``git mktree --batch``; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._process = process.start(["git", "mktree", "-z", "--batch", "--missing"], cwd=folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        process.stop(self._process)

    def write(self, entries: Iterable[Entry]) -> str:
        """Write one tree and give its id; git sorts the entries."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        lines = [f"{e.mode.zfill(6)} {e.kind} {e.oid}\t{e.name}\0" for e in entries]
        try:
            stdin.write("".join(lines).encode(errors="surrogateescape") + b"\0")
            stdin.flush()
            oid = stdout.readline().decode().strip()
        except OSError:
            oid = ""
        if not oid:
            raise ProgramError(
                "git could not write a tree",
                hint="is the disk full, or the repository read-only?",
                argv=("git", "mktree"),
            )
        return oid
