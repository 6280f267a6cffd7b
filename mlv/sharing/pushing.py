"""`mlv push`: bytes, then tags and branch in one atomic push."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.pointer import PURGED
from mlv.errors import (
    ChangedMeanwhile,
    ConfigError,
    IntegrityError,
    RefusedByRemote,
    StatusError,
)
from mlv.registering.publication import renumber
from mlv.sharing.objects import (
    Delivered,
    deliver,
    deliver_outputs,
    deliver_own,
    refuse_credentials,
)
from mlv.sharing.pushcheck import check_successor
from mlv.sharing.share import fetch, pause
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, RefUpdate
from mlv.store.versions import AHEAD, DIVERGED, LOCAL_ONLY, kept_ref, tag_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlv.domain.names import Version
    from mlv.sharing.share import Fetched, Share
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record, Tip, Versions

_ATTEMPTS = 200  # many may register at once; of those who try, one wins each time
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

    def with_objects(self, done: Delivered) -> Pushed:
        """Count objects that went to the DVC remote."""
        return self._replace(objects=self.objects + done.objects, size=self.size + done.size)


class Order(NamedTuple):
    """What to push: the versions named, or, where none is, all that are not published.

    ``whole`` sees to the objects of published versions as well; ``partial`` goes without
    pipeline outputs that nobody has; ``branch`` takes the registry branch along.
    """

    named: tuple[Version, ...] = ()
    whole: bool = False
    partial: bool = False
    branch: bool = True


def push(share: Share, order: Order) -> Pushed:
    """Publish versions and branch; what somebody else's number stands in the way of, anew."""
    pushed = Pushed()
    share = share._replace(notify=_once(share.notify))
    with open_dvc(share.git.layout) as dvc:
        for attempt in range(_ATTEMPTS):
            fetched = fetch(share)
            try:
                order, pushed = _renumber_taken(share, fetched, order, pushed)
                return _attempt(share, dvc, fetched, order, pushed)
            except ChangedMeanwhile:
                if attempt == _ATTEMPTS - 1:
                    raise
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


def _attempt(share: Share, dvc: Dvc, fetched: Fetched, order: Order, pushed: Pushed) -> Pushed:
    records = _chosen(share, fetched, order)
    for record in records:
        if record.tag.version not in fetched.tags:
            announce(share, record)
        pushed = pushed.with_objects(deliver(share, dvc, record, partial=order.partial))
    fresh = [r for r in records if r.tag.version not in fetched.tags]
    tip = _branch_to_push(share, fetched) if order.branch else None
    updates = [tag_update(record) for record in fresh]
    if tip and tip.local:
        refuse_credentials(share, tip.local, share.versions.config.branch)
        done = deliver_outputs(share, dvc, dvc.outputs(tip.local), share.versions.config.branch)
        pushed = pushed.with_objects(done)
        _tell_lacking(share, done)
        updates.append(RefUpdate(share.branch_ref, tip.local, fetched.tip or NO_OBJECT))
    try:
        for at in range(0, len(updates), _MOST_AT_ONCE):
            share.remote.push(updates[at : at + _MOST_AT_ONCE])
    except RefusedByRemote as error:
        raise protected(share, error, tip.local if tip else None) from error
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
        shown = ", ".join(dirty[:3]) + (", ..." if len(dirty) > 3 else "")  # noqa: PLR2004
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


def protected(share: Share, error: RefusedByRemote, commit: str | None) -> RefusedByRemote:
    """Offer the way of a pull request where the remote protects the registry branch."""
    if commit is None or share.branch_ref not in error.refs:
        return error
    branch, remote = share.versions.config.branch, share.remote.name
    return RefusedByRemote(
        error.message,
        hint=f"if {branch} is protected, go by a pull request: "
        f"git push {remote} {commit[:12]}:refs/heads/mlv-{commit[:7]}, and open one from there; "
        "mlv push REF publishes a version without the branch",
        refs=error.refs,
    )


# Numbers that somebody else published first --------------------------------------------------


def _renumber_taken(
    share: Share, fetched: Fetched, order: Order, pushed: Pushed
) -> tuple[Order, Pushed]:
    """Register anew, under the next number, what somebody else's version has the number of."""
    named, done = list(order.named), list(pushed.renumbered)
    taken = [v for v in fetched.taken if not order.named or v in order.named]
    share.remote.fetch([tag_ref(v) for v in taken])  # the objects, without a ref
    for version in taken:
        _refuse_promoted(share.here, version)
        new = renumber(share.versions, version, fetched.tags[version])
        first = next((old for old, now in done if now == version), version)
        done = [pair for pair in done if pair[1] != version] + [(first, new)]
        named = [new if each == version else each for each in named]
    return order._replace(named=tuple(named)), pushed._replace(renumbered=tuple(done))


def _refuse_promoted(here: Versions, version: Version) -> None:
    """Refuse to renumber a version that the local branch has staged or promoted already."""
    tip = here.tip()
    if tip is None or tip.relation not in (AHEAD, DIVERGED, LOCAL_ONLY):
        return
    if version.number not in here.pointer(tip, version.model).status:
        return
    branch, remote = here.config.branch, here.config.remote
    raise ConfigError(
        f"{version.tag} was staged or promoted here before it was published, and somebody else "
        f"published another {version.tag}",
        hint=f"take the commits on {branch} back that name it (git reset --keep "
        f"{remote}/{branch} on {branch}), then mlv push, then promote it under its new number",
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
