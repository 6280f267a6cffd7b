"""A real forge on the loopback interface, started once, and a project of it for each test."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import debian
from tests.forge import pagure
from tests.forge.project import Project
from tests.servers.sharing import dvc_config

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, so that none can forget it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("forge")


@pytest.fixture(scope="session")
def forge(
    tmp_path_factory: pytest.TempPathFactory, caller_env: dict[str, str]
) -> Iterator[pagure.Pagure]:
    """Run a Pagure; the first time on a machine, install it: it is packaged by Debian alone."""
    root = debian.prepared("pagure", caller_env, "pagure", "redis-server")
    with pagure.serving(root, tmp_path_factory.mktemp("pagure")) as server:
        yield server


@pytest.fixture
def project(
    forge: pagure.Pagure,
    request: pytest.FixtureRequest,
    _repo_mould: Path,
    tmp_path: Path,
    git: Callable[..., str],
    mlv: Callable[..., subprocess.CompletedProcess[str]],
) -> Project:
    """Return a project with an empty registry; DVC keeps bytes in the folder `storage`."""
    name = f"payments-{zlib.crc32(request.node.name.encode()):x}"
    made = Project.made(forge, name, tmp_path, git, mlv)
    seed = tmp_path / "seed"
    shutil.copytree(_repo_mould / "repo", seed, symlinks=True)
    (seed / ".dvc" / "config").write_text(
        dvc_config({"url": str(tmp_path / "storage")}, default=True)
    )
    git(seed, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    git(seed, "push", "--quiet", forge.git_url(name, "ada"), "main")
    return made


@pytest.fixture
def register(
    mlv: Callable[..., subprocess.CompletedProcess[str]], write_model: Callable[..., Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``register(clone, seed)`` registers and publishes a model of `fraud`."""

    def run(clone: Path, seed: int, *options: str) -> subprocess.CompletedProcess[str]:
        write_model(clone.parent / "model.pkl", seed)
        model = str(clone.parent / "model.pkl")
        return mlv(
            clone, "register", model, "--no-preprocessor", "--model", "fraud", "--push", *options
        )

    return run
