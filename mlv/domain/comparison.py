"""Two versions side by side."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from mlv.domain.document import is_finite
from mlv.domain.rules import MIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.manifest import Manifest

DELTA = "delta (b - a)"

# Names that tell that less is better; anything else counts as "more is better".
_LESS_IS_BETTER = (
    "loss", "error", "err", "mae", "mse", "rmse", "mape", "latency", "time", "seconds",
    "ms", "std", "brier", "perplexity", "wer", "cer", "fpr", "fnr", "bytes", "size", "nll",
)  # fmt: skip


def delta(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float | None]:
    """Give b - a for each metric of either side, in a's order; None where one side lacks it."""
    names = [*a, *(name for name in b if name not in a)]
    changes = {name: b[name] - a[name] for name in names if name in a and name in b}
    return {name: c if is_finite(c := changes.get(name, inf)) else None for name in names}


def compare(a: Manifest, b: Manifest) -> dict[str, dict[str, Any]]:
    """Give the metrics of two versions and their `delta`, by the versions' names.

    By their tags if they are of two models.
    """
    same = a.version.model == b.version.model
    left, right = (v.name if same else v.tag for v in (a.version, b.version))
    return {left: dict(a.metrics), right: dict(b.metrics), DELTA: delta(a.metrics, b.metrics)}


def is_better(metric: str, change: float | None, goal: str | None = None) -> bool | None:
    """Say whether a change of this metric is for the better, judged by its goal or its name.

    None: no change, or one side lacks it.
    """
    if not change:
        return None
    return (change < 0) == is_less_better(metric, goal)


def is_less_better(metric: str, goal: str | None = None) -> bool:
    """Whether less of a metric is better; without a goal its name tells (``latency_ms``)."""
    if goal is not None:
        return goal == MIN
    words = metric.lower().replace("-", "_").split("_")
    return any(word in _LESS_IS_BETTER for word in words) and words[0] != "neg"
