"""Running programs and telling what they took: seconds and memory."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BIN = Path(sys.executable).parent
WATCH = """
import os, sys
pid = os.posix_spawn("/bin/sh", ["sh", "-e", "-c", "exec >/dev/null; " + sys.argv[1]], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(1 if status else 0)
"""
_SAID = 300  # characters of what a program that failed said last
NAMED = ("click", "dvc", "orjson")


class Cost(NamedTuple):
    """Seconds, and the largest process's memory in bytes."""

    seconds: float
    memory: int


class Failed(Exception):
    """A program failed, or took longer than it was given."""


def cost_of(script: str, cwd: Path, env: Mapping[str, str], patience: float | None = None) -> Cost:
    """Run a shell script to its end; `Failed` after so many seconds of ``patience``."""
    start = time.perf_counter()
    # A small process starts it: a program begins with the peak of the one that forked it.
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", WATCH, script], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        said, wrong = process.communicate(timeout=patience)
    except BaseException as end:  # Ctrl-C does not reach a session of its own
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(end, subprocess.TimeoutExpired):
            raise Failed(f"not done after {patience:.0f} s: {script}") from None
        raise
    seconds = time.perf_counter() - start
    if process.returncode:
        raise Failed(f"{script}: {wrong.decode(errors='replace').strip()[-_SAID:]}")
    return Cost(seconds, int(said) * 1024)


class Talker:
    """A driver that runs on, and does what it is asked; a context manager."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], patience: float
    ) -> None:
        self._argv, self._cwd, self._env, self._patience = argv, cwd, env, patience
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with the talker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, *order: object) -> Cost:
        """Have a verb done; `Failed` if that is not done in time."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._argv, cwd=self._cwd, env=self._env, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=self._said, bufsize=0,
            )  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended: what it said tells why
            stdin.write(json.dumps(order).encode() + b"\n")
        ready, _, _ = select.select([stdout], [], [], self._patience)
        line = stdout.readline() if ready else b""
        if not line:
            self.__exit__()
            self._said.seek(0)
            words = self._said.read().decode(errors="replace").strip()[-_SAID:]
            raise Failed(f"{order[0]}: {words if ready else f'not done in {self._patience:.0f} s'}")
        answer = json.loads(line)
        return Cost(answer["seconds"], answer["memory"])


def git(cwd: Path, *args: str) -> str:
    """Run git, and give what it prints."""
    done = subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True)
    return done.stdout.decode().strip()


def surroundings(home: Path) -> dict[str, str]:
    """Keep the user's own configuration out."""
    config = home / "dvc"
    config.mkdir(parents=True)
    (config / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    changes = {
        "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1", "DVC_GLOBAL_CONFIG_DIR": str(config),
        "DVC_SITE_CACHE_DIR": str(home / "site"), "DVC_NO_ANALYTICS": "1",
        "AWS_EC2_METADATA_DISABLED": "true", "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    os.environ.update(changes)
    # What is installed has its bytecode; from a checkout it must be kept after the first start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return dict(os.environ)


def machine() -> dict[str, Any]:
    """Describe what everything ran on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "git": git(Path(), "--version").removeprefix("git version "),
        **{name: version(name) for name in NAMED},
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
