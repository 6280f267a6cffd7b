"""Do what a registry does in children that die on their way; a script of tests, not a test.

Each line of standard input asks for one child: the arguments of `act`, as JSON. The child answers
with a line as well: the step before which it dies, or null when all is done. A second line tells
that it is gone: "over", or "killed" where it was not the child that said so.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from typing import IO, Any, NoReturn

from mlv import ModelRegistry

CHANGES = ("os.link", "os.remove", "os.rename")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# What only reads, or makes objects that nothing names yet: dead before or after is the same.
HARMLESS = {
    "cat-file", "commit-tree", "config", "diff-tree", "for-each-ref", "hash-object", "log",
    "ls-files", "ls-remote", "ls-tree", "merge-base", "mktag", "mktree", "rev-list", "rev-parse",
    "var", "write-tree",
}  # fmt: skip
ASIDE = ("__pycache__", "/.dvc/tmp/", "/mlv/.scratch", "/mlv-partial/")


def say(line: str) -> None:
    """Answer whoever asked."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def program_of(argv: list[str]) -> str | None:
    """Describe a program that is about to be started; None if it changes nothing to speak of."""
    words = argv[1:]
    while words and words[0] == "-c":
        words = words[2:]
    return None if argv[0] != "git" or words[0] in HARMLESS else " ".join(["git", *words[:3]])


def step_of(event: str, arguments: tuple[Any, ...], world: str) -> str | None:
    """Describe what is about to be changed in ``world``; None if it is something else."""
    if event == "subprocess.Popen":
        return program_of([str(word) for word in arguments[1]])
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING:
            return None
    elif event in CHANGES:
        path = arguments[0]
    else:
        return None
    path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    # What is removed with its whole folder, which lies aside, has no absolute path.
    if not path.startswith(world) or any(part in path for part in ASIDE):
        return None
    return f"{event} {path.removeprefix(world)}"


def act(
    folder: str,
    method: str,
    arguments: list[Any],
    options: dict[str, Any],
    *,
    model: str | None,
    world: str,
    at: int | str,
    after: str,
    how: str,
    impossible: str,
) -> None:
    """Call a registry's method, and come to an end before the step with the number or words ``at``.

    Steps are changes in ``world``, and are counted from the first with the words ``after`` on.
    Those with the words ``impossible`` are refused by the file system.
    """
    steps, counts = 0, False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps, counts
        step = step_of(event, arguments, world)
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
    registry = ModelRegistry(folder, model, notify=lambda _: None)
    getattr(registry, method)(*arguments, **options)
    say("null")


def child(request: dict[str, Any], told: IO[bytes]) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)  # with the programs that it starts, it can be killed as one
        act(**request)
        told.write(" ".join(sys.modules).encode())
        told.flush()
        code = 0
    except KeyboardInterrupt:
        code = 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked must see it
        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        os._exit(code)


def learn(told: IO[bytes]) -> None:
    """Import what a child that was done had to import, so that its successors need not."""
    told.seek(0)
    for name in told.read().decode().split():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def kill_later(pid: int, seconds: float) -> None:
    """Kill a child, and what it started, after a time; unless it is done before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.0005)
    os.killpg(pid, signal.SIGKILL)


def no_sync(fd: object) -> None:
    """Wait for no disk: a kill loses nothing that was written, only a power cut does."""


os.fsync = no_sync

for line in sys.stdin:
    request = json.loads(line)
    seconds = request.pop("seconds")
    with tempfile.TemporaryFile() as told:
        pid = os.fork()
        if not pid:
            child(request, told)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # here as well: it may have to die before it has come to that
        if seconds is not None:
            kill_later(pid, seconds)
        _, status = os.waitpid(pid, 0)
        learn(told)
    say("killed" if os.WIFSIGNALED(status) else "over")
