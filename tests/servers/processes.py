"""Start a server of one's own, wait until it answers, and leave nothing of it behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"
PATIENCE = 60  # seconds in which a server must answer


def free_port() -> int:
    """Return a port that nobody listens on, from below those that outgoing connections take."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError:
            continue
        return port


def program(name: str, package: str) -> str:
    """Return the path of a server; a test without its server fails, and is not skipped."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"{name} is not installed: {package}", pytrace=False)
    return found


def environment(home: Path) -> dict[str, str]:
    """Return what a server knows of its surroundings: nothing of the user who runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@contextmanager
def running(
    argv: list[str], folder: Path, *, answers: Callable[[], bool], patience: float = PATIENCE
) -> Iterator[int]:
    """Run a server while the block lasts, and give its pid; ``folder/log`` is what it says.

    It dies with whoever started it, however that ends.
    """
    if shutil.which("setpriv"):
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + patience
        while not answers():
            if server.poll() is not None or time.monotonic() > deadline:
                said = (folder / "log").read_text(errors="replace")[-4000:]
                pytest.fail(f"{argv} does not answer:\n{said}", pytrace=False)
            time.sleep(0.05)
        yield server.pid
    finally:
        # With what it has forked: a session of its own is a process group of its own.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
