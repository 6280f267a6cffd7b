"""`mlv push`: bytes, then tags and branch in one atomic push."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.pointer import PURGED
from mlv.errors import (
    ChangedMeanwhile,
    IntegrityError,
    RefusedByRemote,
    RegistryError,
    StatusError,
)
from mlv.sharing.objects import (
    Delivered,
    deliver,
    deliver_outputs,
    deliver_own,
    refuse_credentials,
)
from mlv.sharing.pushcheck import check_successor
from mlv.sharing.renumbering import is_now, make_way
from mlv.sharing.share import fetch, pause
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, RefUpdate
from mlv.store.locks import exclusive
from mlv.store.naming import kept_ref, tag_ref
from mlv.store.versions import AHEAD, DIVERGED, LOCAL_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlv.domain.names import Version
    from mlv.sharing.share import Fetched, Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record, Tip, Versions

_ATTEMPTS = 200  # many may register at once; of those who try, one wins each time
_LOCK = "mlv/.push.lock"
_LOCK_PATIENCE = 600.0  # seconds; others of this clone may be publishing over a slow line
_SHOWN = 3
_MOST_AT_ONCE = 300  # refs in one push: what a command line can hold, also on Windows


class Pushed(NamedTuple):
    """What was published; ``renumbered`` gives a version that had to take another number.

    ``checked`` are versions that were there, and whose objects were seen there (``--all``);
    ``branch`` is the registry branch's new commit there, or None where it did not move.
    """

    versions: tuple[Version, ...] = ()
    renumbered: tuple[tuple[Version, Version], ...] = ()
    checked: tuple[Version, ...] = ()
    branch: str | None = None
    objects: int = 0
    size: int = 0


class Order(NamedTuple):
    """What to push: the versions named, or, where none is, all that are not published.

    ``whole`` sees to the objects of published versions as well; ``partial`` goes without
    pipeline outputs that nobody has; ``branch`` takes the registry branch along.
    """

    named: tuple[Version, ...] = ()
    whole: bool = False
    partial: bool = False
    branch: bool = True


class _State(NamedTuple):
    """What stays from one attempt to the next.

    ``delivered`` are versions, by the number that they first had, and commits whose objects were
    seen on the DVC remote: a new number changes no object.
    """

    order: Order
    pushed: Pushed = Pushed()
    delivered: frozenset[Version | str] = frozenset()

    def first_number(self, version: Version) -> Version:
        """Give the version as the user knows it."""
        return next((old for old, now in self.pushed.renumbered if now == version), version)

    def with_numbers(self, new: Mapping[Version, Version]) -> _State:
        """Have versions under new numbers, by those that they had until now."""
        before = self.pushed.renumbered
        known = {now for _, now in before}
        moved = tuple((first, new.get(now, now)) for first, now in before)
        fresh = tuple((old, now) for old, now in new.items() if old not in known)
        named = dict.fromkeys(new.get(each, each) for each in self.order.named)
        return self._replace(
            order=self.order._replace(named=tuple(named)),
            pushed=self.pushed._replace(renumbered=moved + fresh),
        )

    def with_objects(self, of: Version | str, done: Delivered) -> _State:
        """Count objects that went to the DVC remote."""
        size, objects = self.pushed.size + done.size, self.pushed.objects + done.objects
        return self._replace(
            pushed=self.pushed._replace(objects=objects, size=size), delivered=self.delivered | {of}
        )


def push(share: Share, order: Order, fetched: Fetched | None = None) -> Pushed:
    """Publish versions and branch; what somebody else's number stands in the way of, anew.

    ``fetched`` is what the caller has just fetched, if so: should it be old, the first attempt
    fails, and the next one asks.
    """
    state = _State(order)
    share = share._replace(notify=_once(share.notify))
    with open_dvc(share.git.layout) as dvc, contextlib.ExitStack() as turn:
        for attempt in range(_ATTEMPTS):
            if attempt or fetched is None:
                fetched = fetch(share)
            try:
                state = _make_way(share, fetched, state)
                records = _chosen(share, fetched, state.order)
                tip = _branch_to_push(share, fetched) if order.branch else None
                state = _deliver(share, dvc, fetched, records, tip, state)
                return _publish(share, dvc, fetched, records, tip, state.pushed)
            except RegistryError as error:
                if not isinstance(error, ChangedMeanwhile) or attempt == _ATTEMPTS - 1:
                    for old, new in state.pushed.renumbered:
                        share.notify(is_now(old, new))
                    raise
            if not attempt:
                # Who lost to another clone need not race those of this one as well. The bytes are
                # where they belong by now, so nobody waits for them.
                lock = share.git.layout.common_dir / _LOCK
                turn.enter_context(exclusive(lock, patience=_LOCK_PATIENCE))
            pause(attempt)
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _once(notify: Callable[[str], None]) -> Callable[[str], None]:
    """Tell each note once, however often a push is tried."""
    told: set[str] = set()

    def tell(note: str) -> None:
        if note not in told:
            told.add(note)
            notify(note)

    return tell


def _make_way(share: Share, fetched: Fetched, state: _State) -> _State:
    named = state.order.named
    for new in make_way(share, fetched, lambda version: not named or version in named):
        state = state.with_numbers(new)
    return state


def _deliver(
    share: Share, dvc: Dvc, fetched: Fetched, records: list[Record], tip: Tip | None, state: _State
) -> _State:
    """Have on the DVC remote whatever was not seen there before."""
    for record in records:
        version = record.tag.version
        first = state.first_number(version)
        if first not in state.delivered:
            if version not in fetched.tags:
                announce(share, record)
            done = deliver(share, dvc, record, partial=state.order.partial)
            state = state.with_objects(first, done)
    if tip and tip.local and tip.local not in state.delivered:
        branch = share.versions.config.branch
        refuse_credentials(share.versions, tip.local, branch)
        done = deliver_outputs(share, dvc, dvc.outputs(tip.local), branch)
        _tell_lacking(share, done)
        state = state.with_objects(tip.local, done)
    return state


def _publish(
    share: Share, dvc: Dvc, fetched: Fetched, records: list[Record], tip: Tip | None, pushed: Pushed
) -> Pushed:
    fresh = [r for r in records if r.tag.version not in fetched.tags]
    updates = [tag_update(record) for record in fresh]
    if tip and tip.local:
        updates.append(RefUpdate(share.branch_ref, tip.local, fetched.tip or NO_OBJECT))
    try:
        for at in range(0, len(updates), _MOST_AT_ONCE):
            share.remote.push(updates[at : at + _MOST_AT_ONCE])
    except RefusedByRemote as error:
        raise protected(share, error, "mlv propose REF") from error
    settle(share, dvc, fresh)
    return pushed._replace(
        versions=tuple(r.tag.version for r in fresh),
        checked=tuple(r.tag.version for r in records if r not in fresh),
        branch=tip.local if tip else None,
    )


# What to push ------------------------------------------------------------------------------


def _chosen(share: Share, fetched: Fetched, order: Order) -> list[Record]:
    """Read the versions to push; one that is another on the remote is refused."""
    versions = share.versions
    names = order.named or versions.names()
    records = []
    for version in names:
        if version in fetched.moved:
            raise moved(share, version)
        if version in fetched.tags and not order.named and not order.whole:
            continue
        tag = versions.find(version)
        if not order.named and (tag is None or versions.manifest_of(tag) is None):
            continue  # looks like one, and is none of ours
        if _status(versions, version) == PURGED:
            if order.named:
                raise StatusError(f"{version.tag} is purged: its bytes are gone", hint="mlv list")
            continue
        records.append(versions.record(version))
    return records


def moved(share: Share, version: Version) -> IntegrityError:
    """Say that a version's tag is another here than on the remote."""
    return IntegrityError(
        f"{version.tag} here is not the {version.tag} on {share.remote.name}: one of the two "
        "was moved",
        hint=f"compare git ls-remote {share.remote.name} refs/tags/{version.tag} with "
        f"git rev-parse {version.tag}; if the remote's is right: git tag -d {version.tag}, "
        "then mlv fetch",
    )


