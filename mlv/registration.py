"""Registering: one commit beside the branch, kept alive by its tag."""

from __future__ import annotations

import os
import stat
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import manifest as manifests
from mlv.domain.manifest import MODEL, Artifact, Manifest
from mlv.domain.names import Version, artifact_path, check_role
from mlv.errors import ChangedMeanwhile, ConfigError, InvalidInput, WorkspaceError
from mlv.store import dvcfiles, lineage, modelclass, versionfolder
from mlv.store.disk import storage_error
from mlv.store.dvc.repository import Dvc, open_dvc
from mlv.store.git import NO_OBJECT, SCRATCH, RefUpdate
from mlv.store.objects import FILE_MODE, FOLDER_MODE, TREE, Entry, TreeWriter
from mlv.store.scratch import scratch
from mlv.store.signing import signed_tag
from mlv.store.source import Source, source_tree
from mlv.store.versions import FOLDER, REGISTERED_BY_MLV, kept_ref
from mlv.store.workspace import refuse_unmerged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlv.store.config import ModelConfig
    from mlv.store.dvc.cache import Cache, Stored, Survey
    from mlv.store.git import Git
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Versions


_ATTEMPTS = 100
_SHOWN_METRICS = 3


class Request(NamedTuple):
    """What the user asks to register; ``sources`` are absolute paths by role."""

    model: str
    sources: Mapping[str, Path]
    metrics: Mapping[str, float]
    metadata: Mapping[str, Any]


class Registered(NamedTuple):
    """A new version, and what its user should know about it."""

    manifest: Manifest
    notes: tuple[str, ...]


def register(
    versions: Versions, request: Request, config: ModelConfig, progress: ProgressBar
) -> Registered:
    """Register a version: check everything, store the bytes, then publish commit and tag."""
    git = versions.git
    top = _check_repository(git)
    for role, path in request.sources.items():
        _check_source(role, path, top)
    source = source_tree(git)
    if config.require_clean and source.dirty:
        raise WorkspaceError(
            f"{source.dirty[0]} is not committed, and mlv.yaml wants {request.model!r} clean",
            hint="git commit first, or lift require_clean in mlv.yaml",
        )
    with open_dvc(git.layout) as dvc:
        notes = _check_dvc(git, dvc, source, top, request)
        metadata = _metadata(request, source, config)
        _free_version(versions, request.model)
        folder = top / FOLDER / request.model
        surveys = _survey(dvc.cache, request, folder)
        for role, survey in surveys.items():
            if survey.hidden:
                name = request.sources[role].name
                notes.append(f"{survey.hidden} file(s) of {name} left out: .dvcignore hides them")
        artifacts = _store(dvc.cache, request, folder, surveys, progress)
    facts = _lineage(versions, source, request, artifacts, top, notes)
    notes += _same_bytes(versions, request.model, artifacts[MODEL].sha256)
    manifest = _publish(versions, request, source, artifacts, metadata, facts)
    return Registered(manifest, tuple(notes))


# Checks: all before the first byte is stored -----------------------------------------------


def _check_repository(git: Git) -> Path:
    top = git.layout.top
    if top is None:
        raise ConfigError(
            f"{git.layout.git_dir} is a bare repository", hint="register in a clone of it"
        )
    if git.objects.read("HEAD^{commit}") is None:
        raise ConfigError(
            f"{top} has no commit yet: a version's lineage starts at one", hint="git commit first"
        )
    if (top / FOLDER).is_symlink():
        raise WorkspaceError(f"{top / FOLDER} is a symlink", hint="remove it: it belongs to mlv")
    refuse_unmerged(git)
    return top


