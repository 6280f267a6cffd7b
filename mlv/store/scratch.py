"""Folders for half-made things, swept away when their maker died."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlv.errors import ChangedMeanwhile, StorageError
from mlv.store.disk import on_disk, remove_tree
from mlv.store.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