def _status(versions: Versions, version: Version) -> str:
    tip = versions.tip()
    return versions.pointer(tip, version.model).status_of(version.number) if tip else ""


def announce(share: Share, record: Record) -> None:
    """Tell how many commits and uncommitted files become public with a version's tag."""
    tag, manifest = record.tag, record.manifest
    known = f"--remotes={share.remote.name}"
    count = share.git.line("rev-list", "--count", f"{tag.commit}^", "--not", known)
    dirty = manifest.data["lineage"].get("dirty") or []
    said = []
    if count != "0":
        said.append(f"{count} commit(s) that {share.remote.name} does not have")
    if dirty:
        shown = ", ".join(dirty[:_SHOWN]) + (", ..." if dirty[_SHOWN:] else "")
        said.append(f"{len(dirty)} uncommitted file(s): {shown}")
    if said:
        share.notify(f"{tag.version.tag} publishes {' and '.join(said)}")


def tag_update(record: Record) -> RefUpdate:
    """Create a version's tag on the remote, where it must not exist."""
    return RefUpdate(tag_ref(record.tag.version), record.tag.oid, NO_OBJECT)


def _branch_to_push(share: Share, fetched: Fetched) -> Tip | None:
    """Give the local branch if it is ahead; one that diverged stays, with a word."""
    here, tip = share.here, share.here.tip()
    if tip is None or tip.local is None:
        return None
    branch, remote = here.config.branch, share.remote.name
    if tip.relation == DIVERGED:
        share.notify(
            f"{branch} and {remote}/{branch} have diverged: the branch is left alone "
            f"(git log --oneline --left-right {branch}...{remote}/{branch})"
        )
    if tip.relation == AHEAD or (tip.relation == LOCAL_ONLY and fetched.tip is None):
        check_successor(here, fetched.tip, tip.local)
        return tip
    return None


