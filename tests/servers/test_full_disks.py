"""A disk is full: the Git remote's, the DVC remote's, or the one here."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers.faults import did, failed_well, published
from tests.servers.sshd import Sshd, on_small_disk
from tests.servers.storage import FolderStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.sharing import Shared

    Program = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Share = Callable[..., Shared]
    WriteModel = Callable[..., Path]


def can_mount() -> bool:
    """Say whether a disk can be mounted in a namespace of its own, for a server."""
    probe = ("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not can_mount(), reason="mounts small disks, as root")


def test_the_dvc_remotes_disk_is_full(
    share: Share, git: Program, mlv: Mlv, sshd: Sshd, tmp_path: Path
) -> None:
    shared = share(git="http", dvc="ssh")
    model = tmp_path / "large.bin"
    model.write_bytes(os.urandom(1_000_000))
    with on_small_disk(sshd, shared.folder / "storage") as disk:
        seen = dataclasses.replace(shared, storage=FolderStorage(disk.inside))
        ada = shared.clone("ada", dvc_port=disk.port)
        disk.fill()
        refused = mlv(ada, "register", str(model), "--no-preprocessor", "--push")
        failed_well(refused, "on the DVC remote 'storage'", "nothing is lost")
        failed_well(mlv(ada, "push"), "on the DVC remote 'storage'", "nothing is lost")
        assert (published(seen, git), seen.storage.objects()) == ({}, set())
        disk.free()
        did(mlv(ada, "push"))
        assert published(seen, git).keys() == {"model-v1"}


def test_the_git_remotes_disk_is_full(
    share: Share, git: Program, mlv: Mlv, sshd: Sshd, write_model: WriteModel
) -> None:
    shared = share(git="ssh", dvc="http")
    shutil.copytree(shared.bare, f"{shared.bare}-seed", symlinks=True)
    with on_small_disk(sshd, shared.bare) as disk:
        seen = dataclasses.replace(shared, bare=disk.inside)
        ada = shared.clone("ada", git_port=disk.port)
        (ada / "data.bin").write_bytes(os.urandom(300_000))
        git(ada, "add", "data.bin")
        git(ada, "commit", "--quiet", "--message", "Much to push")
        did(mlv(ada, "register", str(write_model(ada.parent / "m.pkl")), "--no-preprocessor"))
        did(mlv(ada, "promote", "v1"))
        disk.fill()
        before = git(disk.inside, "for-each-ref")
        failed_well(mlv(ada, "push"), "origin", "No space left")
        assert git(disk.inside, "for-each-ref") == before
        disk.free()
        did(mlv(ada, "push"))
        assert published(seen, git).keys() == {"model-v1"}
        assert git(disk.inside, "rev-parse", "main") == git(ada, "rev-parse", "main")


# As it is, then with room again.
TWICE = """\
mount -t tmpfs -o size=8m,mode=755 tmpfs "$0"
cp -a "$0-seed/." "$0"
git -C "$0" update-index --refresh > /dev/null
cat /dev/zero > "$0/.git/filler" 2> /dev/null || true
"$@" 2>&1 && echo "ended well" || echo "ended with $?"
rm "$0/.git/filler"
"$@" 2>&1 && echo "ended well" || echo "ended with $?"
git -C "$0" fsck --strict --no-dangling
"""


@pytest.mark.parametrize("act", [("fetch",), ("pull", "v1"), ("promote", "v1", "--push")])
def test_the_disk_here_is_full(
    share: Share, git: Program, mlv: Mlv, tmp_path: Path, act: tuple[str, ...]
) -> None:
    shared = share(git="http", dvc="s3")
    model = tmp_path / "large.bin"
    model.write_bytes(os.urandom(500_000))
    bob, ada = shared.clone("bob"), shared.clone("ada")
    did(mlv(ada, "register", str(model), "--no-preprocessor", "--push"))
    if act == ("pull", "v1"):
        git(bob, "fetch", "--quiet", "--tags")
    bob.rename(shared.folder / "bob-seed")
    bob.mkdir()
    own = ("unshare", "--mount", "sh", "-e", "-c", TWICE, str(bob))
    command = (sys.executable, "-P", "-m", "mlv", "-C", str(bob), *act)
    done = subprocess.run((*own, *command), capture_output=True, text=True, check=True)
    first, _, second = done.stdout.partition("ended with 1\n")
    assert "error: " in first, done.stdout
    assert "space" in first, done.stdout
    assert "Traceback" not in first
    assert second.endswith("ended well\n"), done.stdout
    assert published(shared, git).keys() == {"model-v1"}
