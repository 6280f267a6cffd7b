"""A lock between processes on one machine, which the system frees when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlv.errors import ChangedMeanwhile
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_PATIENCE = 30.0  # seconds; a publication takes some hundredths of one
_BYTES_PATIENCE = 600.0  # seconds; registering copies gigabytes


@contextmanager
def exclusive(path: Path, *, patience: float = _PATIENCE, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``; wait ``patience`` seconds for another holder.

    Those who hold it ``shared`` do not wait for each other, but for whoever holds it alone.
    """
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(descriptor, shared=shared):
            if time.monotonic() >= deadline:
                raise ChangedMeanwhile(
                    f"another mlv holds {path}", hint="wait until it has ended and try again"
                )
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def bytes_lock(common_dir: Path, *, shared: bool) -> AbstractContextManager[None]:
    """Hold the lock between those who store bytes, until a tag names them, and who deletes some."""
    return exclusive(common_dir / "mlv" / ".bytes.lock", patience=_BYTES_PATIENCE, shared=shared)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, *, shared: bool) -> bool:
        if shared:
            return True  # Windows has no such lock by descriptor
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, *, shared: bool) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
