"""The DVC objects that a version needs: on the DVC remote, before anybody can see its tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ConfigError, NotFound, ProgramError
from mlv.store.dvc.outputs import Output
from mlv.store.dvc.remote import Place
from mlv.store.dvcfiles import credential_in
from mlv.store.naming import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.sharing.share import Share
    from mlv.store.dvc.cache import Cache
    from mlv.store.dvc.remote import Remote
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record, Versions


class Delivered(NamedTuple):
    """How many objects were pushed, their bytes, and what no copy was found of."""

    objects: int = 0
    size: int = 0
    lacking: tuple[str, ...] = ()


class _Wanted(NamedTuple):
    """An object: which output wants it, and its size in bytes if that is known."""

    path: str
    size: int | None


def deliver(share: Share, dvc: Dvc, record: Record, *, partial: bool) -> Delivered:
    """Have every object that a version's tree names on the DVC remote, and see it there.

    Raises `NotFound` naming what neither the cache nor the remote has; with ``partial``, only if
    it is the version's own.
    """
    tag, manifest = record.tag.version.tag, record.manifest
    refuse_credentials(share.versions, record.tag.commit, tag)
    outputs = dvc.outputs(record.tag.commit)
    own = f"{folder_of(manifest.version.model)}/"
    done = deliver_outputs(share, dvc, outputs, tag)
    fatal = [path for path in done.lacking if not partial or path.startswith(own)]
    if any(path.startswith(own) for path in fatal):
        raise whose(manifest, fatal[0])
    if fatal:
        raise NotFound(
            f"{fatal[0]} of {tag} is neither in the DVC cache nor on the DVC remote: "
            f"dvc pull at {tag} would fail ({len(fatal)} output(s) in all)",
            hint="dvc repro or dvc commit makes it, dvc push from where it is; "
            f"mlv push {tag} --partial goes without",
        )
    return done


def deliver_own(share: Share, dvc: Dvc, manifest: Manifest) -> Delivered:
    """Have a version's own artifacts on the DVC remote; `NotFound` says who may have them."""
    folder = folder_of(manifest.version.model)
    outputs = [
        Output(f"{folder}/{a.path}", a.md5, a.size, None, "md5")
        for a in manifest.artifacts.values()
    ]
    done = deliver_outputs(share, dvc, outputs, manifest.version.tag)
    if done.lacking:
        raise whose(manifest, done.lacking[0])
    return done


def whose(manifest: Manifest, path: str) -> NotFound:
    """Say that a version's bytes are nowhere, and who may have them."""
    facts, tag = manifest.data, manifest.version.tag
    return NotFound(
        f"{path} of {tag} is neither in the DVC cache nor on the DVC remote",
        hint=f"{facts['registered_by']} registered it on {facts['registered_at'][:10]} "
        f"({facts['lineage'].get('platform') or 'elsewhere'}): mlv push {tag} there",
    )


def deliver_outputs(share: Share, dvc: Dvc, outputs: Iterable[Output], tag: str) -> Delivered:
    """Push what the remotes lack of these outputs; what nobody has is named, not an error."""
    total = Delivered()
    by_place, lacking = _by_place(dvc, outputs)
    for place, group in by_place.items():
        done = _deliver_to(share, dvc, dvc.remote(place), group, tag)
        total = Delivered(total.objects + done.objects, total.size + done.size)
        lacking += done.lacking
    return total._replace(lacking=tuple(sorted(lacking)))


def not_there(dvc: Dvc, commit: str) -> list[str]:
    """Name the outputs of a commit's tree that the DVC remote does not have whole."""
    by_place, lacking = _by_place(dvc, dvc.outputs(commit))
    for place, group in by_place.items():
        remote = dvc.remote(place)
        wanted, unknown = _objects(dvc, remote, group)
        lacking += {*unknown, *(wanted[md5].path for md5 in _absent(remote, wanted))}
    return sorted(lacking)


def _by_place(dvc: Dvc, outputs: Iterable[Output]) -> tuple[dict[Place, list[Output]], list[str]]:
    """Sort outputs by where they belong; those of which nobody knows the hash are named."""
    by_place: dict[Place, list[Output]] = {}
    unknown = []
    for output in outputs:
        if output.md5 is None:
            unknown.append(output.path)
            continue
        place = Place(output.remote or dvc.remote().name, output.hash_name)
        by_place.setdefault(place, []).append(output)
    return by_place, unknown


def _deliver_to(
    share: Share, dvc: Dvc, remote: Remote, outputs: list[Output], tag: str
) -> Delivered:
    wanted, lacking = _objects(dvc, remote, outputs)
    absent = _absent(remote, wanted)
    sources: dict[str, Path] = {}
    for md5 in absent:
        source = dvc.cache.object_path(md5)
        if source:
            sources[md5] = source
        else:
            lacking.add(wanted[md5].path)
    # A listing without its files would be taken for a whole directory.
    sources = {
        md5: path
        for md5, path in sources.items()
        if not (md5.endswith(".dir") and wanted[md5].path in lacking)
    }
    size = sum(path.stat().st_size for path in sources.values())
    if sources:
        with share.progress(f"pushing {tag}", size) as advance:
            remote.push(sources, advance)
        still = _absent(remote, {md5: wanted[md5] for md5 in sources})
        if still:
            raise ProgramError(
                f"the DVC remote {remote.name!r} took {wanted[still[0]].path} of {tag}, "
                "and does not have it",
                hint="try again; if it stays so, ask whoever keeps that remote",
            )
    return Delivered(len(sources), size, tuple(lacking))


def _absent(remote: Remote, wanted: Mapping[str, _Wanted]) -> list[str]:
    """Name the objects that are not there, or shorter or longer than they should be."""
    there = remote.sizes(wanted)
    absent = []
    for md5, facts in wanted.items():
        sizes = {facts.size, there.get(md5)} - {None}
        if md5 not in there or len(sizes) > 1:
            absent.append(md5)
    return absent


def _objects(
    dvc: Dvc, remote: Remote, outputs: list[Output]
) -> tuple[dict[str, _Wanted], set[str]]:
    """List the objects of outputs, the files of directories too; and outputs nobody has."""
    wanted: dict[str, _Wanted] = {}
    lacking: set[str] = set()
    for output in outputs:
        md5 = output.md5
        assert md5
        if not md5.endswith(".dir"):
            wanted[md5] = _Wanted(output.path, _size(dvc.cache, md5, output.size))
            continue
        if dvc.cache.object_path(md5) is None:
            remote.fetch([md5], lambda _: None)
        if dvc.cache.object_path(md5) is None:
            lacking.add(output.path)
            continue
        for member in dvc.cache.members(md5, output.path):
            wanted[member.md5] = _Wanted(output.path, _size(dvc.cache, member.md5, None))
        wanted[md5] = _Wanted(output.path, _size(dvc.cache, md5, None))
    return wanted, lacking


def _size(cache: Cache, md5: str, stated: int | None) -> int | None:
    path = cache.object_path(md5)
    return path.stat().st_size if path else stated


def refuse_credentials(versions: Versions, commit: str, name: str) -> None:
    """Refuse to publish a commit whose ``.dvc/config`` holds a password."""
    data = versions.blob(commit, ".dvc/config")
    found = credential_in(data) if data else None
    if found:
        raise ConfigError(
            f".dvc/config:{found.line} of {name} holds a credential "
            f"({found.key}), which pushing would publish",
            hint=f"dvc remote modify --local <name> {found.key} ... keeps it out of Git; "
            "commit .dvc/config without it, register again, and change what was committed",
        )
