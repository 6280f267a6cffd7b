"""A version by its URL over real transports: credentials, servers that lie, lines that break."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, ModelRegistry, NotFound, ProgramError
from mlv.pulling import RemoteRegistry
from tests.servers.sharing import dvc_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.proxy import Proxy
    from tests.servers.sharing import Shared

TRANSPORTS = (("ssh", "ssh"), ("http", "s3"), ("http", "http"))


@pytest.fixture(params=TRANSPORTS, ids=[f"git-{git}-dvc-{dvc}" for git, dvc in TRANSPORTS])
def shared(request: pytest.FixtureRequest, share: Callable[..., Shared]) -> Shared:
    git, dvc = request.param
    return share(git=git, dvc=dvc)


@pytest.fixture
def reader(shared: Shared, home: Path, git: Callable[..., str]) -> Callable[..., None]:
    """``reader("writer")`` gives this user somebody's credentials for both servers."""

    def become(who: str, port: int | None = None) -> None:
        url = shared.url()
        for key, value in shared.git_server.git_config(who, home, url).items():
            git(home, "config", "--global", key, value)
        facts = {
            **shared.dvc_server.remote(shared.folder / "storage", port),
            **shared.dvc_server.credentials(who),
        }
        config = home / ".config" / "dvc" / "config"
        first = config.read_text().partition("['remote")[0]
        config.write_text(first + dvc_config(facts))
        known = home / ".ssh"
        known.mkdir(exist_ok=True)
        keys = getattr(shared.dvc_server, "folder", None)
        if keys is not None and not (known / "known_hosts").exists():
            (known / "known_hosts").write_text((keys / "known_hosts").read_text())

    return become


@pytest.fixture
def model(shared: Shared, tmp_path: Path, write_model: Callable[..., Path]) -> Path:
    """Publish fraud-v1: a model, and a folder of sixty files, some of them empty or large."""
    clone = shared.clone("ada")
    path = write_model(tmp_path / "model.pkl", 1)
    folder = tmp_path / "tokens"
    (folder / "deep").mkdir(parents=True)
    for number in range(60):
        (folder / "deep" / f"{number}.bin").write_bytes(bytes([number]) * number * 10)
    (folder / "large.bin").write_bytes(os.urandom(9_000_001))
    registry = ModelRegistry(clone, "fraud")
    registry.register(path, None, artifacts={"tokens": folder})
    registry.promote("v1", push=True)
    return path


def test_a_version_comes_over_the_wire(
    shared: Shared, model: Path, reader: Callable[..., None], tmp_path: Path
) -> None:
    reader("writer")
    far = RemoteRegistry(shared.url(), cache=tmp_path / "cache")
    far.catch_up("fraud@production")
    files = far.artifacts("fraud@production")
    assert files["model"].read_bytes() == model.read_bytes()
    made = model.parent / "tokens"
    names = sorted(p.relative_to(made) for p in made.rglob("*") if p.is_file())
    assert (
        sorted(p.relative_to(files["tokens"]) for p in files["tokens"].rglob("*") if p.is_file())
        == names
    )
    assert all((files["tokens"] / n).read_bytes() == (made / n).read_bytes() for n in names)


def test_a_tampered_object_is_not_handed_out(
    shared: Shared, model: Path, reader: Callable[..., None], tmp_path: Path
) -> None:
    reader("writer")
    far = RemoteRegistry(shared.url(), cache=tmp_path / "cache")
    md5 = far.manifest("v1").artifacts["model"].md5
    shared.storage.write(md5, model.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"model\.pkl of fraud-v1 is not what was registered"):
        far.artifacts("v1")
    shared.storage.write(md5, model.read_bytes())
    assert far.artifacts("v1")["model"].read_bytes() == model.read_bytes()


@pytest.mark.usefixtures("model")
def test_a_lost_object_is_counted(
    shared: Shared, reader: Callable[..., None], tmp_path: Path
) -> None:
    reader("writer")
    far = RemoteRegistry(shared.url(), cache=tmp_path / "cache")
    shared.storage.remove(far.manifest("v1").artifacts["model"].md5)
    with pytest.raises(NotFound, match=r"1 file\(s\) of fraud-v1 are not on the DVC remote"):
        far.artifacts("v1")


@pytest.mark.usefixtures("model")
def test_who_may_not_is_told(shared: Shared, reader: Callable[..., None], tmp_path: Path) -> None:
    reader("writer")
    far = RemoteRegistry(shared.url(), cache=tmp_path / "cache")
    far.manifest("v1")
    reader("stranger")
    with pytest.raises(ProgramError, match=r"the DVC remote 'storage' .* does not allow"):
        far.artifacts("v1")
    with pytest.raises(ProgramError, match=r"the Git repository .* cannot be used"):
        RemoteRegistry(shared.url(), cache=tmp_path / "other").refresh()


@pytest.mark.usefixtures("model")
def test_a_line_that_is_cut_goes_on_where_it_stopped(
    shared: Shared,
    reader: Callable[..., None],
    proxy: Callable[[int], Proxy],
    tmp_path: Path,
) -> None:
    line = proxy(shared.dvc_server.port)
    reader("writer", line.port)
    far = RemoteRegistry(shared.url(), cache=tmp_path / "cache")
    far.manifest("v1")
    line.cut()
    with pytest.raises(ProgramError, match="could not"):
        far.artifacts("v1")
    reader("writer")
    assert far.artifacts("v1")["model"].is_file()
