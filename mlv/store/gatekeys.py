"""``gate:`` in mlv.yaml: what it may state, at the top and of a model."""

from __future__ import annotations

from typing import Any

from mlv.domain.rules import GOALS, Gate, MetricRule
from mlv.store.values import Wrong, flag, kind, mapping, number, only, words


def check(value: object, at: tuple[str, ...]) -> dict[str, Any]:
    """Hold a ``gate:`` against what it may state, and give its keys."""
    stated = mapping(value, at)
    only(stated, Gate._fields, at)
    checked: dict[str, Any] = dict(stated)
    for key in ("same_data", "require_staging"):
        if key in stated:
            checked[key] = flag(stated[key], (*at, key))
    if "require_metadata" in stated:
        checked["require_metadata"] = words(stated["require_metadata"], (*at, "require_metadata"))
    if "max_regression" in stated:
        _fraction(stated["max_regression"], (*at, "max_regression"))
    metrics = mapping(stated.get("metrics"), (*at, "metrics"))
    checked["metrics"] = {
        _name(name, (*at, "metrics")): _rule(rule, (*at, "metrics", str(name)))
        for name, rule in metrics.items()
    }
    return checked


def gate(stated: dict[str, Any], own: dict[str, Any] | None = None) -> Gate:
    """Make the gate of what is stated at the top, and of what a model states in its place.

    A metric's rule is replaced as a whole. One that says nothing of ``max_regression`` has the
    gate's.
    """
    own = own or {}
    keys = {**stated, **own}
    rules = {**stated.get("metrics", {}), **own.get("metrics", {})}
    general = keys.get("max_regression")
    metrics = {
        name: MetricRule(**{"max_regression": general, **rule}) for name, rule in rules.items()
    }
    return Gate(**{**keys, "metrics": metrics})


def _name(name: object, at: tuple[str, ...]) -> str:
    if not isinstance(name, str) or not name:
        raise Wrong((*at, str(name)), "is not the name of a metric; quote it if it is")
    return name


def _rule(value: object, at: tuple[str, ...]) -> dict[str, Any]:
    rule = mapping(value, at)
    only(rule, MetricRule._fields, at)
    goal = rule.get("goal")
    if goal is not None and goal not in GOALS:
        raise Wrong((*at, "goal"), f"must be {' or '.join(GOALS)}, not {kind(goal)}")
    low, high = (
        None if rule.get(key) is None else number(rule[key], (*at, key)) for key in ("min", "max")
    )
    if low is not None and high is not None and low > high:
        raise Wrong((*at, "min"), f"is above max: {low!r} > {high!r}, which no version meets")
    _fraction(rule.get("max_regression"), (*at, "max_regression"))
    return rule


def _fraction(value: object, at: tuple[str, ...]) -> None:
    """Take a part of the live version's value, or None for any; 5 is not meant to be 500 %."""
    if value is not None and not 0 <= number(value, at) <= 1:
        raise Wrong(at, f"must be from 0 to 1 (0.05 is 5 %), not {kind(value)}")
