"""Moving pointers on the Git remote: a commit on its tip, published by compare-and-swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mlv.domain import pointer as pointers
from mlv.errors import (
    ChangedMeanwhile,
    ConfigError,
    ProgramError,
    RefusedByRemote,
    StatusError,
)
from mlv.moving.drafting import draft
from mlv.moving.planning import plan
from mlv.moving.promotion import Change, changes, check_reason, decide, reflog
from mlv.references import References
from mlv.sharing.following import catch_up, follow
from mlv.sharing.objects import deliver, deliver_own
from mlv.sharing.pushing import Order, announce, moved, protected, push, settle, tag_update
from mlv.sharing.share import fetch, pause
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, RefUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlv.domain.names import Version
    from mlv.errors import RegistryError
    from mlv.moving.drafting import Moved
    from mlv.moving.planning import Asked
    from mlv.moving.promotion import Plan
    from mlv.sharing.share import Fetched, Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record

_ATTEMPTS = 50
_Done = TypeVar("_Done")


def move(share: Share, model: str | None, asked: Asked) -> Change:
    """Do what is asked on the remote's branch, which is pushed first where it is not there yet.

    References are those of a registry bound to ``model``, or to none.
    """
    fetched = fetch(share)
    for warning in fetched.warnings:
        share.notify(warning)
    if fetched.tip is None:
        push(share, Order())  # with all that the branch speaks of
        fetched = fetch(share)
    return carry_out(share, plan_there(share, model, asked), fetched)


def plan_there(share: Share, model: str | None, asked: Asked) -> Plan:
    """Make a plan on what was fetched of the remote's branch, and tell what is live there."""
    made = plan(share.versions, References(share.versions, model), asked)
    for step in made.steps:
        if step.seen is not None and asked.action in pointers.MOVING:
            share.notify(f"{step.model}-v{step.seen} is live on {share.remote.name}")
    return made


def carry_out(share: Share, plan: Plan, fetched: Fetched) -> Change:
    """Decide on the remote's branch and publish there, again as long as somebody is faster.

    ``fetched`` is what the caller's references were resolved against.
    """
    check_reason(plan.reason)
    seen_there: set[Version] = set()
    return until_first(share, fetched, lambda now: _attempt(share, plan, now, seen_there))


def until_first(share: Share, fetched: Fetched, attempt: Callable[[Fetched], _Done]) -> _Done:
    """Attempt it, and after a `LostRace` fetch and attempt it again; ``fetched`` is the first."""
    for number in range(_ATTEMPTS):
        try:
            return attempt(fetched)
        except LostRace:
            if number == _ATTEMPTS - 1:
                raise
        pause(number)
        fetched = fetch(share)
    raise AssertionError  # pragma: no cover - the loop returns or raises


class LostRace(ChangedMeanwhile):
    """The branch moved between reading and publishing: read again, decide again."""


def publish(
    share: Share,
    moves: Sequence[RefUpdate],
    fresh: Sequence[Record],
    options: Sequence[str] = (),
) -> list[str]:
    """Publish branches and new versions' tags, all or none; give what the remote said.

    The versions' bytes are on the DVC remote by then, and seen there once more afterwards.
    """
    try:
        said = share.remote.push([*moves, *(tag_update(record) for record in fresh)], options)
    except ChangedMeanwhile as error:
        raise LostRace(error.message, hint=error.hint) from error
    if fresh:
        with open_dvc(share.git.layout) as dvc:
            settle(share, dvc, fresh)
    return said


