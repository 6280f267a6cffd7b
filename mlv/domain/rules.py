"""The rules of a gate as mlv.yaml states them; `domain.gate` judges by them.

They stand apart because every command reads mlv.yaml, and few judge.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GOALS = MIN, MAX = "min", "max"


class MetricRule(NamedTuple):
    """What is asked of one metric; None asks nothing.

    ``goal`` is `MIN` or `MAX`, and told by the metric's name where it is None; ``min`` and
    ``max`` are absolute limits; ``max_regression`` is a fraction of the live version's value.
    """

    goal: str | None = None
    min: float | None = None
    max: float | None = None
    max_regression: float | None = None


class Gate(NamedTuple):
    """The policy of a model. ``max_regression`` holds for each metric without a rule of its own."""

    max_regression: float | None = None
    metrics: Mapping[str, MetricRule] = MappingProxyType({})
    require_metadata: tuple[str, ...] = ()
    same_data: bool = False
    require_staging: bool = False


OPEN = Gate()
