"""Another registry to bring in, and a registry to bring it into."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from mlv.importing.incoming import IncomingModel, IncomingVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]


class Origin:
    """Another registry: some numbers, each with a small model of its own."""

    def __init__(self, folder: Path, write: Write, *numbers: int) -> None:
        self._folder, self._write = folder, write
        self.versions = tuple(self.version(number) for number in numbers)

    def version(self, number: int, seed: int = 0, status: str = "registered") -> IncomingVersion:
        path = self._write(self._folder / f"origin-{number}-{seed}.pkl", 100 * number + seed)
        return IncomingVersion(
            number,
            f"2023-01-{number:02}T00:00:00Z",
            {"model": hashlib.sha256(path.read_bytes()).hexdigest()},
            lambda _: {"model": path},
            {"from": "elsewhere", "version": f"no. {number}"},
            status=status,
            registered_by="Grace Hopper <grace@example.com>",
            metrics={"roc_auc": number / 10},
        )

    def model(self, current: int | None = None, previous: int | None = None) -> IncomingModel:
        return IncomingModel("elsewhere", self.versions, current, previous)


@pytest.fixture
def origin(tmp_path: Path, write_model: Write) -> Callable[..., Origin]:
    """``origin(1, 2, 5)`` makes a registry with these versions."""
    return lambda *numbers: Origin(tmp_path, write_model, *numbers)


def opened(folder: Path, notes: list[str] | None = None) -> ModelRegistry:
    return ModelRegistry(folder, "fraud", notify=(notes if notes is not None else []).append)
