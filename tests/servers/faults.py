"""What every failed command must have left, and what it must have said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.servers.sharing import Shared

    Program = Callable[..., str]


def failed_well(done: subprocess.CompletedProcess[str], *said: str, code: int = 1) -> None:
    """The command failed with a message of one line that says these words, and a hint."""
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert lines[-2].startswith("error: "), done.stderr
    assert lines[-1].startswith("hint: "), done.stderr
    assert all(line.startswith("note: ") for line in lines[:-2]), done.stderr
    for words in said:
        assert words in done.stderr, done.stderr


def did(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed; one that failed fails the test."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def published(shared: Shared, git: Program) -> dict[str, Any]:
    """Give the manifests of all versions on the Git remote, each of which is whole.

    Every version's bytes are on the DVC remote, its tag is not without its commit, and the
    branch speaks only of versions that are there.
    """
    git(shared.bare, "fsck", "--strict")
    there = shared.storage.objects()
    found = {}
    for tag in git(shared.bare, "tag", "--list").split():
        message = git(shared.bare, "tag", "--list", "--format=%(contents)", tag)
        manifest: dict[str, Any] = json.loads(message.partition("\n\n")[2])
        for artifact in manifest["artifacts"].values():
            assert artifact["md5"] in there
            assert len(shared.storage.read(artifact["md5"])) == artifact["size"]
        found[tag] = manifest
    for number in status(shared, git):
        assert f"model-{number}" in found
    return found


def status(shared: Shared, git: Program) -> dict[str, str]:
    """Read the statuses that the branch on the remote gives; empty before the first promotion."""
    path = "registry/model/pointer.json"
    if not git(shared.bare, "ls-tree", "main", path):
        return {}
    statuses: dict[str, str] = json.loads(git(shared.bare, "show", f"main:{path}"))["status"]
    return statuses
