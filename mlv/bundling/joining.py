"""A bundle comes into a clone that is here: what is new is added, and nothing is overwritten."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from mlv.bundling.inside import absent, check_dvc, check_folders
from mlv.bundling.unpacking import Places, Unbundled, bring_git, install, take_apart
from mlv.errors import ChangedMeanwhile, IntegrityError, NotFound, RegistryError, WorkspaceError
from mlv.overview import live_on
from mlv.sharing.following import fast_forward
from mlv.store import accepted, publishing
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, SCRATCH, RefUpdate
from mlv.store.locks import bytes_lock
from mlv.store.naming import tag_ref
from mlv.store.scratch import scratch
from mlv.trust import accept, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mlv.bundling.inside import Inside
    from mlv.bundling.unpacking import Arrived, Order
    from mlv.domain.names import Version
    from mlv.store.dvc.cache import Cache
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tip, Versions
    from mlv.trust import Policy

_REASON = "mlv: unbundle"


class _Plan(NamedTuple):
    """The versions to add, and whether the registry branch moves from ``tip``.

    ``live`` are versions of which the tag alone is to be added, for the branch goes by them.
    """

    new: tuple[Version, ...]
    known: tuple[Version, ...]
    live: tuple[Version, ...]
    tip: Tip | None
    moves: bool


def join(
    versions: Versions,
    file: Path,
    order: Order,
    notify: Callable[[str], None],
    progress: ProgressBar,
) -> Unbundled:
    """Bring a bundle's versions into this clone, and its registry branch along."""
    git = versions.git
    common = git.layout.common_dir
    with (
        bytes_lock(common, shared=True),  # until tags name them
        scratch(common / SCRATCH) as folder,
        open_dvc(git.layout) as dvc,
        scratch(dvc.cache.scratch_folder) as objects,
    ):
        places = Places(folder / "git", objects, dvc.cache, git, is_kept=not order.dry_run)
        arrived = take_apart(file, places, progress)
        plan = _plan(versions, arrived, order, dvc.cache, notify)
        done = _summary(versions, arrived, plan)
        if order.dry_run:
            return done
        install(arrived, dvc.cache)
        return _publish(versions, arrived, plan, done, notify)


def _summary(versions: Versions, arrived: Arrived, plan: _Plan) -> Unbundled:
    contents = arrived.contents
    return Unbundled(
        versions.git.layout.folder,
        is_new=False,
        versions=plan.new,
        known=plan.known,
        branch=contents.branch,
        commit=contents.commit if plan.moves else None,
        objects=len(arrived.fresh),
        size=arrived.size,
        lacking=contents.lacking,
    )


# What is to be done ------------------------------------------------------------------------


def _plan(
    versions: Versions,
    arrived: Arrived,
    order: Order,
    cache: Cache,
    notify: Callable[[str], None],
) -> _Plan:
    """Decide, and refuse what may not be; nothing was changed by then."""
    tip = versions.tip()
    records, live = arrived.inside.records, arrived.inside.live
    new, known = _split(versions, records)
    moves = order.branch and _moves(versions, tip, arrived)
    policy = accept(versions, tip)
    lacking: tuple[Version, ...] = ()
    if moves:
        lacking, _ = _split(versions, live)
        records = [*records, *live]
        policy = _accept_there(versions, arrived.inside)
        before = versions.blob(tip.commit, ".dvc/config") if tip else None
        check_dvc(arrived.inside, before or b"")
        check_folders(arrived.inside)
        _check_live(versions, tip, live, cache, notify)
    if policy.required:
        for record in records:
            check_version(arrived.inside.versions, policy, record)
    return _Plan(new, known, lacking, tip, moves)


def _split(
    versions: Versions, records: Iterable[Record]
) -> tuple[tuple[Version, ...], tuple[Version, ...]]:
    """Tell new versions from those that are here; one that is another here is refused."""
    new: list[Version] = []
    known: list[Version] = []
    for record in records:
        version, theirs = record.manifest.version, record.tag
        ours = versions.find(version)
        found = versions.git.objects.read(tag_ref(version))
        if ours is None and found is None:
            new.append(version)
            continue
        oid = ours.oid if ours else found.oid if found else ""
        is_same = ours and ours.oid in (theirs.oid, theirs.commit)
        if not is_same:
            raise IntegrityError(
                f"{version.tag} here is not the {version.tag} of the bundle: here it is "
                f"{oid[:10]}, there {theirs.oid[:10]}, which {_who(record.manifest.data)}",
                hint="a version never changes, so one of the two was registered or moved in "
                f"another place: compare git show {version.tag} with where the bundle was made",
            )
        (known if found else new).append(version)
    return tuple(new), tuple(known)


