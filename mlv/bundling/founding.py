"""A bundle becomes a repository, in a folder where none is.

All of it is made in a folder aside. Files come first and ``.git`` last, by a rename: until then
there is no repository, from then on it is whole.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlv.bundling.inside import absent, check_dvc, check_folders
from mlv.bundling.unpacking import Places, Unbundled, bring_git, install, take_apart
from mlv.errors import ChangedMeanwhile, InvalidInput, WorkspaceError
from mlv.store.disk import on_disk, remove_tree, sync_folder
from mlv.store.dvc.far import local_config
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, Git, RefUpdate, find, init_git
from mlv.store.hashing import sha256_of
from mlv.store.locks import exclusive
from mlv.store.scratch import scratch
from mlv.trust import accept, check_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.bundling.unpacking import Arrived, Order
    from mlv.store.hashing import ProgressBar

_ASIDE = ".mlv-unbundle"


def found(
    folder: Path,
    file: Path,
    order: Order,
    notify: Callable[[str], None],
    progress: ProgressBar,
) -> Unbundled | None:
    """Make a repository of a bundle in ``folder``, which is empty or not there.

    None if another mlv made one there meanwhile.
    """
    if not order.branch:
        raise InvalidInput(
            f"{folder} is in no repository, and without its registry branch a bundle makes none",
            hint="go without --no-branch, or into a clone",
        )
    if order.dry_run:
        _refuse_occupied(folder)
        with tempfile.TemporaryDirectory() as temporary:
            arrived = _arrive(Path(temporary), file, notify, progress, is_kept=False)
            return _summary(folder, arrived)
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_occupied(folder)
        aside = folder / _ASIDE
        with exclusive(aside / "lock"):
            if (folder / ".git").exists():
                return None
            try:
                return _make(folder, aside, file, notify, progress)
            finally:
                _tidy(folder, aside)


def _tidy(folder: Path, aside: Path) -> None:
    """Leave a repository, or nothing; files without it show by what is aside that they are ours."""
    if (folder / ".git").exists() or [*folder.iterdir()] == [aside]:
        remove_tree(aside)


def sweep(folder: Path) -> None:
    """Remove what an mlv left aside that made this repository, and was killed at its very end."""
    aside = folder / _ASIDE
    if aside.is_dir():
        with contextlib.suppress(ChangedMeanwhile), exclusive(aside / "lock", patience=0):
            remove_tree(aside)


def _refuse_occupied(folder: Path) -> None:
    """Refuse a folder with files in it, unless an mlv was killed while it put them there."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names and _ASIDE not in names:
        raise WorkspaceError(
            f"{folder} is no Git repository, and holds {min(names)!r}",
            hint="a bundle is unbundled into an empty folder, or into a clone: -C DIR names one",
        )


def _make(
    folder: Path, aside: Path, file: Path, notify: Callable[[str], None], progress: ProgressBar
) -> Unbundled:
    with scratch(aside / "scratch") as parent:
        arrived = _arrive(parent, file, notify, progress, is_kept=True)
        contents, top = arrived.contents, parent / "repository"
        git = _init(top, contents.branch)
        bring_git(git, arrived, contents.refs())
        refs = contents.refs().items()
        git.update_refs([RefUpdate(ref, oid, NO_OBJECT) for ref, oid in refs], "mlv: unbundle")
        git.run("reset", "--quiet", "--hard")
        _keep_cache_here(top)
        with open_dvc(git.layout) as dvc:
            install(arrived, dvc.cache)
        remove_tree(top / ".dvc" / "tmp")
        _put_in_place(top, folder)
    return _summary(folder, arrived)


def _arrive(
    aside: Path, file: Path, notify: Callable[[str], None], progress: ProgressBar, *, is_kept: bool
) -> Arrived:
    """Take a bundle apart, and hold it against the policy that it states itself."""
    objects = aside / "objects"
    objects.mkdir()
    arrived = take_apart(file, Places(aside / "git", objects, is_kept=is_kept), progress)
    inside = arrived.inside
    policy = accept(inside.versions, inside.tip)
    if policy.required:
        for record in (*inside.records, *inside.live):
            check_version(inside.versions, policy, record)
    check_dvc(inside)
    check_folders(inside)
    for version in sorted(arrived.contents.live):
        notify(absent(version))
    return arrived


def _summary(folder: Path, arrived: Arrived) -> Unbundled:
    contents = arrived.contents
    return Unbundled(
        folder,
        is_new=True,
        versions=tuple(sorted(contents.versions)),
        known=(),
        branch=contents.branch,
        commit=contents.commit,
        objects=len(arrived.fresh),
        size=arrived.size,
        lacking=contents.lacking,
    )


def _init(top: Path, branch: str) -> Git:
    """Make a repository with nothing of the user's template, in the formats that DVC can read."""
    env = {"GIT_DEFAULT_HASH": "sha1", "GIT_DEFAULT_REF_FORMAT": "files"}
    init_git(top, "--template=", env=env)
    git = Git(find(top))
    git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    return git


def _keep_cache_here(top: Path) -> None:
    """Have DVC's cache where this user's are, whatever the branch says of it."""
    config = top / ".dvc" / "config"
    local = local_config(config.read_bytes()) if config.is_file() else ""
    if local:
        config.with_name("config.local").write_text(local, encoding="utf-8")


def _put_in_place(top: Path, folder: Path) -> None:
    """Move what was made into the folder, ``.git`` last; what lies there must be the same."""
    names = sorted(path.name for path in top.iterdir() if path.name != ".git")
    for name in names:
        if not _is_part(folder / name, top / name):
            raise WorkspaceError(
                f"{folder / name} is something else than in the bundle", hint="move it away"
            )
    for name in names:
        there = folder / name
        if there.is_dir() and not there.is_symlink():
            remove_tree(there)
        (top / name).replace(there)
    sync_folder(folder)
    (top / ".git").rename(folder / ".git")
    sync_folder(folder)


def _is_part(there: Path, ours: Path) -> bool:
    """Whether what lies there is the same as ours, or a part of it, or nothing."""
    if there.is_symlink() or ours.is_symlink():
        same_kind = there.is_symlink() and ours.is_symlink()
        return not os.path.lexists(there) or (same_kind and there.readlink() == ours.readlink())
    if there.is_dir():
        return ours.is_dir() and all(_is_part(each, ours / each.name) for each in there.iterdir())
    if not there.exists():
        return True
    return ours.is_file() and sha256_of(there) == sha256_of(ours)
