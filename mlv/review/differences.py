"""What is other in the proposed version than in the live one; only that is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.comparison import delta, is_better
from mlv.domain.figures import share, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlv.domain.gate import Outcome
    from mlv.domain.manifest import Artifact, Manifest
    from mlv.review.report import Proposal, Side

ONLY_LIVE, ONLY_PROPOSED = "only the live version has it", "only the proposed version has it"
_DEEPEST = 8


class Metric(NamedTuple):
    """A metric of either side; ``delta`` is proposed - live, None where one side lacks it.

    ``better`` is by the gate's goal, else by the name; ``outcomes`` are the gate's rules for it.
    """

    name: str
    live: float | None
    proposed: float | None
    delta: float | None
    better: bool | None
    outcomes: tuple[Outcome, ...]

    @property
    def word(self) -> str:
        """Say in a word how it stands."""
        if self.live is None or self.proposed is None:
            return ONLY_LIVE if self.proposed is None else ONLY_PROPOSED
        if self.delta is None:
            return "worlds apart"
        return {True: "better", False: "worse", None: "same"}[self.better]


class Difference(NamedTuple):
    """A name with another value; None where that side does not have it."""

    name: str
    live: str | None
    proposed: str | None


def metrics(proposal: Proposal) -> list[Metric]:
    """Hold the metrics of both sides against each other, the gate's own first."""
    live, proposed = (
        side.manifest.metrics if side else {} for side in (proposal.live, proposal.proposed)
    )
    rules = proposal.gate.metrics
    changes = delta(live, proposed)
    outcomes = proposal.verdict.outcomes if proposal.verdict else ()
    return [
        Metric(
            name,
            live.get(name),
            proposed.get(name),
            changes[name],
            is_better(name, changes[name], rules[name].goal if name in rules else None),
            tuple(each for each in outcomes if each.rule.startswith(f"{name}: ")),
        )
        for name in sorted(changes, key=lambda name: name not in rules)
    ]


def changed(live: Mapping[str, str], proposed: Mapping[str, str]) -> list[Difference]:
    """Give what is not the same on both sides, by name."""
    return [
        Difference(name, live.get(name), proposed.get(name))
        for name in sorted(live.keys() | proposed.keys())
        if live.get(name) != proposed.get(name)
    ]


def data(proposal: Proposal) -> list[Difference] | None:
    """Give the data that changed; None where it is not known of both sides."""
    sides = _both(proposal)
    if sides is None or sides[0].data is None or sides[1].data is None:
        return None
    return changed(sides[0].data, sides[1].data)


def parameters(proposal: Proposal) -> list[Difference]:
    """Give the parameters of the stages that changed."""
    sides = _both(proposal)
    return changed(*(_parameters(side.manifest) for side in sides)) if sides else []


def packages(proposal: Proposal) -> list[Difference]:
    """Give the Python packages that changed, and Python itself."""
    sides = _both(proposal)
    return changed(*(_packages(side) for side in sides)) if sides else []


def dirty(side: Side) -> list[str]:
    """Name the files that were not committed when the version was registered."""
    found: list[str] = side.manifest.data["lineage"].get("dirty") or []
    return found


def trained_from(side: Side) -> str:
    """Name the commit that the version says it was trained from; empty for none."""
    return str(side.manifest.data["lineage"].get("commit") or "")


def sizes(proposal: Proposal) -> list[tuple[str, int | None, int | None]]:
    """Give each artifact's role and its size in bytes on both sides."""
    before, after = (
        side.manifest.artifacts if side else {} for side in (proposal.live, proposal.proposed)
    )
    return [
        (role, _bytes(before.get(role)), _bytes(after.get(role)))
        for role in dict.fromkeys([*after, *before])
    ]


def _bytes(artifact: Artifact | None) -> int | None:
    return artifact.size if artifact else None


def size_of(was: int | None, now: int | None) -> str:
    """Say how large an artifact is, and was."""
    if now is None:
        return f"{size(was or 0)} → gone"
    if was is None or was == now:
        return size(now)
    part = share(now - was, was)
    return f"{size(was)} → {size(now)}{f' ({part})' if part else ''}"


def _both(proposal: Proposal) -> tuple[Side, Side] | None:
    live, proposed = proposal.live, proposal.proposed
    return (live, proposed) if live and proposed else None


def _packages(side: Side) -> dict[str, str]:
    python = side.manifest.data["lineage"].get("python")
    return {**side.packages, **({"python": str(python)} if python else {})}


def _parameters(manifest: Manifest) -> dict[str, str]:
    stage = manifest.data["lineage"].get("stage") or {}
    files = stage.get("params")
    return dict(_flat(files, "", _DEEPEST)) if isinstance(files, dict) else {}


def _flat(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Name each value within others by its way there: ``params.yaml: train.rate``."""
    if isinstance(value, dict) and value and depth:
        for key, inner in value.items():
            sign = ": " if depth == _DEEPEST - 1 else "."
            yield from _flat(inner, f"{name}{sign}{key}" if name else str(key), depth - 1)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def to_dict(proposal: Proposal) -> dict[str, Any]:
    """Give what changed to a reader (docs/json.md)."""
    found = data(proposal)
    return {
        "metrics": [
            {
                "metric": each.name,
                "live": each.live,
                "proposed": each.proposed,
                "delta": each.delta,
                "better": each.better,
            }
            for each in metrics(proposal)
        ],
        "data": None if found is None else [each._asdict() for each in found],
        "parameters": [each._asdict() for each in parameters(proposal)],
        "packages": [each._asdict() for each in packages(proposal)],
    }
