"""The packages that a version was registered with, held against those that are here."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MOST_NAMED = 5


def hint(files: Mapping[str, Path]) -> str:
    """Say which packages a version's ``requirements`` pin and this Python has otherwise."""
    try:
        pins = files["requirements"].read_text(encoding="utf-8")
    except (KeyError, OSError, ValueError):
        pins = ""
    if not pins:
        return "other packages than it was trained with may be installed: nobody pinned them"
    differing = list(_differing(pins))
    if not differing:
        return "the packages that its requirements.txt pins are here: something else differs"
    more = len(differing) - _MOST_NAMED
    named = [*differing[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
    return f"other packages are here than it was registered with: {', '.join(named)}"


def _differing(pins: str) -> Iterator[str]:
    for pin in pins.splitlines():
        name, _, then = pin.partition("==")
        try:
            now = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield f"no {name} ({then} then)"
            continue
        if now != then:
            yield f"{name} {now} ({then} then)"
