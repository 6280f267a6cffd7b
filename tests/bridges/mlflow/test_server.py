"""The door to MLflow: what it does with refusals, without an MLflow."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mlv.bridges.mlflow.server import Server
from mlv.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# As MLflow 3 says it, of two kinds of storage.
SAID = (
    "The following failures occurred while downloading one or more artifacts from "
    "ftp://ada:secret@host/1:\n##### File model.pkl #####\n403 Client Error: Forbidden for url: "
    "https://b.s3.example/model.pkl?X-Amz-Date=1&X-Amz-Signature=secret\n"
)


class Refused(Exception):
    error_code = "BAD_REQUEST"


class Client:
    """A client of a server that refuses every tag; its run has those that another set."""

    def __init__(self, tags: dict[str, str]) -> None:
        self.tags = tags

    def set_tag(self, *_: str) -> None:
        raise Refused("UNIQUE constraint failed: tags.key, tags.run_uuid")

    def get_run(self, _: str) -> Any:
        return SimpleNamespace(data=SimpleNamespace(tags=self.tags))


def serving(client: Client) -> Server:
    mlflow = SimpleNamespace(
        MlflowClient=lambda _: client,
        __version__="3",
        exceptions=SimpleNamespace(MlflowException=Refused),
    )
    return Server(mlflow, "http://127.0.0.1:9")


def test_a_tag_that_another_set_at_the_same_moment_is_set() -> None:
    server = serving(Client({"mlv.files": "whole"}))
    server.tag_run("run", "mlv.files", "whole")
    with pytest.raises(ProgramError, match="UNIQUE"):
        server.tag_run("run", "mlv.files", "manifest")


@pytest.fixture
def download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Have a download be refused with a text; give what is told of that."""

    def download(said: str) -> str:
        def fail(*_: Any, **__: Any) -> None:
            raise Refused(said)

        there = SimpleNamespace(download_artifacts=fail)
        monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(artifacts=there))
        monkeypatch.setitem(sys.modules, "mlflow.artifacts", there)
        with pytest.raises(ProgramError) as caught:
            serving(Client({})).download("models:/fraud/1", tmp_path / "model")
        return caught.value.message

    return download


def test_a_download_that_failed_says_why_and_tells_no_secret(
    download: Callable[[str], str],
) -> None:
    assert download(SAID + "and so on\n" * 9) == (
        "MLflow at http://127.0.0.1:9: The following failures occurred while downloading one or "
        "more artifacts from ftp://...host/1: File model.pkl: 403 Client Error: Forbidden for url: "
        "https://b.s3.example/model.pkl?... and so on"
    )


def test_what_mlflow_says_has_an_end(download: Callable[[str], str]) -> None:
    assert len(download("x" * 100_000)) < 1100
