"""A report's plain sentences: what is proposed, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.review.report import REVERT

if TYPE_CHECKING:
    from mlv.review.report import Proposal, Report

_MOST_IN_A_TITLE = 3
_NOTHING = "Change nothing in the registry"
_STARTS = {
    pointers.STAGE: "Stage ",
    pointers.PROMOTE: "Promote ",
    pointers.ROLLBACK: "Roll back to ",
    pointers.YANK: "Yank ",
    pointers.UNYANK: "Take back the yank of ",
    pointers.PURGE: "Purge ",
    REVERT: "Revert to ",
}


def title(report: Report) -> str:
    """Say what a change does, for the title of a pull request: plain text, one line.

    ``Promote fraud-v3 to production (was v1)``; several of one kind in one sentence.
    """
    proposals = report.proposals
    if not proposals:
        return _NOTHING
    shown = [headline(each) for each in proposals[:_MOST_IN_A_TITLE]]
    more = len(proposals) - len(shown)
    rest = [f"{more} more"] if more else []
    return "; ".join([shown[0], *map(lowered, shown[1:]), *rest])


def lowered(sentence: str) -> str:
    """Begin a sentence with a small letter."""
    return f"{sentence[:1].lower()}{sentence[1:]}"


def headline(proposal: Proposal) -> str:
    """Say what a proposal does, in a plain line that starts with a capital."""
    start, tag, end = headline_parts(proposal)
    return f"{start}{tag}{end}"


def headline_parts(proposal: Proposal) -> tuple[str, str, str]:
    """Give the words before the version's tag, the tag, and the words after it."""
    before, after, action = proposal.before, proposal.after, proposal.action
    was = before.staging if action == pointers.STAGE else before.current
    now = after.staging if action == pointers.STAGE else after.current
    end = f" (was {name_of(was)})" if was and was != now else ""
    if action == REVERT and after.current is None:
        return "Take back the promotion of ", subject(proposal), ": nothing is live then"
    if action == pointers.PROMOTE:
        end = f" to production{end}"
    return _STARTS.get(action, "Change "), subject(proposal), end


def subject(proposal: Proposal) -> str:
    """Name the version that a proposal is about, by its tag; the model if there is none."""
    if proposal.proposed:
        return proposal.proposed.manifest.version.tag
    before, after = proposal.before, proposal.after
    known = sorted({*before.status, *after.status}, reverse=True)
    changed = [n for n in known if after.status_of(n) != before.status_of(n)]
    number = next(iter(changed), after.current)
    return proposal.model if number is None else Version(proposal.model, number).tag


class WayBack(NamedTuple):
    """Commands that take a step back: at once, and (empty where there is none) by proposing it."""

    command: str
    proposing: str = ""


def way_back(proposal: Proposal) -> WayBack | None:
    """Give the way back once a step is merged; None where no command of mlv is one.

    It names the version from which to go back, so that it never acts on what came later.
    """
    before, after, model = proposal.before, proposal.after, proposal.model
    if proposal.action == pointers.YANK:
        return WayBack(f"mlv yank {subject(proposal)} --undo --push")
    if None in (before.current, after.current) or after.current == before.current:
        return None
    was, status = f"{model}-v{before.current}", after.status_of(before.current or 0)
    if pointers.is_withdrawn(status):
        return None
    seen = f"--from {model}-v{after.current}"
    if status == pointers.ARCHIVED:
        end = f"rollback --to {was} {seen}"
        return WayBack(f"mlv {end} --push", f"mlv propose --{end}")
    return WayBack(f"mlv promote {was} {seen} --push", f"mlv propose {was} {seen}")
