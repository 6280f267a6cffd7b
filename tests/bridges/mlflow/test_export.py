"""Exporting: what is done where MLflow refuses, or goes away."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ModelRegistry
from mlv.bridges.mlflow import Order, export
from mlv.bridges.mlflow.plan import There
from mlv.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Server:
    """An MLflow that takes no run, and that ``is_away`` from then on or answers."""

    uri = "http://127.0.0.1:9"

    def __init__(self, *, is_away: bool) -> None:
        self.is_away, self.asked = is_away, 0

    def there(self, *_: str) -> There:
        return There()

    def model(self, _: str) -> None:
        if self.is_away:
            raise ProgramError("MLflow is away")

    def start_run(self, *_: Any) -> None:
        self.asked += 1
        raise ProgramError("MLflow does not take it")

    def find(self, *_: str) -> list[Any]:
        return []

    runs = find

    def need_model(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(("is_away", "asked"), [(True, 1), (False, 3)])
def test_an_mlflow_that_went_away_is_not_asked_once_a_version(
    repo: Path,
    tmp_path: Path,
    write_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    is_away: bool,
    asked: int,
) -> None:
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for number in range(3):
        registry.register(write_model(tmp_path / "m.pkl", number), None)
    server = Server(is_away=is_away)

    @contextmanager
    def connected(_: str | None) -> Iterator[Server]:
        yield server

    monkeypatch.setattr(sys.modules[Order.__module__], "connected", connected)
    with pytest.raises(ProgramError):
        export(registry, Order())
    assert server.asked == asked
