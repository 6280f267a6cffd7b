"""What of a model of MLflow's is read where something of it is gone."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mlv.bridges.mlflow import incoming
from mlv.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_a_version_whose_run_is_gone_comes_in_without_its_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Server:
        def known_model(self, _: str) -> Any:
            return SimpleNamespace(aliases={"champion": "1"})

        def versions(self, _: str) -> list[Any]:
            version = SimpleNamespace(
                version="1", name="fraud", run_id="gone", source="s3://b/model", tags={},
                description="", creation_timestamp=1000,
            )  # fmt: skip
            return [version]

        def run(self, _: str) -> Any:
            raise NotFound("Run with id=gone not found")

        artifacts = run

    @contextmanager
    def connected(_: str | None) -> Iterator[Server]:
        yield Server()

    monkeypatch.setattr(incoming, "connected", connected)
    found = incoming.read("fraud")
    found.check()
    [version] = found.versions
    assert (version.metrics, version.status) == ({}, "production")
    assert found.notes == ("v1: its run is gone there, and metrics and parameters with it",)
