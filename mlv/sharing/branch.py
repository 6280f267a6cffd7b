"""Moving pointers on the Git remote: a commit on its tip, published by compare-and-swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from collections.abc import Iterable

    from mlv.domain.names import Version
    from mlv.errors import RegistryError
    from mlv.moving.drafting import Moved
    from mlv.moving.planning import Asked
    from mlv.moving.promotion import Plan
    from mlv.sharing.share import Fetched, Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record

_ATTEMPTS = 50


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
    made = plan(share.versions, References(share.versions, model), asked)
    for step in made.steps:
        if step.seen is not None and asked.action in pointers.MOVING:
            share.notify(f"{step.model}-v{step.seen} is live on {share.remote.name}")
    return carry_out(share, made, fetched)


def carry_out(share: Share, plan: Plan, fetched: Fetched) -> Change:
    """Decide on the remote's branch and publish there, again as long as somebody is faster.

    ``fetched`` is what the caller's references were resolved against.
    """
    check_reason(plan.reason)
    seen_there: set[Version] = set()
    for attempt in range(_ATTEMPTS):
        try:
            return _attempt(share, plan, fetched, seen_there)
        except ChangedMeanwhile as error:
            if attempt == _ATTEMPTS - 1 or not isinstance(error, _LostRace):
                raise
        pause(attempt)
        fetched = fetch(share)
    raise AssertionError  # pragma: no cover - the loop returns or raises


class _LostRace(ChangedMeanwhile):
    """The branch moved between reading and publishing: read again, decide again."""


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
        fresh = _bring_bytes(share, plan.action, fetched, changed, seen_there)
    branch = RefUpdate(share.branch_ref, made.commit, fetched.tip or NO_OBJECT)
    try:
        share.remote.push([branch, *(tag_update(record) for record in fresh)])
    except RefusedByRemote as error:
        raise protected(share, error, made.commit) from error
    except ChangedMeanwhile as error:
        raise _LostRace(error.message, hint=error.hint) from error
    if fresh:
        with open_dvc(share.git.layout) as dvc:
            settle(share, dvc, fresh)
    notes = follow(share, tip, made, reflog(plan.action, changed))
    return Change(plan.action, decided, made.commit, tuple(notes))


def _refuse_unpublished(fetched: Fetched, changed: tuple[Moved, ...]) -> None:
    """Refuse to withdraw what nobody else has: its number may become another version's."""
    for each in changed:
        if each.version not in fetched.tags:
            raise StatusError(
                f"{each.version.tag} is not published",
                hint=f"mlv push {each.version.tag} first, or yank it here alone: --no-push",
            )


def _bring_bytes(
    share: Share,
    action: str,
    fetched: Fetched,
    changed: tuple[Moved, ...],
    seen_there: set[Version],
) -> list[Record]:
    """Have the versions' bytes on the DVC remote; give those whose tags must be published too.

    What was seen there is remembered, so that who loses a race asks once.
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
        if fresh or action != pointers.ROLLBACK:
            raise
        _tell_unknown(share, wanted, error)
    return fresh


def _tell_unknown(share: Share, records: Iterable[Record], error: RegistryError) -> None:
    """Tell of a rollback that goes on: it was live once, and whoever has it can load it."""
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