def _attempt(share: Share, plan: Plan, fetched: Fetched, seen_there: set[Version]) -> Change:
    versions = share.versions
    tip = versions.need_tip()
    decided = decide(versions, tip, plan)
    changed = changes(decided)
    if not changed:
        return Change(plan.action, decided, None, tuple(catch_up(share, tip)))
    made = draft(versions, tip, plan.action, changed, plan.reason)
    fresh = []
    if plan.action == pointers.YANK:
        _refuse_unpublished(fetched, changed)
    if plan.action in pointers.MOVING:  # somebody may want the bytes afterwards
        may_lack_dvc = plan.action == pointers.ROLLBACK
        fresh = bring_bytes(
            share, plan.action, fetched, changed, seen_there, may_lack_dvc=may_lack_dvc
        )
    branch = RefUpdate(share.branch_ref, made.commit, fetched.tip or NO_OBJECT)
    try:
        publish(share, [branch], fresh)
    except RefusedByRemote as error:
        raise protected(share, error, _instead(share, plan, changed, made.commit)) from error
    notes = follow(share, tip, made, reflog(plan.action, changed))
    return Change(plan.action, decided, made.commit, tuple(notes))


def _instead(share: Share, plan: Plan, changed: tuple[Moved, ...], commit: str) -> str:
    """Give the command that takes the same to a protected branch by a pull request."""
    tags = " ".join(each.version.tag for each in changed)
    if plan.action == pointers.PROMOTE:
        forcing = " --force --reason ..." if any(each.is_forced for each in changed) else ""
        return f"mlv propose {tags}{forcing}"
    if plan.action != pointers.ROLLBACK:
        branch = f"refs/heads/mlv-{commit[:7]}"
        return f"git push {share.remote.name} {commit[:12]}:{branch}, and open one from there"
    if all(step.number is None for step in plan.steps):
        return f"mlv propose --rollback {' '.join(each.version.model for each in changed)}"
    return "mlv propose --rollback " + " ".join(f"--to {tag}" for tag in tags.split())


def _refuse_unpublished(fetched: Fetched, changed: tuple[Moved, ...]) -> None:
    """Refuse to withdraw what nobody else has: its number may become another version's."""
    for each in changed:
        if each.version not in fetched.tags:
            raise StatusError(
                f"{each.version.tag} is not published",
                hint=f"mlv push {each.version.tag} first, or yank it here alone: --no-push",
            )


def bring_bytes(
    share: Share,
    action: str,
    fetched: Fetched,
    changed: tuple[Moved, ...],
    seen_there: set[Version],
    *,
    may_lack_dvc: bool,
) -> list[Record]:
    """Have the versions' bytes on the DVC remote; give those whose tags must be published too.

    What was seen there is remembered, so that who loses a race asks once. Where DVC is not set up
    and ``may_lack_dvc``, published versions go unseen, with a word.
    """
    records = [_record(share, fetched, each.version) for each in changed]
    wanted = [record for record in records if record.tag.version not in seen_there]
    fresh = [record for record in records if record.tag.version not in fetched.tags]
    try:
        if wanted:
            with open_dvc(share.git.layout) as dvc:
                for record in wanted:
                    _bring(share, dvc, action, record, is_published=record not in fresh)
                    seen_there.add(record.tag.version)
    except ConfigError as error:  # no DVC in a bare clone, or outside a sparse checkout
        if fresh or not may_lack_dvc:
            raise
        _tell_unknown(share, wanted, error)
    return fresh


def _tell_unknown(share: Share, records: Iterable[Record], error: RegistryError) -> None:
    """Tell of a move that goes on: the versions are published, so their bytes were there once."""
    tags = ", ".join(record.tag.version.tag for record in records)
    share.notify(f"whether the bytes of {tags} are there is not known: {error.message}")


def _record(share: Share, fetched: Fetched, version: Version) -> Record:
    if version in fetched.moved:
        raise moved(share, version)
    if version in fetched.taken:
        raise ChangedMeanwhile(
            f"{version.tag} here was never published, and {share.remote.name} has another",
            hint=f"mlv push {version.tag} registers yours anew under the next number",
        )
    return share.versions.record(version)


def _bring(share: Share, dvc: Dvc, action: str, record: Record, *, is_published: bool) -> None:
    if not is_published:
        announce(share, record)
        deliver(share, dvc, record, partial=False)
        return
    try:
        deliver_own(share, dvc, record.manifest)
    except ProgramError as error:
        if action != pointers.ROLLBACK:
            raise
        _tell_unknown(share, [record], error)
