"""Values in mlv.yaml, held against what they must be; `Wrong` says where one is not."""

from __future__ import annotations

from typing import Any

from mlv.domain.document import is_finite


class Wrong(Exception):
    """What is wrong, and the keys that lead there."""

    def __init__(self, keys: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.keys = keys


def mapping(value: object, at: tuple[str, ...]) -> dict[str, Any]:
    """Take keys with values, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong(at, f"must be keys with values, not {kind(value)}")
    return value


def text(value: object, at: tuple[str, ...]) -> str:
    """Take text."""
    if not isinstance(value, str):
        raise Wrong(at, f"must be text, not {kind(value)}")
    return value


def flag(value: object, at: tuple[str, ...]) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise Wrong(at, f"must be true or false, not {kind(value)}")
    return value


def number(value: object, at: tuple[str, ...]) -> float:
    """Take a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise Wrong(at, f"must be a number, not {kind(value)}")
    return value


def words(value: object, at: tuple[str, ...]) -> tuple[str, ...]:
    """Take a list of metadata keys."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(key, str) for key in value):
        raise Wrong(at, "must be a list of metadata keys")
    return tuple(value)


def only(facts: dict[str, Any], known: tuple[str, ...], at: tuple[str, ...]) -> None:
    """Refuse keys that are not known."""
    for key in facts:
        if key not in known:
            raise Wrong((*at, str(key)), f"is not known here; known are {', '.join(known)}")


def kind(value: object) -> str:
    """Show a wrong value; a list may be nested so that showing it never ends."""
    if not isinstance(value, (str, int, float, bool)):
        return type(value).__name__
    if isinstance(value, int) and not is_finite(value):
        return "a huge number"
    return repr(value)
