"""When commits went live, and which merges leave that open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlv.domain.landing import Landing, looks_turned, names_the_branch, standing, times

ADA, BOB, EVE, FORGE = "Ada <a>", "Bob <b>", "Eve <e>", "Forge <f>"
NOW = 1000


def landing(author: str, committer: str = "", *, parents: int = 1, message: str = "") -> Landing:
    return Landing("c", ("p",) * parents, author, committer or author, 0, message, ())


@given(st.lists(st.integers(-10, 2 * NOW)))
def test_nothing_goes_live_before_what_it_is_built_on_nor_in_the_future(clocks: list[int]) -> None:
    found = times(clocks, NOW)
    assert found == sorted(found)
    assert all(at <= NOW for at in found)
    if clocks == sorted(clocks) and all(at <= NOW for at in clocks):
        assert found == clocks


def test_a_slow_clock_and_one_that_is_ahead_reorder_nothing() -> None:
    assert times([10, 30, 20, 40], NOW) == [10, 30, 30, 40]
    assert times([10, 2 * NOW, 20, 3 * NOW], NOW) == [10, 20, 20, NOW]


def test_the_last_up_to_a_moment_stands() -> None:
    assert [standing([10, 20, 20, 30], at) for at in (9.9, 10, 20, 29, 99)] == [None, 0, 2, 2, 3]
    assert standing([], 5) is None


def test_git_says_when_the_registry_branch_itself_was_merged() -> None:
    for message, is_so in (
        ("Merge branch 'main' of host:repo", True),
        ("Merge branch 'main' into feature", True),
        ("Merge remote-tracking branch 'origin/main'", True),
        ("Merge branch 'maintenance'", False),
        ("Merge branch 'promote-fraud-v3' into 'main'", False),
        ("Merge pull request #7 from ada/main", False),
    ):
        merge = landing(BOB, parents=2, message=message)
        assert names_the_branch(merge, "main", "origin") is is_so, message
    assert not names_the_branch(landing(BOB, message="Merge branch 'main'"), "main", "origin")


def test_several_pointer_commits_or_a_merge_are_no_proposal() -> None:
    merge, first = landing(BOB, FORGE, parents=2), landing(EVE, FORGE, parents=2)
    assert looks_turned(merge, first, [landing(ADA), landing(ADA)])
    assert looks_turned(merge, first, [landing(ADA, FORGE, parents=2)])
    assert not looks_turned(merge, first, [landing(ADA)])


def test_a_merge_on_top_of_ones_own_commit_looks_like_a_pull() -> None:
    merge, side = landing(BOB, parents=2), [landing(ADA)]
    assert looks_turned(merge, landing(BOB), side)
    assert not looks_turned(merge, landing(EVE), side)
    assert not looks_turned(merge, landing(BOB, parents=2), side)
    assert not looks_turned(merge, landing(BOB), [landing(BOB)])