def _check_source(role: str, source: Path, top: Path) -> None:
    check_role(role)
    try:
        facts = source.stat()
    except FileNotFoundError:
        broken = f"{source} is a broken symlink" if source.is_symlink() else ""
        raise InvalidInput(
            broken or f"there is no file {source} to register as {role}", hint="check the path"
        ) from None
    except OSError as error:
        raise storage_error(error, source) from error
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise InvalidInput(
            f"{source} is neither a file nor a folder", hint="an artifact holds bytes: write a file"
        )
    if source in (top, *top.parents, top / ".git", top / ".dvc"):
        raise InvalidInput(
            f"{source} holds the repository itself", hint="register the folder that training wrote"
        )
    if (top / FOLDER) in (source, *source.parents):
        raise InvalidInput(
            f"{source} lies in {FOLDER}/, where mlv keeps what is registered",
            hint="register the file that training wrote",
        )
    if source.is_file() and not facts.st_size:
        raise InvalidInput(f"{source} is empty", hint="did training finish?")
    if source.suffix == ".dvc":
        raise InvalidInput(f"{source} is DVC's note of a file", hint="give the file itself")
    if not os.access(source, os.R_OK):
        raise InvalidInput(f"{source} cannot be read", hint="check its permissions")


def _check_dvc(git: Git, dvc: Dvc, source: Source, top: Path, request: Request) -> list[str]:
    """Refuse what would make ``git checkout`` and ``dvc pull`` bring nothing."""
    config = _committed_dvc_config(git, source)
    dvc.check_remote()
    folder = top / FOLDER / request.model
    paths = [folder / artifact_path(role, path.name) for role, path in request.sources.items()]
    hidden = dvc.hidden(paths)
    if hidden:
        raise ConfigError(
            f"{hidden.relative_to(top).as_posix()} would be hidden from DVC by .gitignore or "
            ".dvcignore: dvc pull would bring nothing",
            hint="git check-ignore -v --no-index and dvc check-ignore -d name the rule: narrow it",
        )
    objection = dvc.remote_objection(config)
    return [objection] if objection else []


def _committed_dvc_config(git: Git, source: Source) -> bytes:
    folder = next((e for e in source.root if e.name == ".dvc" and e.kind == TREE), None)
    found = git.objects.read(f"{folder.oid}:config") if folder else None
    if found is None:
        raise ConfigError(
            "DVC is set up, but .dvc/config is not committed: a tag would not reproduce",
            hint="mlv init commits it, or: git add .dvc .dvcignore && git commit",
        )
    return found.data


def _metadata(request: Request, source: Source, config: ModelConfig) -> dict[str, Any]:
    metadata = {**config.metadata, **request.metadata}
    filled: dict[str, Any] = {"git_commit": source.commit}
    model = request.sources[MODEL]
    if modelclass.is_pickle(model.name) and "model_class" not in metadata:
        found = modelclass.read_class(model)
        if found:
            filled["model_class"] = found
    metadata = manifests.check_metadata({**filled, **metadata})
    missing = manifests.missing_metadata(metadata, list(config.require_metadata))
    if missing:
        raise InvalidInput(
            f"mlv.yaml requires the metadata {', '.join(missing)}",
            hint=" ".join(f"--meta {key}=..." for key in missing),
        )
    return metadata


def _free_version(versions: Versions, model: str) -> Version:
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
    if versions.git.objects.read(f"refs/heads/{version.tag}"):
        raise InvalidInput(
            f"a branch is called {version.tag}, and git checkout would take it for the version",
            hint=f"git branch -m {version.tag} <another name>",
        )
    return version


# Lineage -----------------------------------------------------------------------------------


def _lineage(
    versions: Versions,
    source: Source,
    request: Request,
    artifacts: Mapping[str, Artifact],
    top: Path,
    notes: list[str],
) -> dict[str, Any]:
    facts = lineage.capture(versions.git, source.commit, source.dirty, versions.config.remote)
    path = request.sources[MODEL]
    stage = dvcfiles.stage_of(path, top) if top in path.parents else None
    if stage is None:
        return facts
    described, md5 = stage
    if md5 == artifacts[MODEL].md5:
        return {**facts, "stage": described}
    notes.append(
        f"{path.name} is not what the DVC stage {described['name']!r} last wrote: "
        "its lineage names no stage (dvc repro, or dvc commit, then register again)"
    )
    return facts


def _same_bytes(versions: Versions, model: str, sha256: str) -> list[str]:
    same = [
        tag.version.name
        for tag, manifest in versions.manifests(model)
        if isinstance(manifest, Manifest) and manifest.artifacts[MODEL].sha256 == sha256
    ]
    return [f"same model bytes as {same[-1]}"] if same else []


# Bytes, then commit and tag ----------------------------------------------------------------


