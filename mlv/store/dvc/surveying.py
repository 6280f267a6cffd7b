"""Looking through an artifact before it is kept, and again after."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import InvalidInput
from mlv.store.disk import on_disk, real_file, walk_files
from mlv.store.dvcfiles import is_portable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    # Whether ``.dvcignore`` hides the file at a path inside the artifact; it takes its time.
    IsHidden = Callable[[str], bool]

_IGNORE_FILE = ".dvcignore"


class File(NamedTuple):
    """A file of an artifact: path inside (empty where the artifact is a file), and where it is.

    ``size`` is in bytes, ``mtime_ns`` its time in nanoseconds.
    """

    inside: str
    path: Path
    size: int
    mtime_ns: int


class Survey(NamedTuple):
    """What an artifact is made of; ``hidden`` are the files that ``.dvcignore`` leaves out."""

    files: list[File]
    hidden: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def is_file(self) -> bool:
        """Whether it is one file, and no directory."""
        return not self.files[0].inside

    def is_still_so(self, source: Path, cache: Path, is_hidden: IsHidden) -> bool:
        """Whether a directory holds these very files, and no other that would be kept."""
        left = {file.inside: file for file in self.files}
        for inside, path in walk_files(source, cache):
            known = left.pop(inside, None)
            if known is None:
                if inside not in self.hidden and not is_hidden(inside):
                    return False
            elif _file(inside, path) != known:
                return False
        return not left


def survey(source: Path, cache: Path, is_hidden: IsHidden) -> Survey:
    """Look through an artifact; `InvalidInput` names what DVC could not keep.

    Links that lead into DVC's ``cache`` are followed.
    """
    with on_disk(source):
        if not source.is_dir():
            return Survey([_file("", real_file(source, [cache]))])
        files, hidden = [], []
        for inside, path in walk_files(source, cache):
            _check(inside, path)
            if is_hidden(inside):
                hidden.append(inside)
            else:
                files.append(_file(inside, path))
    if not files:
        but = " that .dvcignore lets through" if hidden else ""
        raise InvalidInput(f"{source} holds no file{but}", hint="an artifact has at least one file")
    return Survey(files, frozenset(hidden))


def _file(inside: str, path: Path) -> File:
    facts = path.stat()
    return File(inside, path, facts.st_size, facts.st_mtime_ns)


def _check(inside: str, path: Path) -> None:
    if inside.rpartition("/")[2] == _IGNORE_FILE:
        raise InvalidInput(f"{path} would hide files from DVC", hint="leave it out of the artifact")
    if not is_portable(inside):
        raise InvalidInput(
            f"{str(path)!r} cannot be kept on every system",
            hint="rename it: no backslash, no control character",
        )
