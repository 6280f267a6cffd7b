"""The file system: its refusals told plainly, durable renames, and walking an artifact's files."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlv.errors import InvalidInput, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


# Errors of the file system itself, and what to do about each.
DISK_ERRORS = {
    errno.ENOSPC: "free some space, then run the command again",
    errno.EFBIG: "files of that size are not allowed here (ulimit -f)",
    errno.EDQUOT: "free some space, then run the command again",
    errno.EACCES: "this user may not: see its permissions, then try again",
    errno.EPERM: "this user may not: see its permissions, then try again",
    errno.EROFS: "it is read-only here: use a copy that can be written",
}
# What is wrong with a path that somebody chose, in any command.
_PATH_ERRORS = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EEXIST: "something else is there: move it away, or choose another name",
    errno.ENOTDIR: "a part of that path is a file and no folder: choose another",
    errno.EISDIR: "a folder is there: choose another name",
}
_ELSE = "look at that path, then run the command again"


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path | None = None) -> StorageError:
    """Say what the file system refused, and where."""
    where = error.filename or path or ""
    return StorageError(
        f"{where}: {error.strerror or error}".lstrip(": "),
        hint={**DISK_ERRORS, **_PATH_ERRORS}.get(error.errno or 0, _ELSE),
    )


def sync_file(path: Path) -> None:
    """Have a file's bytes on the disk; it must be writable."""
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    if os.name == "nt":
        return  # Windows has no handle for it; renames are journalled there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours, also where its files are read-only; what resists is left."""
    import shutil  # which takes a hundredth of a second, and reading needs none of it

    if os.name == "nt":
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_nlink == 1:  # else DVC's cache has it, and trusts its mode
                    path.chmod(0o666)
    shutil.rmtree(folder, ignore_errors=True)


def walk_files(root: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    """Walk the files of an artifact's directory, in a fixed order: path inside, and real file.

    Refuses what cannot be kept: a symlink that leads out, a socket, a folder that is a link.
    """
    folders = [""]
    while folders:
        folder = folders.pop(0)
        for entry in sorted(os.scandir(root / folder), key=lambda e: e.name):
            path, inside = Path(entry.path), f"{folder}{entry.name}"
            if entry.name in (".dvc", ".git"):
                raise InvalidInput(
                    f"{path} would make DVC take the folder for another repository",
                    hint="leave it out of the artifact",
                )
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{inside}/")
            elif entry.is_symlink():
                yield inside, real_file(path, [cache, root])
            elif entry.is_file(follow_symlinks=False):
                yield inside, path
            else:
                raise InvalidInput(f"{path} is neither a file nor a folder", hint="leave it out")


def real_file(path: Path, places: list[Path]) -> Path:
    """Follow a symlink that leads into one of ``places``, such as those that DVC itself makes."""
    if not path.is_symlink():
        return path
    target = path.resolve()
    if target.is_file() and any(place.resolve() in target.parents for place in places):
        return target
    raise InvalidInput(
        f"{path} is a symlink to {path.readlink()}",
        hint="give the file it points to: an artifact holds bytes, not links",
    )
