"""Which of many versions are meant: their status, what they state, an order, and how many.

    conditions = condition { "and" condition }
    condition  = key operator value
    key        = [ "metrics." | "metadata." | "params." ] name      no prefix: a metric
    operator   = "<" | "<=" | ">" | ">=" | "=" | "!="               "==" is "=" too

A name or a value in double quotes, as JSON writes text, may hold anything; without them neither
holds spaces nor signs of operators. What does not state the key meets no condition on it.
"""

from __future__ import annotations

import json
import operator
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.document import is_finite
from mlv.domain.pointer import STATUSES
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlv.domain.manifest import Manifest

    Listed = tuple[Manifest, str]
    Order = Callable[[Listed], Any]

METRICS, METADATA, PARAMS = "metrics", "metadata", "params"
NUMBER, DATE = "number", "date"
_EXAMPLE = "roc_auc>0.95, or roc_auc>=0.9 and metadata.data_window=last_90_days"
_AND = "and"
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_UNEQUAL = "!="
_EQUAL = ("=", "==", _UNEQUAL)
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign><=|>=|==|!=|[<>=])|(?P<word>(?:[^\s"<>=!]|!(?!=))+))'
)
_SIGN, _WORD = "sign", "word"
_NOTHING = ("", "")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_SHOWN = 10
_PLAIN = {float, int, str}


class Key(NamedTuple):
    """A value that versions may state: one of their metrics, metadata or parameters."""

    source: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read ``roc_auc``, ``metrics.roc_auc``, ``metadata.data_window``, ``params.rate``."""
        source, dot, name = text.partition(".")
        if dot and name and source in (METRICS, METADATA, PARAMS):
            return cls(source, name)
        return cls(METRICS, text)

    def __str__(self) -> str:
        """Write it in full."""
        return f"{self.source}.{self.name}"

    def read(self, manifest: Manifest) -> Any:
        """Give what a version states, of parameters the first file's; None for nothing."""
        if self.source == METRICS:
            return manifest.data[METRICS].get(self.name)
        if self.source == METADATA:
            return _within(manifest.data["metadata"], self.name)
        files = (manifest.data["lineage"].get("stage") or {}).get("params")
        if not isinstance(files, dict):
            return None
        found = (_within(file, self.name) for file in files.values())
        return next((value for value in found if value is not None), None)


class Condition(NamedTuple):
    """What a version must state. ``number`` is None where ``text`` is none, or was quoted."""

    key: Key
    sign: str
    text: str
    number: float | None

    def is_met(self, manifest: Manifest) -> bool:
        """Whether a version meets it: numbers are held against numbers, texts against texts."""
        stated = _plain(self.key.read(manifest))
        if stated is None:
            return False
        asked = self.text if isinstance(stated, str) else self.number
        if asked is None:
            return self.sign == _UNEQUAL
        if isinstance(stated, str) and self.number is not None and self.sign not in _EQUAL:
            return False
        return _COMPARE[self.sign](stated, asked)


class Selection(NamedTuple):
    """Which versions, in which order, and how many of these; the default is all, by number."""

    statuses: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()
    sort: str | Key | None = None
    descending: bool = False
    limit: int | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The values that it looks at, each once."""
        sorted_by = (self.sort,) if isinstance(self.sort, Key) else ()
        return tuple(dict.fromkeys([*(each.key for each in self.conditions), *sorted_by]))

    def of(self, versions: Sequence[Listed]) -> list[Listed]:
        """Choose from versions in numeric order.

        Without ``sort``, a limit leaves those that were registered last.
        """
        found = [each for each in versions if not self.statuses or each[1] in self.statuses]
        for condition in self.conditions:
            found = [each for each in found if condition.is_met(each[0])]
        if self.sort is not None:
            return self._sorted(found)[: self.limit]
        if self.limit is None:
            return found
        return sorted(sorted(found, key=_date)[-self.limit :], key=_number)

    def unstated(self, versions: Sequence[Listed]) -> Iterator[str]:
        """Say which of its keys no version states, for such a one may be a slip."""
        for key in self.keys:
            if not versions or any(key.read(manifest) is not None for manifest, _ in versions):
                continue
            names = sorted({name for manifest, _ in versions for name in manifest.metrics})
            known = ", ".join(names[:_MOST_SHOWN]) or "none"
            yield f"no version states {key}" + (
                f"; metrics are {known}" if key.source == METRICS else ""
            )

    def _sorted(self, found: list[Listed]) -> list[Listed]:
        """Sort; what does not state the key stands last in either direction."""
        if self.sort == NUMBER:
            # The models stay in order: their numbers have nothing to do with each other.
            by_number = sorted(found, key=_number, reverse=self.descending)
            return sorted(by_number, key=lambda each: each[0].version.model)
        if not isinstance(self.sort, Key):
            return sorted(found, key=_date, reverse=self.descending)
        stated = [(_plain(self.sort.read(each[0])), each) for each in found]
        numbers = [pair for pair in stated if isinstance(pair[0], (int, float))]
        texts = [pair for pair in stated if isinstance(pair[0], str)]
        for kind in (numbers, texts):
            kind.sort(key=operator.itemgetter(0), reverse=self.descending)
        ranked = [*texts, *numbers] if self.descending else [*numbers, *texts]
        return [each for _, each in [*ranked, *(pair for pair in stated if pair[0] is None)]]


def parse(
    *,
    limit: int | None = None,
    status: str | Sequence[str] = (),
    where: str | Sequence[str] = (),
    sort: str | None = None,
) -> Selection:
    """Read what was asked for; versions are to meet all conditions and have one of the statuses."""
    statuses, wheres = ((each,) if isinstance(each, str) else each for each in (status, where))
    for name in statuses:
        if name not in STATUSES:
            raise InvalidInput(f"{name!r} is no status", hint=f"there are {', '.join(STATUSES)}")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidInput(f"{limit!r} is no number of versions", hint="the least is 1")
    conditions = tuple(condition for text in wheres for condition in parse_where(text))
    by, descending = _parse_sort(sort) if sort is not None else (None, False)
    return Selection(frozenset(statuses), conditions, by, descending, limit)


def _parse_sort(text: str) -> tuple[str | Key, bool]:
    name = text.removeprefix("-")
    if not name:
        raise InvalidInput(
            f"{text!r} is nothing to sort by",
            hint="name a metric, number or date; -date: latest first",
        )
    return (name if name in (NUMBER, DATE) else Key.parse(name)), name != text


def parse_where(text: str) -> list[Condition]:
    """Read conditions, as ``roc_auc>0.95 and metadata.data_window=last_90_days``."""
    tokens = list(_tokens(text))
    found = []
    while True:
        found.append(_condition(text, tokens[:3]))
        tokens = tokens[3:]
        if not tokens:
            return found
        if tokens[0] != (_WORD, _AND):
            raise _wrong(text, f"{tokens[0][1]} stands where only 'and' may")
        tokens = tokens[1:]


def _condition(text: str, tokens: list[tuple[str, str]]) -> Condition:
    (first, name), (second, sign), (kind, value) = [*tokens, _NOTHING, _NOTHING, _NOTHING][:3]
    if first in (_SIGN, ""):
        raise _wrong(text, "it lacks the name of a metric")
    if second != _SIGN:
        raise _wrong(text, "it lacks one of < <= > >= = != (a shell takes > for a file: quote it)")
    if kind in (_SIGN, ""):
        raise _wrong(text, "it lacks a value")
    key, number = Key.parse(_unquoted(text, name)), _parse_number(value) if kind == _WORD else None
    if key.source == METRICS and number is None:
        raise _wrong(text, f"{key.name} is a metric, and {value} is no number")
    return Condition(key, sign, _unquoted(text, value), number)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _wrong(text, f"what begins at {text[at:].strip()[:20]!r} cannot be read")
        at = match.end()
        yield match.lastgroup, match[match.lastgroup]


def _unquoted(text: str, token: str) -> str:
    if not token.startswith('"'):
        return token
    try:
        return str(json.loads(token))
    except ValueError:
        raise _wrong(text, f"{token} is no text as JSON writes it") from None


def _parse_number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    is_whole = text.removeprefix("-").isdigit()
    number = int(text) if is_whole and is_finite(float(text)) else float(text)
    return number if is_finite(number) else None


def _wrong(text: str, what: str) -> InvalidInput:
    return InvalidInput(f"{text!r} is no condition: {what}", hint=f"write {_EXAMPLE}")


def _plain(value: Any) -> float | str | None:
    """Give a number or a text as it is; what else JSON has, as JSON writes it."""
    return value if value is None or type(value) in _PLAIN else json.dumps(value)


def _within(values: Any, name: str) -> Any:
    """Find ``train.rate`` in ``{"train.rate": 1}`` or ``{"train": {"rate": 1}}``."""
    if not isinstance(values, dict):
        return None
    if name in values:
        return values[name]
    outer, dot, inner = name.partition(".")
    return _within(values.get(outer), inner) if dot else None


def _date(version: Listed) -> tuple[str, int]:
    manifest, _ = version
    return manifest.data["registered_at"], manifest.version.number


def _number(version: Listed) -> tuple[str, int]:
    model, number = version[0].version
    return model, number
