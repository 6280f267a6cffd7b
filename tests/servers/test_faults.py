"""The network, a server or a rule is in the way: a clear error, nothing half done, nothing lost."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry, ProgramError
from mlv.store import gitremote
from tests.servers.faults import did, failed_well, published, status

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.proxy import Proxy, Way
    from tests.servers.sharing import Shared

    Program = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    NewProxy = Callable[[int], Proxy]
    Share = Callable[..., Shared]
    WriteModel = Callable[..., Path]

GIT_OVER = ("ssh", "http")
DVC_OVER = ("ssh", "s3", "http")
LARGE = 400_000  # bytes, more than one packet anywhere


@pytest.fixture
def large(tmp_path: Path) -> str:
    """Return a model that takes a while to send."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return str(path)


def register(mlv: Mlv, clone: Path, model: str, *args: str) -> subprocess.CompletedProcess[str]:
    return mlv(clone, "register", model, "--no-preprocessor", *args)


# The DVC remote -------------------------------------------------------------------------------


@pytest.mark.parametrize("over", DVC_OVER)
def test_a_dvc_remote_that_does_not_let_in_is_told_from_a_missing_object(
    share: Share, git: Program, mlv: Mlv, large: str, over: str
) -> None:
    shared = share(git="http", dvc=over)
    ada = shared.clone("ada", dvc_as="stranger")
    refused = register(mlv, ada, large, "--push")
    said = ("DVC remote 'storage'", "does not allow", "dvc remote modify --local storage")
    failed_well(refused, *said, "model-v1 is registered here, and not published")
    failed_well(mlv(ada, "push"), *said)
    assert published(shared, git) == {}
    shared.credentials(ada, "reader")
    failed_well(mlv(ada, "push"), "DVC remote 'storage'", "hint: ")
    assert (published(shared, git), shared.storage.objects()) == ({}, set())
    shared.credentials(ada, "writer")
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}

    bob = shared.clone("bob", dvc_as="stranger")
    before = git(shared.bare, "rev-parse", "main")
    failed_well(mlv(bob, "pull", "v1"), *said)
    failed_well(mlv(bob, "promote", "v1", "--push"), *said)
    assert git(shared.bare, "rev-parse", "main") == before
    shared.credentials(bob, "reader")
    did(mlv(bob, "pull", "v1"))
    did(mlv(bob, "promote", "v1", "--push"))


