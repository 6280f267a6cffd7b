"""Purging: the bytes of older archived versions go, tag and manifest stay.

The order: decide; publish that they are purged; look again at what is in use, the remote's
branches and tags included; only then delete. Killed in between, the next purge sweeps up: what
was purged before and still has bytes is deleted too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version
from mlv.errors import ChangedMeanwhile, ConfigError, WorkspaceError
from mlv.keeping import sweeping
from mlv.moving.promotion import Plan, Step, carry_out
from mlv.sharing import branch as branches
from mlv.sharing.share import fetch
from mlv.store import usage
from mlv.store.dvc.repository import open_dvc
from mlv.store.gitremote import PEELED
from mlv.store.naming import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlv.keeping.sweeping import Sweep
    from mlv.moving.promotion import Change
    from mlv.sharing.share import Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Tip, Versions

_EVERY = ("refs/heads/*", "refs/tags/*")
_ATTEMPTS = 5


class Purge(NamedTuple):
    """What a purge does, or would.

    ``versions`` become purged, oldest first; ``sweep`` is what of them, and of those purged
    before, is deleted. ``cache`` and ``remote`` say where; ``remote`` is None if DVC has none.
    ``commit`` is None where nothing was published.
    """

    versions: tuple[Version, ...]
    sweep: Sweep
    cache: str
    remote: str | None
    commit: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.versions and not self.sweep.versions


class _Scene(NamedTuple):
    """Where a purge takes place; ``share`` is None where there is no Git remote."""

    versions: Versions
    share: Share | None
    dvc: Dvc
    model: str


def purge(
    versions: Versions,
    share: Share | None,
    model: str,
    keep_last_n: int,
    confirm: Callable[[Purge], bool],
) -> Purge:
    """Purge all but the newest ``keep_last_n`` archived versions, if ``confirm`` agrees."""
    _refuse_shallow(versions)
    with open_dvc(versions.git.layout) as dvc:
        dvc.check_remote()
        scene = _Scene(versions, share, dvc, model)
        if share:
            _refuse_stale(scene, share)
        refs = _look(scene)
        tip = _tip(scene, refs)
        _refuse_unpublished(scene, tip)
        plan = _plan(scene, refs, tip, keep_last_n)
        if plan.is_empty or not confirm(plan):
            return plan
        if plan.versions:
            change = _publish(scene, plan.versions)
            plan = plan._replace(commit=change.commit, notes=(*plan.notes, *change.notes))
        sweep = _survey(scene)
        notes = sweeping.delete(versions, dvc, sweep, lambda: _in_use(scene))
    return plan._replace(sweep=sweep, notes=(*plan.notes, *notes))


def _publish(scene: _Scene, chosen: tuple[Version, ...]) -> Change:
    """Publish that versions are purged: on the Git remote where there is one."""
    steps = tuple(Step(version.model, version.number) for version in chosen)
    plan = Plan(pointers.PURGE, steps)
    if scene.share is None:
        return carry_out(scene.versions, plan)
    return branches.carry_out(scene.share, plan, fetch(scene.share))


def _plan(scene: _Scene, refs: Mapping[str, str], tip: Tip, keep_last_n: int) -> Purge:
    """Decide what a purge would do now."""
    versions, dvc = scene.versions, scene.dvc
    numbers = pointers.purgeable(versions.pointer(tip, scene.model), keep_last_n)
    chosen = [Version(scene.model, number) for number in numbers]
    known = usage.held(versions).manifests
    readable = tuple(version for version in chosen if version in known)
    gone = _purged(versions, tip) | set(readable)
    own = [version for version in gone if version.model == scene.model]
    sweep = sweeping.survey(versions, dvc, refs, own, gone)
    remote = f"{dvc.remote().name!r} ({dvc.remote().url})" if dvc.remote_name() else None
    odd = (f"{v.tag} cannot be read here, and is left alone" for v in chosen if v not in known)
    return Purge(readable, sweep, str(dvc.cache.folder), remote, notes=(*odd, *sweep.notes))


def _survey(scene: _Scene) -> Sweep:
    """Look at everything anew: what is purged by now, and what of it is in use."""
    if scene.share:
        fetch(scene.share)
    refs = _look(scene)
    gone = _purged(scene.versions, _tip(scene, refs))
    own = [version for version in gone if version.model == scene.model]
    return sweeping.survey(scene.versions, scene.dvc, refs, own, gone)


def _in_use(scene: _Scene) -> dict[str, str]:
    refs = _look(scene)
    gone = _purged(scene.versions, _tip(scene, refs))
    return sweeping.in_use(scene.versions, scene.dvc, refs, gone)


def _purged(versions: Versions, tip: Tip) -> set[Version]:
    """Name every purged version, of all models."""
    return {
        Version(model, number)
        for model in versions.models_on(tip)
        for number, status in versions.pointer(tip, model).status.items()
        if status == pointers.PURGED
    }


# What Git says, here and on the remote -----------------------------------------------------


def _refuse_shallow(versions: Versions) -> None:
    if versions.git.is_shallow():
        raise ConfigError(
            "this clone is shallow: it cannot tell which bytes are in use",
            hint=f"purge in a full clone, or git fetch --unshallow {versions.config.remote}",
        )


def _look(scene: _Scene) -> dict[str, str]:
    """Ask the Git remote for its branches and tags, and bring what they name here."""
    if scene.share is None:
        return {}
    remote = scene.share.remote
    for _ in range(_ATTEMPTS):
        refs = _named(remote.refs(*_EVERY))
        objects = scene.versions.git.objects
        absent = [ref for ref, oid in refs.items() if objects.read(oid) is None]
        if not absent:
            return refs
        remote.fetch(absent)
    raise ChangedMeanwhile(
        f"{remote.name} changes faster than it can be fetched", hint="try again in a moment"
    )


def _named(refs: Mapping[str, str]) -> dict[str, str]:
    """Leave out what annotated tags name: git itself brings that with them."""
    return {ref: oid for ref, oid in refs.items() if not ref.endswith(PEELED)}


def _tip(scene: _Scene, refs: Mapping[str, str]) -> Tip:
    """Find the commit that says what is purged: the remote's where there is one."""
    tip = scene.versions.need_tip()
    if scene.share is None:
        return tip
    name, branch = scene.share.remote.name, scene.versions.config.branch
    theirs = refs.get(scene.share.branch_ref)
    if theirs is None:
        raise WorkspaceError(
            f"{branch} is not on {name}: nobody else could see what is purged",
            hint="mlv push, then try again",
        )
    return tip._replace(commit=theirs)