def _survey(cache: Cache, request: Request, folder: Path) -> dict[str, Survey]:
    """Look through every artifact before the first byte is stored."""
    return {
        role: cache.survey(source, folder / artifact_path(role, source.name))
        for role, source in request.sources.items()
    }


def _store(
    cache: Cache,
    request: Request,
    folder: Path,
    surveys: Mapping[str, Survey],
    progress: ProgressBar,
) -> dict[str, Artifact]:
    artifacts = {}
    for role, survey in surveys.items():
        name = request.sources[role].name
        with progress(f"storing {name}", survey.size) as advance:
            target = folder / artifact_path(role, name)
            stored = cache.put(request.sources[role], target, survey, advance)
        artifacts[role] = _artifact(role, artifact_path(role, name), stored)
    return artifacts


def _artifact(role: str, path: str, stored: Stored) -> Artifact:
    return Artifact(role, path, stored.size, stored.md5, stored.sha256, stored.nfiles)


def _publish(
    versions: Versions,
    request: Request,
    source: Source,
    artifacts: Mapping[str, Artifact],
    metadata: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Manifest:
    """Take the next free number, make commit and tag, and try again if another was faster."""
    git = versions.git
    identity = git.identity()
    requirements = lineage.packages()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for _ in range(_ATTEMPTS):
        version = _free_version(versions, request.model)
        manifest = manifests.create(
            version,
            artifacts,
            registered_at=now,
            registered_by=identity.rpartition(" ")[0].rpartition(" ")[0],
            metrics=request.metrics,
            metadata=metadata,
            lineage=facts,
        )
        commit = _commit(git, source.commit, source.root, manifest, requirements)
        try:
            _tag(git, manifest, commit, identity)
        except ChangedMeanwhile:
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
    kept, held = (git.objects.read(ref) for ref in (kept_ref(version), f"refs/tags/{version.tag}"))
    new = _free_version(versions, version.model)
    data = {**old.manifest.data, "version": new.name}
    manifest = manifests.parse(Manifest(new, old.manifest.artifacts, data).to_bytes(), new)
    folder = f"{FOLDER}/{version.model}"
    requirements = versions.blob(old.tag.commit, f"{folder}/{versionfolder.REQUIREMENTS}") or b""
    parent = git.line("rev-parse", f"{old.tag.commit}^")
    root = versions.entries(old.tag.commit) or []
    commit = _commit(git, parent, root, manifest, requirements)
    freed = [RefUpdate(f"refs/tags/{version.tag}", taken, held.oid if held else NO_OBJECT)]
    if kept:
        freed.append(RefUpdate(kept_ref(version), NO_OBJECT, kept.oid))
    _tag(git, manifest, commit, git.identity(), freed)
    return new


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
    """Write the tree: the source's, with ``registry/`` holding this version alone."""
    files = {**versionfolder.files_of(manifest), versionfolder.REQUIREMENTS: requirements}
    with scratch(git.layout.common_dir / SCRATCH) as folder:
        guard, *oids = git.write_blobs([versionfolder.GUARD, *files.values()], folder)
    with TreeWriter(git.layout.folder) as trees:
        own = trees.write(
            Entry(FILE_MODE, name, oid) for name, oid in zip(files, oids, strict=True)
        )
        registry = trees.write(
            [
                Entry(FILE_MODE, ".gitignore", guard),
                Entry(FOLDER_MODE, manifest.version.model, own),
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
    if git.is_on("tag.gpgsign") or git.is_on("tag.forcesignannotated"):
        oid = signed_tag(git, name, commit, message)
    else:
        header = f"object {commit}\ntype commit\ntag {name}\ntagger {identity}\n\n"
        oid = git.line("mktag", stdin=(header + message).encode())
    tag = RefUpdate(f"refs/tags/{name}", oid, NO_OBJECT)
    kept = RefUpdate(kept_ref(manifest.version), oid, NO_OBJECT)
    git.update_refs([tag, kept, *freed], f"mlv: register {name}")


def _subject(manifest: Manifest) -> str:
    shown = list(manifest.metrics.items())[:_SHOWN_METRICS]
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in shown)
    return f"{manifest.version.tag}: {metrics}" if metrics else manifest.version.tag
