"""A version's number, commit and tag: published here in one step."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlv.domain import manifest as manifests
from mlv.domain.manifest import Artifact, Manifest
from mlv.domain.names import Version
from mlv.errors import ChangedMeanwhile, InvalidInput
from mlv.store import handwritten, versionfolder
from mlv.store.git import NO_OBJECT, SCRATCH, RefUpdate
from mlv.store.naming import FOLDER, REGISTERED_BY_MLV, kept_ref, tag_ref
from mlv.store.objects import FILE_MODE, FOLDER_MODE, Entry, TreeWriter
from mlv.store.scratch import scratch
from mlv.store.signing import signed_tag, signs_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlv.registering.request import Request
    from mlv.store.git import Git
    from mlv.store.source import Source
    from mlv.store.versions import Versions

_ATTEMPTS = 100
_SHOWN_METRICS = 3


def free_version(versions: Versions, model: str) -> Version:
    """Continue from the highest number ever seen: of any tag of the name, kept ref, or pointer."""
    numbers = [version.number for version in versions.names(model)]
    tip = versions.tip()
    if tip:
        numbers += versions.pointer(tip, model).status
    highest = max(numbers, default=0)
    version = Version(model, highest + 1)
    if Version.from_tag(version.tag) is None:
        raise InvalidInput(
            f"the tag {model}-v{highest} leaves no number for the next version",
            hint=f"if it is none of mlv's: git tag -d {model}-v{highest}",
        )
    return _not_a_branch(versions, version)


def next_version(versions: Versions, request: Request) -> Version:
    """Give the number that a version will get: the one that it had elsewhere, or the next."""
    if request.past is None:
        return free_version(versions, request.model)
    version = Version(request.model, request.past.number)
    if Version.from_tag(version.tag) is None:
        raise InvalidInput(f"{version.tag} is no tag of a version", hint="numbers end before 10^9")
    return _not_a_branch(versions, version)


def _not_a_branch(versions: Versions, version: Version) -> Version:
    if versions.git.objects.read(f"refs/heads/{version.tag}"):
        raise InvalidInput(
            f"a branch is called {version.tag}, and git checkout would take it for the version",
            hint=f"git branch -m {version.tag} <another name>",
        )
    return version


def publish(
    versions: Versions,
    request: Request,
    source: Source,
    artifacts: Mapping[str, Artifact],
    metadata: Mapping[str, Any],
    facts: Mapping[str, Any],
    requirements: bytes,
) -> Manifest:
    """Take the next free number, make commit and tag, and try again if another was faster.

    A version that was made elsewhere has its number: `ChangedMeanwhile` if that is taken.
    """
    git, past = versions.git, request.past
    identity = git.identity()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    whose = identity.rpartition(" ")[0].rpartition(" ")[0]
    for _ in range(_ATTEMPTS):
        version = next_version(versions, request)
        manifest = manifests.create(
            version,
            artifacts,
            registered_at=past.registered_at if past else now,
            registered_by=past.registered_by if past else whose,
            metrics=request.metrics,
            metadata=metadata,
            lineage=facts,
        )
        commit = _commit(git, source.commit, source.root, manifest, requirements)
        try:
            _tag(git, manifest, commit, identity)
        except ChangedMeanwhile:
            if past:
                raise ChangedMeanwhile(
                    f"somebody else made {version.tag} meanwhile",
                    hint="run the command again: it looks at what is here now",
                ) from None
            continue  # somebody took the number first
        return manifest
    raise ChangedMeanwhile(
        f"{_ATTEMPTS} times somebody else took the next number of {request.model!r} first",
        hint="try again when fewer register at once",
    )


def renumber(versions: Versions, version: Version, taken: str) -> Version:
    """Register an unpublished version anew under the next number; its own goes to who has it.

    ``taken`` is the tag object that was published under that number, which is here. All refs
    move, or none: `ChangedMeanwhile` if another process was at them.
    """
    git = versions.git
    old = versions.record(version)
    freed = _freed(git, version, taken)
    new = free_version(versions, version.model)
    data = {**old.manifest.data, "version": new.name}
    manifest = manifests.parse(Manifest(new, old.manifest.artifacts, data).to_bytes(), new)
    folder = f"{FOLDER}/{version.model}"
    requirements = versions.blob(old.tag.commit, f"{folder}/{versionfolder.REQUIREMENTS}") or b""
    parent = git.line("rev-parse", f"{old.tag.commit}^")
    root = versions.entries(old.tag.commit) or []
    commit = _commit(git, parent, root, manifest, requirements)
    _tag(git, manifest, commit, git.identity(), freed)
    return new


def give_way(versions: Versions, gone: Mapping[Version, str]) -> None:
    """Let unpublished versions go, each for the tag that was published under its number.

    `NO_OBJECT` is none. All refs move, or none.
    """
    updates = [u for version, taken in gone.items() for u in _freed(versions.git, version, taken)]
    versions.git.update_refs(updates, "mlv: what came in was published before")


def _freed(git: Git, version: Version, taken: str) -> list[RefUpdate]:
    kept, held = (git.objects.read(ref) for ref in (kept_ref(version), tag_ref(version)))
    freed = [RefUpdate(tag_ref(version), taken, held.oid if held else NO_OBJECT)]
    if kept:
        freed.append(RefUpdate(kept_ref(version), NO_OBJECT, kept.oid))
    return [each for each in freed if each.new != each.old]


def _commit(
    git: Git, parent: str, root: Sequence[Entry], manifest: Manifest, requirements: bytes
) -> str:
    version = manifest.version
    tree = _version_tree(git, root, manifest, requirements)
    trailers = f"{REGISTERED_BY_MLV}\nMlv-Model: {version.model}\nMlv-To: {version.name}\n"
    # One user's machines may register the same bytes in the same second: two versions all the same.
    trailers += f"Mlv-Registration: {uuid.uuid4().hex[:16]}\n"
    return git.write_commit(tree, parent, f"Register {version.tag}\n\n{trailers}")


def _version_tree(git: Git, root: Sequence[Entry], manifest: Manifest, requirements: bytes) -> str:
    """Write the tree: the source's, with ``registry/`` holding this version and its text alone."""
    model = manifest.version.model
    text = handwritten.entry_of(git, root, model)
    own = handwritten.read(git, text, model)
    files = {**versionfolder.files_of(manifest, own), versionfolder.REQUIREMENTS: requirements}
    with scratch(git.layout.common_dir / SCRATCH) as aside:
        guard, *oids = git.write_blobs([versionfolder.GUARD, *files.values()], aside)
    with TreeWriter(git.layout.folder) as trees:
        folder = trees.write(
            Entry(FILE_MODE, name, oid) for name, oid in zip(files, oids, strict=True)
        )
        registry = trees.write(
            [
                Entry(FILE_MODE, ".gitignore", guard),
                Entry(FOLDER_MODE, model, folder),
                *([text] if text else []),
            ]
        )
        others = [entry for entry in root if entry.name != FOLDER]
        return trees.write([*others, Entry(FOLDER_MODE, FOLDER, registry)])


def _tag(
    git: Git,
    manifest: Manifest,
    commit: str,
    identity: str,
    freed: Sequence[RefUpdate] = (),
) -> None:
    """Publish the version by creating its tag, annotated with the manifest; all or nothing.

    ``freed`` are refs that move with it.
    """
    name = manifest.version.tag
    message = f"{_subject(manifest)}\n\n{manifest.to_bytes().decode()}"
    if signs_tags(git):
        oid = signed_tag(git, name, commit, message)
    else:
        header = f"object {commit}\ntype commit\ntag {name}\ntagger {identity}\n\n"
        oid = git.line("mktag", stdin=(header + message).encode())
    tag = RefUpdate(tag_ref(manifest.version), oid, NO_OBJECT)
    kept = RefUpdate(kept_ref(manifest.version), oid, NO_OBJECT)
    git.update_refs([tag, kept, *freed], f"mlv: register {name}")


def _subject(manifest: Manifest) -> str:
    shown = list(manifest.metrics.items())[:_SHOWN_METRICS]
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in shown)
    return f"{manifest.version.tag}: {metrics}" if metrics else manifest.version.tag
