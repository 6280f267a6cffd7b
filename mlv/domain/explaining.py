"""Which verbs lead from one pointer of a model to another: what an edit must be to be a step."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.pointer import Pointer

_MOST_MOVED = 8  # versions, besides those that are yanked or purged: two verbs move no more


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
    moved = {after.current, after.staging, *(before.forced ^ after.forced)} - {None}
    moved |= set(changed) - {verb.number for verb in aside}
    if len(moved) > _MOST_MOVED:
        return None
    if len(moved) + len(aside) <= _MOST_MOVED:
        moved |= {verb.number for verb in aside}
    aside_first = _take_aside(before, aside)
    for core in _cores(sorted(n for n in moved if n is not None)):
        if aside_first and take(aside_first, core, after.forced) == after:
            return (*aside, *core)
        core_first = take(before, core, after.forced)
        if core_first and core_first.current == after.current and aside:
            made = _take_aside(core_first, aside)
            if made == after:
                return (*core, *aside)
    return None


def _take_aside(pointer: Pointer, verbs: Sequence[Verb]) -> Pointer | None:
    """Take steps that each concern one version alone; there may be thousands."""
    status = dict(pointer.status)
    for verb in verbs:
        known = {verb.number: status[verb.number]} if verb.number in status else {}
        alone = take(pointer._replace(status=known), [verb], pointer.forced)
        if alone is None:
            return None
        status |= alone.status
    return pointer._replace(status=status)


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
    yield from permutations(single, 2)
