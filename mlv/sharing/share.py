"""What sharing needs at hand, and bringing here what the Git remote has."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import Version
from mlv.errors import ChangedMeanwhile, RegistryError
from mlv.store.git import NO_OBJECT, RefUpdate
from mlv.store.gitremote import PEELED
from mlv.store.naming import EVERY_TAG, kept_ref, tag_ref, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlv.store.git import Git
    from mlv.store.gitremote import GitRemote
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Versions

_ATTEMPTS = 20
_LONGEST_PAUSE = 2.0  # seconds


class Share(NamedTuple):
    """A repository and its Git remote.

    ``here`` reads the branch as it is in this clone, ``versions`` as the remote has it.
    """

    here: Versions
    versions: Versions
    remote: GitRemote
    notify: Callable[[str], None]
    progress: ProgressBar

    @property
    def git(self) -> Git:
        """The repository's git."""
        return self.versions.git

    @property
    def branch_ref(self) -> str:
        """The registry branch, as it is called on the remote."""
        return f"refs/heads/{self.versions.config.branch}"


class Fetched(NamedTuple):
    """What the remote has, now that it was brought here.

    ``tip`` is the registry branch there, or None; ``tags`` the ids of the tags there that may be
    versions; ``new`` are versions that were not here; ``moved`` are those that are something else
    here though they were published; ``taken`` are unpublished ones whose number somebody else
    published.
    """

    tip: str | None
    tags: Mapping[Version, str]
    new: tuple[Version, ...]
    moved: tuple[Version, ...]
    taken: tuple[Version, ...]

    @property
    def warnings(self) -> list[str]:
        """Say what a person should know of it."""
        moved = [
            f"{v.tag} on the remote is not the {v.tag} that is here: one of the two was moved; "
            f"compare git ls-remote with git rev-parse {v.tag}"
            for v in self.moved
        ]
        return moved + [
            f"{v.tag} here is not published, and the remote has another {v.tag}: "
            "mlv push registers yours anew under the next number"
            for v in self.taken
        ]


def fetch(share: Share) -> Fetched:
    """Bring the registry branch and every version's tag that is not here; overwrite nothing."""
    for attempt in range(_ATTEMPTS):
        try:
            return _fetch(share)
        except ChangedMeanwhile:  # a number was taken here in the moment when it was to come
            if attempt == _ATTEMPTS - 1:
                raise
        pause(attempt)
    raise AssertionError  # pragma: no cover - the loop returns or raises


def follow(share: Share) -> None:
    """Bring the registry branch, and the tag of whatever it says is live: for who asks often.

    Of thousands of tags none is listed.
    """
    versions = share.versions
    tip = share.remote.refs(share.branch_ref).get(share.branch_ref)
    if tip and tip != _id(share.git, versions.remote_ref):
        share.remote.fetch([f"+{share.branch_ref}:{versions.remote_ref}"])
    read = versions.tip()
    live = [versions.pointer(read, model) for model in versions.models_on(read)] if read else []
    named = [Version(p.model, p.current) for p in live if p.current is not None]
    for version in named:
        if versions.find(version) is None:
            share.remote.fetch([f"{tag_ref(version)}:{tag_ref(version)}"])


def pause(attempt: int) -> None:
    """Wait a moment after a lost race, longer each time, so that many do not stay in step."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2 ** min(attempt, 10))))  # noqa: S311


def _fetch(share: Share) -> Fetched:
    versions, remote = share.versions, share.remote
    there = remote.refs(share.branch_ref, EVERY_TAG, f"{EVERY_TAG}{PEELED}")
    tip = there.pop(share.branch_ref, None)
    named = ((version_of(ref), oid) for ref, oid in there.items())
    tags = {version: oid for version, oid in named if version}
    here, new = _bring(share, tags, tip)
    other = [v for v in sorted(tags.keys() & here.keys()) if tags[v] != here[v]]
    taken = [v for v in other if _id(share.git, kept_ref(v))]
    # Of others' versions under our numbers the objects, without a ref: renumbering needs them.
    remote.fetch([tag_ref(v) for v in taken if share.git.objects.read(tags[v]) is None])
    moved = [v for v in other if v not in taken and _is_other(versions, v, there)]
    _let_go(share, tags)
    return Fetched(tip, tags, tuple(new), tuple(moved), tuple(taken))


def _bring(
    share: Share, tags: Mapping[Version, str], tip: str | None
) -> tuple[dict[Version, str], list[Version]]:
    """Bring what is not here; say what was here, and what is new.

    Git's fetch would overwrite a tag that another process of ours makes just then, so it brings
    objects alone: the refs are made here, where they must not exist; else `ChangedMeanwhile`.
    """
    versions = share.versions
    here = {**versions.kept_ids(), **versions.tag_ids()}
    new = sorted(tags.keys() - here.keys())
    refspecs = [tag_ref(v) for v in new]
    if tip and tip != _id(share.git, versions.remote_ref):
        refspecs.append(f"+{share.branch_ref}:{versions.remote_ref}")
    share.remote.fetch(refspecs)
    if new:
        share.git.update_refs([RefUpdate(tag_ref(v), tags[v], NO_OBJECT) for v in new])
    return here, new


def _let_go(share: Share, tags: Mapping[Version, str]) -> None:
    """Remove what kept versions that turn out to be published."""
    gone = [
        RefUpdate(kept_ref(version), NO_OBJECT, oid)
        for version, oid in share.versions.kept_ids().items()
        if tags.get(version) == oid == _id(share.git, tag_ref(version))
    ]
    try:
        if gone:
            share.git.update_refs(gone, "mlv: published")
    except ChangedMeanwhile:
        return  # another mlv was faster


def _id(git: Git, ref: str) -> str | None:
    found = git.objects.read(ref)
    return found.oid if found else None


def _is_other(versions: Versions, version: Version, there: Mapping[str, str]) -> bool:
    """Whether a version's tag was moved; what is no version, or a plain tag of it, was not."""
    ref = tag_ref(version)
    tag = versions.find(version)
    peeled = there.get(f"{ref}{PEELED}")
    if tag is None or (tag.commit == (peeled or there[ref]) and None in (peeled, tag.message)):
        return False
    try:
        return versions.manifest_of(tag) is not None
    except RegistryError:
        return True