@pytest.mark.parametrize("over", DVC_OVER)
def test_a_dvc_remote_that_is_cut_off_loses_nothing(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, large: str, over: str
) -> None:
    shared = share(git="http", dvc=over)
    network = proxy(shared.dvc_server.port)
    ada = shared.clone("ada", dvc_port=network.port)
    did(register(mlv, ada, large))
    cuts: list[tuple[int, Way]] = [(0, "up"), (LARGE // 2, "up"), (10, "down")]
    for cut in cuts:
        network.cut(*cut)
        failed_well(mlv(ada, "push"), "on the DVC remote 'storage'", "nothing is lost")
        network.heal()
        assert published(shared, git) == {}
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}

    bob = shared.clone("bob", dvc_port=network.port)
    for after in (0, LARGE // 2):
        network.cut(after, "down")
        failed_well(mlv(bob, "pull", "v1"), "on the DVC remote 'storage'", "nothing is lost")
        network.heal()
    did(mlv(bob, "pull", "v1"))


def test_a_rollback_does_not_wait_for_a_dvc_remote_that_is_gone(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, write_model: WriteModel
) -> None:
    shared = share(git="ssh", dvc="s3")
    network = proxy(shared.dvc_server.port)
    ada = shared.clone("ada", dvc_port=network.port)
    for seed in (1, 2):
        did(register(mlv, ada, str(write_model(ada.parent / "m.pkl", seed))))
        did(mlv(ada, "promote", f"v{seed}"))
    did(mlv(ada, "push"))
    network.cut()
    done = mlv(ada, "rollback", "--push")
    did(done)
    assert "whether the bytes of model-v1 are there is not known" in done.stderr
    assert status(shared, git)["v1"] == "production"


# How long a remote may say nothing, in DVC's own words.
IMPATIENT = {
    "ssh": ("timeout = 2",),
    "s3": ("read_timeout = 1", "connect_timeout = 1"),
    "http": ("read_timeout = 1", "connect_timeout = 1"),
}


@pytest.mark.parametrize("after", [0, 3_000_000])
@pytest.mark.parametrize("over", DVC_OVER)
def test_a_dvc_remote_that_falls_silent_ends_in_an_error(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, tmp_path: Path, over: str, after: int
) -> None:
    shared = share(git="http", dvc=over)
    network = proxy(shared.dvc_server.port)
    ada = shared.clone("ada", dvc_port=network.port)
    model = tmp_path / "larger-than-any-buffer.bin"
    model.write_bytes(os.urandom(20_000_000))
    did(register(mlv, ada, str(model)))
    with (ada / ".dvc" / "config.local").open("a") as config:
        config.writelines(f"    {line}\n" for line in IMPATIENT[over])
    network.stall(after)
    failed_well(mlv(ada, "push"), "on the DVC remote 'storage'", "nothing is lost")
    assert published(shared, git) == {}
    network.heal()
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}


# The Git remote -------------------------------------------------------------------------------


@pytest.mark.parametrize("over", GIT_OVER)
def test_a_git_remote_that_does_not_let_in_is_named(
    share: Share, git: Program, mlv: Mlv, large: str, over: str
) -> None:
    shared = share(git=over, dvc="http")
    ada = shared.clone("ada", git_as="reader")
    refused = register(mlv, ada, large, "--push")
    why = {"ssh": "this key may only read", "http": "403"}[over]
    failed_well(refused, "the Git remote 'origin' does not take the push", why, "model-v1 is")
    did(mlv(ada, "fetch"))
    assert published(shared, git) == {}
    home = shared.folder / "ada-home"
    for who in ("stranger", "writer"):
        for key, value in shared.git_server.git_config(who, home, shared.url()).items():
            git(ada, "config", key, value)
        if who == "stranger":
            for args in (("push",), ("fetch",), ("promote", "v1", "--push")):
                failed_well(mlv(ada, *args), "Git remote 'origin'", "git ls-remote origin")
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}


@pytest.mark.parametrize("over", GIT_OVER)
def test_a_git_remote_that_is_cut_off_has_all_or_nothing(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, write_model: WriteModel, over: str
) -> None:
    shared = share(git=over, dvc="http")
    network = proxy(shared.git_server.port)
    ada = shared.clone("ada", git_port=network.port)
    (ada / "data.bin").write_bytes(os.urandom(LARGE))
    git(ada, "add", "data.bin")
    git(ada, "commit", "--quiet", "--message", "Much to push")
    did(register(mlv, ada, str(write_model(ada.parent / "m.pkl"))))
    did(mlv(ada, "promote", "v1"))
    old, new = git(shared.bare, "rev-parse", "main"), git(ada, "rev-parse", "main")
    cuts: list[tuple[int, Way]] = [(0, "up"), (LARGE // 2, "up"), (50, "down"), (LARGE - 1, "up")]
    for cut in cuts:
        network.cut(*cut)
        failed_well(mlv(ada, "push"), "the Git remote 'origin' cannot be used")
        network.heal()
        assert (published(shared, git), git(shared.bare, "rev-parse", "main")) == ({}, old)
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}
    assert git(shared.bare, "rev-parse", "main") == new


def test_an_answer_that_was_lost_over_a_network_is_asked_for_again(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, write_model: WriteModel
) -> None:
    shared = share(git="ssh", dvc="http")
    network = proxy(shared.git_server.port)
    ada = shared.clone("ada", git_port=network.port)
    did(register(mlv, ada, str(write_model(ada.parent / "m.pkl"))))
    # Once the refs have moved, the server cuts the line of the push, and of the push alone.
    hook = shared.bare / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}
    assert git(ada, "for-each-ref", "refs/mlv") == ""


