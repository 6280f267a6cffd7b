"""A report as Markdown, for a comment or the body of a pull request on GitHub, GitLab and others.

Nothing that comes from the repository is more than text in it (`escaping`). It stays below what
forges take: long parts are cut with a word, the verdict never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.escaping import code, prose
from mlv.domain.figures import count
from mlv.review.report import FAILED, NOT_CHECKED, PASSED
from mlv.review.sections import CROSS, DASH, TICK, WARNING, details, headline, section
from mlv.review.wording import lowered, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlv.review.report import Check, Finding, Report

__all__ = ["LIMIT", "MARKER", "render", "title"]

# By it a workflow finds its own comment again.
MARKER = "<!-- mlv-review -->"
# GitHub takes 65,536 characters, others more.
LIMIT = 60_000
_MOST_FINDINGS = 15
_MOST_CHECKS = 40
_MARKS = {PASSED: TICK, FAILED: CROSS, NOT_CHECKED: DASH}
_BRIEF = 10


def render(report: Report) -> str:
    """Write the report; its first line is `MARKER`, its second part the verdict in words."""
    head = [MARKER, _verdict(report), *_findings(report)]
    tail = [*_checks(report.checks), _footer(report)]
    room = LIMIT - _BRIEF**2 - len(_joined([*head, *tail]))
    sections, left_out = _fitting([section(each) for each in report.proposals], room)
    cut = [f"*{count(left_out, 'part')} left out, for length:* `mlv review` shows all."]
    return _joined([*head, *sections, *(cut if left_out else []), *tail])


def _joined(blocks: Sequence[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fitting(sections: Sequence[Sequence[str]], room: int) -> tuple[list[str], int]:
    """Keep of each section the blocks that fit into its part of the room; count the others."""
    kept: list[str] = []
    left_out = 0
    for at, blocks in enumerate(sections):
        share = room // (len(sections) - at)
        for block in blocks:
            if len(block) + _BRIEF <= share:
                kept.append(block)
                room -= len(block) + 2
                share -= len(block) + 2
            else:
                left_out += 1
    return kept, left_out


# The verdict -------------------------------------------------------------------------------


def _verdict(report: Report) -> str:
    what = _what(report)
    if not report.passed:
        return f"## {CROSS} Refused: {what}"
    if report.is_forced:
        return f"## {WARNING} Passed, forced past the gate: {what}"
    if report.findings:
        return f"## {TICK} Passed, with something worth a look: {what}"
    return f"## {TICK} Passed: {what}"


def _what(report: Report) -> str:
    if not report.proposals:
        return "the registry does not change" if report.passed else "see below"
    shown = [lowered(headline(each)) for each in report.proposals[:_MOST_FINDINGS]]
    more = len(report.proposals) - len(shown)
    return "; ".join([*shown, *([f"{more} more"] if more else [])])


def _findings(report: Report) -> list[str]:
    remarks = [finding for finding in report.findings if not finding.blocks]
    blocks = []
    if report.blocking:
        blocks += ["**Why it is refused**", _list(report.blocking, CROSS)]
    if remarks:
        blocks += ["**Worth a look**", _list(remarks, WARNING)]
    return blocks


def _list(findings: Sequence[Finding], mark: str) -> str:
    lines = [_finding(finding, mark) for finding in findings[:_MOST_FINDINGS]]
    more = len(findings) - len(lines)
    return "\n".join([*lines, *([f"- and {more} more: `mlv review` shows all"] if more else [])])


def _finding(finding: Finding, mark: str) -> str:
    hint = f"<br>What to do: {prose(finding.hint)}" if finding.hint else ""
    subject = f", {code(finding.subject)}" if finding.subject else ""
    return f"- {mark} {code(finding.rule)}{subject}: {prose(finding.message)}{hint}"


# The checks --------------------------------------------------------------------------------


def _checks(checks: Sequence[Check]) -> list[str]:
    if not checks:
        return []
    shown = [check for kind in (FAILED, NOT_CHECKED) for check in checks if check.outcome == kind]
    passed = [check for check in checks if check.outcome == PASSED]
    lines = [_check(check) for check in shown[:_MOST_CHECKS]]
    counts = [
        f"{len([c for c in checks if c.outcome == outcome])} {outcome}"
        for outcome in _MARKS
        if any(check.outcome == outcome for check in checks)
    ]
    blocks = [f"**Checks:** {', '.join(counts)}", "\n".join(lines)]
    if passed:
        inner = "\n".join(_check(check) for check in passed[:_MOST_CHECKS])
        blocks.append(details(f"{count(len(passed), 'check')} passed", inner))
    return blocks


def _check(check: Check) -> str:
    mark = _MARKS.get(check.outcome, DASH)
    # Why one failed, the findings say.
    detail = f": {prose(check.detail)}" if check.detail and check.outcome != FAILED else ""
    return f"- {mark} {prose(check.name)}, {prose(check.outcome)}{detail}"


def _footer(report: Report) -> str:
    base, head = (code(oid[:_BRIEF]) for oid in (report.base, report.head))
    return (
        f"Judged for {code(report.branch)} by its own policy at {base}; proposed is {head}. "
        "`mlv review` in a clone gives the same."
    )
