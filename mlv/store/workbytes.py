"""Artifacts that someone had pulled into a work tree: they must not outlive their version there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mlv.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlv.store.git import Git

_NOTE = ".dvc"


def find(tree: Git, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Find the artifacts that lie in a work tree and must follow from ``before`` to ``after``.

    Both are the files of the model's folder; paths are from the top. Refuses bytes that are
    nowhere else. Without bytes, DVC is not even imported.
    """
    if _notes(before) == _notes(after):
        return []
    top = _top(tree)
    names = sorted({path.removesuffix(_NOTE) for path in _notes(before) | _notes(after)})
    here = [name for name in names if (top / name).exists()]
    if here:
        from mlv.store.dvc import open_dvc

        with open_dvc(tree.layout) as dvc:
            for name in here:
                if not dvc.is_replaceable(top / name):
                    raise WorkspaceError(
                        f"{top / name} holds bytes that no version has: it was changed by hand",
                        hint="move it elsewhere; register it to keep it",
                    )
    return here


def settle(tree: Git, artifacts: list[str], after: Mapping[str, str]) -> list[str]:
    """Remove the artifacts that lay there, and check out the new ones if the cache has them."""
    if not artifacts:
        return []
    from mlv.store.dvc import open_dvc

    top = _top(tree)
    for name in artifacts:
        _remove(top / name)
    with open_dvc(tree.layout) as dvc:
        notes = [top / path for path in sorted(_notes(after))]
        if all(dvc.has_bytes_of(note) for note in notes):
            dvc.check_out(notes)
            return []
    gone = ", ".join(artifacts)
    return [f"{gone} of another version was removed; dvc pull brings the new bytes"]


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
