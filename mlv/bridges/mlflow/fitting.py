"""Fitting names and values into what MLflow takes.

Limits are those of MLflow 2, which are the tighter ones: ``mlflow.utils.validation``.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any

from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_TAG = 5000  # characters
LONGEST_PARAM = 6000
_LONGEST_KEY = 250
_LONGEST_NAME = 200
_REFUSED = re.compile(r"[^/\w.\- ]")
_NAME = re.compile(r"[\w.\- ]+")
_DEEPEST = 20


def check_name(name: str) -> str:
    """Give a registered model's name back if it can be one, and be asked for."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or name != name.strip():
        raise InvalidInput(
            f"{name!r} cannot name a model in MLflow here",
            hint=f"use letters, digits, '_', '-', '.' and blanks, at most {_LONGEST_NAME}",
        )
    return name


def key(name: str) -> str:
    """Make a name one that MLflow takes: ``f1@0.5`` is ``f1_0.5`` there."""
    fitted = _REFUSED.sub("_", name)[:_LONGEST_KEY]
    normal = posixpath.normpath(fitted) if fitted else "."
    if normal != fitted or normal == "." or normal.startswith(("..", "/")):
        fitted = fitted.replace("/", "_").strip(".") or "_"
    return fitted


def keys(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Fit every name; where two become one, the later gets a number: ``f1_``, ``f1_-2``."""
    fitted: dict[str, Any] = {}
    for name, value in pairs.items():
        wanted = at = key(name)
        count = 1
        while at in fitted:
            count += 1
            at = f"{wanted[: _LONGEST_KEY - 10]}-{count}"
        fitted[at] = value
    return fitted


def text(value: object, longest: int = LONGEST_TAG) -> str:
    """Write a value as text: JSON, unless it is text already; what is too long ends in dots."""
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return written if len(written) <= longest else f"{written[: longest - 3]}..."


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested values: ``{"model": {"depth": 3}}`` is ``{"model.depth": 3}``.

    Lists are values; an empty object is one too.
    """
    return dict(_leaves(values, "", _DEEPEST))


def _leaves(values: Mapping[str, Any], at: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{at}{name}"
        if isinstance(value, dict) and value and depth:
            yield from _leaves(value, f"{path}.", depth - 1)
        else:
            yield path, value
