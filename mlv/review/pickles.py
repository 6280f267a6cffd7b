"""What would run if a version's files were loaded, told without loading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.review.case import Looked, looked
from mlv.review.report import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlv.review.case import Look
    from mlv.store.versions import Record


class Scan:
    """Scans each downloaded file in turn, and keeps what was found."""

    def __init__(self, look: Look) -> None:
        self._is_on = look.deep and look.remote
        self._findings: list[Finding] = []

    def inspect(self, name: str, path: Path) -> None:
        """Scan a file, by whatever name it is called."""

    def looked(self, records: Sequence[Record]) -> Looked:
        """Say what was found of the versions that were downloaded."""
        if not self._is_on:
            return looked((), skipped="not downloaded: --deep does it")
        return looked(self._findings)
