"""The local registry branch follows what was published, where it can fast-forward.

It is published by then: nothing here may fail that, so what is in the way is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import RegistryError
from mlv.moving.promotion import ready_trees
from mlv.store import publishing, workbytes, workspace
from mlv.store.git import NO_OBJECT, RefUpdate
from mlv.store.naming import folder_of
from mlv.store.vanished import remember_not_merged

if TYPE_CHECKING:
    from mlv.moving.drafting import Draft
    from mlv.sharing.share import Share
    from mlv.store.versions import Tip, Versions


def follow(share: Share, tip: Tip, made: Draft, reason: str) -> list[str]:
    """Bring the local branch to the commit that was published on ``tip``."""
    versions = share.versions
    branch, remote = versions.config.branch, share.remote.name
    _remember(share, made.commit)
    if tip.local is None:
        return []
    if tip.local != tip.commit and not share.git.is_ancestor(tip.local, made.commit):
        said = f"{branch} here has diverged from {remote}/{branch} and is left alone"
        return [f"{said}: git pull --rebase {remote} {branch} when it suits"]
    try:
        with publishing.local_lock(share.git.layout):
            notes = publishing.recover(share.git)
            if tip.local == tip.commit:
                trees = ready_trees(versions, tip, made)
                move = made.move(branch, tip.local)
                return notes + publishing.publish(share.git, move, trees, reason)
            return notes + fast_forward(share.versions, tip, made.commit, reason)
    except RegistryError as error:
        return [_said(share, error)]


def catch_up(share: Share, tip: Tip) -> list[str]:
    """Bring a local branch along that is behind: who published may have been killed then."""
    if tip.local in (None, tip.commit) or not share.git.is_ancestor(tip.local, tip.commit):
        return []
    try:
        with publishing.local_lock(share.git.layout):
            notes = publishing.recover(share.git)
            return notes + fast_forward(share.versions, tip, tip.commit, "mlv: fast-forward")
    except RegistryError as error:
        return [_said(share, error)]


def _said(share: Share, error: RegistryError) -> str:
    branch, remote = share.versions.config.branch, share.remote.name
    said = f"published, but {branch} here does not follow: {error.message}"
    return f"{said} (git pull --ff-only {remote} {branch} when that is mended)"


def _remember(share: Share, commit: str) -> None:
    """Have the remote-tracking branch say what was just published, as git push itself would."""
    ref = share.versions.remote_ref
    found = share.git.objects.read(ref)
    if found is None or found.oid != commit:
        share.git.ask("update-ref", ref, commit, found.oid if found else NO_OBJECT)
    remember_not_merged(share.versions, commit)


def fast_forward(versions: Versions, tip: Tip, commit: str, reason: str) -> list[str]:
    """Take a branch along that lacks other people's commits too, and so any model's files.

    To be called under `publishing.local_lock`.
    """
    git, branch = versions.git, versions.config.branch
    assert tip.local
    trees = workspace.checkouts(git, branch)
    if not trees:
        git.update_refs([RefUpdate(f"refs/heads/{branch}", commit, tip.local)], reason)
        return []
    if len(trees) > 1:
        return [f"{branch} is checked out in several work trees and stays: git pull --ff-only"]
    new = tip._replace(commit=commit)
    folders = [folder_of(model) for model in versions.models_on(new)]
    before, after = (_files(versions, at, folders) for at in (tip.local, commit))
    move = workspace.Move(branch, tip.local, commit, folders, before, after)
    artifacts = workbytes.find(trees[0], before, after)
    return publishing.fast_forward(workspace.Checkout(trees[0], artifacts), move)


def _files(versions: Versions, commit: str, folders: list[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for folder in folders:
        files |= workspace.files_below(versions.entries(commit, folder) or [], folder)
    return files