def _tell_lacking(share: Share, done: Delivered) -> None:
    if done.lacking:
        share.notify(
            f"{done.lacking[0]} on {share.versions.config.branch} is neither in the DVC cache nor "
            f"on the DVC remote: dvc pull there would not bring it ({len(done.lacking)} in all)"
        )


def protected(share: Share, error: RefusedByRemote, instead: str) -> RefusedByRemote:
    """Offer the way of a pull request where the remote protects the registry branch."""
    if share.branch_ref not in error.refs:
        return error
    return RefusedByRemote(
        error.message,
        hint=f"if {share.versions.config.branch} is protected, go by a pull request: {instead}; "
        "mlv push REF publishes a version without the branch",
        refs=error.refs,
    )


# Afterwards ----------------------------------------------------------------------------------


def settle(share: Share, dvc: Dvc, records: Iterable[Record]) -> None:
    """After the tags are up: see to the bytes once more, and let go of what kept the versions.

    Somebody may have purged an object between our look and our tag.
    """
    updates = []
    for record in records:
        deliver_own(share, dvc, record.manifest)
        version, oid = record.tag.version, record.tag.oid
        if share.git.objects.read(tag_ref(version)) is None:
            updates.append(RefUpdate(tag_ref(version), oid, NO_OBJECT))
        if share.git.objects.read(kept_ref(version)):
            updates.append(RefUpdate(kept_ref(version), NO_OBJECT, oid))
    try:
        if updates:
            share.git.update_refs(updates, "mlv: published")
    except ChangedMeanwhile:
        return  # another mlv was faster; the next fetch sees to the rest
