"""Promote in children that die on their way; a script that `test_publishing` runs, not a test.

Each line of standard input asks for one child: the arguments of `promote`, as JSON. The answer is
a line as well: the step before which the child died, or null if there were not so many.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from mlv import ModelRegistry

CHANGES = ("os.link", "os.remove", "os.rename")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def say(line: str) -> None:
    """Answer whoever asked."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def step_of(event: str, arguments: tuple[Any, ...], folder: str) -> str | None:
    """Describe what is about to be changed in ``folder``; None if it is something else."""
    if event == "subprocess.Popen":
        argv = [str(word) for word in arguments[1]]
        return None if "cat-file" in argv else " ".join(argv[:3])
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING:
            return None
    elif event in CHANGES:
        path = arguments[0]
    else:
        return None
    path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    is_here = not Path(path).is_absolute() or path.startswith(folder)
    if not path or not is_here or "/.dvc/" in path or "__pycache__" in path:
        return None
    return f"{event} {path.removeprefix(folder)}"


def promote(
    folder: str, version: str, at: int | str, *, after: str, how: str, impossible: str
) -> None:
    """Promote, and come to an end before the step with the number or the words ``at``.

    Steps are counted from the first with the words ``after`` on. Those with the words
    ``impossible`` are refused by the file system.
    """
    steps, counts = 0, False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps, counts
        step = step_of(event, arguments, folder)
        if step is None:
            return
        if impossible and impossible in step:
            raise OSError(errno.EXDEV, "Not on this file system")
        counts = counts or after in step
        steps += counts
        if steps == at or (isinstance(at, str) and at in step):
            say(json.dumps(step))
            if how == "interrupt":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    ModelRegistry(folder, notify=lambda _: None).promote(version)
    say("null")


def child(request: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        promote(**request)
        code = 0
    except KeyboardInterrupt:
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def no_sync(fd: object) -> None:
    """Wait for no disk: a kill loses nothing that was written, only a power cut does."""


os.fsync = no_sync

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        child(json.loads(line))
    os.waitpid(pid, 0)
    say("over")
