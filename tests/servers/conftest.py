"""Real servers on the loopback interface, each started once and only if a test asks for it.

Under pytest-xdist every worker has its own: nothing is shared, and nothing has to be counted.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import hooks, mlflow, s3, sshd, web
from tests.servers.proxy import Proxy
from tests.servers.sharing import DvcServer, GitServer, Shared, dvc_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent

# Git over the first, DVC over the second.
TRANSPORTS = (("ssh", "ssh"), ("http", "s3"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, so that none can forget it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("servers")


@pytest.fixture(autouse=True)
def _no_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an S3 client and an HTTP client read from the caller's surroundings away."""
    del home  # the environment is isolated first
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session", name="sshd")
def run_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """Run an OpenSSH server: Git, and DVC over SFTP."""
    with sshd.serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session", name="s3")
def run_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """Run an S3 server with a bucket."""
    with s3.serving(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def git_http() -> Iterator[web.GitOverHttp]:
    """Run an HTTP server of Git repositories, with passwords."""
    with web.serving_git() as server:
        yield server


@pytest.fixture(scope="session")
def dvc_http() -> Iterator[web.DvcOverHttp]:
    """Run an HTTP server of DVC remotes, with passwords."""
    with web.serving_dvc() as server:
        yield server


@pytest.fixture(scope="session", name="mlflow", params=sorted(mlflow.RELEASES, reverse=True))
def run_mlflow(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    caller_env: dict[str, str],
) -> Iterator[mlflow.Mlflow]:
    """Run an MLflow server, of 3 and of 2."""
    folder = tmp_path_factory.mktemp(f"mlflow-{request.param}")
    with mlflow.serving(folder, request.param, caller_env) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """``proxy(server.port)`` puts a network of its own before a server."""
    with ExitStack() as stack:

        def before(port: int) -> Proxy:
            made = Proxy(port)
            stack.callback(made.close)
            return made

        yield before


@pytest.fixture
def protect() -> Callable[..., Path]:
    """``protect(bare, "update")`` refuses pushes to `main`, as a forge does."""
    return hooks.protect


@pytest.fixture
def share(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    _repo_mould: Path,
    git: Callable[..., str],
) -> Callable[..., Shared]:
    """``share(git="http", dvc="s3")`` puts an empty registry on servers, for clones to share.

    Git goes over `ssh` or `http`, DVC over `ssh`, `s3` or `http`.
    """

    def make(*, name: str = "shared", **over: str) -> Shared:
        git_fixture = {"ssh": "sshd", "http": "git_http"}[over["git"]]
        dvc_fixture = {"ssh": "sshd", "s3": "s3", "http": "dvc_http"}[over["dvc"]]
        git_server: GitServer = request.getfixturevalue(git_fixture)
        dvc_server: DvcServer = request.getfixturevalue(dvc_fixture)
        folder = tmp_path / name
        folder.mkdir()
        seed, bare, place = folder / "seed", folder / "registry.git", folder / "storage"
        shutil.copytree(_repo_mould / "repo", seed, symlinks=True)
        config = dvc_config(dvc_server.remote(place), default=True)
        (seed / ".dvc" / "config").write_text(config)
        git(seed, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
        git(folder, "clone", "--quiet", "--bare", str(seed), str(bare))
        git(bare, "remote", "remove", "origin")
        shutil.rmtree(seed)
        return Shared(folder, bare, dvc_server.storage(place), git_server, dvc_server, git)

    return make


@pytest.fixture(params=TRANSPORTS, ids=[f"git-{git}-dvc-{dvc}" for git, dvc in TRANSPORTS])
def shared(request: pytest.FixtureRequest, share: Callable[..., Shared]) -> Shared:
    """Return an empty registry on servers, once for each pair of transports."""
    git, dvc = request.param
    return share(git=git, dvc=dvc)
