"""What the base's gate says of each version that is to be staged or to go live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv import gating
from mlv.domain.names import Version
from mlv.domain.pointer import GATED, PROMOTE, ROLLBACK, STAGE
from mlv.errors import RegistryError
from mlv.review.case import Looked, looked
from mlv.review.past import Past
from mlv.review.report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.explaining import Verb
    from mlv.domain.gate import Verdict
    from mlv.review.case import Case, Move

Verdicts = dict[Version, "Verdict"]


def check(case: Case, moves: Sequence[Move]) -> tuple[Verdicts, Looked]:
    """Judge every staging and promotion by the base's policy, against what is live there."""
    verdicts: Verdicts = {}
    findings: list[Finding] = []
    for move in moves:
        for verb in _gated(case, move):
            version = Version(move.model, verb.number)
            to_stage = verb.action == STAGE
            if not _is_readable(case, version):
                continue  # which is said of its tag
            try:
                verdict = gating.verdict(
                    case.versions, case.change.base, version, to_stage=to_stage
                )
            except RegistryError as error:
                message = f"{version.tag} cannot be judged: {error.message}"
                findings.append(Finding("gate", version.tag, message, error.hint))
                continue
            verdicts[version] = verdict
            findings += _found(case, move, version, verdict)
    return verdicts, looked(findings, detail="" if verdicts else "nothing is staged or promoted")


def _gated(case: Case, move: Move) -> Iterator[Verb]:
    """Give the steps that the gate is asked about: a rollback too, where it goes nowhere back.

    A version that was yanked, and its yank taken back, is archived, although it never was live.
    """
    past = Past(case.versions, case.change.base, move.model)
    promoted = {verb.number for verb in move.verbs if verb.action == PROMOTE}
    for verb in move.verbs:
        is_new = verb.action == ROLLBACK and verb.number not in promoted
        if verb.action in GATED or (is_new and not past.lived(verb.number)):
            yield verb


def _is_readable(case: Case, version: Version) -> bool:
    try:
        case.versions.record(version)
    except RegistryError:
        return False
    return True


def _found(case: Case, move: Move, version: Version, verdict: Verdict) -> list[Finding]:
    if verdict.passed:
        return []
    tag, said = version.tag, gating.summary(verdict)
    is_forced = version.number in move.after.forced
    if is_forced and case.look.force:
        message = f"{said}: forced, and recorded"
        return [Finding("gate", tag, message, "who approves this approves that", blocks=False)]
    if is_forced:
        hint = "it is proposed as forced past the gate: who may decide that says mlv review --force"
        return [Finding("gate", tag, f"{said}; the proposal forces it", hint)]
    hint = f"train a better one, or mlv propose {tag} --force --reason '...', which is recorded"
    return [Finding("gate", tag, said, hint)]
