"""The manifest: what a version is and where it came from. Written once, never changed.

A manifest comes from whoever can push a tag, so reading one is strict: whatever mlv would not
have written is an `IntegrityError`.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.document import is_finite, read
from mlv.domain.names import Version, artifact_path, check_role
from mlv.domain.printable import is_printable
from mlv.errors import IntegrityError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
MODEL, PREPROCESSOR = "model", "preprocessor"
# Metadata that a version should carry, and what each says.
METADATA = {
    "git_commit": "the commit the model was trained from (filled in)",
    "data_window": "which data it was trained on: last_90_days, 2026-01..2026-03",
    "model_class": "the class of the model object (filled in where the file tells it)",
    "training_samples": "rows it was trained on",
    "feature_count": "columns it was trained on",
    "cv_<metric>_mean": "mean of a metric over the folds of a cross validation",
    "cv_<metric>_std": "its standard deviation over the folds",
}
NUMERIC_METADATA = re.compile(r"training_samples|feature_count|cv_\w+_(mean|std)", re.ASCII)

_KEYS = {
    "schema", "model", "version", "registered_at", "registered_by",
    "artifacts", "metrics", "metadata", "lineage",
}  # fmt: skip
_FACTS = {"path", "size", "md5", "sha256"}
_ALL_FACTS = _FACTS | {"nfiles"}
_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII
)
_is_md5 = re.compile(r"[0-9a-f]{32}(\.dir)?").fullmatch
_is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_BIGGEST_JSON_DEPTH = 20
_LONGEST_KEY = 200
_BRIEF = 60


class Artifact(NamedTuple):
    """One artifact of a version.

    ``path`` is relative to the version's folder; ``size`` is in bytes, over all files of a
    directory; ``md5`` is DVC's address of it (ending in ``.dir`` for a directory); ``sha256`` is
    of the file, or, for a directory of ``nfiles`` files, of its listing: one line
    ``<sha256 of the file>  <path>`` a file, sorted by path, as ``sha256sum`` prints them.
    """

    role: str
    path: str
    size: int
    md5: str
    sha256: str
    nfiles: int | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, which DVC marks in the address."""
        return self.md5.endswith(".dir")

    def to_dict(self) -> dict[str, Any]:
        """Write it as in ``manifest.json``."""
        facts = {"path": self.path, "size": self.size, "md5": self.md5, "sha256": self.sha256}
        return facts if self.nfiles is None else {**facts, "nfiles": self.nfiles}


class Manifest(NamedTuple):
    """A version's manifest; ``data`` is the document as it stands in ``manifest.json``."""

    version: Version
    artifacts: Mapping[str, Artifact]
    data: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics by name, each a finite number."""
        metrics: Mapping[str, float] = self.data["metrics"]
        return metrics

    def to_bytes(self) -> bytes:
        """Write ``manifest.json``."""
        text = json.dumps(self.data, indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()

    def to_dict(self, status: str) -> dict[str, Any]:
        """Give it to a reader: the document, with its status and the two checksums at hand."""
        preprocessor = self.artifacts.get(PREPROCESSOR)
        return {
            **self.data,
            "status": status,
            "model_sha256": self.artifacts[MODEL].sha256,
            "preprocessor_sha256": preprocessor.sha256 if preprocessor else None,
        }


def create(
    version: Version,
    artifacts: Mapping[str, Artifact],
    *,
    registered_at: str,
    registered_by: str,
    metrics: Mapping[str, float],
    metadata: Mapping[str, Any],
    lineage: Mapping[str, Any],
) -> Manifest:
    """Make the manifest of a new version; it must read back as itself."""
    data = {
        "schema": SCHEMA,
        "model": version.model,
        "version": version.name,
        "registered_at": registered_at,
        "registered_by": registered_by,
        "artifacts": {role: artifact.to_dict() for role, artifact in artifacts.items()},
        "metrics": dict(metrics),
        "metadata": dict(metadata),
        "lineage": dict(lineage),
    }
    return parse(Manifest(version, artifacts, data).to_bytes(), version)


def parse(data: bytes, version: Version, *, many: bool = False) -> Manifest:
    """Read the manifest of ``version`` strictly; ``many``: as one of thousands."""
    try:
        document = read(data, many=many)
    except ValueError as error:
        raise _wrong(version, f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _wrong(version, "it is not an object")
    if document.get("schema") != SCHEMA or document["schema"] is True:
        raise _wrong(
            version,
            f"its schema is {document.get('schema')!r}; this mlv reads schema {SCHEMA}",
            hint="a newer mlv may have written it: pip install --upgrade mlv",
        )
    if document.keys() != _KEYS:
        odd = sorted(set(document) ^ _KEYS)
        raise _wrong(version, f"it lacks or has too many keys: {', '.join(map(repr, odd[:5]))}")
    _check_document(document, version)
    artifacts = {
        role: _artifact(version, role, facts) for role, facts in document["artifacts"].items()
    }
    if MODEL not in artifacts:
        raise _wrong(version, "it names no model")
    return Manifest(version, artifacts, document)


def _check_document(document: dict[str, Any], version: Version) -> None:
    if (document["model"], document["version"]) != (version.model, version.name):
        raise _wrong(version, f"it is that of {document['model']}-{document['version']}")
    time = document["registered_at"]
    if not isinstance(time, str) or not _TIME.fullmatch(time):
        raise _wrong(version, f"registered_at {time!r} is not a time in UTC")
    if not isinstance(document["registered_by"], str):
        raise _wrong(version, "registered_by is not text")
    for key in ("artifacts", "metrics", "metadata", "lineage"):
        if not isinstance(document[key], dict):
            raise _wrong(version, f"{key} is not an object")
    _check_lineage(version, document["lineage"])
    for name, value in document["metrics"].items():
        if type(value) not in (int, float) or not is_key(name):
            raise _wrong(version, f"the metric {name!r} is not a finite number")


def _check_lineage(version: Version, lineage: dict[str, Any]) -> None:
    for key, value in lineage.items():
        if key == "dirty":
            is_fine = isinstance(value, list) and all(isinstance(path, str) for path in value)
        elif key == "stage":
            is_fine = isinstance(value, dict)
        else:
            is_fine = value is None or isinstance(value, str)
        if not is_fine:
            raise _wrong(version, f"its lineage has a wrong {key!r}")


def _artifact(version: Version, role: str, facts: object) -> Artifact:
    if not isinstance(facts, dict) or facts.keys() not in (_FACTS, _ALL_FACTS):
        raise _wrong(version, f"the artifact {role!r} is not complete")
    path, md5, sha256 = facts["path"], facts["md5"], facts["sha256"]
    wrong = _wrong_path(role, path) if isinstance(path, str) else f"the path {path!r} is not one"
    if wrong:
        raise _wrong(version, wrong)
    if not isinstance(md5, str) or not _is_md5(md5):
        raise _wrong(version, f"the md5 of {role!r} is not one")
    if not isinstance(sha256, str) or not _is_sha256(sha256):
        raise _wrong(version, f"the sha256 of {role!r} is not one")
    size, files = facts["size"], facts.get("nfiles")
    is_directory = md5.endswith(".dir")
    if type(size) is not int or size < 0 or (is_directory and not _is_count(files)):
        raise _wrong(version, f"the size of {role!r} is not one")
    if files is not None and not is_directory:
        raise _wrong(version, f"{role!r} is a file, yet counts files")
    return Artifact(role, path, size, md5, sha256, files)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


@lru_cache(maxsize=256)
def _wrong_path(role: str, path: str) -> str:
    """Say what is wrong with an artifact's role or path; most versions have the same ones."""
    try:
        check_role(role)
    except InvalidInput as error:
        return error.message
    is_own = artifact_path(role, path) == path
    return "" if is_own else f"the path {path!r} is not one of a {role!r} artifact"


