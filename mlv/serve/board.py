"""What each worker of a server has loaded, for all of them to see.

A file for each in a folder of the server's. A worker holds a lock while it lives, so that one
that was killed is out at once.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from mlv.errors import ChangedMeanwhile
from mlv.store.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.serve.live import Status

_FACTS = ".json"
_LOCK = ".lock"


class Board:
    """The board of one server, as the worker that calls itself ``name`` writes on it."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self._folder = folder
        self._name = name or str(os.getpid())

    @contextlib.contextmanager
    def member(self) -> Iterator[None]:
        """Be one of the workers."""
        with exclusive(self._folder / f"{self._name}{_LOCK}"):
            try:
                yield
            finally:
                (self._folder / f"{self._name}{_FACTS}").unlink(missing_ok=True)

    def write(self, status: Status) -> None:
        """Say what this worker has; a disk that is full leaves what was said before."""
        path = self._folder / f"{self._name}{_FACTS}"
        beside = path.with_suffix(".new")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(status._asdict()), encoding="utf-8")
            beside.replace(path)

    def others(self) -> list[dict[str, Any]]:
        """Read what the other workers that live have, as `Status` has it."""
        found = []
        for path in sorted(self._folder.glob(f"*{_FACTS}")):
            if path.stem == self._name or self._is_gone(path):
                continue
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(path.read_bytes()))
        return found

    def _is_gone(self, path: Path) -> bool:
        try:
            with exclusive(path.with_suffix(_LOCK), patience=0):
                path.unlink(missing_ok=True)
                return True
        except ChangedMeanwhile:
            return False
