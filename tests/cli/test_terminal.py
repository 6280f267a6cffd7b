"""Colours on a terminal alone, and nothing in a repository that can move its cursor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
READING = ["list", "show v2", "compare v1 v2", "status", "current", "verify v1", "pull v1"]


def on_terminal(folder: Path, *argv: str, **env: str) -> tuple[int, str]:
    """Run a command on a terminal; give its exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlv", *argv],
        cwd=folder,
        env={**os.environ, **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
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


@pytest.mark.parametrize("command", ["list", "show v2", "compare v1 v2", "status", "current"])
def test_on_a_terminal_there_are_colours_and_in_a_pipe_the_same_text_without(
    fraud: Path, mlv: Mlv, command: str
) -> None:
    code, sent = on_terminal(fraud, *command.split())
    assert code == 0
    assert COLOUR.search(sent)
    assert COLOUR.sub("", sent) == mlv(fraud, *command.split()).stdout


@pytest.mark.parametrize("command", ["list", "compare v1 v2", "promote v9", "promote v2"])
def test_no_color_is_heeded(fraud: Path, command: str) -> None:
    _, coloured = on_terminal(fraud, *command.split())
    _, plain = on_terminal(fraud, *command.split(), NO_COLOR="1")
    assert "\x1b" in coloured
    assert "\x1b" not in plain
    assert COLOUR.sub("", coloured) == plain


def test_an_empty_no_color_says_nothing(fraud: Path) -> None:
    assert "\x1b" in on_terminal(fraud, "list", NO_COLOR="")[1]


def test_force_color_colours_a_pipe_unless_no_color_says_otherwise(fraud: Path, mlv: Mlv) -> None:
    _, coloured = on_terminal(fraud, "list")
    assert mlv(fraud, "list", env={"FORCE_COLOR": "1"}).stdout == coloured
    both = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    assert mlv(fraud, "list", env=both).stdout == COLOUR.sub("", coloured)


@pytest.mark.parametrize("command", [*READING, "promote v3", "rollback", "promote v9", "--help"])
def test_what_is_piped_is_plain(fraud: Path, mlv: Mlv, command: str) -> None:
    done = mlv(fraud, *command.split())
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


def test_a_narrow_terminal_leaves_columns_out_and_says_so(fraud: Path) -> None:
    _, wide = on_terminal(fraud, "list", COLUMNS="100", NO_COLOR="1")
    _, narrow = on_terminal(fraud, "list", COLUMNS="68", NO_COLOR="1")
    assert "log_loss" in wide.splitlines()[0]
    assert "log_loss" not in narrow.splitlines()[0]
    assert "no room for log_loss" in narrow.splitlines()[-1]


# What an attacker can put into a repository -------------------------------------------------

EVIL = {
    "clears the screen": "\x1b[2J\x1b[H",
    "turns red": "\x1b[31m",
    "sets the title": "\x1b]0;owned\x07",
    "makes a link": "\x1b]8;;http://evil.example\x1b\\",
    "8-bit control": "\x9b2J",
    "rewrites the line": "fine\rnot",
    "goes back": "abc\b\b\bxyz",
    "right to left": "\u202egnp.exe",
    "new line": "a\nerror: b",
}


def harmless(sent: str) -> None:
    left = COLOUR.sub("", sent)
    odd = {char for char in left if not char.isprintable() and char != "\n"}
    assert odd == set()


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
def test_control_characters_in_metadata_reach_no_terminal(fraud: Path, evil: str) -> None:
    registry = ModelRegistry(fraud, notify=lambda _: None)
    metadata = {"note": f"[{evil}]", "deep": {"list": [f"<{evil}>"]}}
    registry.register(fraud.parent / "model.pkl", None, metadata=metadata)
    assert registry.get_manifest("v4")["metadata"]["note"] == f"[{evil}]"
    for command in ("show v4", "show v4 --json", "list", "list --json"):
        code, sent = on_terminal(fraud, *command.split())
        assert code == 0
        harmless(sent)
        assert evil not in sent
    # Not even a colour, which is ours to use.
    [line] = [line for line in on_terminal(fraud, "show", "v4")[1].splitlines() if "note" in line]
    assert "\x1b" not in line


def forge(repo: Path, git: Git, **changes: str) -> None:
    """Put a tag fraud-v4 there, as anybody who may push can, with texts of fraud-v3 changed."""
    git(repo, "switch", "--quiet", "--detach", "fraud-v3")
    path = repo / "registry" / "fraud" / "manifest.json"
    text = path.read_text().replace('"version": "v3"', '"version": "v4"')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    git(repo, "commit", "--quiet", "--all", "--message", "Forge")
    git(
        repo, "tag", "--annotate", "--cleanup=verbatim", "--file=-", "fraud-v4",
        input=f"fraud-v4\n\n{text}",
    )  # fmt: skip
    git(repo, "switch", "--quiet", "main")


ESCAPED = r"\u001b[2J\u001b[31m\u001b]0;owned\u0007"


@pytest.mark.parametrize(
    "changes",
    [
        {"Ada Lovelace": ESCAPED},
        {'"roc_auc"': f'"{ESCAPED}"'},
        {'"data_window"': f'"{ESCAPED}"'},
        {"last_90_days": ESCAPED},
        {'"branch": "main"': f'"branch": "{ESCAPED}"'},
        {'"dirty": []': f'"dirty": ["{ESCAPED}"]'},
        {'"python": "': f'"python": "{ESCAPED}'},
        {'"path": "model.pkl"': f'"path": "{ESCAPED}"'},
        {'"sha256": "': f'"sha256": "{ESCAPED}'},
        {'"registered_at": "': f'"registered_at": "{ESCAPED}'},
        {'"lineage": {': f'"lineage": {{"stage": {{"name": "{ESCAPED}", "cmd": "{ESCAPED}"}},'},
    ],
    ids=lambda changes: next(iter(changes)).strip('": {[]}'),
)
def test_a_forged_version_moves_no_cursor(fraud: Path, git: Git, changes: dict[str, str]) -> None:
    forge(fraud, git, **changes)
    for command in ("list", "show v4", "compare v4 v3", "promote v4"):
        _, sent = on_terminal(fraud, *command.split())
        harmless(sent)
        assert "\x1b[2J" not in sent
        assert "\x1b[31mA" not in sent


def test_a_forged_pointer_moves_no_cursor(fraud: Path, git: Git) -> None:
    path = fraud / "registry" / "fraud" / "pointer.json"
    path.write_text(path.read_text().replace('"archived"', f'"{ESCAPED}"'))
    git(fraud, "commit", "--quiet", "--all", "--message", "\x1b]0;owned\x07")
    for command in ("current", "status", "list", "promote v1"):
        code, sent = on_terminal(fraud, *command.split())
        assert code == 4
        harmless(sent)


def test_whoever_moved_production_moves_no_cursor(
    fraud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Eve \x1b[2J\x07")
    ModelRegistry(fraud, notify=lambda _: None).promote("v3")
    code, sent = on_terminal(fraud, "rollback", "--from", "v2")
    assert code == 5
    assert "Eve" in sent
    harmless(sent)


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "a\rb"], ids=repr)
def test_what_is_typed_and_repeated_in_an_error_moves_no_cursor(fraud: Path, evil: str) -> None:
    for argv in (("promote", evil), ("list", "-m", evil), ("-C", evil, "list"), ("pull", evil)):
        code, sent = on_terminal(fraud, *argv)
        assert code in (1, 2)
        harmless(sent)
