"""The gate: what a version must meet before it goes live. Facts in, a verdict out.

A regression is relative to the live version and knows its direction. Numbers are compared as
people read them: 0.95 is exactly 5 % below 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mlv.domain.comparison import is_less_better
from mlv.domain.manifest import missing_metadata
from mlv.domain.rules import OPEN, Gate, MetricRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlv.domain.names import Version

__all__ = [
    "OPEN", "ChallengerLacks", "ChampionLacks", "Failed", "Gate", "Judged", "MetricRule",
    "NotComparable", "Outcome", "Passed", "Side", "Verdict", "judge",
]  # fmt: skip


class Side(NamedTuple):
    """What the gate looks at of a version.

    ``data`` says what the version was trained on, hash by path; None if that is not known.
    """

    version: Version
    metrics: Mapping[str, float]
    metadata: Mapping[str, Any]
    data: Mapping[str, str] | None
    is_staged: bool = False
    is_live: bool = False


@dataclass(frozen=True)
class Judged:
    """What became of one rule (``roc_auc: max_regression 1%``), and why."""

    rule: str
    message: str
    kind: ClassVar[str] = ""
    blocks: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """Give it to a reader."""
        return {
            "rule": self.rule,
            "outcome": self.kind,
            "blocks": self.blocks,
            "message": self.message,
        }


class Passed(Judged):
    """The rule is met."""

    kind = "passed"


class Failed(Judged):
    """The rule is not met."""

    kind = "failed"
    blocks = True


class NotComparable(Judged):
    """Nothing is live, so that there is nothing to compare with."""

    kind = "not comparable"


class ChallengerLacks(Judged):
    """The challenger does not state the metric, so that the rule cannot be met."""

    kind = "metric missing"
    blocks = True


class ChampionLacks(Judged):
    """The live version does not state the metric, so that there is no regression to speak of."""

    kind = "metric missing in the live version"


Outcome = Passed | Failed | NotComparable | ChallengerLacks | ChampionLacks


class Verdict(NamedTuple):
    """What the gate says of a challenger, rule by rule; ``champion`` is None on the first day."""

    challenger: Version
    champion: Version | None
    outcomes: tuple[Outcome, ...]

    @property
    def blocking(self) -> tuple[Outcome, ...]:
        """The rules that keep the challenger from going live."""
        return tuple(outcome for outcome in self.outcomes if outcome.blocks)

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the challenger from going live."""
        return not self.blocking

    def to_dict(self) -> dict[str, Any]:
        """Give it to a reader."""
        return {
            "challenger": self.challenger.tag,
            "champion": self.champion and self.champion.tag,
            "passed": self.passed,
            "rules": [outcome.to_dict() for outcome in self.outcomes],
        }


def judge(
    gate: Gate, challenger: Side, champion: Side | None, *, to_stage: bool = False
) -> Verdict:
    """Hold a challenger against the gate and the live version; ``to_stage``: it is only staged."""
    outcomes = [
        *_metrics(gate, challenger, champion),
        *_metadata(gate, challenger),
        *(_data(challenger, champion) if gate.same_data else ()),
        *(_staging(challenger) if gate.require_staging and not to_stage else ()),
    ]
    return Verdict(challenger.version, champion and champion.version, tuple(outcomes))


# Metrics -----------------------------------------------------------------------------------


def _metrics(gate: Gate, challenger: Side, champion: Side | None) -> Iterator[Outcome]:
    for name, rule in gate.metrics.items():
        yield from _limits(name, rule, challenger.metrics.get(name))
        yield from _regression(name, rule, challenger, champion)
    if gate.max_regression is None:
        return
    general = MetricRule(max_regression=gate.max_regression)
    known = [*(champion.metrics if champion else ()), *challenger.metrics]
    for name in dict.fromkeys(known):
        if name not in gate.metrics:
            yield from _regression(name, general, challenger, champion)