def _refuse_stale(scene: _Scene, share: Share) -> None:
    """Refuse a clone that does not know what the remote has; to be called before any fetch."""
    ours, theirs = scene.versions.git.refs(), share.remote.refs(*_EVERY)
    stale = [
        ref.removeprefix("refs/tags/")
        for ref, oid in theirs.items()
        if version_of(ref) and ours.get(ref) not in (oid, theirs.get(f"{ref}{PEELED}"))
    ]
    tracking = scene.versions.remote_ref
    if ours.get(tracking) != theirs.get(share.branch_ref):
        stale.insert(0, tracking.removeprefix("refs/remotes/"))
    if stale:
        raise WorkspaceError(
            f"this clone is stale: {stale[0]} is not what {share.remote.name} has now",
            hint="mlv fetch, then try again",
        )


def _refuse_unpublished(scene: _Scene, tip: Tip) -> None:
    """Refuse where the local branch has moved a pointer on that others do not see yet."""
    versions, config = scene.versions, scene.versions.config
    local = tip._replace(commit=tip.local or tip.commit)
    if versions.git.is_ancestor(local.commit, tip.commit):
        return
    if versions.pointer(local, scene.model) != versions.pointer(tip, scene.model):
        theirs = f"{config.remote}/{config.branch}"
        raise WorkspaceError(
            f"{config.branch} says something else of {scene.model!r} here than on {config.remote}",
            hint=f"mlv push publishes it; git log {theirs}..{config.branch} shows it",
        )
