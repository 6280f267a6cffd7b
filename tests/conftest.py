"""A world of its own for every test, and the few programs that tests run in it."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CALLER = dict(os.environ)

# A deadline measures the machine and what else runs on it.
hypothesis.settings.register_profile("mlv", deadline=None)
hypothesis.settings.load_profile("mlv")

# What decides how git, DVC, mlv and terminals behave, and comes from whoever runs the tests.
SCRUBBED_PREFIXES = (
    "DVC_", "GH_", "GIT_", "GITHUB_", "GITLAB_", "GLAB_", "LC_", "MLV_", "SSH_", "XDG_",
)  # fmt: skip
SCRUBBED = (
    "CI",
    "COLORTERM",
    "EDITOR",
    "EMAIL",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "NO_COLOR",
    "PAGER",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "VIRTUAL_ENV",
    "VISUAL",
)

GITCONFIG = """\
[user]
    name = Ada Lovelace
    email = ada@example.com
[init]
    defaultBranch = main
"""

# No daemon that asks the network for a newer DVC.
DVC_CONFIG = """\
[core]
    analytics = false
    check_update = false
"""


HERE = Path(__file__).parent
# What is left to those who ask for it, by path or by marker.
LATER = {
    HERE / "forge": "forge",
    HERE / "fresh": "fresh",
    HERE / "servers": "servers",
    HERE / "bundling" / "test_kills.py": "servers",
    HERE / "sharing" / "test_kills.py": "servers",
    HERE / "proposing" / "test_kills.py": "servers",
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave real servers, and hundreds of kills, to those who ask: `pytest tests/servers`."""
    marker = LATER.get(collection_path)
    if marker is None or marker in config.option.markexpr:
        return None
    start = config.invocation_params.dir
    asked = [(start / arg.partition("::")[0]).resolve() for arg in config.args]
    return None if any(path.is_relative_to(collection_path) for path in asked) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first, so that no core idles while the last of them runs."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def isolate(patch: pytest.MonkeyPatch, home: Path, base: Path) -> None:
    """Make ``home`` the user's home, and the environment the same on every machine."""
    for name in os.environ:
        if name in SCRUBBED or name.startswith(SCRUBBED_PREFIXES):
            patch.delenv(name)
    dvc_config = home / ".config" / "dvc"
    dvc_config.mkdir(parents=True)
    (dvc_config / "config").write_text(DVC_CONFIG)
    (home / ".gitconfig").write_text(GITCONFIG)
    for name, value in {
        # As in an activated environment: a stage of a pipeline runs `python`.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), CALLER["PATH"])),
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "AppData" / "Roaming",
        "LOCALAPPDATA": home / "AppData" / "Local",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "GIT_CONFIG_GLOBAL": home / ".gitconfig",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        # A temporary folder inside a checkout is still not part of that repository.
        "GIT_CEILING_DIRECTORIES": base,
        "DVC_GLOBAL_CONFIG_DIR": dvc_config,
        "DVC_SYSTEM_CONFIG_DIR": home / "etc" / "dvc",
        "DVC_SITE_CACHE_DIR": base / "dvc-site-cache",
        "DVC_NO_ANALYTICS": "1",
        "COLUMNS": "100",
        "LINES": "40",
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }.items():
        patch.setenv(name, str(value))
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.fixture(scope="session", autouse=True)
def _isolated_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isolate what session fixtures do as well."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, tmp_path_factory.mktemp("home"), tmp_path_factory.getbasetemp())
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home folder that no other test has written to."""
    folder = tmp_path_factory.mktemp("home")
    isolate(monkeypatch, folder, tmp_path_factory.getbasetemp())
    monkeypatch.chdir(folder)  # what forgets to say where must not act on this checkout
    return folder


@pytest.fixture(scope="session")
def caller_env() -> dict[str, str]:
    """Return the environment that the tests were started with.

    For what belongs to the machine and not to the test: whether this is CI, and installing
    packages from where the machine installs them.
    """
    return dict(CALLER)


def run(
    cwd: Path,
    *argv: str,
    input: str | None = None,  # noqa: A002 - named as in subprocess.run
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; ``env`` is added to the test's environment."""
    return subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def output(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program printed, less the last line's end; raise what it said if it failed."""
    try:
        done.check_returncode()
    except subprocess.CalledProcessError as error:
        error.add_note(done.stdout + done.stderr)
        raise
    return done.stdout.rstrip()


# `-P`: no module of the folder it runs in shadows a module of ours, as for an installed script.
PYTHON = (sys.executable, "-P", "-m")


@pytest.fixture(scope="session")
def git() -> Callable[..., str]:
    """``git(folder, "log", "--oneline")`` runs the real git and returns what it printed."""

    def run_git(cwd: Path, *args: str, **how: Any) -> str:
        return output(run(cwd, "git", *args, **how))

    return run_git


@pytest.fixture(scope="session")
def dvc() -> Callable[..., str]:
    """``dvc(folder, "pull")`` runs the real DVC and returns what it printed."""

    def run_dvc(cwd: Path, *args: str, **how: Any) -> str:
        return output(run(cwd, *PYTHON, "dvc", *args, **how))

    return run_dvc


@pytest.fixture(scope="session")
def mlv() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``mlv(folder, "list")`` runs the command line; the test looks at code, stdout and stderr."""

    def run_mlv(cwd: Path, *args: str, **how: Any) -> subprocess.CompletedProcess[str]:
        return run(cwd, *PYTHON, "mlv", *args, **how)

    return run_mlv


@pytest.fixture(scope="session")
def _repo_mould(
    tmp_path_factory: pytest.TempPathFactory,
    git: Callable[..., str],
    dvc: Callable[..., str],
) -> Path:
    """Return a folder with `repo` and `storage`, made once: DVC takes a second for it."""
    from mlv import ModelRegistry

    mould = tmp_path_factory.mktemp("mould")
    (mould / "storage").mkdir()
    repo = mould / "repo"
    ModelRegistry.init(repo)
    # A copy says where its own storage is: `dvc push --all-tags` misreads a relative path.
    dvc(repo, "remote", "add", "-d", "storage", "/STORAGE")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Set up mlv")
    return mould


@pytest.fixture
def repo(_repo_mould: Path, tmp_path: Path, git: Callable[..., str]) -> Path:
    """Return a fresh registry; its DVC remote is the folder ``storage`` beside it."""
    shutil.copytree(_repo_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    folder = tmp_path / "repo"
    config = folder / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", str(tmp_path / "storage")))
    git(folder, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    return folder


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """``write_model(path, seed)`` pickles a small model there; the same bytes for the same seed."""

    def write(path: Path, seed: int = 0) -> Path:
        chance = random.Random(seed)
        weights = [chance.gauss() for _ in range(8)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps({"seed": seed, "weights": weights}, protocol=5))
        return path

    return write


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Callable[[], datetime]:
    """``tick()`` sets git's clock one minute on, where it stands still, and returns the time."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def step() -> datetime:
        nonlocal now
        now += timedelta(minutes=1)
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            monkeypatch.setenv(name, now.isoformat())
        return now

    return step


class Killer:
    """A program in which registries do things and die on their way: `tests/killed.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self, folder: Path, method: str, *arguments: object, at: int | str = 0, **how: Any
    ) -> str:
        """Call a registry's method, to die before a step, by number or words.

        Names the step; "" if it was not killed. With ``seconds`` all that runs by then is killed.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        request = {
            "folder": str(folder), "method": method, "arguments": arguments, "options": {},
            "model": None, "world": str(folder), "at": at, "after": "", "how": "kill",
            "impossible": "", "seconds": None, **how,
        }  # fmt: skip
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer != "over\n", f"it failed, and was not killed ({folder})"
        if answer == "killed\n":
            return "some moment"
        assert stdout.readline() in ("over\n", "killed\n")
        return json.loads(answer) or ""


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """Return a program in which registries die."""
    argv = [sys.executable, "-P", str(Path(__file__).with_name("killed.py"))]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Killer(process)
