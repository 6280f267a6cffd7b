"""Asking a web server something."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mlv.errors import InvalidInput

OK = 200
_LARGEST = 1_000_000  # bytes of an answer that are read


class Answer(NamedTuple):
    """A status code, 0 if there was no answer; and the JSON object that came, or why none did."""

    code: int
    document: dict[str, Any]
    trouble: str = ""


def check_url(url: str) -> str:
    """Give an address back if it can be asked; else raise `InvalidInput`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInput(f"{url!r} is no http(s) address", hint="https://host/ready")
    return url


def get(url: str, patience: float, **query: str) -> Answer:
    """Ask for an address, with ``query`` added to it, and wait ``patience`` seconds for each word.

    Whatever goes wrong is told, not raised.
    """
    parts = urlsplit(check_url(url))
    asked = urlencode({**dict(parse_qsl(parts.query)), **query})
    full = urlunsplit((*parts[:3], asked, ""))
    try:
        with urllib.request.urlopen(full, timeout=patience) as response:  # noqa: S310 - checked
            return _read(response.status, response.read(_LARGEST))
    except urllib.error.HTTPError as error:
        with error:
            return _read(error.code, error.read(_LARGEST))
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return Answer(0, {}, f"it does not answer: {reason}")


def _read(code: int, body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return Answer(code, {}, f"it answers {code}, and not as mlv serve does")
    return Answer(code, document)
