"""From pointers to events: what happened is read from what a pointer was and became."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain import history
from mlv.domain import pointer as pointers
from mlv.domain.history import (
    CHANGED,
    REGISTER,
    Event,
    Step,
    arrange,
    reason,
    steps,
    timestamp,
)
from mlv.domain.pointer import (
    ARCHIVED,
    IMPORT,
    PRODUCTION,
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
    Pointer,
    empty,
)
from mlv.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

LIVE = Pointer("fraud", 2, 1, {3: STAGING, 2: PRODUCTION, 1: ARCHIVED})


def told(before: Pointer, after: Pointer) -> list[tuple[str, int | None]]:
    return [(step.kind, step.number) for step in steps(before, after)]


def status(pointer: Pointer, number: int, now: str, *allowed: str) -> Pointer:
    if pointer.status_of(number) not in allowed:
        raise StatusError("not from here")
    return pointer._replace(status={**pointer.status, number: now})


def purge(pointer: Pointer, number: int) -> Pointer:
    if number == pointer.previous:
        raise StatusError("never the previous")
    return status(pointer, number, PURGED, ARCHIVED)


VERBS: dict[str, Callable[[Pointer, int], Pointer]] = {
    STAGE: pointers.stage,
    PROMOTE: pointers.promote,
    ROLLBACK: pointers.rollback,
    YANK: lambda p, n: status(p, n, YANKED, REGISTERED, STAGING, ARCHIVED),
    UNYANK: lambda p, n: status(p, n, ARCHIVED, YANKED),
    PURGE: purge,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(VERBS)), st.integers(1, 5)), max_size=30))
def test_any_sequence_of_verbs_is_told_exactly(wanted: list[tuple[str, int]]) -> None:
    pointer, done, seen = empty("fraud"), [], []
    for verb, number in wanted:
        try:
            after = VERBS[verb](pointer, number)
        except StatusError:
            continue
        if after != pointer:
            done.append((verb, number, pointer.current))
        seen += [(step.kind, step.number, step.was) for step in steps(pointer, after)]
        pointer = after
    assert seen == done


@given(st.sampled_from(sorted(VERBS)), st.integers(1, 5))
def test_a_revert_is_told_and_never_as_nothing(verb: str, number: int) -> None:
    try:
        after = VERBS[verb](LIVE, number)
    except StatusError:
        return
    assert bool(told(after, LIVE)) == (after != LIVE)


@pytest.mark.parametrize(
    ("before", "verb", "number", "back"),
    [
        (LIVE, PROMOTE, 3, [(ROLLBACK, 2)]),
        (LIVE, PROMOTE, 4, [(ROLLBACK, 2)]),
        (LIVE, ROLLBACK, 1, [(PROMOTE, 2)]),
        (LIVE, STAGE, 4, [(STAGE, 3)]),
        (empty("fraud"), STAGE, 4, [(CHANGED, 4)]),
        (empty("fraud"), PROMOTE, 4, [(CHANGED, 4)]),
    ],
)
def test_a_reverted_commit_is_told_by_what_it_does(
    before: Pointer, verb: str, number: int, back: list[tuple[str, int]]
) -> None:
    assert told(VERBS[verb](before, number), before) == back


def test_one_commit_may_hold_several_steps() -> None:
    promoted = pointers.promote(LIVE, 4)
    several = status(status(promoted, 1, PURGED, ARCHIVED), 3, YANKED, STAGING)
    assert told(LIVE, several) == [(PROMOTE, 4), (PURGE, 1), (YANK, 3)]
    assert told(LIVE, pointers.stage(promoted, 5)) == [(PROMOTE, 4), (STAGE, 5)]


def test_two_promotions_squashed_into_one_commit_are_one() -> None:
    after = pointers.promote(pointers.promote(LIVE, 4), 5)
    assert told(LIVE, after) == [(PROMOTE, 5)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            LIVE._replace(previous=None),
            Step(CHANGED, "fraud", None, 2, "previous v1", "previous None"),
        ),
        (
            LIVE._replace(status={2: PRODUCTION, 1: ARCHIVED}),
            Step(CHANGED, "fraud", 3, 2, STAGING, REGISTERED),
        ),
        (
            Pointer("fraud", None, None, {3: STAGING, 1: ARCHIVED}),
            Step(CHANGED, "fraud", 2, 2, PRODUCTION, REGISTERED),
        ),
    ],
)
def test_what_no_verb_does_was_changed_by_hand(after: Pointer, expected: Step) -> None:
    assert steps(LIVE, after) == [expected]


# Order --------------------------------------------------------------------------------------


def event(kind: str, number: int, at: int) -> Event:
    return Event(Step(kind, "fraud", number, None), at, "Ada", None, None, "c" * 40)


def test_registrations_stand_before_what_befell_them_whatever_the_clocks_said() -> None:
    moves = [event(PROMOTE, 2, 20), event(PROMOTE, 1, 20), event(PROMOTE, 3, 30)]
    registrations = [event(REGISTER, n, at) for n, at in ((1, 10), (2, 50), (3, 25), (4, 40))]
    order = [(e.step.kind, e.step.number) for e in arrange(moves, registrations)]
    assert order == [
        (REGISTER, 1), (REGISTER, 2), (PROMOTE, 2), (PROMOTE, 1), (REGISTER, 3), (PROMOTE, 3),
        (REGISTER, 4),
    ]  # fmt: skip


# Messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Promote fraud-v2", None),
        ("Promote fraud-v2\n\nMlv-Action: promote\nMlv-To: v2\n", None),
        ("Promote fraud-v2\n\nBetter\n\nMlv-Action: promote\n", "Better"),
        ("S\n\nOne.\n\nTwo.\n\nMlv-To: v2\nSigned-off-by: A <a@b>\n", "One.\n\nTwo."),
        (
            "S (#7)\r\n\r\nWhy\r\n\r\nMlv-To: v2\r\n\r\n---------\r\n\r\nCo-authored-by: A <a>",
            "Why",
        ),
        ("S\n\nNote: this is a sentence\n\nMlv-To: v2", "Note: this is a sentence"),
        ("", None),
    ],
)
def test_the_reason_is_the_body_less_trailers(message: str, expected: str | None) -> None:
    assert reason(message) == expected


@given(st.integers(-(2**70), 2**70))
def test_any_number_of_seconds_can_be_written(seconds: int) -> None:
    assert timestamp(seconds).endswith("Z")


def test_every_kind_is_listed() -> None:
    assert {*VERBS, REGISTER, IMPORT, CHANGED} == set(history.KINDS)


# What was forced past the gate --------------------------------------------------------------


def forced(before: Pointer, after: Pointer) -> list[tuple[str, int | None, bool]]:
    return [(step.kind, step.number, step.forced) for step in steps(before, after)]


def test_a_step_past_the_gate_is_told_as_forced() -> None:
    assert forced(LIVE, pointers.promote(LIVE, 3, forced=True)) == [(PROMOTE, 3, True)]
    assert forced(LIVE, pointers.stage(LIVE, 1, forced=True)) == [(STAGE, 1, True)]
    assert forced(LIVE, pointers.promote(LIVE, 3)) == [(PROMOTE, 3, False)]


def test_going_back_to_what_was_forced_is_not_forced() -> None:
    before = LIVE._replace(forced=frozenset({1, 2}))
    assert forced(before, pointers.rollback(before)) == [(ROLLBACK, 1, False)]


def test_a_revert_takes_back_what_was_forced_without_a_word_of_its_own() -> None:
    after = pointers.promote(LIVE, 3, forced=True)
    assert [step.kind for step in steps(after, LIVE)] == [ROLLBACK]


def test_a_note_that_alone_was_edited_is_told() -> None:
    noted = LIVE._replace(forced=frozenset({2}))
    [step] = steps(noted, LIVE)
    assert (step.kind, step.number, step.before, step.after) == (
        CHANGED, 2, history.FORCED, history.NOT_FORCED,
    )  # fmt: skip
    assert [step.after for step in steps(LIVE, noted)] == [history.FORCED]
