"""Unpublished versions that somebody else's published ones stand in the way of.

One whose number was taken gets the next one; one that came in from another registry there as well
goes, so that nothing is published twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import manifest as manifests
from mlv.domain.arriving import identity
from mlv.domain.manifest import Manifest
from mlv.errors import ConfigError, RegistryError
from mlv.registering.publication import give_way, renumber
from mlv.store.git import NO_OBJECT
from mlv.store.naming import manifest_path
from mlv.store.versions import AHEAD, DIVERGED, LOCAL_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlv.domain.names import Version
    from mlv.sharing.share import Fetched, Share
    from mlv.store.versions import Versions

_SHOWN = 3


def make_way(
    share: Share, fetched: Fetched, chosen: Callable[[Version], bool]
) -> Iterator[Mapping[Version, Version]]:
    """Have ``chosen`` versions that are not published make way; give new numbers by old ones.

    Of those that the branch here names none may get another: `ConfigError`, before any does.
    """
    same = _published_elsewhere(share, fetched, chosen)
    taken = [v for v in fetched.taken if chosen(v) and v not in same]
    others = {old: new for old, new in same.items() if old != new}
    _refuse_promoted(share.here, [*taken, *others], others)
    for version in taken:
        yield {version: renumber(share.versions, version, fetched.tags[version])}
    if same:
        give_way(share.versions, {v: fetched.tags.get(v, NO_OBJECT) for v in same})
        _tell_same(share, same)
        yield others


def is_now(old: Version, new: Version) -> str:
    """Say that a version has another number."""
    return f"{old.tag} is {new.tag} now: somebody else was faster"


def _tell_same(share: Share, same: Mapping[Version, Version]) -> None:
    tags = [old.tag if old == new else f"{old.tag} ({new.name} there)" for old, new in same.items()]
    shown = ", ".join(tags[:_SHOWN]) + (", ..." if tags[_SHOWN:] else "")
    share.notify(f"{shown} came in on {share.remote.name} as well: what is there stays")


def _published_elsewhere(
    share: Share, fetched: Fetched, chosen: Callable[[Version], bool]
) -> dict[Version, Version]:
    """Find unpublished versions of another registry of which others published the same."""
    versions = share.versions
    ours = {}
    for version in filter(chosen, sorted(versions.kept_ids())):
        tag = versions.find(version)
        manifest = versions.manifest_of(tag) if tag else None
        found = identity(manifest) if manifest else None
        if found:
            ours[version] = found
    theirs: dict[tuple[str, ...], Version] = {}
    for model in sorted({version.model for version in ours}):
        for version, manifest in _published(versions, fetched, model):
            found = identity(manifest)
            if found:
                theirs.setdefault(found, version)
    return {version: theirs[found] for version, found in ours.items() if found in theirs}


def _published(
    versions: Versions, fetched: Fetched, model: str
) -> Iterator[tuple[Version, Manifest]]:
    for version in fetched.taken:
        there = _manifest_there(versions, version, fetched.tags[version])
        if there and version.model == model:
            yield version, there
    for tag, read in versions.manifests(model):
        published = tag.version in fetched.tags and tag.version not in fetched.taken
        if published and isinstance(read, Manifest):
            yield tag.version, read


def _manifest_there(versions: Versions, version: Version, oid: str) -> Manifest | None:
    commit = versions.git.objects.read(f"{oid}^{{commit}}")
    data = versions.blob(commit.oid, manifest_path(version.model)) if commit else None
    try:
        return manifests.parse(data, version) if data is not None else None
    except RegistryError:
        return None


def _refuse_promoted(
    here: Versions, moving: list[Version], others: Mapping[Version, Version]
) -> None:
    tip = here.tip()
    if tip is None or tip.relation not in (AHEAD, DIVERGED, LOCAL_ONLY):
        return
    for version in moving:
        if version.number not in here.pointer(tip, version.model).status:
            continue
        branch, remote, there = here.config.branch, here.config.remote, others.get(version)
        what = f"brought it in as {there.tag}" if there else f"published another {version.tag}"
        raise ConfigError(
            f"{version.tag} was staged or promoted here before it was published, and somebody "
            f"else {what}",
            hint=f"take the commits on {branch} back that name it (git reset --keep "
            f"{remote}/{branch} on {branch}), then mlv push, then promote it under its new number",
        )