def _limits(name: str, rule: MetricRule, value: float | None) -> Iterator[Outcome]:
    for limit, word, sign in ((rule.min, "min", 1), (rule.max, "max", -1)):
        if limit is None:
            continue
        label = f"{name}: {word} {_number(limit)}"
        if value is None:
            yield ChallengerLacks(label, f"{name} is not stated")
        elif sign * (_exact(value) - _exact(limit)) >= 0:
            yield Passed(label, f"{name} is {_number(value)}")
        else:
            side = "below" if word == "min" else "above"
            yield Failed(label, f"{name} is {_number(value)}, {side} {_number(limit)}")


def _regression(
    name: str, rule: MetricRule, challenger: Side, champion: Side | None
) -> Iterator[Outcome]:
    if rule.max_regression is None:
        return
    label = f"{name}: max_regression {_per_cent(_exact(rule.max_regression))}"
    now, was = challenger.metrics.get(name), champion and champion.metrics.get(name)
    if champion is None:
        yield NotComparable(label, "nothing is live")
    elif now is None:
        yield ChallengerLacks(label, f"{name} is not stated; {_at(champion, was)}")
    elif was is None:
        yield ChampionLacks(label, f"{name} is {_number(now)}; {_at(champion, was)}")
    else:
        worse = _worsening(name, rule.goal, now, was)
        is_met = worse is not None and worse <= _exact(rule.max_regression)
        how = f"{name} is {_number(now)}, {_how(worse)}; {_at(champion, was)}"
        yield (Passed if is_met else Failed)(label, how)


def _worsening(name: str, goal: str | None, now: float, was: float) -> Fraction | None:
    """Say by which part of the live value the new one is worse; None: by any, the live one is 0."""
    fall = _exact(was) - _exact(now)
    worse = -fall if is_less_better(name, goal) else fall
    if worse <= 0:
        return worse / abs(_exact(was)) if was else Fraction(0)
    return worse / abs(_exact(was)) if was else None


def _how(worse: Fraction | None) -> str:
    if worse is None:
        return "worse than 0"
    if worse == 0:
        return "as before"
    return f"{_per_cent(abs(worse))} {'worse' if worse > 0 else 'better'}"


def _at(champion: Side, value: float | None) -> str:
    said = "does not state it" if value is None else f"has {_number(value)}"
    live = ", which is live," if champion.is_live else ""
    return f"{champion.version.tag}{live} {said}"


def _exact(value: float) -> Fraction:
    """Take a number for what it is written as."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def _number(value: float) -> str:
    return repr(value)


def _per_cent(part: Fraction) -> str:
    try:
        value = float(part * 100)
    except OverflowError:
        value = inf
    return f"{value:.3g}%"


# The other rules ---------------------------------------------------------------------------


def _metadata(gate: Gate, challenger: Side) -> Iterator[Outcome]:
    lacking = missing_metadata(challenger.metadata, list(gate.require_metadata))
    for key in gate.require_metadata:
        label = f"require_metadata: {key}"
        if key in lacking:
            yield Failed(label, f"{key} is not stated")
        else:
            yield Passed(label, f"{key} is stated")


def _data(challenger: Side, champion: Side | None) -> Iterator[Outcome]:
    label = "same_data"
    if champion is None:
        yield NotComparable(label, "nothing is live")
        return
    unknown = [side.version.tag for side in (challenger, champion) if side.data is None]
    if challenger.data is None or champion.data is None:
        yield Failed(label, f"which data trained {' and '.join(unknown)} is not known")
        return
    names = challenger.data.keys() | champion.data.keys()
    other = sorted(n for n in names if challenger.data.get(n) != champion.data.get(n))
    if other:
        yield Failed(
            label, f"trained on other data than {champion.version.tag}: {', '.join(other)}"
        )
    else:
        yield Passed(label, f"trained on the data of {champion.version.tag}")


def _staging(challenger: Side) -> Iterator[Outcome]:
    label, tag = "require_staging", challenger.version.tag
    if challenger.is_staged:
        yield Passed(label, f"{tag} is in staging")
    else:
        yield Failed(label, f"{tag} is not in staging")
