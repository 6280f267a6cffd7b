"""What a user has edited in a work tree, and nothing may overwrite."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from mlv.errors import WorkspaceError
from mlv.store.objects import REGULAR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlv.store.git import Git


def refuse_unmerged(git: Git) -> None:
    """Refuse an index with conflicts: committing from it would commit their markers."""
    unmerged = git.run("ls-files", "--unmerged", "-z").split(b"\0")[0]
    if unmerged:
        path = unmerged.partition(b"\t")[2].decode(errors="replace")
        raise WorkspaceError(
            f"{git.layout.top} is in the middle of a merge: {path} has conflicts",
            hint="resolve them and git commit, or git merge --abort, first",
        )


def refuse_edited(git: Git, folder: str, before: Mapping[str, str], after: set[str]) -> None:
    """Refuse a work tree in which files that mlv is about to replace are edited, or in the way."""
    top = git.layout.top
    assert top
    for parent in ((top / folder).parent, top / folder):
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            what = "a symlink" if parent.is_symlink() else "no folder"
            raise WorkspaceError(f"{parent} is {what}", hint="move it away: it belongs to mlv")
    nearest = next(path for path in (top / folder, *(top / folder).parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise WorkspaceError(
            f"{nearest} cannot be written by this user", hint="see its permissions, then try again"
        )
    edited = _edited(git, folder, before)
    if edited:
        raise WorkspaceError(
            f"{top / edited} is edited or staged by hand",
            hint=f"git restore --staged --worktree -- {folder} gives it back; "
            "what mlv writes there is not edited",
        )
    # Whether git ignores it or not, it is the user's.
    for path in sorted(after - before.keys()):
        if os.path.lexists(top / path):
            raise WorkspaceError(
                f"{top / path} was put there by hand, where mlv would write", hint="move it away"
            )


def _edited(git: Git, folder: str, before: Mapping[str, str]) -> str | None:
    """Find a file that is not ``before``, in the index or on disk.

    `git status` would believe an index that says a file is assumed to be unchanged.
    """
    top = git.layout.top
    assert top
    listing = git.run("ls-files", "-s", "-v", "-z", "--", f":(top,literal){folder}")
    staged, hidden = {}, set()
    for line in filter(None, listing.decode(errors="surrogateescape").split("\0")):
        facts, _, path = line.partition("\t")
        flag, mode, oid, _ = facts.split()
        staged[path] = oid if mode in REGULAR else mode
        if flag in "Ss":
            hidden.add(path)
    odd = {path for path in staged.keys() | before.keys() if staged.get(path) != before.get(path)}
    there = sorted(path for path in before if os.path.lexists(top / path))
    odd |= before.keys() - hidden - set(there)
    # What differs byte for byte may still be the same to git, which knows the ends of its lines.
    other = [path for path in there if _blob_id(top / path) != before[path]]
    lying = hash_files(git, other)
    odd |= {path for path in other if lying.get(path) != before[path]}
    return min(odd, default=None)


def _blob_id(path: Path) -> str | None:
    """Give the id that git would give a plain file's bytes as they are."""
    try:
        if path.is_symlink():
            return None
        data = path.read_bytes()
    except OSError:  # git says what is the matter
        return None
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


def hash_files(git: Git, paths: Sequence[str]) -> dict[str, str]:
    """Give the blob ids of files in a work tree, by path; what is no plain file is left out."""
    top = git.layout.top
    assert top
    plain = [
        path
        for path in paths
        if (top / path).is_file() and not (top / path).is_symlink() and "\n" not in path
    ]
    names = "".join(f"{path}\n" for path in plain).encode(errors="surrogateescape")
    oids = git.line("hash-object", "--stdin-paths", stdin=names).split("\n") if plain else []
    return dict(zip(plain, oids, strict=True))
