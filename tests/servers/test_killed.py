"""Killed at any moment while it publishes: before or after, and never half of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.faults import did, published, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.sharing import Shared

    Program = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    WriteModel = Callable[..., Path]

KILLS = 4
MLV = (sys.executable, "-P", "-m", "mlv")


def start(clone: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, with all that it will start."""
    said = subprocess.DEVNULL
    return subprocess.Popen((*MLV, *args), cwd=clone, start_new_session=True,
                            stdout=said, stderr=said)  # fmt: skip


def kill_after(seconds: float, clone: Path, *args: str) -> bool:
    """Kill a command, and all it has started, in its middle; say whether it had ended before."""
    victim = start(clone, *args)
    try:
        victim.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
        return False
    return True


def remove_locks_of_git(clone: Path) -> None:
    """Do what git asks for where it died holding a lock of its own."""
    for lock in (clone / ".git").rglob("*.lock"):
        if "mlv" not in lock.relative_to(clone / ".git").parts:
            lock.unlink()


def moments(least: float) -> list[float]:
    """Draw moments at which to kill, spread over what a command takes."""
    seed = random.SystemRandom().randrange(1 << 32)
    sys.stdout.write(f"seed {seed}, over {least:.2f} s\n")
    chance = random.Random(seed)
    return [least * (at + chance.random()) / KILLS for at in range(KILLS)]


@pytest.mark.slow
def test_a_registration_that_is_killed(
    shared: Shared, git: Program, mlv: Mlv, write_model: WriteModel
) -> None:
    ada = shared.clone("ada")
    models = [str(write_model(ada.parent / f"{seed}.pkl", seed)) for seed in range(KILLS + 1)]
    register = ("register", models[0], "--no-preprocessor", "--push")
    begin = time.monotonic()
    did(mlv(ada, *register))
    for at, moment in enumerate(moments(time.monotonic() - begin), start=1):
        command = ("register", models[at], "--no-preprocessor", "--push", "--quiet")
        before = published(shared, git).keys()
        kill_after(moment, ada, *command)
        assert len(published(shared, git).keys() - before) <= 1
        remove_locks_of_git(ada)
        number = did(mlv(ada, *command)).strip()
        assert f"model-{number}" in published(shared, git)
        assert git(ada, "status", "--porcelain") == ""
    did(mlv(ada, "push"))  # what was registered and not published
    here = git(ada, "tag", "--list").split()
    assert sorted(published(shared, git)) == sorted(here)
    assert git(ada, "for-each-ref", "refs/mlv") == ""
    git(ada, "fsck", "--strict", "--no-dangling")


@pytest.mark.slow
def test_a_promotion_that_is_killed(
    shared: Shared, git: Program, mlv: Mlv, write_model: WriteModel
) -> None:
    ada = shared.clone("ada")
    for seed in (1, 2):
        model = str(write_model(ada.parent / f"{seed}.pkl", seed))
        did(mlv(ada, "register", model, "--no-preprocessor", "--push"))
    begin = time.monotonic()
    did(mlv(ada, "promote", "v1", "--push"))
    live = "v1"
    for moment in moments(time.monotonic() - begin):
        other = "v2" if live == "v1" else "v1"
        kill_after(moment, ada, "promote", other, "--push")
        there = [name for name, how in status(shared, git).items() if how == "production"]
        assert there in ([live], [other])
        remove_locks_of_git(ada)
        did(mlv(ada, "promote", other, "--push"))
        assert status(shared, git)[other] == "production"
        assert git(ada, "status", "--porcelain") == ""
        assert git(ada, "rev-parse", "main") == git(shared.bare, "rev-parse", "main")
        live = other
    published(shared, git)
    git(ada, "fsck", "--strict", "--no-dangling")
