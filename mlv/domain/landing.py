"""Landings: the commits by which pointers changed on the registry branch, and when they did."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PointerChange(NamedTuple):
    """What a commit did to one model's pointer: the blobs before and after, None for none."""

    model: str
    before: str | None
    after: str | None


class Landing(NamedTuple):
    """A commit that changed pointers.

    People are ``Name <mail>``; times are seconds since 1970, by the committer's clock.
    """

    commit: str
    parents: tuple[str, ...]
    author: str
    committer: str
    committed_at: int
    message: str
    changes: tuple[PointerChange, ...]

    @property
    def is_merge(self) -> bool:
        """Whether it has more than one parent."""
        return len(self.parents) > 1

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]


def times(committed: Sequence[int], now: float) -> list[int]:
    """Say when each commit of a chain, oldest first, went live: never before one it is built on.

    So a clock that is slow reorders nothing. One that is ahead of ``now`` says nothing at all: then
    the next commit's time counts, and after the last one ``now``.
    """
    known, bound = [], int(now)
    for seconds in reversed(committed):
        bound = seconds if seconds <= now else bound
        known.append(bound)
    return list(accumulate(reversed(known), max))


def standing(went_live: Sequence[int], when: float) -> int | None:
    """Find which of these times, in order, is the last up to ``when``; None before the first."""
    return bisect_right(went_live, when) - 1 if went_live and went_live[0] <= when else None


def names_the_branch(landing: Landing, branch: str, remote: str) -> bool:
    """Whether a merge says in git's own words that it is the registry branch that was merged."""
    beginnings = (
        f"Merge branch '{branch}'",
        f"Merge remote-tracking branch '{remote}/{branch}'",
        f"Merge remote-tracking branch 'refs/remotes/{remote}/{branch}'",
    )
    return landing.is_merge and landing.subject.startswith(beginnings)


def looks_turned(merge: Landing, first: Landing, side: Sequence[Landing]) -> bool:
    """Whether what a merge brought looks like the registry branch itself, not like a proposal.

    ``first`` is the merge's first parent; ``side`` are the pointer commits that the merge brought,
    newest first. A proposal is one commit, and no merge. And whoever merges the branch into a
    clone of their own does so on top of their own commit, while others published; a forge merges
    on top of what was merged before.
    """
    if len(side) > 1 or any(each.is_merge for each in side):
        return True
    own = {merge.author, merge.committer, first.author, first.committer}
    return len(own) == 1 and not first.is_merge and any(each.committer not in own for each in side)
