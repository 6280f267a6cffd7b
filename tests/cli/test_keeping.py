"""mlv yank and mlv purge, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def old(fraud: Path) -> Path:
    """Return a registry in which v3 is live, v2 the previous and v1 archived."""
    ModelRegistry(fraud, notify=lambda _: None).promote("v3")
    return fraud


def status(folder: Path, ref: str) -> str:
    return str(ModelRegistry(folder, notify=lambda _: None).get_manifest(ref)["status"])


def artifact(folder: Path, role: str) -> dict[str, Any]:
    manifest = ModelRegistry(folder, notify=lambda _: None).get_manifest("v1")
    return dict(manifest["artifacts"][role])


def answered(folder: Path, answer: str, *argv: str) -> tuple[int, str]:
    """Run a command on a terminal and type an answer; give exit code and what it was sent."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlv", *argv],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    sent = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not data:
            break
        sent += data
    os.close(ours)
    return process.wait(), sent.decode().replace("\r\n", "\n")


# Yank -------------------------------------------------------------------------------------------


def test_yank_says_what_it_did_and_who_asks_is_told_why(old: Path, mlv: Mlv) -> None:
    done = mlv(old, "yank", "v1", "--reason", "leaks the label")
    assert done.returncode == 0
    assert done.stdout.startswith("● fraud-v1 is yanked")
    assert "  commit " in done.stdout
    refused = mlv(old, "pull", "v1")
    assert refused.returncode == 1
    assert "fraud-v1 is yanked" in refused.stderr
    assert "yanked by Ada Lovelace on " in refused.stderr
    assert "leaks the label" in refused.stderr
    assert "yanked" in mlv(old, "list").stdout


def test_a_yank_without_a_reason_is_refused_and_its_undoing_needs_none(old: Path, mlv: Mlv) -> None:
    refused = mlv(old, "yank", "v1")
    assert refused.returncode == 2
    assert '--reason "..."' in refused.stderr
    assert status(old, "v1") == "archived"
    assert mlv(old, "yank", "v1", "--reason", "leaks", "-q").stdout == "v1\n"
    undone = mlv(old, "yank", "v1", "--undo")
    assert undone.stdout.startswith("● fraud-v1 is archived")
    assert status(old, "v1") == "archived"


def test_json_of_a_yank(old: Path, mlv: Mlv) -> None:
    [facts] = json.loads(mlv(old, "yank", "v1", "--reason", "leaks", "--json").stdout)
    assert (facts["action"], facts["tag"], facts["changed"]) == ("yank", "fraud-v1", True)
    [facts] = json.loads(mlv(old, "yank", "v1", "--undo", "--json").stdout)
    assert (facts["action"], facts["tag"], facts["changed"]) == ("unyank", "fraud-v1", True)


# Purge ------------------------------------------------------------------------------------------


def test_without_a_terminal_nothing_is_purged_unless_yes_is_said(old: Path, mlv: Mlv) -> None:
    refused = mlv(old, "purge", "--keep-last", "0")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert status(old, "v1") == "archived"
    done = mlv(old, "purge", "--keep-last", "0", "--yes")
    assert done.returncode == 0
    assert "purged: fraud-v1\n" in done.stdout
    assert "went from the DVC remote 'storage'" in done.stdout
    assert "  commit " in done.stdout
    assert "purged" in mlv(old, "list").stdout
    assert mlv(old, "purge", "--keep-last", "0", "--yes").stdout == "nothing to purge\n"


@pytest.mark.parametrize("keep", ["-1", "two", ""])
def test_how_many_to_keep_is_a_number(old: Path, mlv: Mlv, keep: str) -> None:
    assert mlv(old, "purge", "--yes", "--keep-last", keep).returncode == 2
    assert mlv(old, "purge", "--yes").returncode == 2
    assert status(old, "v1") == "archived"


def test_a_dry_run_needs_no_yes_and_changes_nothing(old: Path, mlv: Mlv, git: Git) -> None:
    before = git(old, "for-each-ref")
    done = mlv(old, "purge", "--keep-last", "0", "--dry-run")
    assert done.stdout.startswith("to be purged: fraud-v1\n")
    assert "would go" in done.stdout
    assert git(old, "for-each-ref") == before
    assert status(old, "v1") == "archived"


def test_on_a_terminal_it_asks_and_no_means_no(old: Path) -> None:
    code, sent = answered(old, "n", "purge", "--keep-last", "0")
    assert code == 1
    assert "to be purged: fraud-v1" in sent
    assert "Delete these bytes for good? [y/N]" in sent
    assert status(old, "v1") == "archived"
    code, sent = answered(old, "y", "purge", "--keep-last", "0")
    assert code == 0
    assert "[y/N]: purged: fraud-v1" in sent
    assert status(old, "v1") == "purged"


def test_json_of_a_purge(old: Path, mlv: Mlv) -> None:
    argv = ("purge", "--keep-last", "0", "--json")
    size = artifact(old, "model")["size"]
    dry = json.loads(mlv(old, *argv, "--dry-run").stdout)
    done = json.loads(mlv(old, *argv, "--yes").stdout)
    assert dry == {**done, "dry_run": True, "commit": None}
    assert done.pop("commit")
    # Nothing of v1 was ever pushed; its preprocessor is that of v2 as well.
    model, scaler = (artifact(old, role)["md5"] for role in ("model", "preprocessor"))
    assert not (old / ".dvc/cache/files/md5" / model[:2] / model[2:]).exists()
    assert done == {
        "dry_run": False,
        "purged": ["fraud-v1"],
        "swept": [],
        "cache": {"objects": 1, "bytes": size},
        "dvc_remote": {"objects": 0, "bytes": 0},
        "kept": [{"md5": scaler, "needed_by": "fraud-v2"}],
        "branch": "main",
    }
