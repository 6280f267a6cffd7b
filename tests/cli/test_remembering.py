"""mlv history and mlv at as they are typed: text, JSON, CSV, and nothing that acts."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from mlv.cli.show import cell

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Git = Callable[..., str]


def test_history_reads_as_a_table(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "history")
    assert done.stderr == ""
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["time", "what", "version", "was", "by", "commit", "reason"]
    assert len(lines) == 6
    promotion = lines[4].split("  ")
    assert lines[4].endswith("better on every metric")
    assert [word.strip() for word in promotion if word][1:5] == [
        "promoted", "fraud-v2", "v1", "Ada Lovelace",
    ]  # fmt: skip


def test_history_as_json_and_csv_says_the_same(fraud: Path, mlv: Mlv) -> None:
    events = json.loads(mlv(fraud, "history", "--json").stdout)
    assert events == ModelRegistry(fraud).history()
    rows = list(csv.DictReader(io.StringIO(mlv(fraud, "history", "--csv").stdout)))
    written = {None: "", False: "false", True: "true"}
    assert rows == [{k: written.get(v, v) for k, v in event.items()} for event in events]


def test_history_in_short(fraud: Path, mlv: Mlv) -> None:
    lines = mlv(fraud, "history", "-q").stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in lines[3:]] == [
        "promote fraud-v1", "promote fraud-v2", "stage fraud-v3",
    ]  # fmt: skip


def test_a_registry_in_which_nothing_happened(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "history")
    assert (done.stdout, done.returncode) == ("", 0)
    assert "nothing has happened yet" in done.stderr
    assert mlv(repo, "history", "--json").stdout == "[]\n"
    assert mlv(repo, "history", "--csv").stdout.startswith("time,action,model,version,was,")
    assert mlv(repo, "history", "--model", "nobody").returncode == 6


def test_two_forms_at_once_are_refused(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "history", "--json", "--csv")
    assert done.returncode == 2
    assert "hint: choose one" in done.stderr


def test_at_says_what_who_when_and_how(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "at", "9999-01-01")
    assert "note: that is still to come" in done.stderr
    sha256 = ModelRegistry(fraud).get_manifest("v2")["model_sha256"]
    for text in (
        "at 9999-01-01 23:59:59Z, the end of that day, local time\n",
        "● fraud-v2\n",
        "Ada Lovelace",
        "better on every metric",
        f"model.pkl  sha256 {sha256}",
        "  get it: git checkout ",
    ):
        assert text in done.stdout
    assert mlv(fraud, "at", "9999-01-01", "-q").stdout == "v2\n"
    found = json.loads(mlv(fraud, "at", "9999-01-01", "--json").stdout)
    assert found == ModelRegistry(fraud).at("9999-01-01")


def test_at_before_the_first(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "at", "2001-01-01")
    assert done.returncode == 6
    assert "error: nothing was live at 2001-01-01 23:59:59Z" in done.stderr
    assert json.loads(mlv(fraud, "at", "2001-01-01", "--json").stdout)["models"] == []
    assert mlv(fraud, "at", "yesterday").returncode == 2


def test_local_time_is_that_of_the_reader(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "at", "2001-01-01 10:00", "--json", env={"TZ": "Europe/Berlin"})
    found = json.loads(done.stdout)
    assert found["time"] == "2001-01-01T09:00:00Z"
    assert found["meaning"] == "2001-01-01 10:00:00+01:00, local time"


def test_what_people_wrote_reaches_no_terminal_and_no_spreadsheet(
    fraud: Path, mlv: Mlv, git: Git
) -> None:
    git(fraud, "config", "user.name", "=cmd|' /C calc'!A0 \x1b]0;owned\x07")
    ModelRegistry(fraud).stage("v1", reason='=HYPERLINK("x")')
    for args in (("history",), ("history", "--csv"), ("history", "--json"), ("at", "9999-01-01")):
        assert "\x1b" not in mlv(fraud, *args).stdout
    row = list(csv.DictReader(io.StringIO(mlv(fraud, "history", "--csv").stdout)))[-1]
    assert row["author"].startswith("'=cmd")
    assert row["reason"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "  =1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"a{text}") == f"a{text}"
    assert cell(None) == ""
