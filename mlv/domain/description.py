"""What a version's folder says to others than mlv: to DVC's own tools, and to people on a forge.

All of it follows from the manifest and the user's own text, is written once, and is held ever after
against what is written here: see `domain.card`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlv.domain import card, yamltext
from mlv.domain.manifest import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.card import Handwritten
    from mlv.domain.manifest import Manifest

DVC_FILE, METRICS, PARAMS = "dvc.yaml", "metrics.json", "params.json"
NAMES = (card.NAME, DVC_FILE, METRICS, PARAMS)
# DVC asks Git about this one too: a dvc.yaml beside which it is ignored stops every command.
_LOCK = "dvc.lock"
# What DVC neither resolves (${...}) nor refuses.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _./-]*", re.ASCII)
_DEEPEST = 20
# What is told elsewhere.
_NO_PARAMETER = ("git_commit", "params", "tags")


def describe(manifest: Manifest, own: Handwritten) -> dict[str, bytes]:
    """Give the files that describe a version, by name; an artifact's name is left to it."""
    taken = {artifact.path for artifact in manifest.artifacts.values()}
    numbers = {
        name: (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
        for name, values in ((METRICS, dict(manifest.metrics)), (PARAMS, parameters(manifest)))
        if values and name not in taken
    }
    return {
        card.NAME: card.write(manifest, own),
        DVC_FILE: _dvc_file(manifest, numbers),
        **numbers,
    }


def shown_to_git(described: Mapping[str, bytes]) -> bytes:
    """Write the lines of ``.gitignore`` by which Git and DVC see the files, whatever is above."""
    return "".join(f"!/{name}\n" for name in (*described, _LOCK)).encode()


def parameters(manifest: Manifest) -> dict[str, Any]:
    """Give what a version was trained with, by name; what metadata says is below ``metadata``."""
    metadata = manifest.data["metadata"]
    told = flat({key: value for key, value in metadata.items() if key not in _NO_PARAMETER})
    found = {**flat(metadata.get("params")), **stage_parameters(manifest.data["lineage"])}
    return {**found, "metadata": told} if told else found


def stage_parameters(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters of the DVC stage that made the model, by name."""
    files = (lineage.get("stage") or {}).get("params")
    found: dict[str, Any] = {}
    for values in files.values() if isinstance(files, dict) else ():
        found |= flat(values)
    return found


def flat(values: object) -> dict[str, Any]:
    """Give texts, numbers and lists of these by dotted names, as DVC does; all else is left out."""
    found: dict[str, Any] = {}
    held = [("", values, _DEEPEST)]
    while held:
        before, inner, depth = held.pop()
        if not isinstance(inner, dict) or depth == 0:
            continue
        for key, value in inner.items():
            if _is_plain(value):
                found[f"{before}{key}"] = value
            else:
                held.append((f"{before}{key}.", value, depth - 1))
    return dict(sorted(found.items()))


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, (str, int, float)) for each in value)
    return isinstance(value, (str, int, float))


def _dvc_file(manifest: Manifest, numbers: Mapping[str, bytes]) -> bytes:
    version = manifest.version
    tags = manifest.data["metadata"].get("tags")
    labels = [tag for tag in tags if _is_label(tag)] if isinstance(tags, list) else []
    artifacts = {
        _identifier(version.model, role): {
            "path": artifact.path,
            "type": role,
            "desc": f"{role} of {version.tag}",
            "labels": [*labels, "mlv"],
        }
        for role, artifact in manifest.artifacts.items()
    }
    document: dict[str, Any] = {"artifacts": artifacts}
    if METRICS in numbers:
        document["metrics"] = [METRICS]
    if PARAMS in numbers:
        document["params"] = [PARAMS]
    return yamltext.dump(document).encode()


def _is_label(tag: object) -> bool:
    return isinstance(tag, str) and _LABEL.fullmatch(tag) is not None


def _identifier(model: str, role: str) -> str:
    """Name an artifact as DVC lets it be named: the model is called as the model is."""
    name = model if role == MODEL else f"{model}-{role}"
    return name if name[-1].isalnum() else f"{name}0"
