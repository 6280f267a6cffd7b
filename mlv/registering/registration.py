"""Registering a version: check everything, store the bytes, publish commit and tag."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import manifest as manifests
from mlv.domain.description import stage_parameters
from mlv.domain.manifest import MODEL, Artifact, Manifest
from mlv.domain.names import artifact_path
from mlv.domain.sample import ROLE as SAMPLE
from mlv.errors import IntegrityError, InvalidInput, RegistryError, WorkspaceError
from mlv.registering import experiment as experiments
from mlv.registering.checks import check_dvc, check_own_text, check_repository, check_source
from mlv.registering.publication import next_version, publish
from mlv.registering.sampling import store_sample
from mlv.store import dvcfiles, lineage, modelclass
from mlv.store.dvc.repository import open_dvc
from mlv.store.locks import bytes_lock
from mlv.store.naming import FOLDER
from mlv.store.source import Source, source_at, source_tree
from mlv.trust import check_trusted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlv.domain.names import Version
    from mlv.registering.request import Request
    from mlv.store.config import ModelConfig
    from mlv.store.dvc.cache import Cache, Stored
    from mlv.store.dvc.repository import Dvc
    from mlv.store.dvc.surveying import Survey
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Versions

_SHOWN = 20  # metrics


class Registered(NamedTuple):
    """A new version, and what its user should know about it."""

    manifest: Manifest
    notes: tuple[str, ...]


def register(
    versions: Versions, request: Request, config: ModelConfig, progress: ProgressBar
) -> Registered:
    """Register a version: check everything, store the bytes, then publish commit and tag."""
    check_repository(versions.git)
    with open_dvc(versions.git.layout) as dvc:
        if request.experiment is None:
            return register_with(dvc, versions, request, config, progress)
        with experiments.laid_out(dvc, versions, request, progress) as found:
            return register_with(dvc, versions, found, config, progress)


def register_with(
    dvc: Dvc, versions: Versions, request: Request, config: ModelConfig, progress: ProgressBar
) -> Registered:
    """Do what `register` does, with a DVC that is open."""
    git = versions.git
    top = check_repository(git)
    for role, path in request.sources.items():
        check_source(role, path, top)
    source = _source(versions, request, config)
    notes = check_own_text(git, source, top, request.model)
    notes += check_dvc(git, dvc, source, top, request)
    metadata = _metadata(request, source, config)
    version = next_version(versions, request)
    folder = top / FOLDER / request.model
    surveys = _survey(dvc.cache, request, folder)
    for role, survey in surveys.items():
        if survey.hidden:
            name = request.sources[role].name
            notes.append(f"{len(survey.hidden)} file(s) of {name} left out: .dvcignore hides them")
    with bytes_lock(git.layout.common_dir, shared=True):  # until a tag names the bytes
        artifacts = _store(dvc.cache, request, folder, surveys, progress)
        _check_sums(request, artifacts, version)
        if request.sample is not None:
            artifacts[SAMPLE] = store_sample(dvc.cache, artifacts, request.sample, version)
        facts = _lineage(versions, source, request, artifacts, top, notes)
        request, metadata = _with_declared(dvc, request, artifacts, metadata, facts, notes)
        notes += _same_bytes(versions, request.model, artifacts[MODEL].sha256)
        pins = _requirements(request, notes)
        manifest = publish(versions, request, source, artifacts, metadata, facts, pins)
    return Registered(manifest, (*notes, *_distrust(versions, manifest.version)))


def _source(versions: Versions, request: Request, config: ModelConfig) -> Source:
    if request.past:
        tip = versions.need_tip()
        return source_at(versions.git, request.model, request.past.commit, tip.commit)
    if request.experiment:
        commit = request.experiment.commit
        return Source(commit, versions.entries(commit) or [], [])
    source = source_tree(versions.git, request.model)
    if config.require_clean and source.dirty:
        raise WorkspaceError(
            f"{source.dirty[0]} is not committed, and mlv.yaml wants {request.model!r} clean",
            hint="git commit first, or lift require_clean in mlv.yaml",
        )
    return source


def _distrust(versions: Versions, version: Version) -> list[str]:
    """Say of a version just made that nobody will be able to use it."""
    try:
        check_trusted(versions, versions.tip(), versions.record(version))
    except RegistryError as error:
        return [str(error)]
    return []


def _metadata(request: Request, source: Source, config: ModelConfig) -> dict[str, Any]:
    # What mlv.yaml states, and asks for, is about what is trained here and now.
    past = request.past
    metadata = dict(request.metadata) if past else {**config.metadata, **request.metadata}
    filled: dict[str, Any] = {} if past else {"git_commit": source.commit}
    model = request.sources[MODEL]
    if modelclass.is_pickle(model.name) and "model_class" not in metadata:
        found = modelclass.read_class(model)
        if found:
            filled["model_class"] = found
    metadata = manifests.check_metadata({**filled, **metadata})
    required = [] if past else list(config.require_metadata)
    missing = manifests.missing_metadata(metadata, required)
    if missing:
        raise InvalidInput(
            f"mlv.yaml requires the metadata {', '.join(missing)}",
            hint=" ".join(f"--meta {key}=..." for key in missing),
        )
    return metadata


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
    if request.past:
        return {**facts, **lineage.ELSEWHERE}
    path, read = request.sources[MODEL], dvcfiles.read_file
    experiment = request.experiment
    if experiment and experiment.model:
        facts |= {"branch": None, "experiment": experiment.name}
        path, read = experiment.model, partial(experiments.read, versions, experiment)
    stage = dvcfiles.stage_of(path, top, read) if top in path.parents else None
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


def _with_declared(
    dvc: Dvc,
    request: Request,
    artifacts: Mapping[str, Artifact],
    metadata: dict[str, Any],
    facts: Mapping[str, Any],
    notes: list[str],
) -> tuple[Request, dict[str, Any]]:
    """Add what dvc.yaml declares beside the model's stage; what was given wins by name."""
    if request.past:
        return request, metadata
    experiment = request.experiment
    path = (experiment and experiment.model) or request.sources[MODEL]
    commit = experiment.commit if experiment else None
    found = dvc.declared(path, artifacts[MODEL].md5, commit)
    notes += found.notes
    added = {k: v for k, v in found.metrics.items() if k not in request.metrics}
    if added:
        more = f" and {len(added) - _SHOWN} more" if len(added) > _SHOWN else ""
        notes.append(f"metrics of dvc.yaml: {', '.join([*added][:_SHOWN])}{more}")
        metrics = {**manifests.check_metrics(added), **request.metrics}
        request = request._replace(metrics=metrics)
    known = stage_parameters(facts)
    params = {k: v for k, v in found.params.items() if known.get(k) != v}
    if params and "params" not in metadata:
        metadata = manifests.check_metadata({**metadata, "params": params})
    return request, metadata


def _same_bytes(versions: Versions, model: str, sha256: str) -> list[str]:
    same = [
        tag.version.name
        for tag, manifest in versions.manifests(model)
        if isinstance(manifest, Manifest) and manifest.artifacts[MODEL].sha256 == sha256
    ]
    return [f"same model bytes as {same[-1]}"] if same else []


def _requirements(request: Request, notes: list[str]) -> bytes:
    if request.past:
        return b""  # this machine's packages did not train it
    packages = lineage.packages()
    if packages.local:
        names = ", ".join(packages.local)
        notes.append(f"requirements.txt leaves out what no package index has: {names}")
    return packages.pins


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


def _check_sums(request: Request, artifacts: Mapping[str, Artifact], version: Version) -> None:
    """Refuse bytes that are not what is stated of a version that was made elsewhere."""
    for role, stated in request.past.checksums.items() if request.past else ():
        found = artifacts[role].sha256
        if found != stated:
            raise IntegrityError(
                f"the {role} of {version.name} has SHA-256 {found}, and {stated} is stated",
                hint="these bytes are not what was registered: nothing of this version was made",
            )
