"""History: what the pointers of a branch tell, one after the other.

Events are read from what a pointer was and what it became. Messages and trailers decide nothing:
whoever merges may rewrite them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.names import name_of
from mlv.domain.pointer import (
    ARCHIVED,
    GATED,
    IMPORT,
    PROMOTE,
    PURGE,
    PURGED,
    REGISTERED,
    ROLLBACK,
    STAGE,
    STAGING,
    UNYANK,
    YANK,
    YANKED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlv.domain.pointer import Pointer

REGISTER = "register"
# What no verb alone brings about: an edit by hand, or several steps squashed into one commit.
CHANGED = "changed"
KINDS = (REGISTER, STAGE, PROMOTE, ROLLBACK, YANK, UNYANK, PURGE, IMPORT, CHANGED)

# What `changed` tells of a pointer as a whole, in place of statuses.
READABLE, UNREADABLE, MISSING = "readable", "unreadable", "missing"
# And of a version of which only that was changed.
FORCED, NOT_FORCED = "forced past the gate", "not forced"

_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999
# `Signed-off-by: ...`; the dash keeps a sentence such as "Note: ..." out of it.
_TRAILER = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)+: .*|[ \t]+\S.*|-{3,}")


class Step(NamedTuple):
    """One thing that happened to one version (to none: to the pointer as a whole).

    ``was`` is what was live before; ``before`` and ``after`` are statuses of the version.
    ``forced``: it was staged or promoted although it did not meet the gate.
    """

    kind: str
    model: str
    number: int | None
    was: int | None
    before: str | None = None
    after: str | None = None
    forced: bool = False


FIELDS = (
    "time", "action", "model", "version", "was", "status_before", "status", "author", "committer",
    "reason", "commit", "uncertain_since", "forced",
)  # fmt: skip


class Event(NamedTuple):
    """A step, and the commit by which it came onto the registry branch.

    Times are seconds since 1970. ``at`` is when it went live (`landing.times`). ``committer`` is
    whoever committed or merged; a registration has none. ``since`` is set where a merge leaves
    open when the step went live: it may have been as early as that.
    """

    step: Step
    at: int
    author: str
    committer: str | None
    reason: str | None
    commit: str
    since: int | None = None

    @property
    def forced(self) -> bool:
        """Whether a version was staged or promoted although it did not meet the gate."""
        return self.step.forced

    def to_dict(self) -> dict[str, Any]:
        """Give it to a reader, with times in UTC."""
        step = self.step
        values = (
            timestamp(self.at), step.kind, step.model, name_of(step.number), name_of(step.was),
            step.before, step.after, self.author, self.committer, self.reason, self.commit,
            None if self.since is None else timestamp(self.since), self.forced,
        )  # fmt: skip
        return dict(zip(FIELDS, values, strict=True))


def timestamp(seconds: float) -> str:
    """Write a time in UTC as RFC 3339 does; one that no calendar has as the nearest it has."""
    whole = int(min(max(seconds, _EARLIEST), _LATEST))
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[: -len('+00:00')]}Z"


def arrange(moves: Sequence[Event], registrations: Sequence[Event]) -> list[Event]:
    """Put events in order, oldest first; ``moves`` are in the order of the branch.

    A version is registered before anything else befalls it, and numbers are given in order,
    whatever the clocks of the machines said.
    """
    first = {(m.step.model, m.step.number): m.at for m in reversed(moves)}
    bounds: dict[str, int] = {}
    placed: list[tuple[int, Event]] = []
    for event in sorted(registrations, key=lambda e: (e.step.model, e.step.number or 0))[::-1]:
        model, number = event.step.model, event.step.number
        bounds[model] = min(
            event.at, first.get((model, number), event.at), bounds.get(model, event.at)
        )
        placed.append((bounds[model], event))
    placed.reverse()
    placed += [(move.at, move) for move in moves]
    return [event for _, event in sorted(placed, key=lambda each: each[0])]


def steps(before: Pointer, after: Pointer, numbers: Iterable[int] | None = None) -> list[Step]:
    """Say what leads from one pointer of a model to the next; nothing for the same pointer.

    ``numbers`` may name the versions whose status can differ, where that is known.
    """
    if numbers is None:
        numbers = before.status.keys() | after.status.keys()
    changed = {
        n: (before.status_of(n), after.status_of(n))
        for n in sorted(numbers)
        if before.status_of(n) != after.status_of(n)
    }
    told = [*_went_live(before, after, changed), *_staged(before, after, changed)]
    explained = {n for _, _, numbers in told for n in numbers}
    found = [(kind, number) for kind, number, _ in told]
    for number, (was, now) in changed.items():
        if now in _WITHDRAWAL:
            found.append((_WITHDRAWAL[now], number))
        elif number not in explained:
            found.append((_kind(before, was, now), number))
    result = [
        Step(
            kind, after.model, n, before.current, before.status_of(n), after.status_of(n),
            kind in GATED and n in after.forced,
        )
        for kind, n in found
    ]  # fmt: skip
    result += _forced_by_hand(before, after)
    if _previous_is_odd(before, after):
        result.append(
            Step(
                CHANGED, after.model, None, before.current,
                f"previous {name_of(before.previous)}", f"previous {name_of(after.previous)}",
            )
        )  # fmt: skip
    return result


def _kind(before: Pointer, was: str, now: str) -> str:
    """Say what became of a version that no step of another explains."""
    if (was, now) == (YANKED, ARCHIVED):
        return UNYANK
    return CHANGED if before.status else IMPORT  # the first pointer: it was live elsewhere


_WITHDRAWAL = {YANKED: YANK, PURGED: PURGE}
_Changed = dict[int, tuple[str, str]]
# A kind, the version it befell, and the versions whose new status it explains.
_Told = tuple[str, int, set[int]]


def _went_live(before: Pointer, after: Pointer, changed: _Changed) -> Iterator[_Told]:
    """Tell a promotion from a rollback, and what either does to other versions."""
    number, left = after.current, before.current
    if number is None or number == left:
        return
    was_live = before.status_of(number) == ARCHIVED or number == before.previous
    back = was_live and after.previous != left
    explained = {number}
    # A revert gives the version that is left its earlier status back, whichever that was.
    if left is not None and (back or after.status_of(left) == ARCHIVED):
        explained.add(left)
    # Two promotions squashed into one commit: the first was live on the way.
    if not back and after.previous in changed and after.status_of(after.previous) == ARCHIVED:
        explained.add(after.previous)
    yield (ROLLBACK if back else PROMOTE), number, explained


def _staged(before: Pointer, after: Pointer, changed: _Changed) -> Iterator[_Told]:
    number = next((n for n, (_, now) in changed.items() if now == STAGING), None)
    if number is None or (number == before.current and before.previous == after.current):
        return  # nothing, or the promotion of a staged version was reverted
    stood = {n for n, (was, _) in changed.items() if was == STAGING}
    yield STAGE, number, {number, *(n for n in stood if changed[n][1] in (REGISTERED, ARCHIVED))}


def _forced_by_hand(before: Pointer, after: Pointer) -> Iterator[Step]:
    """Tell of versions that count as forced, or no longer do, though nothing else befell them."""
    for n in sorted(before.forced ^ after.forced):
        if before.status_of(n) == after.status_of(n):
            was, now = (FORCED if n in each.forced else NOT_FORCED for each in (before, after))
            yield Step(CHANGED, after.model, n, before.current, was, now)


def _previous_is_odd(before: Pointer, after: Pointer) -> bool:
    """Whether ``previous`` alone was changed, which only an edit does."""
    if after.previous == before.previous or after.current != before.current:
        return False
    gone = before.previous is not None and after.status_of(before.previous) in _WITHDRAWAL
    return after.previous is not None or not gone


def reason(message: str) -> str | None:
    """Give the body of a commit's message without its trailers; None if nothing is left."""
    _, _, body = message.replace("\r\n", "\n").strip().partition("\n\n")
    paragraphs = [p for p in re.split(r"\n\s*\n", body) if not _is_trailers(p)]
    return "\n\n".join(p.strip("\n") for p in paragraphs).strip() or None


def _is_trailers(paragraph: str) -> bool:
    return all(_TRAILER.fullmatch(line) for line in paragraph.strip("\n").split("\n"))
