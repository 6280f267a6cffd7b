"""MLflow, the latest 3 and the last 2: a server of each, and a program that speaks with it.

They cannot live in one environment, nor with what else tests need: each has its own, made once and
kept in a cache. What tests do there is done by `mlflow_inside.py`, so that MLflow is imported once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.debian import cache_of
from tests.servers.processes import LOOPBACK, environment, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
# SQLAlchemy 2.1 lacks what the last MLflow 2 imports.
RELEASES = {"3": ("mlflow==3.17.2",), "2": ("mlflow==2.22.5", "sqlalchemy<2.1")}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class Done(NamedTuple):
    """What a command line did, and how often it asked MLflow to write."""

    returncode: int
    stdout: str
    stderr: str
    writes: int


class Mlflow:
    """A running server, and a process of its environment that asks it."""

    def __init__(self, url: str, port: int, python: Path, inside: subprocess.Popen[str]) -> None:
        self.url, self.port, self.python = url, port, python
        self._inside = inside

    def ask(self, what: str, **how: Any) -> Any:
        """Have `mlflow_inside.py` do something; what goes wrong there fails the test."""
        stdin, stdout = self._inside.stdin, self._inside.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps({"what": what, "how": how}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        assert "trouble" not in answer, answer["trouble"]
        return answer["result"]

    def mlv(self, folder: Path, *args: str) -> Done:
        """Run the command line in that process."""
        return Done(**self.ask("mlv", folder=str(folder), args=args))


def python_of(release: str, env: Mapping[str, str]) -> Path:
    """Give the Python of an environment with MLflow and what mlv needs; made if there is none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = (*RELEASES[release], *project["project"]["dependencies"])
    recipe = hashlib.sha256("\0".join((sys.version, *wanted)).encode()).hexdigest()[:12]
    cache = cache_of(env)
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"mlflow-{release}-{recipe}"
    with (cache / f"mlflow-{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Not made elsewhere and renamed: programs in an environment say where it is.
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, wanted, env)
            (folder / "ready").touch()
    return folder / "bin" / "python"


def _install(folder: Path, wanted: tuple[str, ...], env: Mapping[str, str]) -> None:
    uv = shutil.which("uv", path=env.get("PATH"))
    if uv:
        make = [uv, "venv", "--quiet", "--python", sys.executable, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    else:
        make = [sys.executable, "-m", "venv", str(folder)]
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for argv in (make, [*install, *wanted]):
        done = subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{argv} failed:\n{done.stdout}{done.stderr}"[-3000:], pytrace=False)


@contextmanager
def serving(folder: Path, release: str, env: Mapping[str, str]) -> Iterator[Mlflow]:
    """Run a server over sqlite while the block lasts."""
    python = python_of(release, env)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    argv = [
        *(str(python), "-m", "mlflow", "server", "--workers", "1"),
        *("--host", LOOPBACK, "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.sqlite"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    words = ["env", *(f"{name}={value}" for name, value in QUIET.items()), *argv]
    with (
        running(words, folder, answers=lambda: _answers(port), patience=300),
        _inside(python, folder, url) as inside,
    ):
        yield Mlflow(url, port, python, inside)


@contextmanager
def _inside(python: Path, folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ada Lovelace\nemail = ada@example.com\n")
    known = {
        **environment(home),
        **QUIET,
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": url,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "dvc-site-cache"),
    }
    argv = [str(python), "-P", str(ROOT / "tests" / "servers" / "mlflow_inside.py")]
    with (folder / "inside.log").open("w") as log, subprocess.Popen(
        argv, cwd=home, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def _answers(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
