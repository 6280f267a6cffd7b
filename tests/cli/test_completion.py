"""Completion in a shell, as click's own scripts ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = shutil.which("mlv", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="mlv is not installed as a program")


def run(folder: Path, script: str = "", **env: str) -> str:
    argv = ["bash", "-c", script] if script else [str(PROGRAM)]
    done = subprocess.run(
        argv, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def complete(folder: Path, *words: str) -> list[str]:
    """Complete the last of the words."""
    printed = run(
        folder,
        _MLV_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(["mlv", *words]),
        COMP_CWORD=str(len(words)),
    )
    return [line.partition(",")[2] for line in printed.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(tmp_path: Path, shell: str) -> None:
    printed = run(tmp_path, _MLV_COMPLETE=f"{shell}_source")
    assert "_MLV_COMPLETE" in printed
    assert f"{shell}_complete" in printed


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script_and_completes_with_it(fraud: Path) -> None:
    script = (
        'eval "$(_MLV_COMPLETE=bash_source mlv)"\n'
        "COMP_WORDS=(mlv promote fraud-) COMP_CWORD=2\n"
        "_mlv_completion mlv fraud- promote\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    assert run(fraud, script).split() == ["fraud-v3", "fraud-v2", "fraud-v1"]


def test_commands_are_completed(tmp_path: Path) -> None:
    assert complete(tmp_path, "pro") == ["promote", "propose"]
    assert complete(tmp_path, "s") == ["show", "status", "stage", "serve"]


def test_references_are_completed_newest_first(fraud: Path) -> None:
    assert complete(fraud, "promote", "fraud-") == ["fraud-v3", "fraud-v2", "fraud-v1"]
    assert complete(fraud, "compare", "v1", "fraud-v2") == ["fraud-v2"]
    assert complete(fraud, "rollback", "--to", "fraud-v1") == ["fraud-v1"]
    assert complete(fraud, "promote", "v1", "--from", "fraud@") == [
        "fraud@production", "fraud@staging", "fraud@latest",
    ]  # fmt: skip
    assert complete(fraud, "show", "zzz") == []


@pytest.mark.parametrize(
    "words", [("-C", "{}", "show"), ("show", "-C", "{}")], ids=["before", "after"]
)
def test_references_are_those_of_the_folder_that_is_named(
    fraud: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    named = [word.format(fraud) for word in words]
    assert complete(tmp_path, *named, "fraud-v1") == ["fraud-v1"]


def test_outside_of_a_registry_nothing_is_completed_and_nothing_complained(
    tmp_path: Path, git: Callable[..., str]
) -> None:
    assert complete(tmp_path, "show", "m") == []
    git(tmp_path, "init", "--quiet")
    assert complete(tmp_path, "show", "m") == []
    (tmp_path / "mlv.yaml").write_text("branch: [\n")
    assert complete(tmp_path, "show", "m") == []
