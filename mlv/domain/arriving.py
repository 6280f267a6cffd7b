"""What another registry says of a model, put into mlv's words; what these cannot say is named.

Its notes are for people: nothing that was there is lost without a word.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.document import is_finite
from mlv.domain.manifest import MODEL, is_key
from mlv.domain.names import Version, name_of
from mlv.domain.pointer import (
    ARCHIVED,
    PRODUCTION,
    REGISTERED,
    STAGING,
    YANKED,
    Pointer,
    is_withdrawn,
)
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.manifest import Manifest

IMPORTED = "imported"  # the key of a manifest's metadata that says where a version came from
_LONGEST = 500  # characters of a text that says what a metric was


class Said(NamedTuple):
    """What another registry says of a model: ``status`` of every version, by number."""

    status: Mapping[int, str]
    current: int | None = None
    previous: int | None = None


class Settled(NamedTuple):
    """A pointer that says it, as far as pointers can, and what it cannot say."""

    pointer: Pointer
    notes: tuple[str, ...] = ()


# Statuses ----------------------------------------------------------------------------------


def settle(model: str, said: Said) -> Settled:
    """Make a model's first pointer of what another registry says.

    What is live there is live here; `InvalidInput` if that is no version of it.
    """
    current = said.current
    if current is not None and current not in said.status:
        raise not_coming_in(current)
    status = {n: s for n, s in sorted(said.status.items()) if s != REGISTERED}
    notes = [*_one_live(status, current), *_one_staged(status)]
    previous, told = _previous(said, status)
    return Settled(Pointer(model, current, previous, status), (*notes, *told))


def not_coming_in(current: int) -> InvalidInput:
    """Say that what is live does not come in."""
    return InvalidInput(
        f"v{current} is said to be live, and is not among the versions that come in",
        hint="mend it where it comes from: which version is live must not be a guess",
    )


def renumbered(said: Said, numbers: Mapping[int, int]) -> tuple[Said, list[str]]:
    """Say it in the numbers that versions have here, and name what is live and does not come in."""
    were = ((said.current, "be live"), (said.previous, "have been live before"))
    absent = [
        f"v{number} is said to {what}, and does not come in"
        for number, what in were
        if number is not None and number not in numbers
    ]
    status = {numbers[n]: was for n, was in said.status.items()}
    live, before = (numbers.get(n or 0) for n in (said.current, said.previous))
    return Said(status, live, before), absent


def _one_live(status: dict[int, str], current: int | None) -> list[str]:
    notes = []
    for number, was in status.items():
        if was == PRODUCTION and number != current:
            status[number] = ARCHIVED
            live = f"and {name_of(current)} is live" if current else "and nothing is live"
            notes.append(f"v{number} is said to be in production, {live}: it is archived")
    if current is not None:
        was = status.get(current, REGISTERED)
        if is_withdrawn(was):
            notes.append(f"v{current} is said to be {was}, and is live: it is in production")
        status[current] = PRODUCTION
    return notes


def _one_staged(status: dict[int, str]) -> list[str]:
    *older, _ = [n for n, was in status.items() if was == STAGING] or [0]
    for number in older:
        del status[number]
    return [
        f"v{number} is said to be in staging, and so is a newer one: it is registered"
        for number in older
    ]


def _previous(said: Said, status: dict[int, str]) -> tuple[int | None, list[str]]:
    """Give the version that a rollback goes back to, and see that one may."""
    number = said.previous
    if number is None:
        return None, []
    if said.current is None:
        return None, [f"v{number} is said to have been live before, and nothing is live"]
    if number == said.current:
        return None, [f"v{number} is said to be live, and to have been live before it"]
    if number not in said.status:
        return None, [f"v{number} is said to have been live before, and does not come in"]
    if number not in status:
        status[number] = ARCHIVED  # it was live: a rollback may want it
    return number, []


def join(pointer: Pointer, said: Said) -> Settled:
    """Have versions come to a model of which something is decided here: that stands.

    What is yanked elsewhere is yanked; everything else is registered, for it was not live here.
    A version whose status is decided here keeps it.
    """
    came = {n: was for n, was in sorted(said.status.items()) if n not in pointer.status}
    yanked = {n: was for n, was in came.items() if was == YANKED}
    notes = []
    for number in (n for n in came if n == said.current or came[n] == STAGING):
        verb, where = ("promote", "live") if number == said.current else ("stage", "in staging")
        tag = Version(pointer.model, number).tag
        notes.append(f"{tag} is {where} there: mlv {verb} {tag} puts it {where} here")
    return Settled(pointer._replace(status={**pointer.status, **yanked}), tuple(notes))


def identity(manifest: Manifest) -> tuple[str, ...] | None:
    """Say which version of another registry it is; None where it came from none.

    By what cannot change there: where it came from, its date and its model.
    """
    told = manifest.data["metadata"].get(IMPORTED)
    if not isinstance(told, dict) or not {"from", "version"} <= told.keys():
        return None
    date, model = manifest.data["registered_at"], manifest.artifacts[MODEL].sha256
    return str(told["from"]), str(told["version"]), date, model


# Times -------------------------------------------------------------------------------------


class Moment(NamedTuple):
    """A time as a manifest writes it, and whether it came without a zone: then UTC is meant."""

    text: str
    is_naive: bool


def moment(text: object) -> Moment:
    """Read a time in ISO 8601, or seconds since 1970; `InvalidInput` if it is neither."""
    try:
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            found = datetime.fromtimestamp(text, UTC)
        else:
            found = datetime.fromisoformat(str(text).strip())
        is_naive = found.tzinfo is None
        found = found.replace(tzinfo=UTC) if is_naive else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{str(text)[:60]!r} is no time", hint="write 2026-05-01T21:00:00Z"
        ) from None
    return Moment(f"{found.replace(microsecond=0, tzinfo=None).isoformat()}Z", is_naive)


# Metrics and metadata ----------------------------------------------------------------------


class Tidy(NamedTuple):
    """What a manifest can hold under its own name, and the rest: as text, or by a long name."""

    kept: dict[str, Any]
    rest: dict[str, Any]


def tidy_metrics(metrics: Mapping[Any, Any]) -> Tidy:
    """Sort metrics into finite numbers, and what no gate could judge: NaN, text, nested ones."""
    kept: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in metrics.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and is_finite(value) and is_key(name):
            kept[name] = value
        else:
            rest[_text(name)] = _plain(value)
    return Tidy(kept, rest)


def tidy_metadata(metadata: Mapping[Any, Any]) -> Tidy:
    """Sort metadata into what has a name for a manifest, and what has not; values become JSON."""
    kept: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in metadata.items():
        (kept if is_key(name) else rest)[_text(name)] = _plain(value)
    return Tidy(kept, rest)


def _plain(value: Any, depth: int = 10) -> Any:
    """Give what JSON can write of a value; text where it cannot."""
    if isinstance(value, dict) and depth:
        return {_text(key): _plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth:
        return [_plain(inner, depth - 1) for inner in value]
    if value is None or isinstance(value, (bool, str)):
        return _text(value) if isinstance(value, str) else value
    if isinstance(value, (int, float)) and is_finite(value):
        return value
    if isinstance(value, float):
        return "nan" if math.isnan(value) else str(value)
    return _brief(value)


def _text(value: object) -> str:
    return str(value).encode(errors="replace").decode()


def _brief(value: object) -> str:
    try:
        return _text(value)[:_LONGEST]
    except ValueError:  # an integer that Python finds too long to write
        return f"a huge {type(value).__name__}"
