"""The linked work tree in which a version is reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.errors import InvalidInput, RegistryError, WorkspaceError
from mlv.store import handout
from mlv.store.git import find
from mlv.store.naming import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.store.git import Git
    from mlv.store.versions import Record


def make(git: Git, record: Record, folder: Path | None) -> Path:
    """Make the work tree, or go on with the one that is there, if nothing was changed in it."""
    tag = record.manifest.version.tag
    name = (git.layout.top or git.layout.common_dir).name.removesuffix(".git")
    beside = (git.layout.top or git.layout.common_dir).parent
    target = (folder or beside / f"{name}-{tag}").absolute()
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        # One that was removed by hand is still noted; of others nothing is pruned.
        git.run("worktree", "add", "--quiet", "--force", "--detach", str(target), record.tag.commit)
        return target
    _check_same(git, record, target)
    return target


def _check_same(git: Git, record: Record, target: Path) -> None:
    tag = record.manifest.version.tag
    hint = "choose another folder: --dir DIR"
    try:
        layout = find(target)
    except RegistryError:
        raise InvalidInput(f"{target} exists, and is no work tree", hint=hint) from None
    if layout.top != target.resolve() or layout.common_dir != git.layout.common_dir.resolve():
        raise InvalidInput(f"{target} exists, and is no work tree of this repository", hint=hint)
    at = ("-C", str(target))
    if git.line(*at, "rev-parse", "HEAD") != record.tag.commit:
        raise WorkspaceError(f"the work tree {target} is not at {tag}", hint=hint)
    changes = git.run(*at, "status", "--porcelain", "-z", "--untracked-files=no").decode()
    states = [line[:2] for line in changes.split("\0") if line]
    if states and all(not set(state) - set(" D") for state in states):
        git.run(*at, "reset", "--quiet", "--hard")  # one that was killed while it was made
    elif states:
        first = changes.split("\0")[0][3:]
        raise WorkspaceError(
            f"{first} was changed in the work tree {target}",
            hint=f"git worktree remove --force {target}, or {hint}",
        )


def place(folder: Path, record: Record, files: Mapping[str, Path]) -> dict[str, Path]:
    """Copy verified files to where the version's tree has them; what lies there must be them."""
    artifacts = record.manifest.artifacts
    inside = folder / FOLDER / record.manifest.version.model
    return handout.copy_out({role: files[role] for role in artifacts}, Path(inside))
