"""An edit of a pointer is explained by the verbs that make it, or by none."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from mlv.domain import pointer as pointers
from mlv.domain.explaining import Verb, explain, take
from mlv.domain.pointer import Pointer

VERBS = st.builds(
    Verb,
    st.sampled_from(["stage", "promote", "rollback", "yank", "unyank", "purge"]),
    st.integers(1, 5),
)
SOON = 20  # seconds; they were hours
LIVE = Pointer("fraud", 2, 1, {1: "archived", 2: "production"})


def walk(verbs: list[Verb]) -> Pointer:
    """Take what steps are allowed, from nothing."""
    at = pointers.empty("fraud")
    for verb in verbs:
        at = take(at, [verb], frozenset()) or at
    return at


@given(st.lists(VERBS, max_size=12), VERBS, st.booleans())
def test_every_step_of_mlv_is_explained(verbs: list[Verb], last: Verb, is_forced: bool) -> None:
    before = walk(verbs)
    after = take(before, [last], frozenset([last.number] if is_forced else []))
    if after is None:
        return
    found = explain(before, after)
    assert found is not None
    assert len(found) <= 1
    assert take(before, found, after.forced) == after


@given(st.lists(VERBS, max_size=8), st.lists(VERBS, max_size=8))
def test_what_is_explained_leads_there(one: list[Verb], other: list[Verb]) -> None:
    before, after = walk(one), walk(other)
    found = explain(before, after)
    assert found is None or take(before, found, after.forced) == after


def test_several_purges_are_one_commit() -> None:
    before = Pointer("fraud", 4, None, {1: "archived", 2: "archived", 4: "production"})
    after = before._replace(status={1: "purged", 2: "purged", 4: "production"})
    assert explain(before, after) == (Verb("purge", 1), Verb("purge", 2))


def test_two_promotions_squashed_into_one_are_both_named() -> None:
    after = Pointer("fraud", 4, 3, {1: "archived", 2: "archived", 3: "archived", 4: "production"})
    assert explain(LIVE, after) == (Verb("promote", 3), Verb("promote", 4))


def test_no_verb_gives_a_status_away() -> None:
    assert explain(LIVE, LIVE._replace(status={**LIVE.status, 3: "archived"})) is None
    assert explain(LIVE, LIVE._replace(status={2: "production"})) is None
    assert explain(LIVE, LIVE._replace(previous=None)) is None


def test_thousands_of_yanks_are_told_apart_in_no_time() -> None:
    """Whoever proposes them makes nobody wait, whether they are steps or are not."""
    many = dict.fromkeys(range(10, 5000), "archived")
    before = Pointer("fraud", 2, 1, {**LIVE.status, **many})
    after = promoted = pointers.promote(before, 3)
    after = after._replace(status={**promoted.status, **dict.fromkeys(many, "yanked")})
    began = time.monotonic()
    found = explain(before, after)
    assert found is not None
    assert (len(found), Verb("promote", 3) in found) == (len(many) + 1, True)
    assert explain(before, after._replace(previous=None)) is None
    assert explain(LIVE, before) is None
    assert time.monotonic() - began < SOON
