"""Reading a pointer by its changed lines says what reading it in full says, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from mlv.domain.pointer import ARCHIVED, PRODUCTION, STATUSES, Pointer, parse, promote
from mlv.domain.pointerlines import follow
from mlv.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping

numbers = st.integers(1, 30)


def a_pointer(
    status: Mapping[int, str], previous: int | None, forced: frozenset[int] = frozenset()
) -> Pointer:
    live = next((n for n, s in status.items() if s == PRODUCTION), None)
    return Pointer("fraud", live, previous, status, forced & status.keys())


pointer = st.builds(
    a_pointer,
    st.dictionaries(numbers, st.sampled_from(STATUSES[1:])),
    st.none() | numbers,
    st.frozensets(numbers),
)


def strictly(data: bytes) -> Pointer | None:
    try:
        return parse(data, "fraud")
    except IntegrityError:
        return None


def differing(a: Pointer, b: Pointer) -> set[int]:
    return {n for n in {*a.status, *b.status} if a.status_of(n) != b.status_of(n)}


@given(pointer, pointer)
def test_what_is_followed_is_what_is_read_in_full(before: Pointer, after: Pointer) -> None:
    old, new = before.to_bytes(), after.to_bytes()
    assume(strictly(old))
    found = follow(before, old, new)
    if found:
        assert found[0] == strictly(new)
        assert differing(before, after) <= found[1]
    else:
        assert strictly(new) is None or not after.status or not before.status


@given(pointer, st.integers(0, 400), st.binary(max_size=12), st.integers(0, 12))
def test_an_edit_by_hand_is_left_to_the_strict_reader(
    before: Pointer, at: int, put: bytes, cut: int
) -> None:
    old = before.to_bytes()
    assume(strictly(old))
    new = old[:at] + put + old[at + cut :]
    found = follow(before, old, new)
    assert found is None or found[0] == strictly(new)


@given(pointer, st.data())
def test_a_line_put_twice_or_moved_is_read_as_json_reads_it(
    before: Pointer, data: st.DataObject
) -> None:
    old = before.to_bytes()
    assume(strictly(old))
    lines = old.split(b"\n")
    line = data.draw(st.sampled_from(lines))
    at = data.draw(st.integers(0, len(lines)))
    new = b"\n".join([*lines[:at], line, *lines[at:]])
    found = follow(before, old, new)
    assert found is None or found[0] == strictly(new)


def test_a_promotion_among_thousands_touches_two_versions() -> None:
    before = Pointer(
        "fraud", 2000, 1999, {**dict.fromkeys(range(1, 2000), ARCHIVED), 2000: PRODUCTION}
    )
    after = promote(before, 2001)
    assert follow(before, before.to_bytes(), after.to_bytes()) == (after, {2000, 2001})


def test_what_was_forced_is_read_as_quickly_and_as_strictly() -> None:
    before = Pointer("fraud", 2, 1, {1: ARCHIVED, 2: PRODUCTION}, frozenset({2}))
    old = before.to_bytes()
    after = promote(before, 3, forced=True)
    assert follow(before, old, after.to_bytes()) == (after, {2, 3})
    lifted = promote(after, 2)
    assert follow(after, after.to_bytes(), lifted.to_bytes()) == (lifted, {2, 3})
    wrong = after.to_bytes()
    for written, instead in (
        (b'[\n    "v3"', b'[\n    "v7"'),
        (b'"v3",\n    "v2"', b'"v2",\n    "v2"'),
    ):
        assert follow(before, old, wrong.replace(written, instead)) is None
