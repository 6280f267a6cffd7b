"""A version's folder in Git: what mlv writes there, and reading it back from a tag."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.domain import card, description
from mlv.errors import IntegrityError, InvalidInput
from mlv.store import handwritten
from mlv.store.dvcfiles import dvc_file, names_artifact
from mlv.store.naming import MANIFEST, POINTER, folder_of
from mlv.store.objects import BLOB, FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlv.domain.card import Handwritten
    from mlv.domain.manifest import Manifest
    from mlv.store.objects import Entry
    from mlv.store.versions import Record, Versions

REQUIREMENTS, _IGNORE = "requirements.txt", ".gitignore"
_NAMES = {POINTER, MANIFEST, REQUIREMENTS, _IGNORE}
# Bytes that a checkout of another version left behind are never staged by `git add -A`. With
# `/*/*`, DVC would take the model's folder itself for ignored, and bring nothing.
GUARD = b"""\
# Written by mlv: of a model's folder, Git holds these and nothing else.
/*/?*
!/*/manifest.json
!/*/pointer.json
!/*/requirements.txt
!/*/.gitignore
!/*/*.dvc
"""
# Somebody may install what it lists: nothing there but pins, no option and no address.
_PINS = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9._+!-]+\n)*")


def files_of(manifest: Manifest, own: Handwritten) -> dict[str, bytes]:
    """Give the files that follow from a manifest and the user's own text, by name."""
    described = description.describe(manifest, own)
    files = {**_plain_files(manifest), **described}
    files[_IGNORE] += description.shown_to_git(described)
    return files


def _plain_files(manifest: Manifest) -> dict[str, bytes]:
    """Give the files of a version that bears no description, by name."""
    artifacts = manifest.artifacts.values()
    return {
        MANIFEST: manifest.to_bytes(),
        _IGNORE: "".join(f"/{artifact.path}\n" for artifact in artifacts).encode(),
        **{f"{artifact.path}.dvc": dvc_file(artifact) for artifact in artifacts},
    }


def foreign_in(entries: Sequence[Entry]) -> str | None:
    """Name a file in a model's folder on the branch that mlv did not put there; None for none.

    One called like a description's is the user's own where there is no description.
    """
    is_described = any(entry.name == description.DVC_FILE for entry in entries)
    ours = _NAMES | set(description.NAMES if is_described else ())
    for entry in entries:
        if entry.kind != BLOB or not (entry.name in ours or entry.name.endswith(".dvc")):
            return entry.name
    return None


def read(versions: Versions, record: Record) -> list[Entry]:
    """Read a version's folder from its tag; refuse what mlv would not have written there.

    A tag comes from whoever may push one, and this is what goes onto the registry branch.
    """
    git, tag = versions.git, record.tag
    entries = versions.entries(tag.commit, folder_of(tag.version.model)) or []
    found = {entry.name for entry in entries}
    # Versions were registered without a description before there was one.
    is_described = description.DVC_FILE in found
    expected = (
        files_of(record.manifest, own_text(versions, record))
        if is_described
        else _plain_files(record.manifest)
    )
    odd = [
        e.name for e in entries if e.name not in {*expected, REQUIREMENTS} or e.mode != FILE_MODE
    ]
    lacking = sorted(expected.keys() - found)
    if odd or lacking:
        what = f"holds {odd[0]!r}" if odd else f"lacks {lacking[0]!r}"
        raise _foreign(record, f"the folder of {tag.version.tag} {what}")
    for entry in entries:
        blob = git.objects.read(entry.oid)
        if blob is None or not _is_ours(entry.name, blob.data, record, expected):
            raise _foreign(
                record, f"{entry.name} of {tag.version.tag} does not say what its manifest does"
            )
    return entries


def own_text(versions: Versions, record: Record) -> Handwritten:
    """Read what the user says of the model at a version's tag."""
    model = record.manifest.version.model
    data = versions.blob(record.tag.commit, handwritten.path_of(model), links=False)
    if data is None:
        return card.NOTHING
    try:
        return handwritten.parse(data, handwritten.path_of(model))
    except InvalidInput as error:
        raise _foreign(record, f"of {record.tag.version.tag}, {error.message}") from None


def requirements(versions: Versions, record: Record) -> bytes:
    """Read the packages that a version was registered with, pinned; b"" if none are told.

    Somebody may install them: anything but pins is an `IntegrityError`.
    """
    path = f"{folder_of(record.manifest.version.model)}/{REQUIREMENTS}"
    pins = versions.blob(record.tag.commit, path) or b""
    if not _PINS.fullmatch(pins):
        tag = record.manifest.version.tag
        raise _foreign(record, f"{REQUIREMENTS} of {tag} holds something else than pinned packages")
    return pins


def _is_ours(name: str, data: bytes, record: Record, expected: Mapping[str, bytes]) -> bool:
    if name == REQUIREMENTS:
        return bool(_PINS.fullmatch(data))
    if name == MANIFEST:
        return data == record.data
    if name.endswith(".dvc"):
        path = name.removesuffix(".dvc")
        artifact = next(a for a in record.manifest.artifacts.values() if a.path == path)
        return names_artifact(data, artifact)
    return data == expected[name]


def _foreign(record: Record, what: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: mlv did not write it so",
        hint=f"git show --stat {record.tag.version.tag} shows what was put there",
    )