@pytest.mark.parametrize("whose", ["ours", "the user's"])
@pytest.mark.parametrize("over", GIT_OVER)
def test_a_git_remote_that_falls_silent_ends_in_an_error(
    share: Share,
    git: Program,
    proxy: NewProxy,
    write_model: WriteModel,
    monkeypatch: pytest.MonkeyPatch,
    over: str,
    whose: str,
) -> None:
    shared = share(git=over, dvc="ssh")
    network = proxy(shared.git_server.port)
    ada = shared.clone("ada", git_port=network.port)
    if whose == "ours":
        monkeypatch.setattr(gitremote, "_PATIENCE", 2)
    elif over == "ssh":
        ssh = git(ada, "config", "core.sshCommand")
        options = "-o ServerAliveInterval=1 -o ServerAliveCountMax=1 -o ConnectTimeout=2"
        git(ada, "config", "core.sshCommand", f"{ssh} {options}")
    else:
        git(ada, "config", "http.lowSpeedTime", "2")
    registry = ModelRegistry(ada, notify=lambda _: None)
    registry.register(write_model(ada.parent / "m.pkl"), None)
    for after in (0, 3_000):
        network.stall(after)
        start = time.monotonic()
        with pytest.raises(ProgramError, match="the Git remote 'origin' cannot be used"):
            registry.push()
        assert time.monotonic() - start < gitremote._PATIENCE + 28
        network.heal()
    registry.push()
    assert published(shared, git).keys() == {"model-v1"}


def test_a_slow_network_takes_its_time(
    share: Share, git: Program, mlv: Mlv, proxy: NewProxy, large: str
) -> None:
    shared = share(git="ssh", dvc="s3")
    networks = [proxy(server.port) for server in (shared.git_server, shared.dvc_server)]
    over_git, over_dvc = (network.port for network in networks)
    ada, bob = (shared.clone(name, git_port=over_git, dvc_port=over_dvc) for name in ("ada", "bob"))
    for network in networks:
        network.slow(100_000)
    did(register(mlv, ada, large, "--push"))
    did(mlv(bob, "promote", "v1", "--push"))
    did(mlv(bob, "pull", "v1"))
    assert status(shared, git) == {"v1": "production"}
    assert published(shared, git).keys() == {"model-v1"}


# Rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["update", "pre-receive"])
@pytest.mark.parametrize("over", GIT_OVER)
def test_a_protected_branch_stays_and_so_do_the_tags(
    share: Share,
    git: Program,
    mlv: Mlv,
    protect: Callable[..., Path],
    write_model: WriteModel,
    over: str,
    how: str,
) -> None:
    shared = share(git=over, dvc="http")
    ada = shared.clone("ada")
    hook = protect(shared.bare, how)
    did(register(mlv, ada, str(write_model(ada.parent / "m.pkl"))))
    refs = git(shared.bare, "for-each-ref")
    why = ("origin refuses main", "main is protected: changes go through a pull request")
    refused = mlv(ada, "promote", "v1", "--push")
    failed_well(refused, *why, "mlv propose model-v1", "mlv push REF")
    assert git(shared.bare, "for-each-ref") == refs
    did(mlv(ada, "push", "v1"))  # the version alone needs no branch
    assert published(shared, git).keys() == {"model-v1"}
    failed_well(mlv(ada, "promote", "v1", "--push"), *why)
    assert status(shared, git) == {}
    hook.unlink()
    did(mlv(ada, "promote", "v1", "--push"))
    assert status(shared, git) == {"v1": "production"}


@pytest.mark.parametrize("how", ["update", "pre-receive"])
@pytest.mark.parametrize("over", GIT_OVER)
def test_a_tag_that_a_rule_refuses_keeps_the_branch_back_too(
    share: Share,
    git: Program,
    mlv: Mlv,
    protect: Callable[..., Path],
    write_model: WriteModel,
    over: str,
    how: str,
) -> None:
    shared = share(git=over, dvc="http")
    ada = shared.clone("ada")
    hook = protect(shared.bare, how, refs=("refs/tags/*",))
    model = str(write_model(ada.parent / "m.pkl"))
    refused = register(mlv, ada, model, "--push")
    failed_well(refused, "origin refuses model-v1: refs/tags/model-v1 is protected")
    did(mlv(ada, "promote", "v1"))
    before = git(shared.bare, "for-each-ref")
    for args in (("push",), ("rollback", "--to", "v1", "--push"), ("stage", "v1", "--push")):
        assert mlv(ada, *args).returncode == 1
        assert git(shared.bare, "for-each-ref") == before
    hook.unlink()
    did(mlv(ada, "push"))
    assert published(shared, git).keys() == {"model-v1"}
    assert status(shared, git) == {"v1": "production"}
