"""Which verbs lead from one pointer of a model to another: what an edit must be to be a step."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.pointer import Pointer

_MOST_MOVED = 6  # versions; beyond, only one verb at a time is looked for


class Verb(NamedTuple):
    """A step by its name (`domain.pointer`), and the version that it is about."""

    action: str
    number: int


def explain(before: Pointer, after: Pointer) -> tuple[Verb, ...] | None:
    """Find the verbs that make ``after`` of ``before``; None if no few of them do.

    That is any number of yanks and purges, and up to two other verbs before or after them.
    """
    if before == after:
        return ()
    numbers = before.status.keys() | after.status.keys()
    changed = sorted(n for n in numbers if before.status_of(n) != after.status_of(n))
    aside = [verb for n in changed if (verb := _aside(before, after, n))]
    moved = {after.current, after.staging, *changed, *(before.forced ^ after.forced)} - {None}
    for core in _cores(sorted(n for n in moved if n is not None)):
        for verbs in ((*aside, *core), (*core, *aside)):
            if take(before, verbs, after.forced) == after:
                return verbs
    return None


def take(pointer: Pointer, verbs: Sequence[Verb], forced: frozenset[int]) -> Pointer | None:
    """Take these steps in turn, ``forced`` past the gate; None if one is forbidden."""
    try:
        for verb in verbs:
            pointer, _ = pointers.decide(
                pointer, verb.action, verb.number, forced=verb.number in forced
            )
    except StatusError:
        return None
    return pointer


def _aside(before: Pointer, after: Pointer, number: int) -> Verb | None:
    """Give the verb that alone brings a version to where it is, whatever else moves."""
    was, now = before.status_of(number), after.status_of(number)
    if now == pointers.YANKED:
        return Verb(pointers.YANK, number)
    if now == pointers.PURGED:
        return Verb(pointers.PURGE, number)
    return Verb(pointers.UNYANK, number) if was == pointers.YANKED else None


def _cores(numbers: Sequence[int]) -> Iterator[tuple[Verb, ...]]:
    single = [Verb(action, n) for action in pointers.MOVING for n in numbers]
    yield ()
    yield from ((verb,) for verb in single)
    if len(numbers) <= _MOST_MOVED:
        yield from permutations(single, 2)
