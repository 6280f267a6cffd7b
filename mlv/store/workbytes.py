"""Artifacts that someone had pulled into a work tree: they must not outlive their version there."""

from __future__ import annotations

import os
import posixpath
import shutil
from typing import TYPE_CHECKING

from mlv.errors import RegistryError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlv.store.git import Git

_NOTE = ".dvc"


def find(tree: Git, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Find the artifacts that lie in a work tree and must follow from ``before`` to ``after``.

    Both are the files of the models' folders; paths are from the top. Refuses bytes that are
    nowhere else. Without bytes, DVC is not even imported.
    """
    top = _top(tree)
    changed = {
        posixpath.dirname(path) for path, _ in _notes(before).items() ^ _notes(after).items()
    }
    names = {path.removesuffix(_NOTE) for path in _notes(before) | _notes(after)}
    here = [
        name
        for name in sorted(names)
        if posixpath.dirname(name) in changed and os.path.lexists(top / name)
    ]
    if here:
        from mlv.store.dvc.repository import open_dvc

        with open_dvc(tree.layout) as dvc:
            for name in here:
                is_broken_link = not (top / name).exists()
                if not is_broken_link and not dvc.is_replaceable(top / name):
                    raise WorkspaceError(
                        f"{top / name} holds bytes that no version has: it was changed by hand",
                        hint="move it elsewhere; register it to keep it",
                    )
    return here


def settle(tree: Git, artifacts: list[str], after: Mapping[str, str]) -> list[str]:
    """Remove the artifacts that lay there, and check out the new ones if the cache has them.

    The branch has moved by now: what fails here is told, and stops nothing.
    """
    if not artifacts:
        return []
    top = _top(tree)
    folders = {posixpath.dirname(name) for name in artifacts}
    notes = [top / path for path in sorted(_notes(after)) if posixpath.dirname(path) in folders]
    try:
        for name in artifacts:
            _remove(top / name)
    except OSError as error:
        where = ", ".join(str(top / name) for name in artifacts)
        return [f"{where} is that of another version and cannot be removed: {error.strerror}"]
    try:
        is_done = _check_out(tree, notes)
    except (OSError, RegistryError):  # such as a `dvc repro` that holds DVC's lock for hours
        is_done = False
    if is_done:
        return []
    gone = ", ".join(artifacts)
    return [f"{gone} was that of another version and is removed; dvc pull brings the new one"]


def _check_out(tree: Git, notes: list[Path]) -> bool:
    if not all(note.is_file() for note in notes):
        return False  # a sparse checkout leaves them out
    from mlv.store.dvc.repository import open_dvc

    with open_dvc(tree.layout) as dvc:
        if not all(dvc.has_bytes_of(note) for note in notes):
            return False
        dvc.check_out(notes)
    return True


def _notes(files: Mapping[str, str]) -> dict[str, str]:
    return {path: oid for path, oid in files.items() if path.endswith(_NOTE)}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _top(tree: Git) -> Path:
    assert tree.layout.top
    return tree.layout.top
