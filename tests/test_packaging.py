"""What is built carries everything that mlv needs, and nothing that lay about in the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import pytest

import mlv

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
BIN = "Scripts" if os.name == "nt" else "bin"

# What a run of the pipeline inside the template, an editor or a careless user leaves behind.
JUNK = (
    "mlv/__pycache__/errors.cpython-311.pyc",
    "mlv/store/.DS_Store",
    "templates/pipeline/.dvc/cache/files/md5/00/11",
    "templates/pipeline/.dvc/config.local",
    "templates/pipeline/.dvc/tmp/lock",
    "templates/pipeline/artifacts/model.pkl",
    "templates/pipeline/data/train.csv",
    "templates/pipeline/dvc.lock",
    "templates/pipeline/metrics.json",
    "templates/pipeline/src/.mypy_cache/3.11/cache.db",
    "templates/pipeline/src/__pycache__/train.cpython-311.pyc",
    "tests/__pycache__/conftest.cpython-311.pyc",
    ".dvc/cache/files/md5/00/11",
    ".env",
    "data/train.csv",
    "notes.txt",
)


class Built(NamedTuple):
    """The paths inside each archive, and the files of the checkout that they come from."""

    wheel: Path
    in_wheel: set[str]
    in_sdist: set[str]
    sources: set[str]


def call(cwd: Path, *argv: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, caller_env: dict[str, str]) -> Built:
    """Build both archives from a copy of the checkout with junk strewn over it."""
    checkout = tmp_path_factory.mktemp("packaging") / "checkout"
    # The caller's git trusts a checkout that is another user's, as it often is in CI.
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = set(call(ROOT, *listed, env=caller_env).split("\0")) - {"", *JUNK}
    sources = {name for name in names if (ROOT / name).is_file()}
    for name in sources:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    for name in JUNK:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("junk")
    # The sdist, and the wheel from the sdist: so the one is enough to make the other.
    call(checkout, sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist")
    [wheel] = (checkout / "dist").glob("*.whl")
    [sdist] = (checkout / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    return Built(wheel, in_wheel, in_sdist, sources)


def below(names: set[str], *folders: str) -> set[str]:
    return {name for name in names if name.startswith(folders)}


def test_the_wheel_is_the_package_and_the_templates_to_the_file(built: Built) -> None:
    package = below(built.sources, "mlv/")
    templates = {f"mlv/{name}" for name in below(built.sources, "templates/")}
    about = {name for name in built.in_wheel if name.startswith(f"mlv-{VERSION}.dist-info/")}
    assert built.in_wheel - about == package | templates


def test_the_sdist_has_what_the_wheel_and_the_tests_need(built: Built) -> None:
    needed = below(built.sources, "mlv/", "templates/", "tests/")
    assert below(built.in_sdist, "mlv/", "templates/", "tests/") == needed
    assert {"LICENSE", "README.md", "pyproject.toml", "Makefile"} <= built.in_sdist
    assert built.in_sdist - {".gitignore", "PKG-INFO"} <= built.sources


def test_dotfiles_and_types_travel(built: Built) -> None:
    dotfiles = {name for name in built.sources if PurePosixPath(name).name.startswith(".")}
    assert "templates/pipeline/.gitignore" in dotfiles
    assert below(dotfiles, "templates/") <= built.in_sdist
    assert {"mlv/py.typed", "mlv/templates/pipeline/.gitignore"} <= built.in_wheel
    assert f"mlv-{VERSION}.dist-info/licenses/LICENSE" in built.in_wheel


def test_the_package_says_the_version_that_is_built() -> None:
    assert mlv.__version__ == VERSION


def install(wheel: Path, venv: Path, env: Mapping[str, str]) -> None:
    """Install the wheel with its demo into an empty environment."""
    what = f"mlv[demo] @ {wheel.as_uri()}"
    python = venv / BIN / "python"
    if shutil.which("uv") and subprocess.run(["uv", "--version"], check=False).returncode == 0:
        call(venv.parent, "uv", "venv", "--python", sys.executable, venv, env=env)
        call(venv.parent, "uv", "pip", "install", "--python", python, what, env=env)
    else:
        call(venv.parent, sys.executable, "-m", "venv", venv, env=env)
        call(venv.parent, python, "-m", "pip", "install", what, env=env)


@pytest.mark.slow
def test_the_installed_program_needs_no_checkout(
    built: Built, tmp_path: Path, caller_env: dict[str, str]
) -> None:
    install(built.wheel, tmp_path / "venv", caller_env)
    program = tmp_path / "venv" / BIN / "mlv"
    # Neither environment is activated, as after `pipx install` or `uv tool install`.
    path = os.environ["PATH"].split(os.pathsep)
    ours = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": os.pathsep.join(entry for entry in path if entry != ours)}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert VERSION in call(elsewhere, program, "--version", env=env)
    assert "demo" in call(elsewhere, program, "demo", "--help", env=env)
    assert call(elsewhere, program, "demo", env=env)
