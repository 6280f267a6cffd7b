"""The one door to programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque
from typing import IO, TYPE_CHECKING, NamedTuple

from mlv.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

# A hook of git exports these; they would send our git to the wrong repository or index. The list
# is `git rev-parse --local-env-vars` without configuration, and what changes the sense of paths.
_REPOSITORY_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
)  # fmt: skip


PIPE = subprocess.PIPE
_BUFFER = 1 << 16
_LAST_LINES = 40
Running = subprocess.Popen[bytes]


class Result(NamedTuple):
    """What a program that ended left."""

    code: int
    stdout: bytes
    stderr: str


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the user's environment without a hook's repository, speaking plain English."""
    env = {k: v for k, v in os.environ.items() if k not in _REPOSITORY_VARIABLES}
    env.update(LC_ALL="C.UTF-8", LANGUAGE="C", GIT_OPTIONAL_LOCKS="0")
    # An object is what its name says, never what a ref below refs/replace puts in its place.
    env["GIT_NO_REPLACE_OBJECTS"] = "1"
    # Windows would look for git.exe in the repository first, which may be anybody's.
    env["NoDefaultCurrentDirectoryInExePath"] = "1"
    env.update(changes or {})
    return env


def export(name: str, value: str) -> None:
    """Set a variable of our own environment, for libraries that read nothing else."""
    os.environ[name] = value


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run a program to its end, whatever its exit code; `ProgramError` if it is not there."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, input=stdin, env=environment(env), capture_output=True, check=False
        )
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error
    return Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


def run_shown(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    show: Callable[[str], None],
) -> Result:
    """Run a program that takes long, and ``show`` each line that it prints, when it does.

    The result has the last of them.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, stdout=PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            last.append(line.decode(errors="replace").rstrip())
            show(last[-1])
    return Result(process.wait(), b"", "\n".join(last))


def run_within(
    seconds: float,
    argv: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run a program that may hang, apart from the terminal, so that it asks nobody anything.

    `ProgramError` if it is not there, or has not ended after so many ``seconds``; what it started
    is ended with it.
    """
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, env=environment(env), stdin=PIPE, stdout=PIPE, stderr=PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error
    try:
        stdout, stderr = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ProgramError(
            f"{argv[0]} did not answer within {seconds:.0f} seconds",
            hint=f"try {argv[0]} by hand",
            argv=tuple(argv),
        ) from None
    finally:
        _end(process)
    return Result(process.returncode, stdout, stderr.decode(errors="replace"))


def _end(process: Running) -> None:
    """End a program that still runs, with all that it started."""
    if process.poll() is None:
        if os.name == "nt":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


def start(argv: Sequence[str], *, cwd: Path, stdin: IO[bytes] | int | None = PIPE) -> Running:
    """Start a program that is spoken to through its standard input and output.

    With ``stdin`` it reads what another one writes.
    """
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment(),
            stdin=stdin,
            stdout=PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=_BUFFER,
        )
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error


def stop(process: Running) -> None:
    """End a program that was started, by closing what it reads."""
    for stream in _streams(process):
        try:
            stream.close()
        except OSError:
            continue  # it had died with our last words unread
    process.wait()


def _streams(process: Running) -> list[IO[bytes]]:
    return [stream for stream in (process.stdin, process.stdout) if stream]


def _not_started(program: str, cwd: Path, error: OSError) -> ProgramError:
    if not cwd.is_dir():
        return ProgramError(f"the folder {cwd} is gone", hint="change to one that is there")
    if not isinstance(error, FileNotFoundError):
        return ProgramError(f"{program} cannot be started: {error.strerror}", hint="try it by hand")
    return ProgramError(
        f"{program} is not installed, or not on PATH",
        hint=f"install {program} and try again",
        argv=(program,),
    )
