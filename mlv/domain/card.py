"""The model card of a version: a README.md for people, with a header for programs.

The header is that of Hugging Face's model cards, so that hubs find metrics and license in it.

A card is written once, and held ever after against what is written here of the same manifest and
the same text of the user's. So what `write` gives for them never changes: another text for the same
version would make every version that is registered a forgery.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import figures, yamltext
from mlv.domain.escaping import code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlv.domain.manifest import Manifest

NAME = "README.md"
# Keys of the header that metadata may fill, by the same name.
_FROM_METADATA = (
    "license", "language", "library_name", "pipeline_tag", "datasets", "base_model", "tags",
)  # fmt: skip
# What hubs call a library, by the package that the model's class comes from.
_LIBRARIES = {
    "catboost": "catboost", "keras": "keras", "lightgbm": "lightgbm", "sklearn": "sklearn",
    "torch": "pytorch", "xgboost": "xgboost",
}  # fmt: skip
_UNKNOWN = "other"
_LONGEST = 200
# An address that a shell takes as it stands.
_ADDRESS = re.compile(r"[A-Za-z0-9/][A-Za-z0-9@:/._~+-]*", re.ASCII)


class Handwritten(NamedTuple):
    """What the user says of the model: a header of JSON values, and Markdown."""

    header: Mapping[str, Any]
    body: str


NOTHING = Handwritten({}, "")


def write(manifest: Manifest, own: Handwritten = NOTHING) -> bytes:
    """Write the card of a version around the user's own text."""
    title = own.body.strip("\n") or f"# {manifest.version.model}"
    parts = [title, *_sections(manifest)]
    body = "\n\n".join(parts)
    return f"---\n{yamltext.dump(header(manifest, own.header))}---\n\n{body}\n".encode()


# For programs --------------------------------------------------------------------------------


def header(manifest: Manifest, own: Mapping[str, Any]) -> dict[str, Any]:
    """Give the header: what the manifest says, over it the user's own, and the metrics.

    Tags of both are kept. The metrics are the manifest's alone: they are what was registered.
    """
    told = _told(manifest)
    tags = [*_words(own.get("tags")), *_words(told.pop("tags", None)), "mlv"]
    merged = {**told, **own, "tags": list(dict.fromkeys(tags))}
    merged.pop("model-index", None)
    if manifest.metrics:
        task = merged.get("pipeline_tag")
        name = str(merged.get("model_name") or manifest.version.model)
        merged["model-index"] = _model_index(manifest, name, str(task or _UNKNOWN))
    return merged


def _told(manifest: Manifest) -> dict[str, Any]:
    metadata = manifest.data["metadata"]
    told = {key: metadata[key] for key in _FROM_METADATA if _words(metadata.get(key))}
    package = str(metadata.get("model_class", "")).partition(".")[0]
    if package in _LIBRARIES:
        told.setdefault("library_name", _LIBRARIES[package])
    return told


def misread(own: Mapping[str, Any]) -> list[str]:
    """Name the keys of the user's header that hubs take as text, and YAML took for something else.

    ``language: no`` is a boolean to it, and one number among tags makes them no texts.
    """
    given = {key: own[key] for key in _FROM_METADATA if own.get(key) not in (None, "", [])}
    return [key for key, value in given.items() if not _words(value)]


def _words(value: object) -> list[str]:
    """Take a text, or a list of texts; anything else is nothing."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return list(value)
    return []


def _model_index(manifest: Manifest, name: str, task: str) -> list[dict[str, Any]]:
    window = manifest.data["metadata"].get("data_window")
    data = str(window) if window else f"data of {manifest.version.tag}"
    metrics = [
        {"type": each, "value": value, "name": each} for each, value in manifest.metrics.items()
    ]
    dataset = {"type": _UNKNOWN, "name": data}
    return [
        {
            "name": name,
            "results": [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}],
        }
    ]


# For people ----------------------------------------------------------------------------------


def _sections(manifest: Manifest) -> Iterator[str]:
    data, version = manifest.data, manifest.version
    by = code(data["registered_by"])
    yield f"## {version.tag}"
    yield (
        f"Version {version.name} of `{version.model}`, registered {data['registered_at']} by {by}. "
        "Its record is `manifest.json`."
    )
    if manifest.metrics:
        rows = [[code(name), figures.number(value)] for name, value in manifest.metrics.items()]
        yield "### Metrics"
        yield _table(["metric", "value"], rows, numbers=1)
    yield "### Files"
    yield _table(
        ["role", "file", "size", "SHA-256"],
        [
            [code(a.role), code(a.path), figures.size(a.size), f"`{a.sha256}`"]
            for a in manifest.artifacts.values()
        ],
    )
    yield "### Where it comes from"
    yield _table(["fact", "value"], [[name, code(text, _LONGEST)] for name, text in _facts(data)])
    yield "### How to get it"
    yield _ways(manifest)


def _facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    lineage = data["lineage"]
    for key in ("commit", "branch", "remote", "python", "platform"):
        if lineage.get(key):
            yield key, lineage[key]
    if lineage.get("dirty"):
        yield "not committed", ", ".join(lineage["dirty"])
    stage = lineage.get("stage") or {}
    for key in ("name", "cmd"):
        if stage.get(key):
            yield f"stage {key}", _shown(stage[key])
    for key, value in data["metadata"].items():
        if key != "git_commit":
            yield code(key), _shown(value)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    left = len(headings) - numbers
    rule = ["---"] * left + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, rule, *rows])


def _ways(manifest: Manifest) -> str:
    version, model = manifest.version, manifest.artifacts["model"]
    remote = str(manifest.data["lineage"].get("remote"))
    url = remote if "/" in remote and _ADDRESS.fullmatch(remote) else "URL"
    return f"""\
```sh
# with mlv, verified
mlv pull {url} {version.tag} --out {version.tag}

# with DVC alone; or git checkout {version.tag} && dvc pull in a clone
dvc get {url} registry/{version.model}/{model.path} --rev {version.tag}
```"""
