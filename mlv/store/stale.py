"""What programs that died left behind in a repository: lock files of git, and of DVC."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.store.git import Git, Layout

OLD = 600.0  # seconds; no git holds a lock so long, but one that waits for an editor
_PROC = Path("/proc")


def git_locks(git: Git) -> list[Path]:
    """Find every lock file of git's in the repository, of all its work trees."""
    common = git.layout.common_dir
    folders = [common, *sorted((common / "worktrees").glob("*"))]
    found = [path for folder in folders for path in sorted(folder.glob("*.lock"))]
    for below in ("info", "objects/info", "refs"):
        found += sorted((common / below).rglob("*.lock"))
    return [path for path in found if path.is_file()]


def age(path: Path) -> float | None:
    """Give a file's age in seconds; None if it is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return None


def running_gits(layout: Layout) -> list[int] | None:
    """Give the processes on this machine that are git at work in the repository.

    None where that cannot be told. What runs on another machine, or in another container, is not
    seen.
    """
    if not (_PROC / "self" / "cwd").exists():
        return None
    folders = [folder for folder in (layout.top, layout.git_dir, layout.common_dir) if folder]
    return [
        int(process.name)
        for process in _PROC.iterdir()
        if process.name.isdigit() and _is_git_below(process, folders)
    ]


def _is_git_below(process: Path, folders: list[Path]) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        name = words[0].rpartition(b"/")[2]
        if not name.startswith(b"git") or b"cat-file" in words:
            return False  # `cat-file` only reads, and may run for days
        where = (process / "cwd").readlink()
    except PermissionError:
        return True  # another user's git: it may be at work here
    except OSError:
        return False
    return any(folder == where or folder in where.parents for folder in folders)


def broken_dvc_locks(top: Path) -> Iterator[Path]:
    """Find DVC's note of who reads and writes what, where a kill left half of it.

    DVC itself lets go of what dead processes held; half a note stops it for good.
    """
    note = top / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(note.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        yield note
