"""The door to MLflow: what it does with refusals, without an MLflow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlv.bridges.mlflow.server import Server
from mlv.errors import ProgramError


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


def test_a_tag_that_another_set_at_the_same_moment_is_set() -> None:
    client = Client({"mlv.files": "whole"})
    mlflow = SimpleNamespace(
        MlflowClient=lambda _: client,
        __version__="3",
        exceptions=SimpleNamespace(MlflowException=Refused),
    )
    server = Server(mlflow, "http://127.0.0.1:9")
    server.tag_run("run", "mlv.files", "whole")
    with pytest.raises(ProgramError, match="UNIQUE"):
        server.tag_run("run", "mlv.files", "manifest")
