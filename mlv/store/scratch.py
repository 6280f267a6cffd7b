"""Folders for half-made things, swept away when their maker died."""

from __future__ import annotations

import os
import stat
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlv.errors import ChangedMeanwhile, StorageError
from mlv.store.disk import on_disk, remove_tree
from mlv.store.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".lock"
_YOUNG = 60.0  # seconds in which a maker has surely taken its lock


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Make a folder in ``parent`` and remove it; a killed process's is swept by the next."""
    with on_disk(parent):
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        folder = parent / uuid.uuid4().hex
        lock = folder.with_suffix(_LOCK)
        try:
            with exclusive(lock):
                folder.mkdir()
                yield folder
        finally:
            remove_tree(folder)
            lock.unlink(missing_ok=True)


@contextmanager
def temporary(prefix: str) -> Iterator[Path]:
    """Make a folder outside the repository that is this user's alone, and remove it.

    Those of processes that were killed are removed too.
    """
    parent = Path(tempfile.gettempdir())
    with on_disk(parent):
        _sweep_temporary(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            with exclusive(folder / _LOCK):
                yield folder
        finally:
            remove_tree(folder)


def _sweep_temporary(parent: Path, prefix: str) -> None:
    """Remove folders of that name whose maker died; those of other users are theirs."""
    for folder in parent.glob(f"{prefix}*"):
        try:
            facts = folder.lstat()
            is_ours = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
            if not is_ours or not stat.S_ISDIR(facts.st_mode) or _is_young(folder):
                continue
            with exclusive(folder / _LOCK, patience=0):
                remove_tree(folder)
        except (OSError, ChangedMeanwhile, StorageError):
            continue  # at work, or gone


def leftovers(parent: Path) -> list[Path]:
    """Find the folders whose maker may have died: those that are not young."""
    return [folder for folder in parent.glob("*") if folder.is_dir() and not _is_young(folder)]


def _is_young(path: Path) -> bool:
    """Whether it was made just now; also what is gone meanwhile was nobody's leftover."""
    try:
        return time.time() - path.stat().st_mtime < _YOUNG
    except FileNotFoundError:
        return True


def sweep(parent: Path) -> None:
    """Remove what makers that died left half made."""
    for lock in parent.glob(f"*{_LOCK}"):
        try:
            if _is_young(lock):
                continue
            with exclusive(lock, patience=0):
                remove_tree(lock.with_suffix(""))
            lock.unlink(missing_ok=True)
        except (OSError, ChangedMeanwhile, StorageError):
            continue  # at work, or another's to sweep
