"""What was left behind by programs that died: locks, half-made work, an unfinished journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.doctor.checks import fixed, note, ok, problem
from mlv.errors import RegistryError
from mlv.store import publishing, scratch, stale
from mlv.store.git import JOURNAL, SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.doctor.checks import Check
    from mlv.store.git import Git


def check(git: Git, *, fix: bool, any_age: bool) -> Iterator[Check]:
    """Find leftovers, and with ``fix`` remove what is safe to remove.

    Locks go if they are old and no git is seen at work here; with ``any_age`` the young ones too.
    The journal comes first, for it may own a lock.
    """
    found = [*_journal(git, fix=fix), *_locks(git, fix=fix, any_age=any_age)]
    found += [*_dvc_lock(git, fix=fix, any_age=any_age), *_scratch(git, fix=fix)]
    yield from found
    if not found:
        yield ok("leftovers", "no stale lock, no interrupted work")


def _journal(git: Git, *, fix: bool) -> Iterator[Check]:
    path = git.layout.common_dir / JOURNAL
    if not path.is_file():
        return
    if not fix:
        yield problem(
            "interrupted",
            "an mlv was killed while it published, or is at it now",
            "mlv doctor --fix finishes it or takes it back, as any mlv command does",
        )
        return
    said = publishing.recover_if_allowed(git)
    if path.is_file():
        yield problem(
            "interrupted",
            said[0] if said else "another mlv is publishing now",
            "wait until it has ended; else see git status",
        )
    else:
        yield from (fixed("interrupted", line) for line in said)


def _locks(git: Git, *, fix: bool, any_age: bool) -> Iterator[Check]:
    locks = stale.git_locks(git)
    gits = stale.running_gits(git.layout) if locks else []
    for path in locks:
        shown, age = _shown(git, path), stale.age(path)
        if age is None:
            continue  # its holder has just ended
        how_old = f"{shown}, {_span(age)} old"
        if gits:
            yield note(
                "locks",
                f"{how_old}: git is at work here (process {gits[0]})",
                "wait until it has ended",
            )
        elif age < stale.OLD and not any_age:
            yield problem(
                "locks",
                f"{how_old}: a git may hold it, or died holding it",
                "wait; if no git works on this clone, on any machine: mlv doctor --fix --any-age",
            )
        elif fix:
            yield _remove(path, how_old)
        else:
            yield problem(
                "locks", f"{how_old}: a git died holding it", "mlv doctor --fix removes it"
            )


def _dvc_lock(git: Git, *, fix: bool, any_age: bool) -> Iterator[Check]:
    for path in stale.broken_dvc_locks(git.layout.top) if git.layout.top else ():
        age = stale.age(path) or 0.0
        if fix and (any_age or age >= stale.OLD):
            yield _remove(path, _shown(git, path))
        else:
            yield problem(
                "locks",
                f"{_shown(git, path)} is broken: a DVC was killed while it wrote "
                "it, and every other stops at it",
                "mlv doctor --fix removes it once it is ten minutes old, with --any-age at once",
            )


def _remove(path: Path, shown: str) -> Check:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return problem("locks", f"{shown} cannot be removed: {error.strerror}", "see who owns it")
    return fixed("locks", f"removed {shown}")


def _scratch(git: Git, *, fix: bool) -> Iterator[Check]:
    for parent in _scratch_folders(git):
        left = scratch.leftovers(parent)
        if not left:
            continue
        if fix:
            scratch.sweep(parent)
            still = len(scratch.leftovers(parent))
            if len(left) > still:
                yield fixed(
                    "scratch",
                    f"removed {len(left) - still} half-made folder(s) in {_shown(git, parent)}",
                )
            if still:
                yield note(
                    "scratch",
                    f"{still} folder(s) in {_shown(git, parent)} belong to an "
                    "mlv at work, or to another user",
                )
        else:
            yield note(
                "scratch",
                f"{len(left)} half-made folder(s) in {_shown(git, parent)}",
                "mlv doctor --fix sweeps them, as the next command of that kind does",
            )


def _scratch_folders(git: Git) -> list[Path]:
    folders = [git.layout.common_dir / SCRATCH]
    try:
        from mlv.store.dvc.repository import open_dvc

        with open_dvc(git.layout) as dvc:
            folders.append(dvc.cache.scratch_folder)
    except RegistryError:
        pass  # said elsewhere
    return folders


def _shown(git: Git, path: Path) -> str:
    base = git.layout.top or git.layout.git_dir
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{max(int(seconds), 0)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 - two hours
