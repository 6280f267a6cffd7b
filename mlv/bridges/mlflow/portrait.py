"""What MLflow is to show of a version: decided here, without asking it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.bridges.mlflow import fitting
from mlv.domain import pointer as pointers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version

# How what is ours is known again. `TAG` is `fraud-v3`, `DIGEST` the SHA-256 of manifest.json.
PREFIX = "mlv."
TAG, NUMBER, DIGEST, STATUS = "mlv.tag", "mlv.version", "mlv.manifest_sha256", "mlv.status"
# What of a version's files is there: all of it, or manifest.json alone.
FILES, WHOLE, RECORD = "mlv.files", "whole", "manifest"

CHAMPION, CHALLENGER = "champion", "challenger"
_ALIASES = {pointers.PRODUCTION: CHAMPION, pointers.STAGING: CHALLENGER}
_DEFAULT_PARAMS = "params.yaml"


class Portrait(NamedTuple):
    """A version as MLflow is to show it.

    ``tags`` are of the model's version and of its run, ``run_tags`` of the run alone; ``time`` is
    when it was registered, in milliseconds. ``aliases`` are those that are to lead to it.
    """

    version: Version
    digest: str
    status: str
    tags: Mapping[str, str]
    run_tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    description: str
    time: int
    aliases: tuple[str, ...]

    @property
    def is_withdrawn(self) -> bool:
        """Whether its files are not handed out, and no alias leads to it."""
        return pointers.is_withdrawn(self.status)


def portrait(manifest: Manifest, status: str) -> Portrait:
    """Draw a version of this status."""
    data, version = manifest.data, manifest.version
    digest = hashlib.sha256(manifest.to_bytes()).hexdigest()
    identity = {TAG: version.tag, NUMBER: version.name, DIGEST: digest}
    tags = {**identity, STATUS: status, **_provenance(manifest)}
    shown = {name: fitting.text(value) for name, value in tags.items() if value not in (None, "")}
    moment = datetime.fromisoformat(data["registered_at"])
    return Portrait(
        version,
        digest,
        status,
        shown,
        _git_tags(manifest),
        _params(data["lineage"]),
        {name: float(value) for name, value in fitting.keys(manifest.metrics).items()},
        _description(manifest),
        max(1, int(moment.timestamp() * 1000)),  # MLflow refuses what is below, and takes 0 for now
        _aliases(version, status),
    )


def _aliases(version: Version, status: str) -> tuple[str, ...]:
    """Name what leads to a version. MLflow keeps ``v3`` for itself: the tag stands for it."""
    if pointers.is_withdrawn(status):
        return ()
    moving = _ALIASES.get(status)
    return (version.tag,) if moving is None else (moving, version.tag)


def _provenance(manifest: Manifest) -> dict[str, Any]:
    data = manifest.data
    lineage = data["lineage"]
    stage = lineage.get("stage") or {}
    facts = {
        f"{PREFIX}registered_at": data["registered_at"],
        f"{PREFIX}registered_by": data["registered_by"],
        **{f"{PREFIX}{name}": lineage.get(name) for name in ("commit", "branch", "remote")},
        f"{PREFIX}dirty": lineage.get("dirty") or None,
        f"{PREFIX}stage": stage.get("name"),
        f"{PREFIX}cmd": stage.get("cmd"),
        f"{PREFIX}deps": stage.get("deps") or None,
    }
    for role, artifact in manifest.artifacts.items():
        facts[f"{PREFIX}sha256.{role}"] = artifact.sha256
    metadata = {f"{PREFIX}metadata.{name}": value for name, value in data["metadata"].items()}
    return {**facts, **fitting.keys(metadata)}


def _git_tags(manifest: Manifest) -> dict[str, str]:
    """Give what MLflow's own pages show of a run's origin."""
    lineage = manifest.data["lineage"]
    facts = {
        "mlflow.user": manifest.data["registered_by"],
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": lineage.get("remote"),
        "mlflow.source.git.commit": lineage.get("commit"),
        "mlflow.source.git.branch": lineage.get("branch"),
        "mlflow.source.git.repoURL": lineage.get("remote"),
        "mlflow.note.content": _description(manifest),
    }
    return {name: fitting.text(value) for name, value in facts.items() if value}


def _params(lineage: Mapping[str, Any]) -> dict[str, str]:
    """Give the parameters of the DVC stage that wrote the model, by name."""
    found: dict[str, Any] = {}
    for path, params in ((lineage.get("stage") or {}).get("params") or {}).items():
        start = "" if path == _DEFAULT_PARAMS else f"{path}/"
        nested = params if isinstance(params, dict) else {"": params}
        found |= {f"{start}{name}": value for name, value in fitting.flat(nested).items()}
    fitted = fitting.keys(found)
    return {name: fitting.text(value, fitting.LONGEST_PARAM) for name, value in fitted.items()}


def _description(manifest: Manifest) -> str:
    data, lineage = manifest.data, manifest.data["lineage"]
    day, by = data["registered_at"], data["registered_by"].partition(" <")[0]
    origin = f" from commit `{lineage['commit'][:10]}`" if lineage.get("commit") else ""
    return fitting.text(
        f"`{manifest.version.tag}`, registered {day} by {by}{origin}.\n\n"
        "Kept in step by `mlv export mlflow`: what is changed here by hand is put back."
    )
