"""A new machine for each module, with mlv's wheel installed, or with nothing but the wheels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fresh.root import ADA, CHECKOUT, Root

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, so that none can forget it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("fresh")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what is installed."""
    out = tmp_path_factory.mktemp("wheel")
    argv = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out))
    subprocess.run(argv, cwd=CHECKOUT, check=True, capture_output=True)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def bare_root(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, caller_env: dict[str, str]
) -> Iterator[Root]:
    """Return a machine with Python, Git, and wheels to install."""
    folder = tmp_path_factory.mktemp("bare") / "root"
    yield Root.copied(folder, wheel, caller_env)
    shutil.rmtree(folder)  # half a gigabyte


@pytest.fixture(scope="session")
def root(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, caller_env: dict[str, str]
) -> Iterator[Root]:
    """Return a machine where Ada has mlv, and what `payments.sh` sets up in her home."""
    folder = tmp_path_factory.mktemp("fresh") / "root"
    made = Root.copied(folder, wheel, caller_env)
    made.run("python", "-m", "pip", "install", "--quiet", "mlv[demo,serve]")
    made.run("useradd", "--uid", str(ADA), "--create-home", "--shell", "/bin/bash", "ada")
    made.run("bash", "-c", (HERE / "payments.sh").read_text(), user=ADA, env={"HOME": "/home/ada"})
    yield made
    shutil.rmtree(folder)
