"""Moving pointers on the Git remote: a commit on its tip, published by compare-and-swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import pointer as pointers
from mlv.drafting import draft
from mlv.errors import ChangedMeanwhile, ProgramError, RefusedByRemote, RegistryError
from mlv.promotion import Change, changes, check_reason, decide, ready_trees, reflog
from mlv.sharing.objects import deliver, deliver_own
from mlv.sharing.pushing import announce, moved, protected, settle, tag_update
from mlv.sharing.share import fetch, pause
from mlv.store import publishing, workbytes, workspace
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, RefUpdate

if TYPE_CHECKING:
    from mlv.domain.names import Version
    from mlv.drafting import Draft, Moved
    from mlv.promotion import Plan
    from mlv.sharing.share import Fetched, Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record, Tip

_ATTEMPTS = 50
# After these, somebody may want the bytes of the version.
_MAKES_USE = (pointers.STAGE, pointers.PROMOTE, pointers.ROLLBACK)


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
        return Change(plan.action, decided, None)
    made = draft(versions, tip, plan.action, changed, plan.reason)
    fresh = []
    if plan.action in _MAKES_USE:
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
    notes = _follow(share, tip, made, reflog(plan.action, changed))
    return Change(plan.action, decided, made.commit, tuple(notes))


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
    if wanted:
        with open_dvc(share.git.layout) as dvc:
            for record in wanted:
                _bring(share, dvc, action, record, is_published=record.tag.version in fetched.tags)
                seen_there.add(record.tag.version)
    return [record for record in records if record.tag.version not in fetched.tags]


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
        # It was live once, and whoever has it still can load it: go back all the same.
        share.notify(f"whether the bytes of {record.tag.version.tag} are there is not known: "
                     f"{error.message}")  # fmt: skip


# The local branch follows -------------------------------------------------------------------


def _follow(share: Share, tip: Tip, made: Draft, reason: str) -> list[str]:
    """Bring the local branch along where it can; it is published, so nothing here may fail it."""
    git, versions = share.git, share.versions
    branch, remote = versions.config.branch, share.remote.name
    _remember(share, made.commit)
    if tip.local is None:
        return []
    if tip.local != tip.commit and not _is_ancestor(share, tip.local, made.commit):
        said = f"{branch} here has diverged from {remote}/{branch} and is left alone"
        return [f"{said}: git pull --rebase {remote} {branch} when it suits"]
    try:
        with publishing.local_lock(git.layout):
            notes = publishing.recover(git)
            if tip.local == tip.commit:
                trees = ready_trees(versions, tip, made)
                move = made.move(branch, tip.local)
                return notes + publishing.publish(git, move, trees, reason)
            return notes + _fast_forward(share, tip.local, made, reason)
    except RegistryError as error:
        said = f"published, but {branch} here does not follow: {error.message}"
        return [f"{said} (git pull --ff-only {remote} {branch} when that is mended)"]


def _remember(share: Share, commit: str) -> None:
    """Have the remote-tracking branch say what was just published, as git push itself would."""
    ref = share.versions.remote_ref
    found = share.git.objects.read(ref)
    if found is None or found.oid != commit:
        share.git.ask("update-ref", ref, commit, found.oid if found else NO_OBJECT)
    share.versions.remember_not_merged(commit)


def _is_ancestor(share: Share, old: str, new: str) -> bool:
    return share.git.ask("merge-base", "--is-ancestor", old, new).code == 0


def _fast_forward(share: Share, old: str, made: Draft, reason: str) -> list[str]:
    """Take a branch along that lacks other people's commits too."""
    git, branch = share.git, share.versions.config.branch
    trees = workspace.checkouts(git, branch)
    if not trees:
        git.update_refs([RefUpdate(f"refs/heads/{branch}", made.commit, old)], reason)
        return []
    if len(trees) > 1:
        return [f"{branch} is checked out in several work trees and stays: git pull --ff-only"]
    tree = trees[0]
    before: dict[str, str] = {}
    for folder in made.folders:
        entries = share.versions.entries(old, folder) or []
        before |= workspace.files_below(entries, folder)
    artifacts = workbytes.find(tree, before, made.after)
    tree.run("merge", "--ff-only", "--quiet", "--no-autostash", made.commit)
    return workbytes.settle(tree, artifacts, made.after)
