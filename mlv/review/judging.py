"""The review: every rule, one after the other, and the report of what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv import gating
from mlv.domain.names import Version
from mlv.review import alongside, facts, legality, pickles, quality, signed, stored, tags, tree
from mlv.review import change as changes
from mlv.review.case import Case, Look, Move, looked
from mlv.review.report import Finding, Report
from mlv.trust import policy_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.review.quality import Verdicts
    from mlv.review.report import Proposal
    from mlv.store.versions import Versions

_LOOK = Look()
# Of a change that touches no model there is nothing else to check.
_ALWAYS = ("pointer", "folder", "alongside")


def review(versions: Versions, base: str, head: str, look: Look = _LOOK) -> Report:
    """Judge what ``head`` would bring to the registry branch, whose tip is ``base``.

    Both are commits by any name. The mlv.yaml of ``base``, its signers and its DVC configuration
    judge; of ``versions`` only the repository counts.
    """
    change = changes.between(versions.git, base, head)
    by_base = changes.at_base(versions.git, change.base)
    case = Case(by_base, change, policy_at(by_base, change.base), look)
    moves, of_pointers = _moves(case)
    records, of_tags = tags.read(case, moves)
    verdicts, of_gate = quality.check(case, moves)
    scan = pickles.Scan(look)
    of_remote = tags.check(case, moves, records)
    rules = {
        "pointer": looked([*of_pointers, *tags.merged(case), *_turned(case)]),
        "folder": looked(_folders(case, moves)),
        "alongside": looked(alongside.check(case, [move.model for move in moves])),
        "tags": of_remote._replace(findings=(*of_tags, *of_remote.findings)),
        "gate": of_gate,
        "signatures": signed.check(case, records),
        "bytes": stored.check(case, records, scan.inspect),
    }
    rules["pickles"] = scan.looked(records)
    found = [finding for each in rules.values() for finding in each.findings]
    return Report(
        by_base.config.branch,
        change.base,
        change.head,
        tuple(sorted(dict.fromkeys(found), key=lambda finding: not finding.blocks)),
        tuple(rules[name].check(name) for name in (rules if change.models else _ALWAYS)),
        tuple(_proposal(case, move, verdicts) for move in moves),
    )


def _moves(case: Case) -> tuple[list[Move], list[Finding]]:
    moves, findings = [], list[Finding]()
    for model in case.change.models:
        move, found = legality.judge(case, model)
        moves += [move] if move else []
        findings += found
    return moves, findings


def _folders(case: Case, moves: Sequence[Move]) -> Iterator[Finding]:
    for model in case.change.models:
        yield from tree.check_folder(case, model)
    yield from tree.check_elsewhere(case, [move.model for move in moves])


def _turned(case: Case) -> Iterator[Finding]:
    """Warn where a merge of the branch into the proposal would turn it round if forwarded to."""
    git, change, branch = case.versions.git, case.change, case.versions.config.branch
    if git.is_ancestor(change.base, change.head) and not git.is_first_ancestor(
        change.base, change.head
    ):
        yield Finding(
            "history", change.head[:10],
            f"{branch} was merged into this proposal: merge it by a merge commit or squashed, "
            "and not by fast-forward, which would turn the first parents round",
            f"git rebase {branch} makes it plain", blocks=False,
        )  # fmt: skip


def _proposal(case: Case, move: Move, verdicts: Verdicts) -> Proposal:
    verdict = None if move.number is None else verdicts.get(Version(move.model, move.number))
    return facts.proposal(
        case.versions, move.action, move.before, move.after, move.number,
        verdict=verdict, gate=gating.gate_at(case.versions, case.change.base, move.model),
    )  # fmt: skip