def _wrong(version: Version, what: str, *, hint: str = "") -> IntegrityError:
    return IntegrityError(
        f"the manifest of {version.tag} was not written by mlv: {what}",
        hint=hint or f"git log {version.tag} shows who made it; it is neither promoted nor loaded",
    )


def check_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Give the metrics as plain finite numbers, else raise `InvalidInput` naming the one.

    Numbers of numpy are taken; booleans, text, nested values, NaN and infinities are refused.
    """
    if not hasattr(metrics, "items"):
        raise InvalidInput(
            f"metrics must be names with numbers, not {type(metrics).__name__}",
            hint='metrics={"roc_auc": 0.99}',
        )
    checked: dict[str, float] = {}
    for name, value in metrics.items():
        _check_key("metric", name)
        if isinstance(value, (dict, list)):
            raise InvalidInput(
                f"the metric {name!r} is nested",
                hint=f"metrics are flat: write {name}_<key>: number for each value in it",
            )
        plain = _plain_number(value)
        if plain is None:
            raise InvalidInput(
                f"the metric {name!r} is {_brief(value)}, not a number",
                hint="text belongs in metadata: --meta",
            )
        if not is_finite(plain):
            raise InvalidInput(
                f"the metric {name!r} is {_brief(plain)}",
                hint="a metric that could not be computed is left out, not NaN or infinite",
            )
        checked[name] = plain
    return checked


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Give the metadata as plain JSON values, else raise `InvalidInput` naming the key."""
    if not hasattr(metadata, "items"):
        raise InvalidInput(
            f"metadata must be names with values, not {type(metadata).__name__}",
            hint='metadata={"data_window": "last_90_days"}',
        )
    checked = {}
    for name, value in metadata.items():
        _check_key("metadata key", name)
        checked[name] = _plain(name, value, _BIGGEST_JSON_DEPTH)
    return checked


def missing_metadata(metadata: Mapping[str, Any], required: list[str]) -> list[str]:
    """Name the required keys that are absent or empty."""
    return [key for key in required if metadata.get(key) in (None, "")]


def _check_key(kind: str, name: object) -> None:
    if not is_key(name):
        raise InvalidInput(f"{name!r} cannot be a {kind}", hint="use printable text")


@lru_cache(maxsize=256)
def is_key(name: object) -> bool:
    """Whether a metric or a value of the metadata may bear this name."""
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_KEY and is_printable(name)


def _plain_number(value: object) -> float | None:
    item = getattr(value, "item", None)  # a number of numpy, or an array of one
    if callable(item):
        try:
            value = item()
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if isinstance(value, int) else float(value)


def _brief(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer that Python finds too long to write
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."


def _plain(name: str, value: object, depth: int) -> Any:
    if depth == 0:
        raise InvalidInput(f"the metadata {name!r} is nested too deeply")
    if isinstance(value, dict):
        if any(not isinstance(key, str) for key in value):
            raise InvalidInput(f"the metadata {name!r} has a key that is not text")
        for key in value:
            _check_encodable(name, key)
        return {key: _plain(name, inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(name, inner, depth - 1) for inner in value]
    if value is None or isinstance(value, (bool, str)):
        if isinstance(value, str):
            _check_encodable(name, value)
        return value
    number = _plain_number(value)
    if number is None or not is_finite(number):
        raise InvalidInput(
            f"the metadata {name!r} holds {_brief(value)}, which JSON cannot write",
            hint="use text, finite numbers, true, false, null, lists and objects of these",
        )
    return number


def _check_encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the metadata {name!r} is not valid Unicode text") from None
