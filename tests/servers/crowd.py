"""Many mlv at once, started by `crowd` in the tests: each a process of its own, and warm.

A cold DVC takes seconds, and most of a race would be imports. So a driver imports all that mlv
and its remotes need, says that it is ready, and waits for a line; then it forks one child for each
command and answers what became of them.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NEEDED = (
    *("mlv.cli.sharing", "mlv.cli.registering", "mlv.cli.moving"),
    *("mlv.sharing.branch", "mlv.sharing.pushing", "mlv.promotion", "mlv.registration"),
    *("dvc.repo", "dvc.repo.checkout", "dvc_data.hashfile.build", "dvc_data.hashfile.transfer"),
    *("dvc_ssh", "dvc_ssh.client", "sshfs", "dvc_s3", "s3fs", "aiobotocore.session", "dvc_http"),
)


class Ended(NamedTuple):
    """What became of one command."""

    argv: list[str]
    code: int
    stdout: str
    stderr: str


# In the driver ------------------------------------------------------------------------------


def drive() -> None:
    """Be a driver: import, wait, fork, tell."""
    for name in NEEDED:
        importlib.import_module(name)
    print("ready", flush=True)
    commands: list[list[str]] = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        started = [fork(argv, Path(folder, str(at))) for at, argv in enumerate(commands)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
        said = [
            [Path(folder, f"{at}.{stream}").read_text() for stream in ("out", "err")]
            for at in range(len(commands))
        ]
    print(json.dumps([[code, *each] for code, each in zip(codes, said, strict=True)]), flush=True)


def fork(argv: list[str], said: Path) -> int:
    """Run a command in a child, and give its pid."""
    pid = os.fork()
    if pid:
        return pid
    for descriptor, stream in ((1, "out"), (2, "err")):
        into = os.open(said.with_suffix(f".{stream}"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(into, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["mlv", *argv]
    code = 99
    try:
        from mlv.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# In the tests -------------------------------------------------------------------------------


def crowd(parts: Sequence[tuple[Path, Sequence[Sequence[str]]]], patience: float) -> list[Ended]:
    """Run all commands of all clones at once, one driver a clone; give how each ended."""
    drivers = [
        subprocess.Popen(
            (sys.executable, "-P", __file__),
            cwd=clone,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for clone, _ in parts
    ]
    deadline = time.monotonic() + patience
    try:
        for driver in drivers:
            assert driver.stdout
            assert driver.stdout.readline() == "ready\n"
        for driver, (_, commands) in zip(drivers, parts, strict=True):
            assert driver.stdin
            driver.stdin.write(json.dumps(commands) + "\n")
            driver.stdin.flush()
        ended = []
        for driver, (_, commands) in zip(drivers, parts, strict=True):
            answer, _ = driver.communicate(timeout=deadline - time.monotonic())
            told = json.loads(answer)
            ended += [Ended(list(a), *how) for a, how in zip(commands, told, strict=True)]
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()
    return ended


if __name__ == "__main__":
    drive()
