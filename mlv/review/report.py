"""What a review found, as values: for the judgement that makes them, and whoever shows them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.pointer import MOVING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.gate import Verdict
    from mlv.domain.manifest import Manifest
    from mlv.domain.pointer import Pointer
    from mlv.domain.rules import Gate

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"
# What a proposal does that no step of a pointer is called: take a promotion back by `git revert`,
# and what is no legal step.
REVERT, CHANGED = "revert", "changed"


class Finding(NamedTuple):
    """What a rule has to say of ``subject`` (a tag, a path, a commit), and what to do.

    ``blocks`` is False for what is only worth a look.
    """

    rule: str
    subject: str
    message: str
    hint: str = ""
    blocks: bool = True


class Check(NamedTuple):
    """What was looked at.

    ``outcome`` is `PASSED`, `FAILED` or `NOT_CHECKED`, and ``detail`` says why.
    """

    name: str
    outcome: str
    detail: str = ""


class Commit(NamedTuple):
    """A commit as a person knows it."""

    oid: str
    subject: str
    author: str


class Side(NamedTuple):
    """One of the two versions of a proposal.

    ``data`` says what it was trained on, hash by path, None if that is not known; ``packages`` are
    the pins of its ``requirements.txt``; ``commit`` is the one it was trained from, None if it is
    not here.
    """

    manifest: Manifest
    data: Mapping[str, str] | None = None
    packages: Mapping[str, str] = MappingProxyType({})
    commit: Commit | None = None


class Between(NamedTuple):
    """How many commits only the proposed version was trained with, and how many only the live."""

    ahead: int
    behind: int


class Proposal(NamedTuple):
    """What a change does to one model.

    ``action`` is a verb of the pointer, `REVERT`, or `CHANGED` for what is no step of a pointer.
    ``live`` is what is live at the base; ``proposed`` is the version that the action is about.
    ``verdict`` is None where the gate is not asked (rollback, yank). ``recent`` are the last
    versions, oldest first. ``forced``: the pointer says that it goes past the gate.
    """

    model: str
    action: str
    before: Pointer
    after: Pointer
    live: Side | None
    proposed: Side | None
    verdict: Verdict | None
    gate: Gate
    recent: tuple[Manifest, ...] = ()
    forced: bool = False
    between: Between | None = None

    @property
    def is_compared(self) -> bool:
        """Whether a version is to be live or in staging, so that comparing it helps."""
        return self.action in (*MOVING, REVERT, CHANGED) and self.proposed is not None


class Report(NamedTuple):
    """What a review found of the change from ``base`` to ``head``, for the registry branch."""

    branch: str
    base: str
    head: str
    findings: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()
    proposals: tuple[Proposal, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that keep the change from being merged."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the change from being merged."""
        return not self.blocking

    @property
    def is_forced(self) -> bool:
        """Whether something in it goes past the gate."""
        return any(proposal.forced for proposal in self.proposals)

    def to_dict(self) -> dict[str, Any]:
        """Give it to a reader (docs/json.md)."""
        return {
            "passed": self.passed,
            "branch": self.branch,
            "base": self.base,
            "head": self.head,
            "findings": [finding._asdict() for finding in self.findings],
            "checks": [check._asdict() for check in self.checks],
            "proposals": [_proposal(proposal) for proposal in self.proposals],
        }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    from mlv.review import differences

    verdict, between = proposal.verdict, proposal.between
    return {
        "model": proposal.model,
        "action": proposal.action,
        "before": json.loads(proposal.before.to_bytes()),
        "after": json.loads(proposal.after.to_bytes()),
        "live": _side(proposal.live),
        "proposed": _side(proposal.proposed),
        "gate": verdict and verdict.to_dict(),
        "forced": proposal.forced,
        "commits": between and between._asdict(),
        "changed": differences.to_dict(proposal),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "version": side.manifest.version.name,
        "commit": side.commit and side.commit._asdict(),
        "dirty": side.manifest.data["lineage"].get("dirty") or [],
    }
