"""A small chart of the deciding metrics over the last versions, in text that shows everywhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mlv.domain.escaping import preformatted
from mlv.domain.figures import number
from mlv.review.differences import metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlv.domain.manifest import Manifest
    from mlv.review.report import Proposal, Side

LIVE, PROPOSED = "\N{BLACK CIRCLE}", "\N{WHITE CIRCLE}"
_BARS = "▁▂▃▄▅▆▇█"
_LACKING = "·"
_MOST_METRICS = 4
_MOST_VERSIONS = 12
_FEWEST_VERSIONS = 3  # of two, the table says all
_LONGEST_NAME = 20
_INDENT = "  "


def chart(proposal: Proposal) -> list[str]:
    """Draw a line a metric and a bar a version; nothing where there is too little to see.

    The lowest bar is the least value and not 0, the highest is the most: what they are is written
    beside them. Fit for a terminal and for a fenced block.
    """
    versions = _versions(proposal)
    names = deciding(proposal, versions)
    if len(versions) < _FEWEST_VERSIONS or not names:
        return []
    labels = [preformatted(name, _LONGEST_NAME) for name in names]
    left = max(map(len, labels))
    width = max(len(each.version.name) for each in versions) + 1
    head = "".join(each.version.name.rjust(width) for each in versions)
    lines = [f"{_INDENT}{' ' * left}{head}"]
    for name, label in zip(names, labels, strict=True):
        values = [each.metrics.get(name) for each in versions]
        bars = "".join(bar.rjust(width) for bar in spark(values))
        lines.append(f"{_INDENT}{label.ljust(left)}{bars}   {_range(values)}")
    return [*lines, _marks(proposal, versions, left, width)]


def deciding(proposal: Proposal, versions: Sequence[Manifest]) -> list[str]:
    """Name the metrics that decide: those of the gate, else those that changed most."""
    rows = metrics(proposal)
    ruled = [row.name for row in rows if row.name in proposal.gate.metrics]
    others = sorted(
        (row for row in rows if row.delta and row.live),
        key=lambda row: abs(Fraction(row.delta or 0) / Fraction(row.live or 1)),
        reverse=True,
    )
    told = ruled or [row.name for row in others]
    known = [name for name in told if any(name in each.metrics for each in versions)]
    return known[:_MOST_METRICS]


def spark(values: Sequence[float | None]) -> list[str]:
    """Draw each value as a bar between the least and the most of them."""
    known = [Fraction(value) for value in values if value is not None]
    least, room = (
        min(known, default=Fraction(0)),
        max(known, default=Fraction(0)) - min(known, default=Fraction(0)),
    )
    return [_bar(value, least, room) for value in values]


def _bar(value: float | None, least: Fraction, room: Fraction) -> str:
    if value is None:
        return _LACKING
    part = (Fraction(value) - least) / room if room else Fraction(1, 2)
    return _BARS[round(part * (len(_BARS) - 1))]


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    least, most = number(min(known)), number(max(known))
    return least if least == most else f"{least} to {most}"


def _versions(proposal: Proposal) -> list[Manifest]:
    """Give the last versions, but always the sides' own."""
    ours = [side.manifest.version for side in (proposal.live, proposal.proposed) if side]
    extra = max(len(proposal.recent) - _MOST_VERSIONS, 0)
    versions = list(proposal.recent)
    for each in proposal.recent:
        if extra and each.version not in ours:
            versions.remove(each)
            extra -= 1
    return versions


def _marks(proposal: Proposal, versions: Sequence[Manifest], left: int, width: int) -> str:
    live, proposed = (_number(side) for side in (proposal.live, proposal.proposed))
    marks = ""
    words = []
    for each in versions:
        mark = LIVE if each.version == live else PROPOSED if each.version == proposed else ""
        marks += mark.rjust(width)
        words += [f"{mark} {'live' if mark == LIVE else 'proposed'}"] if mark else []
    return f"{_INDENT}{' ' * left}{marks}   {', '.join(words)}"


def _number(side: Side | None) -> object:
    return side and side.manifest.version
