"""The pointer: which version is live, and every status. The only file that moves.

A state machine: each verb takes a `Pointer` and gives the next one, or raises `StatusError`.
A version whose status is not listed is ``registered``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.document import read
from mlv.domain.names import Version, name_of, parse_number
from mlv.errors import IntegrityError, InvalidInput, NoPreviousVersion, StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTERED, STAGING, PRODUCTION = "registered", "staging", "production"
ARCHIVED, YANKED, PURGED = "archived", "yanked", "purged"
STAGE, PROMOTE, ROLLBACK = "stage", "promote", "rollback"
YANK, UNYANK, PURGE = "yank", "unyank", "purge"
IMPORT = "import"  # a whole pointer, from another registry: `domain.arriving`
MOVING = (STAGE, PROMOTE, ROLLBACK)  # what is live, or about to be
GATED = (STAGE, PROMOTE)
STATUSES = (REGISTERED, STAGING, PRODUCTION, ARCHIVED, YANKED, PURGED)


class Pointer(NamedTuple):
    """What is live of one model, as version numbers.

    ``status`` lists every version that is not merely registered; ``forced`` are those among them
    that were last staged or promoted although they did not meet the gate.
    """

    model: str
    current: int | None
    previous: int | None
    status: Mapping[int, str]
    forced: frozenset[int] = frozenset()

    def status_of(self, number: int) -> str:
        """One of `STATUSES`."""
        return self.status.get(number, REGISTERED)

    @property
    def staging(self) -> int | None:
        """The one version in staging, if any."""
        return next((n for n, status in self.status.items() if status == STAGING), None)

    def to_bytes(self) -> bytes:
        """Write it indented, one status a line, newest first, so that a diff reads well."""
        newest_first = sorted(self.status, reverse=True)
        forced = [f"v{n}" for n in newest_first if n in self.forced]
        document = {
            "model": self.model,
            "current": name_of(self.current),
            "previous": name_of(self.previous),
            **({"forced": forced} if forced else {}),
            "status": {f"v{n}": self.status[n] for n in newest_first},
        }
        return (json.dumps(document, indent=2) + "\n").encode()


def is_first(pointer: Pointer) -> bool:
    """Whether one step makes this pointer of none, so that reverting it leaves none."""
    return len(pointer.status) == 1 and pointer.previous is None


def empty(model: str) -> Pointer:
    """Give the pointer of a model of which nothing was ever staged or live."""
    return Pointer(model, None, None, {})


def stage(pointer: Pointer, number: int, *, forced: bool = False) -> Pointer:
    """Put a registered or archived version in staging; the one staged before steps back.

    ``forced``: although it does not meet the gate.
    """
    now = pointer.status_of(number)
    if now == STAGING:
        return pointer
    if now == PRODUCTION:
        raise StatusError(
            f"{_tag(pointer, number)} is live already", hint="staging comes before production"
        )
    _refuse_withdrawn(pointer, number, now)
    status = {n: s for n, s in pointer.status.items() if s != STAGING}
    if pointer.staging is not None and pointer.staging == pointer.previous:
        status[pointer.staging] = ARCHIVED  # it was live: a rollback may want it
    after = pointer._replace(status={**status, number: STAGING})
    return _with_forced(after, number, forced=forced)


def promote(pointer: Pointer, number: int, *, forced: bool = False) -> Pointer:
    """Put a version in production; the one that was live is archived and becomes previous.

    Promoting what is live gives the pointer back as it is. ``forced``: although it does not meet
    the gate.
    """
    if number == pointer.current:
        return pointer
    _refuse_withdrawn(pointer, number, pointer.status_of(number))
    after = _live(pointer, number, previous=pointer.current)
    return _with_forced(after, number, forced=forced)


def rollback(pointer: Pointer, to: int | None = None) -> Pointer:
    """Go back to the previous version, or to an archived one; previous is then empty."""
    if pointer.current is None:
        raise NoPreviousVersion(
            f"No previous version to roll back to: nothing of {pointer.model!r} is live",
            hint="mlv promote REF puts a version live",
        )
    target = pointer.previous if to is None else to
    if target is None:
        raise NoPreviousVersion(
            f"No previous version to roll back to: {_tag(pointer, pointer.current)} "
            "is the first, or was itself rolled back to",
            hint=_name_another(pointer),
        )
    if target == pointer.current:
        raise StatusError(f"{_tag(pointer, target)} is live already", hint=_name_another(pointer))
    status = pointer.status_of(target)
    if status != ARCHIVED and (target, status) != (pointer.previous, STAGING):
        raise StatusError(
            f"cannot roll back to {_tag(pointer, target)}: it is {status}",
            hint=_name_another(pointer),
        )
    return _live(pointer, target, previous=None)


def yank(pointer: Pointer, number: int) -> Pointer:
    """Withdraw a version that is not live: it is never promoted or loaded again.

    Yanking what is yanked gives the pointer back as it is. A yanked previous version stays the
    previous one: rolling back then stops and asks for another.
    """
    now = pointer.status_of(number)
    if now == PRODUCTION:
        raise StatusError(
            f"{_tag(pointer, number)} is live: it cannot be yanked",
            hint="put another version live first: mlv rollback, or mlv promote REF",
        )
    if now == PURGED:
        raise StatusError(
            f"{_tag(pointer, number)} is purged: it cannot be yanked",
            hint="its bytes are gone, so nothing can load it any more",
        )
    return pointer._replace(status={**pointer.status, number: YANKED})


def unyank(pointer: Pointer, number: int) -> Pointer:
    """Take a yank back: the version is archived. An archived one gives the pointer back."""
    now = pointer.status_of(number)
    if now not in (YANKED, ARCHIVED):
        raise StatusError(
            f"{_tag(pointer, number)} is not yanked: it is {now}", hint="mlv list shows the yanked"
        )
    return pointer._replace(status={**pointer.status, number: ARCHIVED})


def purge(pointer: Pointer, number: int) -> Pointer:
    """Note that the bytes of an archived version are given up; its record stays.

    Purging what is purged gives the pointer back as it is.
    """
    now = pointer.status_of(number)
    if now == PURGED:
        return pointer
    if now != ARCHIVED:
        raise StatusError(
            f"{_tag(pointer, number)} is {now}: only archived versions are purged",
            hint="mlv list shows which these are",
        )
    if number == pointer.previous:
        raise StatusError(
            f"{_tag(pointer, number)} is what a rollback goes back to: it is not purged",
            hint="it can be once another version was promoted",
        )
    return pointer._replace(status={**pointer.status, number: PURGED})


def purgeable(pointer: Pointer, keep_last_n: int) -> list[int]:
    """Name the archived versions but the newest ``keep_last_n``, oldest first, by number.

    The previous version is never among them.
    """
    if isinstance(keep_last_n, bool) or not isinstance(keep_last_n, int) or keep_last_n < 0:
        raise InvalidInput(
            f"{keep_last_n!r} archived versions cannot be kept", hint="give 0 or more"
        )
    archived = sorted(n for n, status in pointer.status.items() if status == ARCHIVED)
    older = archived[: max(len(archived) - keep_last_n, 0)]
    return [number for number in older if number != pointer.previous]


_GATED = {STAGE: stage, PROMOTE: promote}
_STEPS = {YANK: yank, UNYANK: unyank, PURGE: purge}


def decide(
    pointer: Pointer, action: str, number: int | None, *, forced: bool = False
) -> tuple[Pointer, int]:
    """Take a step by its name; give the next pointer and the version that it is about.

    ``forced`` says of staging and promoting that the version does not meet the gate.
    """
    if action == ROLLBACK:
        after = rollback(pointer, number)
        return after, after.current or 0
    if number is None:
        raise StatusError(f"{action} needs a version", hint="name one: v3")
    if action in _GATED:
        return _GATED[action](pointer, number, forced=forced), number
    return _STEPS[action](pointer, number), number


def _with_forced(pointer: Pointer, number: int, *, forced: bool) -> Pointer:
    """Say whether a version was forced; one that is merely registered is not any more."""
    known = pointer.forced | {number} if forced else pointer.forced - {number}
    return pointer._replace(forced=frozenset(n for n in known if n in pointer.status))


def _live(pointer: Pointer, number: int, *, previous: int | None) -> Pointer:
    status = dict(pointer.status)
    if pointer.current is not None:
        status[pointer.current] = ARCHIVED
    status[number] = PRODUCTION
    return pointer._replace(current=number, previous=previous, status=status)


def _refuse_withdrawn(pointer: Pointer, number: int, status: str) -> None:
    if is_withdrawn(status):
        raise StatusError(
            f"{_tag(pointer, number)} is {status}",
            hint="a yanked or purged version does not go live: choose another, mlv list shows them",
        )


def _name_another(pointer: Pointer) -> str:
    archived = sorted((n for n, s in pointer.status.items() if s == ARCHIVED), reverse=True)
    if not archived:
        return "no other version was live before: mlv promote REF goes forward"
    names = ", ".join(f"v{n}" for n in archived[:5])
    return (
        f"name a version that was live before ({names}): "
        f'mlv rollback --to v{archived[0]}, or rollback(to="v{archived[0]}")'
    )


def _tag(pointer: Pointer, number: int) -> str:
    return Version(pointer.model, number).tag


_KEYS = {"model", "current", "previous", "status"}


def parse(data: bytes, model: str) -> Pointer:
    """Read ``pointer.json`` of ``model`` strictly; `IntegrityError` says what is wrong with it."""
    try:
        document = read(data)
    except ValueError as error:
        raise _wrong(model, f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or document.keys() - {"forced"} != _KEYS:
        raise _wrong(model, "it needs exactly model, current, previous and status")
    if document["model"] != model:
        raise _wrong(model, f"it belongs to the model {document['model']!r}")
    if not isinstance(document["status"], dict):
        raise _wrong(model, "status is not an object")
    status = {}
    for name, value in document["status"].items():
        number = parse_number(name)
        if number is None or value not in STATUSES[1:]:
            raise _wrong(model, f"status {name!r}: {value!r} is not a version with a status")
        status[number] = value
    pointer = Pointer(
        model,
        _read(model, document, "current"),
        _read(model, document, "previous"),
        status,
        _read_forced(model, document),
    )
    _check(pointer)
    return pointer


def is_withdrawn(status: str) -> bool:
    """Whether a version of this status is neither promoted nor handed out."""
    return status in (YANKED, PURGED)


def _read(model: str, document: dict[str, object], key: str) -> int | None:
    value = document[key]
    number = parse_number(value)
    if value is not None and number is None:
        raise _wrong(model, f"{key} {value!r} is not a version")
    return number


def _read_forced(model: str, document: dict[str, object]) -> frozenset[int]:
    if "forced" not in document:
        return frozenset()
    names = document["forced"]
    numbers = [parse_number(name) for name in names] if isinstance(names, list) else []
    found = frozenset(n for n in numbers if n is not None)
    if not found or len(found) != len(numbers):
        raise _wrong(model, "forced does not list versions, each once")
    return found


def _check(pointer: Pointer) -> None:
    for number in sorted(pointer.forced - pointer.status.keys()):
        raise _wrong(pointer.model, f"forced names v{number}, which has no status")
    live = [n for n, status in pointer.status.items() if status == PRODUCTION]
    if live != ([] if pointer.current is None else [pointer.current]):
        raise _wrong(
            pointer.model,
            f"current is {name_of(pointer.current)}, but in production is "
            f"{', '.join(f'v{n}' for n in live) or 'nothing'}",
        )
    if sum(status == STAGING for status in pointer.status.values()) > 1:
        raise _wrong(pointer.model, "more than one version is in staging")
    if pointer.previous is not None and (
        pointer.previous == pointer.current or pointer.current is None
    ):
        raise _wrong(pointer.model, f"previous is {name_of(pointer.previous)}, which cannot be")


def _wrong(model: str, what: str) -> IntegrityError:
    path = f"registry/{model}/pointer.json"
    return IntegrityError(
        f"{path} was not written by mlv: {what}",
        hint=f"git log -p -- {path} shows who changed it; git revert that commit",
    )
