"""The pointer: every rule about statuses, and the file that it is written to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlv.domain import pointer as pointers
from mlv.domain.pointer import (
    STATUSES,
    Pointer,
    decide,
    empty,
    parse,
    promote,
    purge,
    purgeable,
    rollback,
    stage,
    unyank,
    yank,
)
from mlv.errors import IntegrityError, InvalidInput, NoPreviousVersion, StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTERED, STAGING, PRODUCTION, ARCHIVED, YANKED, PURGED = STATUSES

# v9 is live, and v1 to v6 are what a version that is not can be.
EVERY = Pointer(
    "fraud", 9, 5, {9: PRODUCTION, 6: ARCHIVED, 5: ARCHIVED, 4: PURGED, 3: YANKED, 2: STAGING}
)
NEVER_STAGED = 1


def statuses(pointer: Pointer) -> dict[str, str]:
    return {f"v{number}": pointer.status_of(number) for number in range(1, 10)}


def changes(before: Pointer, after: Pointer) -> dict[str, str]:
    """Name the versions whose status another one is now."""
    then = statuses(before)
    return {name: now for name, now in statuses(after).items() if now != then[name]}


# Stage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [NEVER_STAGED, 6])
def test_registered_and_archived_versions_are_staged_and_the_one_before_steps_back(
    number: int,
) -> None:
    after = stage(EVERY, number)
    assert changes(EVERY, after) == {f"v{number}": STAGING, "v2": REGISTERED}
    assert after.staging == number
    assert (after.current, after.previous) == (9, 5)


def test_staging_what_is_staged_changes_nothing() -> None:
    assert stage(EVERY, 2) == EVERY


def test_what_is_live_is_not_staged() -> None:
    with pytest.raises(StatusError, match="fraud-v9 is live already"):
        stage(EVERY, 9)


# Promote ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [NEVER_STAGED, 2, 5, 6])
def test_promoting_archives_what_was_live_and_makes_it_the_previous(number: int) -> None:
    after = promote(EVERY, number)
    assert changes(EVERY, after) == {f"v{number}": PRODUCTION, "v9": ARCHIVED}
    assert (after.current, after.previous) == (number, 9)


def test_promoting_what_is_staged_leaves_nothing_in_staging() -> None:
    assert promote(EVERY, 2).staging is None
    assert promote(EVERY, 1).staging == 2


def test_promoting_what_is_live_changes_nothing_so_it_is_never_its_own_previous() -> None:
    assert promote(EVERY, 9) == EVERY


def test_the_first_promotion_has_no_previous() -> None:
    assert promote(empty("fraud"), 3) == Pointer("fraud", 3, None, {3: PRODUCTION})


@pytest.mark.parametrize(("number", "status"), [(3, YANKED), (4, PURGED)])
@pytest.mark.parametrize("verb", [stage, promote], ids=["stage", "promote"])
def test_yanked_and_purged_versions_never_come_back(
    verb: Callable[[Pointer, int], Pointer], number: int, status: str
) -> None:
    with pytest.raises(StatusError, match=f"fraud-v{number} is {status}"):
        verb(EVERY, number)


# Roll back ----------------------------------------------------------------------------------


def test_rolling_back_goes_to_the_previous_and_archives_what_is_left() -> None:
    after = rollback(EVERY)
    assert changes(EVERY, after) == {"v5": PRODUCTION, "v9": ARCHIVED}
    assert (after.current, after.previous) == (5, None)


def test_rolling_back_to_another_archived_version_leaves_no_previous_either() -> None:
    after = rollback(EVERY, 6)
    assert changes(EVERY, after) == {"v6": PRODUCTION, "v9": ARCHIVED}
    assert (after.current, after.previous) == (6, None)


@pytest.mark.parametrize(
    ("number", "status"),
    [(NEVER_STAGED, REGISTERED), (2, STAGING), (3, YANKED), (4, PURGED)],
)
def test_rolling_back_goes_only_to_what_is_archived(number: int, status: str) -> None:
    with pytest.raises(StatusError, match=f"cannot roll back to fraud-v{number}: it is {status}"):
        rollback(EVERY, number)


def test_rolling_back_to_what_is_live_is_refused() -> None:
    with pytest.raises(StatusError, match="fraud-v9 is live already"):
        rollback(EVERY, 9)


def test_nothing_live_has_no_previous() -> None:
    with pytest.raises(NoPreviousVersion, match="No previous version to roll back to") as refused:
        rollback(empty("fraud"))
    assert "promote" in refused.value.hint


def test_the_first_version_has_no_previous() -> None:
    with pytest.raises(NoPreviousVersion, match="No previous version to roll back to: fraud-v3"):
        rollback(promote(empty("fraud"), 3))


def test_a_second_rollback_in_a_row_stops_and_says_how_to_name_a_version() -> None:
    with pytest.raises(NoPreviousVersion, match="No previous version to roll back to") as refused:
        rollback(rollback(EVERY))
    assert "v9, v6" in refused.value.hint
    assert 'rollback(to="v9")' in refused.value.hint
    assert "--to v9" in refused.value.hint


@pytest.mark.parametrize("status", [YANKED, PURGED])
def test_a_previous_that_was_withdrawn_stops_the_rollback_which_names_others(status: str) -> None:
    pointer = EVERY._replace(status={**EVERY.status, 5: status})
    with pytest.raises(StatusError, match=f"fraud-v5: it is {status}") as refused:
        rollback(pointer)
    assert 'rollback(to="v6")' in refused.value.hint
    assert rollback(pointer, 6).current == 6


# Yank ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [NEVER_STAGED, 2, 5, 6])
def test_whatever_is_not_live_can_be_yanked_and_nothing_else_changes(number: int) -> None:
    after = yank(EVERY, number)
    assert changes(EVERY, after) == {f"v{number}": YANKED}
    assert (after.current, after.previous) == (9, 5)


def test_a_yanked_version_leaves_staging() -> None:
    assert yank(EVERY, 2).staging is None


def test_yanking_twice_changes_nothing() -> None:
    assert yank(EVERY, 3) == EVERY


def test_what_is_live_is_not_yanked_and_the_hint_says_what_comes_first() -> None:
    with pytest.raises(StatusError, match="fraud-v9 is live") as refused:
        yank(EVERY, 9)
    assert "mlv rollback" in refused.value.hint


def test_what_is_purged_is_not_yanked_for_its_bytes_are_gone() -> None:
    with pytest.raises(StatusError, match="fraud-v4 is purged"):
        yank(EVERY, 4)


def test_a_yanked_previous_stays_the_previous_and_stops_the_rollback() -> None:
    after = yank(EVERY, 5)
    with pytest.raises(StatusError, match="cannot roll back to fraud-v5: it is yanked") as refused:
        rollback(after)
    assert "mlv rollback --to v6" in refused.value.hint
    assert "v5" not in refused.value.hint


@pytest.mark.parametrize("number", [NEVER_STAGED, 2, 5, 6])
def test_a_yank_taken_back_leaves_the_version_archived(number: int) -> None:
    after = unyank(yank(EVERY, number), number)
    assert after.status_of(number) == ARCHIVED
    assert promote(after, number).current == number


def test_taking_a_yank_back_twice_changes_nothing() -> None:
    once = unyank(EVERY, 3)
    assert unyank(once, 3) == once


@pytest.mark.parametrize(
    ("number", "status"),
    [(9, PRODUCTION), (2, STAGING), (NEVER_STAGED, REGISTERED), (4, PURGED)],
)
def test_only_a_yank_can_be_taken_back(number: int, status: str) -> None:
    with pytest.raises(StatusError, match=f"fraud-v{number} is not yanked: it is {status}"):
        unyank(EVERY, number)


# Purge --------------------------------------------------------------------------------------


def test_purging_an_archived_version_changes_its_status_alone() -> None:
    after = purge(EVERY, 6)
    assert changes(EVERY, after) == {"v6": PURGED}
    assert (after.current, after.previous) == (9, 5)


def test_purging_twice_changes_nothing() -> None:
    assert purge(EVERY, 4) == EVERY


@pytest.mark.parametrize(
    ("number", "status"),
    [(9, PRODUCTION), (2, STAGING), (NEVER_STAGED, REGISTERED), (3, YANKED)],
)
def test_only_archived_versions_are_purged(number: int, status: str) -> None:
    with pytest.raises(StatusError, match=f"fraud-v{number} is {status}: only archived"):
        purge(EVERY, number)


def test_the_previous_version_is_not_purged_for_a_rollback_goes_there() -> None:
    with pytest.raises(StatusError, match="fraud-v5 is what a rollback goes back to"):
        purge(EVERY, 5)


TWELVE = Pointer("fraud", 13, 12, {13: PRODUCTION, **dict.fromkeys(range(1, 13), ARCHIVED)})


def test_the_newest_by_number_are_kept_and_not_the_last_in_the_alphabet() -> None:
    assert purgeable(TWELVE, 2) == list(range(1, 11))
    assert purgeable(TWELVE, 3) == list(range(1, 10))
    assert purgeable(TWELVE, 12) == []
    assert purgeable(TWELVE, 100) == []


def test_the_previous_version_is_kept_however_old_it_is() -> None:
    assert purgeable(TWELVE._replace(previous=1), 2) == list(range(2, 11))
    assert purgeable(TWELVE, 0) == list(range(1, 12))


@pytest.mark.parametrize("keep", [-1, True, 1.5, "2", None])
def test_how_many_to_keep_is_a_number_from_nought(keep: Any) -> None:
    with pytest.raises(InvalidInput, match="archived versions cannot be kept"):
        purgeable(TWELVE, keep)


# Steps by their names -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "verb", "number"),
    [
        ("stage", stage, 6),
        ("promote", promote, 6),
        ("rollback", rollback, 6),
        ("yank", yank, 6),
        ("unyank", unyank, 3),
        ("purge", purge, 6),
    ],
)
def test_a_step_is_taken_by_its_name(
    action: str, verb: Callable[[Pointer, int], Pointer], number: int
) -> None:
    assert decide(EVERY, action, number) == (verb(EVERY, number), number)


# Whatever is done in whatever order ---------------------------------------------------------

STEPS: dict[str, Callable[[Pointer, int], Pointer]] = {
    "stage": stage,
    "promote": promote,
    "back to": rollback,
    "back": lambda pointer, _: rollback(pointer),
    "yank": yank,
    "unyank": unyank,
    "purge": purge,
}
steps = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 12)), max_size=20)


def walk(taken: list[tuple[str, int]], pointer: Pointer | None = None) -> Pointer:
    """Take steps from the empty pointer, or another; those that are refused are left out."""
    pointer = pointer or empty("fraud")
    for verb, number in taken:
        try:
            pointer = STEPS[verb](pointer, number)
        except StatusError:
            continue
    return pointer


@given(steps)
def test_every_pointer_that_can_come_about_reads_back(taken: list[tuple[str, int]]) -> None:
    pointer = walk(taken)
    assert parse(pointer.to_bytes(), "fraud") == pointer


@given(steps, st.integers(1, 12))
def test_rolling_back_undoes_a_promotion(taken: list[tuple[str, int]], number: int) -> None:
    before = walk(taken)
    if before.status_of(number) in (YANKED, PURGED):
        return
    after = promote(before, number)
    if before.current is not None and after != before:
        back = rollback(after)
        assert back.current == before.current
        assert back.status_of(number) == ARCHIVED


@given(steps)
def test_one_version_is_live_and_at_most_one_is_staged(taken: list[tuple[str, int]]) -> None:
    pointer = walk(taken)
    listed = list(pointer.status.values())
    assert listed.count(PRODUCTION) == (pointer.current is not None)
    assert listed.count(STAGING) <= 1
    assert pointer.previous is None or pointer.previous != pointer.current
    assert REGISTERED not in listed


@given(steps)
def test_what_a_rollback_goes_to_is_never_purged(taken: list[tuple[str, int]]) -> None:
    pointer = walk(taken)
    assert pointer.previous is None or pointer.status_of(pointer.previous) != PURGED


@given(steps, st.integers(1, 12), steps)
def test_what_is_purged_stays_purged(
    before: list[tuple[str, int]], number: int, later: list[tuple[str, int]]
) -> None:
    pointer = walk(before)
    if pointer.status_of(number) != ARCHIVED or number == pointer.previous:
        return
    assert walk(later, purge(pointer, number)).status_of(number) == PURGED


@given(steps, st.integers(1, 12))
def test_what_is_yanked_goes_live_only_after_the_yank_was_taken_back(
    taken: list[tuple[str, int]], number: int
) -> None:
    pointer = walk(taken)
    if pointer.status_of(number) in (PRODUCTION, PURGED):
        return
    yanked = yank(pointer, number)
    for verb in (stage, promote, rollback, purge):
        with pytest.raises(StatusError):
            verb(yanked, number)


@given(steps, st.integers(0, 12))
def test_every_version_that_may_be_purged_can_be_and_the_newest_archived_are_kept(
    taken: list[tuple[str, int]], keep: int
) -> None:
    before = walk(taken)
    chosen = purgeable(before, keep)
    after = before
    for number in chosen:
        after = purge(after, number)
    archived = sorted(n for n, status in before.status.items() if status == ARCHIVED)
    kept = [n for n in archived if n not in chosen]
    assert chosen == sorted(chosen)
    assert set(archived[len(archived) - keep :] if keep < len(archived) else archived) <= set(kept)
    assert changes(before, after) == {f"v{n}": PURGED for n in chosen if n in range(1, 10)}
    assert (after.current, after.previous) == (before.current, before.previous)
    assert purgeable(after, keep) == []


# The file -----------------------------------------------------------------------------------


def test_the_file_reads_like_a_sentence_newest_first() -> None:
    pointer = Pointer("fraud", 10, 9, {9: ARCHIVED, 10: PRODUCTION, 11: STAGING})
    assert pointer.to_bytes().decode() == (
        "{\n"
        '  "model": "fraud",\n'
        '  "current": "v10",\n'
        '  "previous": "v9",\n'
        '  "status": {\n'
        '    "v11": "staging",\n'
        '    "v10": "production",\n'
        '    "v9": "archived"\n'
        "  }\n"
        "}\n"
    )


DOCUMENT: dict[str, Any] = {
    "model": "fraud",
    "current": "v2",
    "previous": "v1",
    "status": {"v3": "staging", "v2": "production", "v1": "archived"},
}
BY_HAND: dict[str, dict[str, Any]] = {
    "another current": {"current": "v3"},
    "no current": {"current": None},
    "current unknown": {"current": "v9"},
    "current a number": {"current": 2},
    "current a tag": {"current": "fraud-v2"},
    "current a list": {"current": ["v2"]},
    "previous is current": {"previous": "v2"},
    "previous a number": {"previous": 1},
    "previous of nothing live": {"current": None, "status": {"v1": "archived"}},
    "two live": {"status": {"v3": "production", "v2": "production", "v1": "archived"}},
    "none live": {"status": {"v2": "archived", "v1": "archived"}},
    "two staged": {"status": {"v4": "staging", "v3": "staging", "v2": "production"}},
    "status unknown": {"status": {"v2": "production", "v1": "retired"}},
    "status listed needlessly": {"status": {"v2": "production", "v1": "registered"}},
    "status a list": {"status": ["v2"]},
    "status of a list": {"status": {"v2": "production", "v1": ["archived"]}},
    "status null": {"status": None},
    "version nought": {"status": {"v2": "production", "v0": "archived"}},
    "version padded": {"status": {"v2": "production", "v01": "archived"}},
    "model another": {"model": "churn"},
    "model missing": {"model": None},
    "one key more": {"note": "urgent!!"},
}
RAW = {
    "empty": b"",
    "not JSON": b"current: v2\n",
    "conflict markers": b"<<<<<<< HEAD\n" + json.dumps(DOCUMENT).encode(),
    "a comment": b"// live\n" + json.dumps(DOCUMENT).encode(),
    "not UTF-8": b'{"model": "\xff"}',
    "another encoding": json.dumps(DOCUMENT).encode("utf-16"),
    "a list": b"[]",
    "a text": b'"v2"',
    "null": b"null",
    "a key less": json.dumps({k: v for k, v in DOCUMENT.items() if k != "previous"}).encode(),
    "too deep": b"[" * 100_000,
    "a key twice": json.dumps(DOCUMENT).replace('"current"', '"current": "v3", "current"').encode(),
}  # fmt: skip


def test_the_document_that_the_next_test_spoils_is_read() -> None:
    pointer = parse(json.dumps(DOCUMENT).encode(), "fraud")
    assert pointer == Pointer("fraud", 2, 1, {3: STAGING, 2: PRODUCTION, 1: ARCHIVED})


@pytest.mark.parametrize(
    "data",
    [*(json.dumps({**DOCUMENT, **edit}).encode() for edit in BY_HAND.values()), *RAW.values()],
    ids=[*BY_HAND, *RAW],
)
def test_a_pointer_that_was_edited_by_hand_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"registry/fraud/pointer\.json") as refused:
        parse(data, "fraud")
    assert "git" in refused.value.hint
    assert refused.value.exit_code == 4


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300)
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.sampled_from(["v1", "v2", "fraud", *STATUSES]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v1", "v2", "v3", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*DOCUMENT, "note"]), json_values))
def test_any_edit_is_refused_or_means_what_it_says(edit: dict[str, Any]) -> None:
    judge(json.dumps({**DOCUMENT, **edit}).encode())


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"model": 1e999}')
def test_any_bytes_are_refused_or_mean_what_they_say(data: bytes) -> None:
    judge(data)


def judge(data: bytes) -> None:
    try:
        pointer = parse(data, "fraud")
    except IntegrityError:
        return
    assert json.loads(pointer.to_bytes()) == json.loads(data)
    assert pointers.parse(pointer.to_bytes(), "fraud") == pointer


def test_the_previous_version_can_be_rolled_back_to_while_it_is_staged_and_after() -> None:
    live = promote(promote(empty("fraud"), 1), 2)
    staged = stage(live, 1)
    assert rollback(staged).current == 1
    displaced = stage(staged, 3)
    assert displaced.status_of(1) == "archived"
    assert rollback(displaced).current == 1


# What was forced past the gate --------------------------------------------------------------


@pytest.mark.parametrize("verb", [stage, promote], ids=["stage", "promote"])
def test_what_is_forced_is_noted_and_noted_no_more_once_it_is_not(
    verb: Callable[..., Pointer],
) -> None:
    forced = verb(EVERY, 6, forced=True)
    assert forced.forced == {6}
    assert verb(EVERY._replace(forced=frozenset({6, 5})), 6).forced == {5}
    assert b'"forced": [\n    "v6"\n  ],\n' in forced.to_bytes()


def test_what_only_steps_back_from_staging_is_noted_no_more() -> None:
    pointer = stage(EVERY._replace(forced=frozenset({2, 5})), 6)
    assert pointer.status_of(2) == REGISTERED
    assert pointer.forced == {5}
    assert parse(pointer.to_bytes(), "fraud") == pointer


def test_rolling_back_yanking_and_purging_leave_the_note() -> None:
    pointer = EVERY._replace(forced=frozenset({5, 6, 9}))
    for after in (rollback(pointer), yank(pointer, 6), purge(pointer, 6), unyank(pointer, 6)):
        assert after.forced == pointer.forced


def test_nothing_forced_is_written_as_before_there_was_a_gate() -> None:
    assert b"forced" not in EVERY.to_bytes()


@pytest.mark.parametrize(
    "forced", [[], ["v1"], ["v9", "v9"], ["9"], [9], [None], "v9", {"v9": True}, None, [["v9"]]]
)
def test_a_pointer_that_notes_it_otherwise_is_refused(forced: object) -> None:
    document = {**json.loads(EVERY.to_bytes()), "forced": forced}
    with pytest.raises(IntegrityError, match="was not written by mlv: forced"):
        parse(json.dumps(document).encode(), "fraud")
