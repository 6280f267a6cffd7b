"""Reading JSON that anybody may have written: what could be read in two ways is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_ESCAPE = b"\\u"
_HALF_CHARACTER = b"\\ud"  # how JSON escapes one half of a surrogate pair
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS = b"0" * 300  # a float holds a little more


def read(data: bytes, *, many: bool = False) -> Any:
    """Parse JSON strictly; `ValueError` says what is wrong with it.

    Refused beside what is no JSON: a key twice, NaN and infinite or huge numbers, half characters,
    nesting without end. ``many`` is for thousands of documents: what is written just as mlv
    writes it holds none of these, and is read several times as fast.
    """
    document = _read_own(data) if many else None
    return _read(data) if document is None else document


def _read_own(data: bytes) -> Any:
    """Parse a document that comes out the same when it is written again; None for any other."""
    import orjson  # for thousands only: importing it takes longer than parsing some

    try:
        document = orjson.loads(data)
        again = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return document if again == data else None


def _read(data: bytes) -> Any:
    try:
        decoder = _SLOW if _MANY_DIGITS in data.translate(_AS_ZEROS) else _QUICK
        document = decoder.decode(data.decode())
        if _ESCAPE in data and _HALF_CHARACTER in data.lower():
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested without end") from None
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if not is_finite(number):
        raise ValueError("a number is too large")
    return number


def is_finite(number: float) -> bool:
    """Whether a number is finite, and not larger than a float can say."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def plain(value: Any) -> Any:
    """Give what YAML or TOML read as JSON values; what JSON has no word for becomes text."""
    if isinstance(value, dict):
        return {_utf8(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    is_said = isinstance(value, (int, float)) and is_finite(value)
    return value if value is None or is_said else _utf8(value)


def _utf8(value: Any) -> str:
    return str(value).encode(errors="backslashreplace").decode()  # YAML can write half characters


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object for `json` of its keys and values; `ValueError` if a key stands twice."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document


# Numbers are read by json itself where none can be too large: a history reads thousands.
_QUICK = json.JSONDecoder(
    parse_constant=_no_number, parse_float=_finite, object_pairs_hook=once_each
)
_SLOW = json.JSONDecoder(
    parse_constant=_no_number, parse_float=_finite, parse_int=_whole, object_pairs_hook=once_each
)
