"""What a change of mlv.yaml changes, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.rules import MetricRule

if TYPE_CHECKING:
    from mlv.domain.rules import Gate
    from mlv.store.config import Config

_SETTINGS = ("branch", "remote", "push", "require_signed", "allowed_signers")


def describe(before: Config, after: Config) -> list[str]:
    """Say which settings and gates differ, each as it was and as it would be."""
    told = [
        _turn(name, getattr(before, name), getattr(after, name))
        for name in _SETTINGS
        if getattr(before, name) != getattr(after, name)
    ]
    general = gate_changes(before.defaults.gate, after.defaults.gate)
    told += [f"gate {each}" for each in general]
    for model in sorted(before.models.keys() | after.models.keys()):
        changes = gate_changes(before.of(model).gate, after.of(model).gate)
        told += [f"gate of {model} {each}" for each in changes if each not in general]
    return told


def gate_changes(before: Gate, after: Gate) -> list[str]:
    """Say which rules of a gate differ."""
    told = []
    for name in ("max_regression", "require_metadata", "same_data", "require_staging"):
        was, now = getattr(before, name), getattr(after, name)
        told += [_turn(name, was, now)] if was != now else []
    for metric in sorted(before.metrics.keys() | after.metrics.keys()):
        old, new = (gate.metrics.get(metric, MetricRule()) for gate in (before, after))
        told += [
            _turn(f"{metric} {name}", getattr(old, name), getattr(new, name))
            for name in MetricRule._fields
            if getattr(old, name) != getattr(new, name)
        ]
    return told


def _turn(name: str, was: object, now: object) -> str:
    return f"{name} {_word(was)} -> {_word(now)}"


def _word(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
