"""What a terminal shows of a review, what a program gets, and the command's end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from mlv.cli.report import text
from mlv.domain import pointer as pointers
from mlv.review.report import Check, Finding
from tests.review.reports import BASE, HEAD, NEW, proposal, report, side

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from mlv.review.report import Report


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(found: Report) -> list[str]:
    return click.unstyle("\n".join(text(found))).splitlines()


def test_the_verdict_and_its_reasons_come_first_each_with_what_to_do() -> None:
    finding = Finding("stale", "fraud", "fraud-v2 is live now", "propose it again")
    assert shown(report("x", findings=(finding,)))[:3] == [
        "✗ refused: promote fraud-v3 to production (was v1)",
        "  ✗ stale fraud: fraud-v2 is live now",
        "    hint: propose it again",
    ]


def test_what_passes_says_so_and_what_was_forced_too() -> None:
    assert shown(report("x", findings=()))[0].startswith("✓ passed: promote fraud-v3")
    forced = report("x", proposal("x", forced=True), findings=())
    assert shown(forced)[0].startswith("✓ passed, forced past the gate: promote fraud-v3")


def test_the_whole_of_a_promotion() -> None:
    lines = shown(report("auc", proposal("auc", count=1)))
    at = lines.index("fraud-v1 → fraud-v3")
    assert lines[at : at + 28] == [
        "fraud-v1 → fraud-v3",
        "  metric    live v1  proposed v3    delta  per cent          gate",
        "  auc        0.9100       0.9300  +0.0200     +2.2%  better     ✓",
        "  auc loss   0.5000       0.5000        0              same     ✗",
        "  gate: not met, 2 of 3 rules",
        "    ✗ auc loss: max 0.1: auc loss is 0.5, above 0.1",
        "    ✗ same_data: trained on other data: auc",
        "",
        "           v1 v2 v3",
        "  auc       ▁  ▅  █   0.9100 to 0.9300",
        "  auc loss  ▅  ▅  ▅   0.5000",
        "            ●     ○   ● live, ○ proposed",
        "",
        "  ! trained with uncommitted changes: auc",
        "  trained from   0e300e300e auc (auc)",
        "  live one from  01d001d001 auc (auc)",
        "  between        12 commits: git log --oneline 01d001d001..0e300e300e",
        "  it lacks       1 commit that the live version has",
        "  data           auc0 auc1 → auc3",
        "  parameters     auc: auc0 auc1 → auc3",
        "  packages       auc0 auc1 → auc3",
        "  model          1.0 kB → 3.0 kB (+200.0%)",
        "  way back       mlv rollback --to fraud-v1 --from fraud-v3 --push",
        "",
        "checks",
        "  ✓ bytes: auc",
        "  ✗ gate",
        "  - pickle (not checked): auc",
    ]


def test_long_lists_are_cut_and_long_lines_broken_to_the_terminal() -> None:
    lines = shown(report("a_name_of_some_length", proposal("a_name_of_some_length", count=50)))
    assert any("and 40 more" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_nothing_of_the_repository_reaches_the_terminal_as_more_than_text() -> None:
    hostile = "\x1b[2J\r\u202eevil\n✓ passed"
    lines = text(report(hostile))
    assert click.unstyle("".join(lines)).isprintable()
    assert not any(line.startswith("✓ passed") for line in shown(report(hostile)))


def test_a_yank_compares_nothing() -> None:
    before = pointers.Pointer("fraud", 3, 1, {3: pointers.PRODUCTION, 1: pointers.ARCHIVED})
    yank = proposal(
        "x", action=pointers.YANK, before=before, after=pointers.yank(before, 1), verdict=None,
        live=side(3, "x"), proposed=side(1, "x"),
    )  # fmt: skip
    assert shown(report("x", yank, findings=(), checks=())) == [
        "✓ passed: yank fraud-v1",
        "",
        "fraud-v1",
        "  way back  mlv yank fraud-v1 --undo --push",
    ]


def test_a_change_beside_the_registry_has_a_line_and_its_checks() -> None:
    passed = report("x", findings=(), checks=(Check("pointer", "passed"),))
    assert shown(passed._replace(proposals=())) == [
        "✓ passed: change nothing in the registry",
        "",
        "checks",
        "  ✓ pointer",
    ]


def test_a_program_gets_all_of_it() -> None:
    found = json.loads(json.dumps(report("auc", proposal("auc", count=1)).to_dict()))
    assert (found["passed"], found["base"], found["head"]) == (False, BASE, HEAD)
    assert [finding["blocks"] for finding in found["findings"]] == [True, False]
    [told] = found["proposals"]
    assert (told["action"], told["before"]["current"], told["after"]["current"]) == (
        "promote", "v1", "v3",
    )  # fmt: skip
    assert told["proposed"] == {
        "version": "v3",
        "commit": {"oid": NEW, "subject": "auc", "author": "auc"},
        "dirty": ["auc"],
    }
    assert told["commits"] == {"ahead": 12, "behind": 1}
    assert told["changed"]["metrics"][0]["better"] is True
    assert told["changed"]["packages"] == [{"name": "auc0", "live": "auc1", "proposed": "auc3"}]
    assert told["gate"]["passed"] is False


@pytest.mark.parametrize("form", ["text", "md", "json"])
def test_a_refusal_ends_with_3_and_a_line_on_standard_error(
    form: str,
    repo: Path,
    git: Callable[..., str],
    mlv: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    git(repo, "branch", "start")
    (repo / "registry" / "fraud").mkdir()
    (repo / "registry" / "fraud" / "pointer.json").write_text("{}")
    git(repo, "add", "--force", "registry")
    git(repo, "commit", "-q", "-m", "A pointer by hand")
    done = mlv(repo, "review", "start..main", "--no-remote", "--format", form)
    assert (done.returncode, done.stderr) == (
        3, "error: the review refuses this change: pointer\n",
    )  # fmt: skip
    first = {"text": "✗ refused", "md": "<!-- mlv-review -->", "json": "{"}[form]
    assert done.stdout.startswith(first)
