"""The bytes of purged versions: which of them may go, and deleting these."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import IntegrityError, ProgramError, RegistryError
from mlv.store import handout, usage
from mlv.store.disk import remove_tree
from mlv.store.locks import bytes_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Versions


class Sweep(NamedTuple):
    """What goes: ``here`` from the cache, ``there`` from the DVC remote; sizes in bytes, by md5.

    ``versions`` are those of which something is left; ``kept`` says of the objects that stay who
    names them.
    """

    versions: tuple[Version, ...]
    here: Mapping[str, int]
    there: Mapping[str, int | None]
    kept: Mapping[str, str]
    notes: tuple[str, ...] = ()


def survey(
    versions: Versions,
    dvc: Dvc,
    refs: Mapping[str, str],
    own: Collection[Version],
    gone: Collection[Version],
) -> Sweep:
    """Find what is left of the versions ``own``, and what of it is in use.

    ``gone`` are all versions that do not count any more; ``refs`` what the Git remote has.
    """
    manifests = usage.held(versions).manifests
    notes: list[str] = []
    owned = {v: _objects(dvc, manifests[v], notes) for v in own if v in manifests}
    every = {md5 for md5s in owned.values() for md5 in md5s}
    here = dvc.cache.sizes(every)
    there = dvc.remote().sizes(every) if dvc.remote_name() else {}
    present = here.keys() | there.keys()
    kept = {}
    if present:
        used = in_use(versions, dvc, refs, gone)
        kept = {md5: used[md5] for md5 in sorted(present) if md5 in used}
    left = [
        version
        for version, md5s in owned.items()
        if (md5s & present) - kept.keys() or _handed_out(versions, version).is_dir()
    ]
    return Sweep(
        tuple(sorted(left)),
        {md5: size for md5, size in here.items() if md5 not in kept},
        {md5: size for md5, size in there.items() if md5 not in kept},
        kept,
        tuple(notes),
    )


def _objects(dvc: Dvc, manifest: Manifest, notes: list[str]) -> set[str]:
    """Name a version's own objects, of directories also their files."""
    found = set()
    for artifact in manifest.artifacts.values():
        found.add(artifact.md5)
        if artifact.is_directory:
            try:
                found.update(dvc.listed(artifact.md5) or ())
            except IntegrityError:
                notes.append(
                    f"the listing of {artifact.path} of {manifest.version.tag} is damaged: "
                    "which files it had cannot be told, and they stay"
                )
    return found


def in_use(
    versions: Versions, dvc: Dvc, refs: Mapping[str, str], gone: Collection[Version]
) -> dict[str, str]:
    """Say who names each object that is in use, of directories also their files.

    A directory whose listing is neither here nor on the DVC remote cannot be had from either.
    """
    used = usage.named_objects(versions, refs, gone)
    for md5, who in list(used.items()):
        if md5.endswith(".dir"):
            for member in dvc.listed(md5) or ():
                used.setdefault(member, who)
    return used


def delete(
    versions: Versions, dvc: Dvc, sweep: Sweep, used_now: Callable[[], Mapping[str, str]]
) -> tuple[str, ...]:
    """Delete what a survey found, from the remote first; give what the user should know.

    ``used_now`` looks again at what is in use: a version with the same bytes may have been
    registered while they were deleted. Then they come back from the cache.
    """
    if sweep.there:
        _delete_there(dvc, sweep)
    notes: list[str] = []
    if sweep.here or sweep.there:
        with bytes_lock(versions.git.layout.common_dir, shared=False):
            used = used_now()
            notes += _bring_back(dvc, sweep.there.keys() & used.keys(), used)
            dvc.cache.delete(sweep.here.keys() - used.keys())
    for version in sweep.versions:
        remove_tree(_handed_out(versions, version))
    return tuple(notes)


def _delete_there(dvc: Dvc, sweep: Sweep) -> None:
    remote = dvc.remote()
    try:
        remote.delete(sweep.there)
    except RegistryError as error:
        left = len(sweep.there)
        with contextlib.suppress(RegistryError):
            left = len(remote.sizes(sweep.there))
        tags = ", ".join(version.tag for version in sweep.versions)
        raise ProgramError(
            f"{tags}: purged, but {left} of {len(sweep.there)} objects are still on the DVC "
            f"remote, and all in the cache: {error.message}",
            hint="see that you may delete there, then run mlv purge again: it finishes this",
        ) from error


def _bring_back(dvc: Dvc, md5s: Iterable[str], used: Mapping[str, str]) -> list[str]:
    sources = {md5: dvc.cache.object_path(md5) for md5 in md5s}
    held = {md5: path for md5, path in sources.items() if path}
    if held:
        dvc.remote().push(held, lambda _: None)
    lost = sorted({used[md5] for md5 in sources.keys() - held.keys()})
    return [
        f"{who} came up meanwhile with the same bytes, which are no longer on the DVC remote: "
        "push them from where it was made"
        for who in lost
    ]


def _handed_out(versions: Versions, version: Version) -> Path:
    return handout.folder_of(versions.git.layout.common_dir, version)
