"""Writing YAML: always the same text for the same values, whichever YAML library is installed.

What mlv writes into a version's folder is held against its manifest byte for byte.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlv.domain.printable import is_printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What no reader of YAML takes for anything but text; the words are those of YAML 1.1.
_PLAIN = re.compile(r"[A-Za-z]([A-Za-z0-9_./ -]*[A-Za-z0-9_./-])?", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_SAFE = frozenset(range(ord(" "), ord("~") + 1))


def dump(document: Mapping[str, Any]) -> str:
    """Write JSON values as YAML in block style, in their order."""
    return "".join(f"{line}\n" for line in _mapping(document, ""))


def _mapping(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        yield from _entry(f"{indent}{_text(key)}:", value, indent)


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield start
        yield from _mapping(value, f"{indent}  ")
    elif isinstance(value, (list, tuple)) and value:
        yield start
        yield from _sequence(value, indent)
    else:
        yield f"{start} {_scalar(value)}"


def _sequence(values: list[Any] | tuple[Any, ...], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, dict) and value:
            first, *rest = _mapping(value, f"{indent}  ")
            yield f"{indent}- {first.removeprefix(f'{indent}  ')}"
            yield from rest
        elif isinstance(value, (list, tuple)) and value:
            yield f"{indent}-"
            yield from _sequence(value, f"{indent}  ")
        else:
            yield f"{indent}- {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    written = json.dumps(value, allow_nan=False)
    # YAML 1.1 takes 1e-05 for text.
    is_bare = isinstance(value, float) and "e" in written and "." not in written
    return written.replace("e", ".0e") if is_bare else written


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if ord(char) in _SAFE else _escaped(char) for char in quoted)


def _escaped(char: str) -> str:
    return char if is_printable(char) else f"\\U{ord(char):08x}"