def _who(facts: object) -> str:
    assert isinstance(facts, dict)
    return f"{facts['registered_by']} registered on {facts['registered_at'][:10]}"


def _moves(versions: Versions, tip: Tip | None, arrived: Arrived) -> bool:
    """Whether the registry branch here is behind the bundle's; one that left it is refused."""
    branch, theirs = versions.config.branch, arrived.contents
    if theirs.branch != branch:
        raise WorkspaceError(
            f"the registry branch here is {branch}, and that of the bundle {theirs.branch}",
            hint="--no-branch brings the versions alone",
        )
    if tip is None:
        return True
    git = arrived.inside.git  # which sees the objects of both
    if git.is_ancestor(theirs.commit, tip.commit):
        return False
    if git.is_first_ancestor(tip.commit, theirs.commit):
        return True
    raise ChangedMeanwhile(
        f"{branch} here and in the bundle have diverged: here it is at {tip.commit[:10]}, there "
        f"at {theirs.commit[:10]}",
        hint="--no-branch brings the versions, and leaves what is live here as it is",
    )


def _accept_there(versions: Versions, inside: Inside) -> Policy:
    """Accept the bundle's tip by what this clone accepted; nothing of it is remembered here."""
    note = versions.git.layout.common_dir / accepted.FILE
    if note.is_file():
        shutil.copyfile(note, inside.git.layout.common_dir / accepted.FILE)
    return accept(inside.versions, inside.tip)


def _check_live(
    versions: Versions,
    tip: Tip | None,
    live: Iterable[Record],
    cache: Cache,
    notify: Callable[[str], None],
) -> None:
    """Refuse a branch by which ``live`` goes live in place of something whose bytes are here."""
    here = [v for v in (live_on(versions, tip) if tip else []) if versions.find(v)]
    serving = {version.model for version in here if _has(cache, versions.record(version))}
    for record in live:
        version = record.manifest.version
        if _has(cache, record):
            continue
        said = absent(version)
        if version.model in serving:
            raise NotFound(
                said,
                hint=f"bundle {version.model}@production too; --no-branch leaves what is live "
                "here as it is",
            )
        notify(said)


def _has(cache: Cache, record: Record) -> bool:
    """Whether a version's bytes are here: its tag may be without them."""
    md5s = [artifact.md5 for artifact in record.manifest.artifacts.values()]
    try:
        return not cache.missing(md5s, record.manifest.version.tag)
    except IntegrityError:  # a listing that is damaged
        return False


# Doing it ----------------------------------------------------------------------------------


def _publish(
    versions: Versions,
    arrived: Arrived,
    plan: _Plan,
    done: Unbundled,
    notify: Callable[[str], None],
) -> Unbundled:
    """Make the tags, and bring the branch along; bytes are in the cache by then."""
    git, contents = versions.git, arrived.contents
    refs = contents.refs() if plan.moves else map(tag_ref, contents.versions)
    bring_git(git, arrived, refs)
    new = (*plan.new, *plan.live)
    updates = [RefUpdate(tag_ref(v), contents.tags[v], NO_OBJECT) for v in new]
    follows = plan.moves and plan.tip is not None and plan.tip.local is not None
    if plan.moves and not follows:
        updates.append(RefUpdate(versions.local_ref, contents.commit, NO_OBJECT))
    if updates:
        git.update_refs(updates, _REASON)
    if follows:
        assert plan.tip
        return done._replace(commit=_follow(versions, plan.tip, contents.commit, notify))
    return done


def _follow(versions: Versions, tip: Tip, commit: str, notify: Callable[[str], None]) -> str | None:
    """Take the local branch along, with the work tree that has it checked out."""
    try:
        with publishing.local_lock(versions.git.layout):
            notes = publishing.recover(versions.git)
            notes += fast_forward(versions, tip, commit, _REASON)
    except RegistryError as error:
        raise WorkspaceError(
            f"the versions are here, and {versions.config.branch} stays where it is: "
            f"{error.message}",
            hint=f"{error.hint or 'git status says more'}; the same command goes on from there",
        ) from error
    for note in notes:
        notify(note)
    found = versions.git.objects.read(versions.local_ref)
    return commit if found and found.oid == commit else None
