"""What a report's Markdown says of one model: a list of blocks, the most telling first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import pointer as pointers
from mlv.domain.escaping import code, prose
from mlv.domain.figures import count, number, share, signed
from mlv.review import differences, wording
from mlv.review.chart import chart
from mlv.review.report import REVERT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.gate import Outcome, Verdict
    from mlv.review.differences import Difference, Metric
    from mlv.review.report import Proposal, Side

TICK, CROSS, WARNING, DASH = "✅", "❌", "⚠️", "\N{HEAVY MINUS SIGN}"
_MOST_ROWS = 30
_MOST_CHANGES = 40
_MOST_INLINE = 3
_MOST_PATHS = 10
_LONGEST_VALUE = 60
_BRIEF = 10


def headline(proposal: Proposal) -> str:
    """Say what is proposed, with the version as code."""
    start, tag, end = wording.headline_parts(proposal)
    return f"{start}{code(tag)}{end}"


def section(proposal: Proposal) -> list[str]:
    """Write all that is to be said of one model."""
    blocks = [f"### {_sides(proposal)}", *_forced(proposal)]
    if proposal.is_compared:
        blocks += [*_metrics(proposal), *_gate(proposal), *_chart(proposal)]
        blocks += [*_dirty(proposal), *_changes(proposal)]
    return [*blocks, *_way_back(proposal)]


def details(summary: str, inner: str) -> str:
    """Fold a part; ``summary`` is ours alone."""
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>"


def _sides(proposal: Proposal) -> str:
    tag = code(wording.subject(proposal))
    live = proposal.live
    if not proposal.is_compared:
        return f"{code(proposal.model)}: {tag}"
    if live is None:
        return f"{code(proposal.model)}: {tag}; nothing is live so far"
    return f"{code(proposal.model)}: {code(live.manifest.version.tag)} → {tag}"


def _forced(proposal: Proposal) -> list[str]:
    if not proposal.forced:
        return []
    return [f"{WARNING} **Forced past the gate**, which is recorded for good in the pointer."]


# Metrics and gate --------------------------------------------------------------------------


def _metrics(proposal: Proposal) -> list[str]:
    rows = sorted(differences.metrics(proposal), key=lambda row: not _blocks(row.outcomes))
    if not rows:
        return ["Neither version states a metric." if proposal.live else "It states no metric."]
    live, proposed = (side and code(side.manifest.version.name) for side in _both(proposal))
    sides = f"{live or 'nothing'} live | {proposed or '?'} proposed"
    lines = [
        f"| metric | {sides} | delta | per cent | | gate |",
        "|---|--:|--:|--:|--:|---|---|",
        *map(_metric, rows[:_MOST_ROWS]),
    ]
    return ["\n".join(lines), *_more(len(rows) - _MOST_ROWS, "metric")]


def _metric(row: Metric) -> str:
    change = "" if row.delta is None else signed(row.delta)
    part = share(row.delta, row.live) if row.delta else ""
    word = {"better": "▲ better", "worse": "▼ **worse**"}.get(row.word, row.word)
    cells = (number(row.live), number(row.proposed), change, part, word, _word_of(row.outcomes))
    return f"| {code(row.name, _LONGEST_VALUE)} | {' | '.join(cells)} |"


def _blocks(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.blocks for outcome in outcomes)


def _word_of(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return ""
    if _blocks(outcomes):
        return f"{CROSS} not met"
    return f"{TICK} met" if any(o.kind == "passed" for o in outcomes) else f"{DASH} not comparable"


def _gate(proposal: Proposal) -> list[str]:
    verdict = proposal.verdict
    if verdict is None:
        never = proposal.action in (pointers.ROLLBACK, REVERT)
        return ["The gate is not asked: a way back is always open."] if never else []
    if not verdict.outcomes:
        return ["**Gate:** no rule applies."]
    return [_gate_summary(verdict), *_rules(verdict)]


def _gate_summary(verdict: Verdict) -> str:
    total = count(len(verdict.outcomes), "rule")
    if verdict.passed:
        return f"**Gate:** {TICK} met ({total})."
    return f"**Gate:** {CROSS} not met, {len(verdict.blocking)} of {total}."


def _rules(verdict: Verdict) -> Iterator[str]:
    failed = [_rule(each, CROSS) for each in verdict.blocking]
    others = [
        _rule(each, TICK if each.kind == "passed" else DASH)
        for each in sorted(verdict.outcomes, key=lambda each: each.kind == "passed")
        if not each.blocks
    ]
    if failed:
        yield "\n".join(failed[:_MOST_ROWS])
        yield from _more(len(failed) - _MOST_ROWS, "rule")
    if others:
        rest = _more(len(others) - _MOST_ROWS, "rule")
        yield details(f"The {count(len(others), 'other rule')}" if failed else "Rule by rule",
                      "\n\n".join(["\n".join(others[:_MOST_ROWS]), *rest]))  # fmt: skip


def _rule(outcome: Outcome, mark: str) -> str:
    return f"- {mark} {code(outcome.rule)} {outcome.kind}: {prose(outcome.message)}"


def _chart(proposal: Proposal) -> list[str]:
    lines = chart(proposal)
    return ["\n".join(["```text", *lines, "```"])] if lines else []


# What changed ------------------------------------------------------------------------------


def _dirty(proposal: Proposal) -> list[str]:
    blocks = []
    for side in _both(proposal):
        if side and differences.dirty(side):
            manifest = side.manifest
            paths = differences.dirty(side)
            more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
            names = ", ".join(map(code, paths[:_MOST_PATHS]))
            loud = f"{WARNING} **Trained with uncommitted changes:** "
            start = loud if side is proposal.proposed else "As for the live one: "
            shows = code(f"git diff {_oid(side)} {manifest.version.tag}")
            blocks.append(
                f"{start}when {code(manifest.version.tag)} was registered, these were not "
                f"committed: {names}{more}. {shows} shows them."
            )
    return blocks[::-1]


def _changes(proposal: Proposal) -> list[str]:
    live, proposed = _both(proposal)
    if proposed is None:
        return []
    if live is None or live is proposed:
        return [f"- Trained from {_commit(proposed)}\n{_sizes(proposal)}"]
    parts = {
        "Data": differences.data(proposal),
        "Parameters": differences.parameters(proposal),
        "Packages": differences.packages(proposal),
    }
    told = [_told(name, changes) for name, changes in parts.items()]
    lines = [_commits(proposal, live, proposed), *told, _sizes(proposal)]
    folded = [
        details(f"{name}: {len(changes)} changed", _table(changes))
        for name, changes in parts.items()
        if changes and len(changes) > _MOST_INLINE
    ]
    return ["**What changed**", "\n".join(lines), *folded]


def _told(name: str, changes: Sequence[Difference] | None) -> str:
    if changes is None:
        return f"- {name}: not known of both versions"
    if not changes:
        return f"- {name}: the same"
    if len(changes) > _MOST_INLINE:
        return f"- {name}: **{len(changes)} changed**, below"
    inner = [
        f"  - {code(each.name)}: {_value(each.live)} → {_value(each.proposed)}" for each in changes
    ]
    return "\n".join([f"- {name}: **{len(changes)} changed**", *inner])


def _table(changes: Sequence[Difference]) -> str:
    lines = [
        f"| {code(each.name)} | {_value(each.live)} | {_value(each.proposed)} |"
        for each in changes[:_MOST_CHANGES]
    ]
    table = "\n".join(["| name | live | proposed |", "|---|---|---|", *lines])
    return "\n\n".join([table, *_more(len(changes) - _MOST_CHANGES, "change")])


def _value(value: str | None) -> str:
    return "none" if value is None else code(value, _LONGEST_VALUE)


def _commits(proposal: Proposal, live: Side, proposed: Side) -> str:
    was, now = _oid(live), _oid(proposed)
    if was and was == now:
        return f"- Trained from the same commit: {_commit(proposed)}"
    lines = [f"- Trained from {_commit(proposed)}", f"  - the live version: from {_commit(live)}"]
    between = proposal.between
    log = code(f"git log --oneline {was}..{now}")
    if between is None:
        lines.append(f"  - {log} shows what lies between, in a clone that has both")
    else:
        lines.append(f"  - {count(between.ahead, 'commit')} between: {log}")
        if between.behind:
            lines.append(
                f"  - {WARNING} it lacks {count(between.behind, 'commit')} that the live version "
                f"was trained with: {code(f'git log --oneline {now}..{was}')}"
            )
    return "\n".join(lines)


def _commit(side: Side) -> str:
    if side.commit is None:
        oid = _oid(side)
        return f"{code(oid)}, which is not here" if oid else "no commit that is known"
    commit = side.commit
    return f"{code(commit.oid[:_BRIEF])} {code(commit.subject)} by {code(commit.author)}"


def _oid(side: Side) -> str:
    return differences.trained_from(side)[:_BRIEF]


def _sizes(proposal: Proposal) -> str:
    told = [f"{code(r)} {differences.size_of(*both)}" for r, *both in differences.sizes(proposal)]
    more = [f"{len(told) - _MOST_PATHS} more"] if len(told) > _MOST_PATHS else []
    return f"- Size: {', '.join([*told[:_MOST_PATHS], *more])}"


def _both(proposal: Proposal) -> tuple[Side | None, Side | None]:
    return proposal.live, proposal.proposed


def _more(extra: int, thing: str) -> list[str]:
    return [f"and {count(extra, f'more {thing}')}: `mlv review` shows all"] if extra > 0 else []


# The way back ------------------------------------------------------------------------------


def _way_back(proposal: Proposal) -> list[str]:
    found = wording.way_back(proposal)
    revert = "`git revert` of the merged commit (with `--mainline 1` if it is a merge)"
    if found is None:
        return [f"**The way back,** once it is merged: {revert}."]
    proposing = f"`{found.proposing}`, or " if found.proposing else ""
    return [
        "**The way back,** once it is merged:",
        f"```sh\n{found.command}\n```",
        f"Where the branch is protected: {proposing}{revert}, in a pull request of its own.",
    ]
