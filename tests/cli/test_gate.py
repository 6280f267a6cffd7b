"""mlv gate as it is typed, and what is forced past the gate as it is shown."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from mlv import ModelRegistry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Git = Callable[..., str]


def state(folder: Path, git: Git, gate: str) -> None:
    (folder / "mlv.yaml").write_text(f"gate: {gate}\n")
    git(folder, "commit", "--quiet", "--all", "--message", "A gate")


def test_each_rule_has_a_line_and_a_version_that_passes_is_no_failure(
    fraud: Path, mlv: Mlv
) -> None:
    done = mlv(fraud, "gate", "v3")
    assert (done.returncode, done.stderr) == (0, "")
    first, _, *rules = done.stdout.splitlines()
    assert first == "fraud-v3 passes the gate (held against fraud-v2)"
    assert [line.split()[:2] for line in rules] == [["✓", "roc_auc:"], ["✓", "log_loss:"]]


def test_a_version_that_does_not_pass_ends_in_three(fraud: Path, mlv: Mlv, git: Git) -> None:
    state(fraud, git, "{metrics: {roc_auc: {min: 0.99}}, require_metadata: [owner]}")
    done = mlv(fraud, "gate", "v3")
    assert (done.returncode, done.stderr) == (3, "")
    assert "✗  roc_auc: min 0.99        failed   roc_auc is 0.93, below 0.99" in done.stdout
    assert "✗  require_metadata: owner  failed   owner is not stated" in done.stdout
    short = mlv(fraud, "gate", "-q", "v3")
    assert (short.returncode, short.stdout) == (3, "failed\n")
    told = json.loads(mlv(fraud, "gate", "--json", "v3").stdout)
    assert (told["passed"], told["challenger"], told["champion"]) == (False, "fraud-v3", "fraud-v2")
    assert {rule["outcome"] for rule in told["rules"]} == {"failed"}


def test_it_is_held_against_any_other_version(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "gate", "v1", "--against", "v3")
    assert done.returncode == 3
    assert "held against fraud-v3" in done.stdout
    assert "which is live" not in done.stdout
    assert mlv(fraud, "gate", "v1", "--against", "v9").returncode == 6


def test_without_a_rule_it_says_where_they_are_stated(fraud: Path, mlv: Mlv, git: Git) -> None:
    state(fraud, git, "{}")
    assert "no rule applies: mlv.yaml states them" in mlv(fraud, "gate", "v1").stdout


def test_a_refused_promotion_ends_in_three_and_force_needs_a_reason(
    fraud: Path, mlv: Mlv, git: Git
) -> None:
    state(fraud, git, "{metrics: {roc_auc: {min: 0.99}}}")
    done = mlv(fraud, "promote", "v3")
    assert done.returncode == 3
    assert done.stderr.startswith(
        "error: fraud-v3 does not meet the gate: roc_auc is 0.93, below 0.99 (roc_auc: min 0.99)\n"
        "hint: mlv gate fraud-v3 shows every rule"
    )
    assert mlv(fraud, "promote", "v3", "--force").returncode == 2
    assert mlv(fraud, "stage", "v1", "--force").returncode == 2


def test_what_was_forced_is_shown_wherever_what_is_live_is(fraud: Path, mlv: Mlv, git: Git) -> None:
    state(fraud, git, "{metrics: {roc_auc: {min: 0.99}}}")
    done = mlv(fraud, "promote", "v3", "--force", "--reason", "v2 leaks")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "● fraud-v3 is live (was fraud-v2)",
    )
    assert "does not meet the gate" in done.stderr
    assert "recorded" in done.stderr
    assert "promoted, forced" in mlv(fraud, "history").stdout.splitlines()[-1]
    assert json.loads(mlv(fraud, "history", "--json").stdout)[-1]["forced"] is True
    rows = list(csv.DictReader(io.StringIO(mlv(fraud, "history", "--csv").stdout)))
    assert [row["forced"] for row in rows][-2:] == ["false", "true"]
    for command in (("status",), ("current",), ("at", "9999-01-01")):
        assert "forced past the gate" in mlv(fraud, *command).stdout
    mlv(fraud, "rollback")
    for command in (("status",), ("current",), ("at", "9999-01-01")):
        assert "forced" not in mlv(fraud, *command).stdout


def test_the_goal_decides_what_compare_calls_better(fraud: Path, mlv: Mlv, git: Git) -> None:
    state(fraud, git, "{metrics: {roc_auc: {goal: min}}}")
    lines = mlv(fraud, "compare", "v1", "v2").stdout.splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["worse", "better"]


def test_what_a_manifest_holds_reaches_no_terminal(fraud: Path, mlv: Mlv, git: Git) -> None:
    registry = ModelRegistry(fraud, "fraud", notify=lambda _: None)
    path = fraud.parent / "other.pkl"
    path.write_bytes(b"other")
    registry.register(path, None, {"roc_auc": 0.99}, {"data_window": "\x1b]0;owned\x07"})
    state(fraud, git, '{same_data: true, require_metadata: ["\\e]0;owned"]}')
    for args in (("gate", "v4"), ("gate", "v4", "--json"), ("promote", "v4")):
        done = mlv(fraud, *args)
        assert done.returncode == 3
        assert "\x1b" not in done.stdout + done.stderr
