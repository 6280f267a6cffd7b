"""A version's folder in Git: what mlv writes there, and reading it back from a tag."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.errors import IntegrityError
from mlv.store.dvcfiles import dvc_file, names_artifact
from mlv.store.objects import FILE_MODE
from mlv.store.versions import MANIFEST, POINTER, folder_of

if TYPE_CHECKING:
    from mlv.domain.manifest import Manifest
    from mlv.store.objects import Entry
    from mlv.store.versions import Record, Versions

REQUIREMENTS = "requirements.txt"
_NAMES = {POINTER, MANIFEST, REQUIREMENTS, ".gitignore"}
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


def files_of(manifest: Manifest) -> dict[str, bytes]:
    """Give the files that follow from a manifest, by name."""
    artifacts = manifest.artifacts.values()
    return {
        MANIFEST: manifest.to_bytes(),
        ".gitignore": "".join(f"/{artifact.path}\n" for artifact in artifacts).encode(),
        **{f"{artifact.path}.dvc": dvc_file(artifact) for artifact in artifacts},
    }


def may_hold(name: str) -> bool:
    """Whether a model's folder on the branch may hold a file of this name."""
    return name in _NAMES or name.endswith(".dvc")


def read(versions: Versions, record: Record) -> list[Entry]:
    """Read a version's folder from its tag; refuse what mlv would not have written there.

    A tag comes from whoever may push one, and this is what goes onto the registry branch.
    """
    git, tag = versions.git, record.tag
    entries = versions.entries(tag.commit, folder_of(tag.version.model)) or []
    expected = files_of(record.manifest)
    found = {entry.name for entry in entries}
    odd = [
        e.name for e in entries if e.name not in {*expected, REQUIREMENTS} or e.mode != FILE_MODE
    ]
    lacking = sorted(expected.keys() - found)
    if odd or lacking:
        what = f"holds {odd[0]!r}" if odd else f"lacks {lacking[0]!r}"
        raise _foreign(record, f"the folder of {tag.version.tag} {what}")
    for entry in entries:
        blob = git.objects.read(entry.oid)
        if blob is None or not _is_ours(entry.name, blob.data, record):
            raise _foreign(
                record, f"{entry.name} of {tag.version.tag} does not say what its manifest does"
            )
    return entries


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


def _is_ours(name: str, data: bytes, record: Record) -> bool:
    if name == REQUIREMENTS:
        return bool(_PINS.fullmatch(data))
    if name == MANIFEST:
        return data == record.data
    if name.endswith(".dvc"):
        path = name.removesuffix(".dvc")
        artifact = next(a for a in record.manifest.artifacts.values() if a.path == path)
        return names_artifact(data, artifact)
    return data == files_of(record.manifest)[name]


def _foreign(record: Record, what: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: mlv did not write it so",
        hint=f"git show --stat {record.tag.version.tag} shows what was put there",
    )
