"""A pointer that vanished: a registration was merged into the registry branch, and took it away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import pointer as pointers
from mlv.errors import IntegrityError
from mlv.store.naming import FOLDER, POINTER, pointer_path
from mlv.store.versions import Tip

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Versions


def vanished(versions: Versions, tip: Tip, what: str) -> IntegrityError:
    """Say that a registration was merged into the registry branch, and how to mend it."""
    branch = versions.config.branch
    return IntegrityError(
        f"a registration was merged into {branch}, whose tip is {tip.commit[:10]}: {what} is gone",
        hint="a version is promoted, never merged. "
        f"git log -m --first-parent --oneline {branch} -- {FOLDER} names it. Not pushed yet: "
        f"git switch {branch} and git reset --keep <the commit before it>; "
        "else git revert it (--mainline 1 if it is a merge commit)",
    )


def check_not_merged(versions: Versions, tip: Tip) -> None:
    """Refuse a branch on which a merged registration took a pointer away.

    mlv never removes one. What was looked through once is remembered, so that only new
    commits are read.
    """
    note = _note(versions)
    try:
        seen = note.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        seen = ""
    if seen == tip.commit:
        return
    known = [f"^{seen}"] if seen and versions.git.objects.read(f"{seen}^{{commit}}") else []
    removed = versions.git.run(
        "log", "-m", "--first-parent", "--no-show-signature", "--no-renames",
        "--diff-filter=D", "--name-only", "-z", "--format=", tip.commit, *known,
        "--", f":(top,glob){FOLDER}/*/{POINTER}",
    )  # fmt: skip
    for path in set(removed.decode(errors="replace").split("\0")) - {""}:
        is_gone = versions.blob(tip.commit, path) is None
        if is_gone and not _was_taken_back(versions, tip.commit, path):
            raise vanished(versions, tip, path)
    remember_not_merged(versions, tip.commit)


def _was_taken_back(versions: Versions, commit: str, path: str) -> bool:
    spec = f":(top,literal){path}"
    by = versions.git.line("rev-list", "-1", "--first-parent", commit, "--", spec)
    model = path.split("/")[1]
    before = versions.blob(f"{by}^", path)
    try:
        return before is not None and took_back(versions, by, pointers.parse(before, model))
    except IntegrityError:
        return False


def took_back(versions: Versions, commit: str, before: Pointer) -> bool:
    """Whether a commit that has no pointer any more only reverts the first step of a model.

    A registration that was merged leaves a folder without a pointer, of this model or another.
    """
    return pointers.is_first(before) and all(
        versions.blob(commit, pointer_path(name)) is not None
        for name in versions.models_on(Tip.at(commit))
    )


def remember_not_merged(versions: Versions, commit: str) -> None:
    """Remember that up to this commit no pointer vanished."""
    note = _note(versions)
    try:
        note.parent.mkdir(exist_ok=True)
        note.write_text(commit + "\n", encoding="ascii")
    except OSError:
        return  # a note that only saves time; a read-only repository does without


def _note(versions: Versions) -> Path:
    """Find the note of the commit up to which no pointer vanished."""
    return versions.git.layout.common_dir / "mlv" / ".looked-through"
