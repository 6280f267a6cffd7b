"""A registry that is a folder: ``v*/manifest.json`` beside the bytes, and ``active_version.json``.

    models/
      active_version.json       {"current": "v3", "previous": "v2"}
      v1/manifest.json          version, registered_at, model_sha256, preprocessor_sha256,
                                metrics, metadata, status
      v1/model.pkl              v1/preprocessor.pkl

It may come from anywhere: nothing in it is followed out of it, and nothing is unpickled.
"""

from __future__ import annotations

import json
import re
import stat
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import arriving
from mlv.domain import pointer as pointers
from mlv.domain.document import once_each
from mlv.errors import IntegrityError, InvalidInput, NotFound, RegistryError
from mlv.importing.incoming import IncomingModel, IncomingVersion, Notes
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ACTIVE, _MANIFEST = "active_version.json", "manifest.json"
_FILES = {"model": "model.pkl", "preprocessor": "preprocessor.pkl"}
_KEYS = {
    "version", "registered_at", "status", "model_sha256", "preprocessor_sha256", "metrics",
    "metadata",
}  # fmt: skip
_NUMBER = re.compile(r"v0*([1-9][0-9]{0,8})", re.ASCII)
_LIKE_A_VERSION = re.compile(r"v[0-9]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 or SHA-256
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 10_000_000  # bytes of a JSON file
# What such registries call a status, besides mlv's own words.
_STATUSES = {status: status for status in pointers.STATUSES} | {
    "active": pointers.PRODUCTION,
    "live": pointers.PRODUCTION,
    "retired": pointers.ARCHIVED,
    "superseded": pointers.ARCHIVED,
}


class _Found(NamedTuple):
    """A version's folder, its number, and what its manifest says."""

    folder: Path
    number: int
    says: Mapping[str, Any]


def read(folder: Path) -> IncomingModel:
    """Read a store; `RegistryError` names the version and the file that is not as it should be."""
    with on_disk(folder):
        if not folder.is_dir():
            raise InvalidInput(f"there is no folder {folder}", hint="give the store's folder")
        notes = Notes()
        found = [_open(path) for path in _folders(folder, notes)]
        versions = [_version(each, notes) for each in sorted(found, key=lambda each: each.number)]
        current, previous = _active(folder, notes)
    come = tuple(version for version in versions if version)
    return IncomingModel(f"the store {folder.name}/", come, current, previous, notes.all)


def _folders(store: Path, notes: Notes) -> list[Path]:
    """Find the folders of versions; name what looks like one and is none."""
    found: dict[int, Path] = {}
    for path in sorted(store.iterdir()):
        match = _NUMBER.fullmatch(path.name)
        if match is None and _LIKE_A_VERSION.fullmatch(path.name):
            raise _no_number(path)
        if match is None:
            if path.name != _ACTIVE:
                notes.add("no version's folder, and left out", path.name)
            continue
        if path.is_symlink() or not path.is_dir():
            raise InvalidInput(f"{path} is no folder, but a link or a file", hint="copy it there")
        number = int(match[1])
        if number in found:
            raise InvalidInput(
                f"{found[number].name} and {path.name} are the same number",
                hint="rename one of the two: a number is one version",
            )
        found[number] = path
    return list(found.values())


def _no_number(path: Path) -> InvalidInput:
    if not path.name.strip("v0"):
        return InvalidInput(f"{path} has no number of a version", hint="versions start at v1")
    return InvalidInput(
        f"{path}: a version's number has no more than nine digits",
        hint="rename it, in a copy of the store, to a number that follows the others: v13",
    )


def _open(folder: Path) -> _Found:
    number = int(folder.name[1:])
    says = _read(folder / _MANIFEST)
    stated = _parse(says.get("version", folder.name))
    if stated != number:
        raise IntegrityError(
            f"{folder.name}/{_MANIFEST} says that it is {says['version']!r}",
            hint="which of the two is right? Rename the folder, or mend the manifest",
        )
    return _Found(folder, number, says)


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; the numbers that JSON does not know, NaN and Infinity, pass."""
    _check_file(path)
    if path.stat().st_size > _LARGEST:
        raise IntegrityError(f"{_name(path)} is huge", hint="it is no manifest")
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=once_each)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{_name(path)} is no JSON: {error}", hint="mend it, or ask who wrote it"
        ) from None
    if not isinstance(document, dict):
        raise IntegrityError(
            f"{_name(path)} is no JSON object", hint="mend it, or ask who wrote it"
        )
    return document


def _check_file(path: Path) -> None:
    """Refuse what is not there, is no plain file, or leads elsewhere."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        raise NotFound(
            f"{_name(path)} is missing", hint="is the copy of the store whole?"
        ) from None
    if not stat.S_ISREG(mode):
        raise InvalidInput(
            f"{_name(path)} is no plain file, but a link or something else",
            hint="put the file itself there",
        )


