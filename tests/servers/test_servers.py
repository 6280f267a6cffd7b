"""The servers are what the other tests take them for: they refuse, break and heal when told."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.proxy import Proxy
    from tests.servers.sharing import Shared

    Program = Callable[..., str]
    Share = Callable[..., Shared]
    NewProxy = Callable[[int], Proxy]

# Git does not matter to a test about DVC, nor DVC to one about Git.
GIT_OVER = ("ssh", "http")
DVC_OVER = ("ssh", "s3", "http")


def commit(clone: Path, git: Program, name: str, data: bytes = b"x") -> None:
    (clone / name).write_bytes(data)
    git(clone, "add", name)
    git(clone, "commit", "--quiet", "--message", name)


def forget(clone: Path, name: str) -> None:
    """Lose a file's bytes, here and in the cache."""
    (clone / name).unlink()
    shutil.rmtree(clone / ".dvc" / "cache")


@pytest.mark.parametrize("over", GIT_OVER)
def test_who_may_read_and_who_may_write_over_git(share: Share, git: Program, over: str) -> None:
    shared = share(git=over, dvc="http")
    writer = shared.clone("ada")
    commit(writer, git, "notes.txt")
    git(writer, "push", "--quiet", "origin", "main")

    reader = shared.clone("bob", git_as="reader")
    assert (reader / "notes.txt").exists()
    with pytest.raises(subprocess.CalledProcessError):
        git(reader, "push", "--quiet", "origin", "main:other")
    with pytest.raises(subprocess.CalledProcessError):
        shared.clone("eve", git_as="stranger")
    assert git(shared.bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("over", DVC_OVER)
def test_who_may_read_and_who_may_write_over_dvc(share: Share, dvc: Program, over: str) -> None:
    shared = share(git="ssh", dvc=over)
    clone = shared.clone("ada")
    for name in ("one.bin", "two.bin"):
        (clone / name).write_text(name)
        dvc(clone, "add", "--quiet", name)
    dvc(clone, "push", "one.bin")
    [one] = shared.storage.objects()
    assert shared.storage.read(one) == b"one.bin"

    shared.credentials(clone, "reader")
    with pytest.raises(subprocess.CalledProcessError):
        dvc(clone, "push", "two.bin")
    forget(clone, "one.bin")
    dvc(clone, "pull", "one.bin")
    forget(clone, "one.bin")
    shared.credentials(clone, "stranger")
    with pytest.raises(subprocess.CalledProcessError):
        # Not `dvc fetch`: over HTTP it takes a refusal for a missing object, and succeeds.
        dvc(clone, "pull", "one.bin")
    assert shared.storage.objects() == {one}

    shared.storage.write(one, b"other bytes")
    assert shared.storage.read(one) == b"other bytes"
    shared.storage.remove(one)
    assert shared.storage.objects() == set()


@pytest.mark.parametrize("over", GIT_OVER)
def test_a_large_push_that_is_cut_changes_nothing_and_succeeds_when_healed(
    share: Share, git: Program, proxy: NewProxy, over: str
) -> None:
    shared = share(git=over, dvc="http")
    network = proxy(shared.git_server.port)
    clone = shared.clone("ada", git_port=network.port)
    before = git(shared.bare, "rev-parse", "main")
    commit(clone, git, "large.bin", os.urandom(3_000_000))

    network.cut(after=1_000_000)
    with pytest.raises(subprocess.CalledProcessError):
        git(clone, "push", "--quiet", "origin", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(clone, "fetch")
    assert git(shared.bare, "rev-parse", "main") == before
    network.heal()
    git(clone, "push", "--quiet", "origin", "main")
    assert git(shared.bare, "rev-parse", "main") == git(clone, "rev-parse", "main")
    git(shared.bare, "fsck", "--strict")
    assert network.passed["up"] > 4_000_000


@pytest.mark.parametrize("over", GIT_OVER)
def test_a_stalled_push_waits_and_goes_on(
    share: Share, git: Program, proxy: NewProxy, over: str
) -> None:
    shared = share(git=over, dvc="http")
    network = proxy(shared.git_server.port)
    clone = shared.clone("ada", git_port=network.port)
    commit(clone, git, "large.bin", os.urandom(1_000_000))

    network.stall(after=500_000)
    with subprocess.Popen(("git", "push", "--quiet", "origin", "main"), cwd=clone) as push:
        with pytest.raises(subprocess.TimeoutExpired):
            push.wait(2)
        network.heal()
        assert push.wait() == 0
    assert git(shared.bare, "rev-parse", "main") == git(clone, "rev-parse", "main")


def test_dvc_goes_through_a_proxy_too(shared: Shared, dvc: Program, proxy: NewProxy) -> None:
    network = proxy(shared.dvc_server.port)
    clone = shared.clone("ada", dvc_port=network.port)
    (clone / "large.bin").write_bytes(b"large" * 200_000)
    dvc(clone, "add", "--quiet", "large.bin")

    network.cut(after=300_000)
    with pytest.raises(subprocess.CalledProcessError):
        dvc(clone, "push")
    assert shared.storage.objects() == set()
    network.heal()
    network.slow(2_000_000)
    start = time.monotonic()
    dvc(clone, "push")
    assert time.monotonic() - start > 0.5
    [large] = shared.storage.objects()
    assert shared.storage.read(large) == b"large" * 200_000


@pytest.mark.parametrize("how", ["update", "pre-receive"])
def test_a_protected_branch_refuses_by_reference_or_the_whole_push(
    share: Share, git: Program, protect: Callable[..., Path], how: str
) -> None:
    shared = share(git="ssh", dvc="http")
    clone = shared.clone("ada")
    commit(clone, git, "notes.txt")
    git(clone, "tag", "light")
    hook = protect(shared.bare, how)

    with pytest.raises(subprocess.CalledProcessError) as refused:
        git(clone, "push", "origin", "main", "light")
    assert "refs/heads/main is protected" in refused.value.stderr
    landed = git(shared.bare, "tag", "--list")
    assert landed == ("light" if how == "update" else "")
    hook.unlink()
    git(clone, "push", "origin", "main", "light")
