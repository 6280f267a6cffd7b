"""What is made of MLflow's refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlv.bridges.mlflow.server import Server
from mlv.errors import ProgramError


def test_an_alias_that_another_made_at_the_same_moment_is_no_error() -> None:
    """Where the servers of MLflow 3 are asked twice at once, one is told of a broken constraint."""

    class Client:
        def __init__(self, _: str) -> None:
            pass

        def set_registered_model_alias(self, *_: str) -> None:
            raise OSError("UNIQUE constraint failed: registered_model_aliases.alias")

        def get_registered_model(self, _: str) -> Any:
            return SimpleNamespace(aliases={"champion": "2"})

    exceptions = SimpleNamespace(MlflowException=OSError)
    server = Server(
        SimpleNamespace(MlflowClient=Client, __version__="3", exceptions=exceptions), "sqlite://"
    )
    server.point("fraud", "champion", 2)
    with pytest.raises(ProgramError, match="UNIQUE"):
        server.point("fraud", "champion", 3)
