"""History: what the pointers of a branch tell, one after the other.

Events are read from what a pointer was and what it became. Messages and trailers decide nothing:
whoever merges may rewrite them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.pointer import (
    ARCHIVED,
    PROMOTE,
    PURGED,
    REGISTERED,
    ROLLBACK,
    STAGE,
    YANKED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.domain.pointer import Pointer

REGISTER, YANK, UNYANK, PURGE = "register", "yank", "unyank", "purge"
# What no verb alone brings about: an edit by hand, or several steps squashed into one commit.
CHANGED = "changed"
KINDS = (REGISTER, STAGE, PROMOTE, ROLLBACK, YANK, UNYANK, PURGE, CHANGED)

# `Signed-off-by: ...`; the dash keeps a sentence such as "Note: ..." out of it.
_TRAILER = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)+: .*|[ \t]+\S.*|-{3,}")


class Step(NamedTuple):
    """One thing that happened to one version (to none: to the pointer as a whole).

    ``was`` is what was live before; ``before`` and ``after`` are statuses of the version.
    """

    kind: str
    model: str
    number: int | None
    was: int | None
    before: str | None = None
    after: str | None = None


class Event(NamedTuple):
    """A step, and the commit by which it came onto the registry branch.

    Times are seconds since 1970. ``at`` is when it went live: never before what it was built on.
    ``committer`` is whoever committed or merged; a registration has none. ``since`` is set where
    a merge leaves it open when the step went live: it may have been as early as that.
    """

    step: Step
    at: int
    author: str
    committer: str | None
    reason: str | None
    commit: str
    since: int | None = None


def steps(before: Pointer, after: Pointer) -> list[Step]:
    """Say what leads from one pointer of a model to the next; nothing for the same pointer."""
    changed = {
        n: (before.status_of(n), after.status_of(n))
        for n in sorted(before.status.keys() | after.status.keys())
        if before.status_of(n) != after.status_of(n)
    }
    told = [*_went_live(before, after, changed), *_staged(before, after, changed)]
    found = [(kind, n) for kind, n, _ in told]
    explained = {n for _, _, numbers in told for n in numbers}
    for number, (was, now) in changed.items():
        if now == YANKED:
            found.append((YANK, number))
        elif now == PURGED:
            found.append((PURGE, number))
        elif (was, now) == (YANKED, ARCHIVED) and number not in explained:
            found.append((UNYANK, number))
        elif number not in explained:
            found.append((CHANGED, number))
    result = [
        Step(kind, after.model, n, before.current, before.status_of(n), after.status_of(n))
        for kind, n in found
    ]
    if _previous_is_odd(before, after):
        result.append(Step(CHANGED, after.model, None, before.current))
    return result


_Told = tuple[str, int, set[int]]
_Changed = dict[int, tuple[str, str]]


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
    number = after.staging
    if number is None or number == before.staging:
        return
    if number == before.current and before.previous == after.current:
        return  # the promotion of a staged version was reverted
    explained = {number}
    stood = before.staging
    if stood is not None and changed[stood][1] in (REGISTERED, ARCHIVED):
        explained.add(stood)
    yield STAGE, number, explained


def _previous_is_odd(before: Pointer, after: Pointer) -> bool:
    """Whether ``previous`` alone was changed, which only an edit does."""
    if after.previous == before.previous or after.current != before.current:
        return False
    gone = before.previous is not None and after.status_of(before.previous) in (YANKED, PURGED)
    return after.previous is not None or not gone


def reason(message: str) -> str | None:
    """Give the body of a commit's message without its trailers; None if nothing is left."""
    _, _, body = message.replace("\r\n", "\n").strip().partition("\n\n")
    paragraphs = [p for p in re.split(r"\n\s*\n", body) if not _is_trailers(p)]
    return "\n\n".join(p.strip("\n") for p in paragraphs).strip() or None


def _is_trailers(paragraph: str) -> bool:
    return all(_TRAILER.fullmatch(line) for line in paragraph.strip("\n").split("\n"))
