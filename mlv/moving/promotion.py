"""Moving pointers: read, decide, publish one commit, and again as long as another is faster."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from mlv import gating
from mlv.domain import pointer as pointers
from mlv.domain.names import Version
from mlv.domain.rules import OPEN
from mlv.errors import (
    ChangedMeanwhile,
    InvalidInput,
    NoPreviousVersion,
    StatusError,
    WorkspaceError,
)
from mlv.moving.drafting import Moved, draft
from mlv.store import edits, publishing, workbytes, workspace
from mlv.store.naming import pointer_path
from mlv.store.vanished import remember_not_merged
from mlv.store.versions import BEHIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.domain.pointer import Pointer
    from mlv.moving.drafting import Draft
    from mlv.store.git import Git
    from mlv.store.versions import Tip, Versions

_ATTEMPTS = 10
_WAS_SO = {pointers.STAGE: "staged", pointers.YANK: "yanked", pointers.UNYANK: "archived"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Step(NamedTuple):
    """One version's part of a plan; ``seen`` is the live version that the user last saw.

    Without a number, a rollback goes to the previous version.
    """

    model: str
    number: int | None
    seen: int | None = None


class Plan(NamedTuple):
    """What the user asks for: one commit, all steps or none.

    ``force``: also of a version that does not meet the gate.
    """

    action: str
    steps: tuple[Step, ...]
    reason: str | None = None
    force: bool = False


class Change(NamedTuple):
    """What was decided and done; ``commit`` is None where nothing had to change."""

    action: str
    moved: tuple[Moved, ...]
    commit: str | None
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        """Say what a person should know of it: its notes, and what was so already."""
        was_so = _WAS_SO.get(self.action, "live")
        return [
            *self.notes,
            *(
                f"{gating.summary(each.verdict)}: forced, and recorded"
                for each in self.moved
                if each.verdict and each.is_forced
            ),
            *(
                f"{each.version.tag} is {was_so} already: nothing was changed"
                for each in self.moved
                if not each.is_change
            ),
        ]


def carry_out(versions: Versions, plan: Plan) -> Change:
    """Read, decide and publish here, again from the start as long as somebody else is faster."""
    check_reason(plan.reason)
    return publish(versions, plan.action, plan.reason, lambda tip: decide(versions, tip, plan))


def publish(
    versions: Versions, action: str, reason: str | None, decided: Callable[[Tip], tuple[Moved, ...]]
) -> Change:
    """Publish here what is ``decided`` on the branch as it is, and again if somebody is faster."""
    with publishing.local_lock(versions.git.layout):
        notes = publishing.recover(versions.git)
        for attempt in range(_ATTEMPTS):
            try:
                change = _attempt(versions, action, reason, decided)
            except ChangedMeanwhile:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.01 * attempt)
            else:
                return change._replace(notes=(*notes, *change.notes))
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _attempt(
    versions: Versions, action: str, reason: str | None, decided: Callable[[Tip], tuple[Moved, ...]]
) -> Change:
    tip = versions.need_tip()
    moved = decided(tip)
    changed = changes(moved)
    if not changed:
        return Change(action, moved, None)
    made = draft(versions, tip, action, changed, reason)
    trees = ready_trees(versions, tip, made)
    move = made.move(versions.config.branch, tip.local)
    notes = publishing.publish(versions.git, move, trees, reflog(action, changed))
    remember_not_merged(versions, made.commit)
    return Change(action, moved, made.commit, tuple(notes))


# Deciding ----------------------------------------------------------------------------------


def decide(versions: Versions, tip: Tip, plan: Plan) -> tuple[Moved, ...]:
    """Take every step on what the branch says; `GateFailed` if one does not meet its gate."""
    known: dict[str, Pointer] = {}
    moved = []
    for step in plan.steps:
        if step.model not in known:
            known[step.model] = versions.pointer(tip, step.model)
            _check_still(versions, tip, plan.action, step, known[step.model])
        before = known[step.model]
        try:
            after, number = pointers.decide(before, plan.action, step.number)
        except NoPreviousVersion as error:
            raise _with_who(versions, tip, step.model, before, error) from error
        except StatusError as error:
            raise _with_reason(versions, tip, step, before, error) from error
        made = Moved(Version(step.model, number), before, after)
        if plan.action == pointers.ROLLBACK and number != before.previous:
            _check_was_live(versions, tip, made.version)
        moved.append(_judged(versions, tip, plan.action, made) if made.is_change else made)
        known[step.model] = moved[-1].after
    if not plan.force:
        gating.check([each.verdict for each in moved if each.verdict])
    return tuple(moved)


def _judged(versions: Versions, tip: Tip, action: str, made: Moved) -> Moved:
    """Hold a step against the gate of the branch that it is taken on."""
    version = made.version
    if action not in pointers.GATED or gating.gate_at(versions, tip.commit, version.model) == OPEN:
        return made
    to_stage = action == pointers.STAGE
    verdict = gating.verdict(versions, tip.commit, version, to_stage=to_stage)
    after, _ = pointers.decide(made.before, action, version.number, forced=not verdict.passed)
    return made._replace(after=after, verdict=verdict)


def _check_was_live(versions: Versions, tip: Tip, version: Version) -> None:
    """Refuse to go back to what never was live: it may be archived by an undone yank alone.

    The gate is not asked about a rollback, and would be passed by. Where history is cut off, it
    cannot be told, and a rollback goes on.
    """
    from mlv.remembering.timeline import last_event

    was_live = (pointers.PROMOTE, pointers.ROLLBACK)
    if versions.git.is_shallow() or last_event(
        versions, tip, version.model, version.number, was_live
    ):
        return
    raise StatusError(
        f"cannot roll back to {version.tag}: it never was live",
        hint=f"mlv promote {version.tag} puts it live, if it meets the gate",
    )


def changes(moved: tuple[Moved, ...]) -> tuple[Moved, ...]:
    """Give those that change something: promoting what is live does not."""
    return tuple(each for each in moved if each.is_change)


def _check_still(versions: Versions, tip: Tip, action: str, step: Step, pointer: Pointer) -> None:
    """Stop if production moved since the user looked."""
    if pointer.current == step.seen or action not in (pointers.PROMOTE, pointers.ROLLBACK):
        return
    was, now = (_tag(step.model, number) for number in (step.seen, pointer.current))
    who, how = who_moved(versions, tip, step.model)
    if action == pointers.ROLLBACK and pointer.current is not None and pointer.previous is None:
        raise ChangedMeanwhile(
            f"already rolled back to {now} by {who}: nothing was changed", hint="see mlv status"
        )
    raise ChangedMeanwhile(
        f"{now} is live, not {was}: production moved meanwhile ({who}: {how})",
        hint="look at mlv status, then decide again; --from says what you saw",
    )


def _with_who(
    versions: Versions, tip: Tip, model: str, pointer: Pointer, error: NoPreviousVersion
) -> NoPreviousVersion:
    """Say who rolled back already: of two at once, the second goes no further."""
    if pointer.current is None or pointers.ARCHIVED not in pointer.status.values():
        return error
    now, (who, _) = _tag(model, pointer.current), who_moved(versions, tip, model)
    return NoPreviousVersion(
        f"No previous version to roll back to: already rolled back to {now} by {who}",
        hint=error.hint,
    )


def _with_reason(
    versions: Versions, tip: Tip, step: Step, pointer: Pointer, error: StatusError
) -> StatusError:
    """Say who withdrew a version that is asked for, and why."""
    from mlv.moving.withdrawal import with_reason  # which reads history: for an error alone

    number = pointer.previous if step.number is None else step.number
    if number is None:
        return error
    version = Version(step.model, number)
    return with_reason(versions, tip, version, pointer.status_of(number), error)


def who_moved(versions: Versions, tip: Tip, model: str) -> tuple[str, str]:
    """Say who changed a model's pointer last and when (``Ada, 3 seconds ago``), and how."""
    path = pointer_path(model)
    said = versions.git.line(
        "log", "-1", "--first-parent", "--no-show-signature", "--encoding=UTF-8",
        "--format=%an, %ar%x00%s", tip.commit, "--", path,
    )  # fmt: skip
    who, _, how = said.partition("\0")
    return who, how


