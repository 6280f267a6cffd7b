"""What of a model of MLflow's is read where something of it is gone."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mlv.bridges.mlflow import incoming
from mlv.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Server:
    """An MLflow with one version, of a run that has these tags; or had, where there are none."""

    def __init__(self, tags: dict[str, str] | None) -> None:
        self._tags = tags

    def known_model(self, _: str) -> Any:
        return SimpleNamespace(aliases={"champion": "1"})

    def versions(self, _: str) -> list[Any]:
        version = SimpleNamespace(
            version="1", name="fraud", run_id="r", source="s3://b/model", tags={},
            description="", creation_timestamp=1000,
        )  # fmt: skip
        return [version]

    def run(self, run_id: str) -> Any:
        if self._tags is None:
            raise NotFound(f"Run with id={run_id} not found")
        return SimpleNamespace(data=SimpleNamespace(metrics={}, params={}, tags=self._tags))

    def artifacts(self, run_id: str) -> list[str]:
        self.run(run_id)
        return []


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Have a server be the one that is read."""

    def serve(server: Server) -> None:
        @contextmanager
        def connected(_: str | None) -> Iterator[Server]:
            yield server

        monkeypatch.setattr(incoming, "connected", connected)

    return serve


def test_a_version_whose_run_is_gone_comes_in_without_its_numbers(
    serve: Callable[[Server], None],
) -> None:
    serve(Server(None))
    found = incoming.read("fraud")
    found.check()
    [version] = found.versions
    assert (version.metrics, version.status) == ({}, "production")
    assert found.notes == ("v1: its run is gone there, and metrics and parameters with it",)


def test_the_commit_of_its_run_is_kept_wherever_that_commit_is(
    serve: Callable[[Server], None],
) -> None:
    serve(Server({"mlflow.source.git.commit": "0c" * 20}))
    [version] = incoming.read("fraud").versions
    assert version.roles_change  # more may be logged to that run
    assert version.commit == version.all_metadata["imported"]["git_commit"] == "0c" * 20


def test_half_a_character_in_a_tag_is_made_plain(serve: Callable[[Server], None]) -> None:
    serve(Server({"mlflow.source.git.commit": "\ud800"}))
    [version] = incoming.read("fraud").versions
    assert version.all_metadata["imported"]["git_commit"] == "?"


def test_a_version_to_be_skipped_that_is_not_there_is_a_mistake(
    serve: Callable[[Server], None],
) -> None:
    serve(Server({}))
    assert incoming.read("fraud", skip=[1]).versions == ()
    with pytest.raises(NotFound, match="fraud has no version 99") as caught:
        incoming.read("fraud", skip=[1, 99])
    assert caught.value.hint == "--skip takes MLflow's numbers, the newest are 1"


@pytest.mark.parametrize(
    ("user", "by"),
    [
        ("Ada\r\n  Lovelace\u2028<ada@example.com>", "Ada Lovelace <ada@example.com>"),
        ("x" * 5000, f"{'x' * 97}..."),
        (" \n", ""),
        ("Ada \ud800", "Ada ?"),
    ],
)
def test_whoever_ran_it_is_named_on_one_line_that_a_list_has_room_for(
    serve: Callable[[Server], None], user: str, by: str
) -> None:
    serve(Server({"mlflow.user": user}))
    [version] = incoming.read("fraud").versions
    assert version.registered_by == by
