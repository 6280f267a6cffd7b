"""Connections to a DVC remote: none outlives what it was opened for, nor waits to be collected."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.proxy import Proxy
    from tests.servers.sharing import Shared

PATIENCE = 30.0  # seconds until the other side must have noticed an end


@pytest.fixture(autouse=True)
def _nothing_is_collected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def ended(line: Proxy) -> bool:
    """Whether something went over this line, and all of its connections have ended."""
    end = time.monotonic() + PATIENCE
    while line.links and time.monotonic() < end:
        time.sleep(0.01)
    return line.passed["down"] > 0 and not line.links


@pytest.mark.parametrize(("over", "dvc_over"), [("ssh", "ssh"), ("http", "s3"), ("http", "http")])
def test_pushing_and_pulling_leave_none(
    share: Callable[..., Shared],
    proxy: Callable[[int], Proxy],
    write_model: Callable[..., Path],
    over: str,
    dvc_over: str,
) -> None:
    shared = share(git=over, dvc=dvc_over)
    up, down = (proxy(shared.dvc_server.port) for _ in range(2))
    ada = ModelRegistry(shared.clone("ada", dvc_port=up.port), "fraud")
    ada.register(write_model(shared.folder / "m.pkl"), None)
    ada.promote("v1", push=True)
    assert ended(up)
    bob = ModelRegistry(shared.clone("bob", dvc_port=down.port), "fraud")
    assert bob.artifacts("v1")["model"].is_file()
    assert ended(down)