def _tag(model: str, number: int | None) -> str:
    return "nothing" if number is None else Version(model, number).tag


def check_reason(reason: str | None) -> None:
    """Refuse a reason that a commit's message cannot keep as it is."""
    is_text = reason is None or not any("\ud800" <= char <= "\udfff" for char in reason)
    if reason is not None and (not is_text or not reason.strip() or _CONTROL.search(reason)):
        raise InvalidInput(
            "the reason is empty or holds control characters", hint="say why in plain text"
        )


# Publishing --------------------------------------------------------------------------------


def reflog(action: str, moved: tuple[Moved, ...]) -> str:
    """Say in the branch's reflog what moved it."""
    return f"mlv: {action} {', '.join(each.version.tag for each in moved)}"


def ready_trees(versions: Versions, tip: Tip, made: Draft) -> list[workspace.Checkout]:
    """Find the work trees to bring along; refuse if one is not ready for it."""
    branch, remote = versions.config.branch, versions.config.remote
    trees = workspace.checkouts(versions.git, branch)
    if trees and tip.relation == BEHIND:
        raise WorkspaceError(
            f"{branch} is behind {remote}/{branch}, which says what is live",
            hint=f"git pull --ff-only {remote} {branch} in the work tree that has it checked out",
        )
    return [_ready(tree, made) for tree in trees]


def _ready(tree: Git, made: Draft) -> workspace.Checkout:
    edits.refuse_unmerged(tree)
    for folder in made.folders:
        before = {p: oid for p, oid in made.before.items() if p.startswith(f"{folder}/")}
        after = {p for p in made.after if p.startswith(f"{folder}/")}
        edits.refuse_edited(tree, folder, before, after)
    return workspace.Checkout(tree, workbytes.find(tree, made.before, made.after))
