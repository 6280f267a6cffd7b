"""What a terminal shows of a review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.domain import figures
from mlv.domain.figures import count
from mlv.review import differences, wording
from mlv.review.chart import chart
from mlv.review.report import FAILED, NOT_CHECKED, PASSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.gate import Outcome
    from mlv.review.differences import Difference, Metric
    from mlv.review.report import Check, Finding, Proposal, Report, Side

_MOST = 10  # of each kind, where a list may be long
_COLOURS = {"better": "green", "worse": "red"}
_MARKS = {PASSED: ("✓", "green"), FAILED: ("✗", "red"), NOT_CHECKED: ("-", "yellow")}
_BRIEF = 10


def text(report: Report) -> list[str]:
    """Lay a report out for a terminal, the verdict first."""
    lines = [_verdict(report)]
    for finding in report.findings:
        lines += _finding(finding)
    for proposal in report.proposals:
        lines += ["", *_proposal(proposal)]
    return [*lines, *_checks(report.checks)]


def _verdict(report: Report) -> str:
    what = show.plain(wording.lowered(wording.title(report)))
    if not report.passed:
        return f"{click.style('✗ refused', fg='red', bold=True)}: {what}"
    colour, word = ("yellow", f", {show.FORCED}") if report.is_forced else ("green", "")
    return f"{click.style(f'✓ passed{word}', fg=colour, bold=True)}: {what}"


def _finding(finding: Finding) -> Iterator[str]:
    mark = click.style("✗", fg="red") if finding.blocks else click.style("!", fg="yellow")
    subject = f" {finding.subject}" if finding.subject else ""
    yield from _item(f"  {mark} ", f"{finding.rule}{subject}: {finding.message}")
    if finding.hint:
        yield from _item(f"    {click.style('hint:', fg='cyan')} ", finding.hint)


def _proposal(proposal: Proposal) -> list[str]:
    live, tag = proposal.live, wording.subject(proposal)
    was = f"{live.manifest.version.tag} → " if live and proposal.is_compared else ""
    lines = [show.heading(f"{was}{tag}")]
    if proposal.is_compared:
        lines += [*_metrics(proposal), *_gate(proposal), *_chart(proposal)]
        lines += _dirty(proposal)
    found = wording.way_back(proposal)
    command = found.command if found else "git revert the merged commit"
    return [*lines, *_facts({**dict(_changes(proposal)), "way back": command})]


def _facts(pairs: dict[str, str]) -> Iterator[str]:
    width = max(map(len, map(show.plain, pairs)))
    for name, value in pairs.items():
        yield from _item(f"  {show.plain(name).ljust(width)}  ", value)


# Metrics and gate --------------------------------------------------------------------------


def _metrics(proposal: Proposal) -> list[str]:
    rows = differences.metrics(proposal)
    if not rows:
        return ["  no metric is stated"]
    names = [
        f"{word} {side.manifest.version.name}" if side else word
        for word, side in (("live", proposal.live), ("proposed", proposal.proposed))
    ]
    headings = ["  metric", *names, "delta", "per cent", "", "gate"]
    return show.table(headings, [_metric(row) for row in rows], keep=1)


def _metric(row: Metric) -> list[str]:
    colour = _COLOURS.get(row.word)
    delta = "" if row.delta is None else figures.signed(row.delta)
    word = row.word if row.delta is not None else "only one side"
    return [
        f"  {show.plain(row.name)}",
        show.number(row.live),
        show.number(row.proposed),
        click.style(delta, fg=colour),
        figures.share(row.delta, row.live) if row.delta else "",
        click.style(word, fg=colour),
        _mark_of(row.outcomes),
    ]


def _mark_of(outcomes: Sequence[Outcome]) -> str:
    return show.mark(min(outcomes, key=_rank)) if outcomes else ""


def _rank(outcome: Outcome) -> int:
    """Order outcomes: what is not met, what cannot be compared, what is met."""
    return 0 if outcome.blocks else 2 if outcome.kind == PASSED else 1


def _gate(proposal: Proposal) -> Iterator[str]:
    verdict = proposal.verdict
    if verdict is None or not verdict.outcomes:
        return
    total = count(len(verdict.outcomes), "rule")
    if verdict.passed:
        yield f"  gate: {click.style('met', fg='green')}, {total}"
        return
    told = f"{len(verdict.blocking)} of {total}"
    yield f"  gate: {click.style('not met', fg='red')}, {told}"
    for outcome in verdict.blocking[:_MOST]:
        yield from _item(f"    {show.mark(outcome)} ", f"{outcome.rule}: {outcome.message}")
    if len(verdict.blocking) > _MOST:
        yield f"    and {len(verdict.blocking) - _MOST} more"


def _chart(proposal: Proposal) -> list[str]:
    lines = chart(proposal)
    return ["", *lines, ""] if lines else []


# What changed ------------------------------------------------------------------------------


def _dirty(proposal: Proposal) -> Iterator[str]:
    side = proposal.proposed
    if side and (paths := differences.dirty(side)):
        loud = click.style("! trained with uncommitted changes:", fg="yellow")
        yield from _item(f"  {loud} ", _listed(paths), indent=4)


def _changes(proposal: Proposal) -> Iterator[tuple[str, str]]:
    live, proposed = proposal.live, proposal.proposed
    if proposed is None or not proposal.is_compared:
        return
    yield "trained from", _commit(proposed)
    if live is not None and live is not proposed:
        yield from _commits(proposal, live, proposed)
        data = differences.data(proposal)
        yield "data", "not known of both" if data is None else _told(data)
        yield "parameters", _told(differences.parameters(proposal))
        yield "packages", _told(differences.packages(proposal))
    for role, was, now in differences.sizes(proposal):
        yield role, differences.size_of(was, now)


def _commits(proposal: Proposal, live: Side, proposed: Side) -> Iterator[tuple[str, str]]:
    was, now = differences.trained_from(live), differences.trained_from(proposed)
    if was == now:
        return
    between = proposal.between
    yield "live one from", _commit(live)
    ahead = f"{count(between.ahead, 'commit')}: " if between else ""
    yield "between", f"{ahead}git log --oneline {was[:_BRIEF]}..{now[:_BRIEF]}"
    if between and between.behind:
        yield "it lacks", f"{count(between.behind, 'commit')} that the live version has"


def _commit(side: Side) -> str:
    commit = side.commit
    if commit is None:
        return f"{differences.trained_from(side)[:_BRIEF] or 'a commit unknown'}, not here"
    return f"{commit.oid[:_BRIEF]} {commit.subject} ({commit.author})"


def _told(changes: list[Difference]) -> str:
    if not changes:
        return "the same"
    return _listed([f"{c.name} {c.live or 'none'} → {c.proposed or 'none'}" for c in changes])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more}"


# The checks --------------------------------------------------------------------------------


def _checks(checks: Sequence[Check]) -> list[str]:
    lines = list[str]()
    for check in checks:
        mark, colour = _MARKS.get(check.outcome, ("-", "yellow"))
        # Why one failed, the findings say.
        why = f": {check.detail}" if check.detail and check.outcome != FAILED else ""
        undone = f" ({check.outcome})" if check.outcome == NOT_CHECKED else ""
        lines += _item(f"  {click.style(mark, fg=colour)} ", f"{check.name}{undone}{why}")
    return ["", show.heading("checks"), *lines] if lines else []


def _item(start: str, text: str, *, indent: int | None = None) -> list[str]:
    """Lay out text after what it starts with, broken between words to the terminal's width."""
    import shutil
    import textwrap

    taken = len(click.unstyle(start))
    hanging = " " * (taken if indent is None else indent)
    lines = textwrap.wrap(
        show.plain(text),
        width=max(shutil.get_terminal_size((100, 24)).columns, 2 * taken),
        initial_indent=" " * taken,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [start + lines[0][taken:], *lines[1:]] if lines else [start.rstrip()]