def _name(path: Path) -> str:
    return path.name if path.name == _ACTIVE else f"{path.parent.name}/{path.name}"


def _parse(value: object) -> int | None:
    """Read a version as such registries write it: ``v3``, ``3`` or 3."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    match = _NUMBER.fullmatch(f"v{str(value).removeprefix('v')}")
    return int(match[1]) if match else None


# A version ---------------------------------------------------------------------------------


def _version(found: _Found, notes: Notes) -> IncomingVersion | None:
    """Read a version; None of one whose bytes were deleted there on purpose."""
    says, name = found.says, f"v{found.number}"
    status, remarks = _status(says.get("status"), name, notes)
    files = {role: found.folder / file for role, file in _FILES.items()}
    if status == pointers.PURGED and not files["model"].exists():
        notes.add("purged there, the bytes are gone: the number stays empty", name)
        return None
    try:
        moment = arriving.moment(says.get("registered_at"))
    except RegistryError as error:
        error.message = f"{name}/{_MANIFEST}: registered_at: {error.message}"
        raise
    if moment.is_naive:
        notes.add("dated without a zone: UTC is taken", name)
    sums = _sums(found, files, notes)
    metrics = arriving.tidy_metrics(_object(found, "metrics"))
    metadata = arriving.tidy_metadata(_object(found, "metadata"))
    for what, tidy in (("metrics", metrics), ("metadata", metadata)):
        if tidy.rest:
            remarks[what] = tidy.rest
    if metrics.rest:
        names = ", ".join(metrics.rest)
        notes.add(f"no finite number, and kept in the metadata: {names}", name)
    others = arriving.tidy_metadata({k: v for k, v in says.items() if k not in _KEYS})
    if others.kept or others.rest:
        remarks["manifest"] = {**others.kept, **others.rest}
    beside = {path.name for path in found.folder.iterdir()} - {_MANIFEST, *_FILES.values()}
    if beside:
        notes.add(f"no part of a version here, and left out: {', '.join(sorted(beside))}", name)
    known = str(metadata.kept.get("git_commit"))
    return IncomingVersion(
        found.number,
        moment.text,
        sums,
        partial(_bring, {role: files[role] for role in sums}),
        {"from": "store", "version": name},
        status=pointers.ARCHIVED if status == pointers.PURGED else status,
        metrics=metrics.kept,
        metadata=metadata.kept,
        remarks=remarks,
        commit=known if _COMMIT.fullmatch(known) else None,
    )


def _bring(files: Mapping[str, Path], _: Path) -> Mapping[str, Path]:
    for path in files.values():
        _check_file(path)  # once more: it may have been replaced since it was looked at
    return files


def _status(value: object, name: str, notes: Notes) -> tuple[str, dict[str, Any]]:
    """Give mlv's word for a status; one that it has none for is kept, and named."""
    if value in (None, ""):
        return pointers.REGISTERED, {}
    word = _STATUSES.get(str(value).strip().lower())
    if word is None:
        kept = arriving.tidy_metadata({"status": str(value)[:60]}).kept
        notes.add(f"{kept['status']!r} there, which is no status here: registered", name)
        return pointers.REGISTERED, kept
    return word, {}


def _object(found: _Found, key: str) -> dict[str, Any]:
    value = found.says.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise IntegrityError(
            f"{found.folder.name}/{_MANIFEST}: {key} is no object", hint="names with values"
        )
    return value


def _sums(found: _Found, files: Mapping[str, Path], notes: Notes) -> dict[str, str | None]:
    """Give the stated checksum of every file; the preprocessor is one only if it is there."""
    sums: dict[str, str | None] = {}
    for role, path in files.items():
        stated = found.says.get(f"{role}_sha256")
        if stated is None and role != "model" and not path.is_symlink() and not path.exists():
            continue
        _check_file(path)
        if stated is None:
            notes.add(f"no checksum is stated of {path.name}", f"v{found.number}")
        elif not isinstance(stated, str) or not _SHA256.fullmatch(stated.lower()):
            raise IntegrityError(
                f"{found.folder.name}/{_MANIFEST}: {role}_sha256 is no SHA-256",
                hint="without it nobody can tell whether the bytes are the right ones",
            )
        sums[role] = stated.lower() if isinstance(stated, str) else None
    return sums


# What is live ------------------------------------------------------------------------------


def _active(store: Path, notes: Notes) -> tuple[int | None, int | None]:
    path = store / _ACTIVE
    if not path.is_symlink() and not path.exists():
        notes.add(f"there is no {_ACTIVE}: nothing is live")
        return None, None
    says = _read(path)
    return _live(says, "current"), _live(says, "previous")


def _live(says: Mapping[str, Any], key: str) -> int | None:
    value = says.get(key)
    number = _parse(value)
    if value is not None and number is None:
        raise IntegrityError(f"{_ACTIVE}: {key} {str(value)[:60]!r} is no version", hint="mend it")
    return number
