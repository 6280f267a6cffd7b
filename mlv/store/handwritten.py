"""A model's own text, ``registry/<model>.md``: a YAML header, and Markdown.

It comes from whoever can push, so what it may hold is bounded.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

import yaml

from mlv.domain.card import NOTHING, Handwritten
from mlv.domain.document import is_finite
from mlv.domain.printable import is_printable
from mlv.errors import InvalidInput
from mlv.store import yamlread
from mlv.store.naming import FOLDER
from mlv.store.objects import FOLDER_MODE, REGULAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlv.store.git import Git
    from mlv.store.objects import Entry

_LARGEST = 200_000  # bytes
_DEEPEST = 10
# As the hub finds it.
_HEADER = re.compile(r"\s*---\n(?P<header>(?:.*\n)*?)---[ \t]*(?:\n|\Z)")


def path_of(model: str) -> str:
    """Give the path of a model's own text in the tree."""
    return f"{FOLDER}/{model}.md"


def entry_of(git: Git, root: Sequence[Entry], model: str) -> Entry | None:
    """Find a model's own text below the root of a tree; None if there is no such file."""
    folder = next((e for e in root if e.name == FOLDER and e.mode == FOLDER_MODE), None)
    entries = (git.objects.read_tree(folder.oid) if folder else None) or []
    return next((e for e in entries if e.name == f"{model}.md" and e.mode in REGULAR), None)


def read(git: Git, entry: Entry | None, model: str) -> Handwritten:
    """Read a model's own text; nothing where there is none. `InvalidInput` says what is wrong."""
    found = git.objects.read(entry.oid) if entry else None
    return parse(found.data, path_of(model)) if found else NOTHING


def parse(data: bytes, path: str) -> Handwritten:
    """Split a text into header and body; `InvalidInput` says what is wrong with it."""
    if len(data) > _LARGEST:
        raise _wrong(path, f"is larger than {_LARGEST // 1000} kB")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _wrong(path, "is not UTF-8") from None
    found = _HEADER.match(text)
    if not found:
        return Handwritten({}, text)
    try:
        header = _load(found["header"])
    except (yaml.YAMLError, ValueError) as error:
        raise _wrong(path, f"has a broken header: {str(error).splitlines()[0]}") from None
    return Handwritten(header, text[found.end() :])


def _load(text: str) -> dict[str, Any]:
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise ValueError("it repeats itself by aliases")  # which would grow with every version
    document = yamlread.load(text)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ValueError("it is no keys with values")  # noqa: TRY004 - of what somebody wrote
    plain: dict[str, Any] = _plain(document, _DEEPEST)
    return plain


def _plain(value: Any, depth: int) -> Any:
    """Give what YAML read as JSON values."""
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        return {_key(key): _plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth - 1) for inner in value]
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)) and is_finite(value):
        return value
    raise ValueError(f"it holds {type(value).__name__}, which a card does not")


def _key(key: object) -> str:
    if not isinstance(key, str) or not is_printable(key):
        raise ValueError(f"{key!r} is no key")
    return key


def _wrong(path: str, what: str) -> InvalidInput:
    return InvalidInput(f"{path} {what}", hint="it is a model card: a YAML header, then Markdown")
