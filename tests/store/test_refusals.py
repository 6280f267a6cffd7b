"""What mlv will not write into is refused before anything is published."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import InvalidInput, ModelRegistry, RegistryError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Git = Callable[..., str]
    Act = Callable[[Path], None]
    Refused = Callable[..., AbstractContextManager[pytest.ExceptionInfo[RegistryError]]]
    Writer = Callable[..., Path]

MODEL = Path("registry/model")
POINTER = MODEL / "pointer.json"


def conflict(repo: Path, git: Git) -> None:
    """Stop in the middle of a merge on main, with a conflict in train.py."""
    git(repo, "switch", "--quiet", "--create", "theirs")
    (repo / "train.py").write_text("theirs\n")
    git(repo, "commit", "--quiet", "--all", "--message", "Theirs")
    git(repo, "switch", "--quiet", "main")
    (repo / "train.py").write_text("ours\n")
    git(repo, "commit", "--quiet", "--all", "--message", "Ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "merge", "theirs")


def test_an_unmerged_index(live: Path, act: Act, refused: Refused, git: Git) -> None:
    conflict(live, git)
    with refused(live, WorkspaceError, "in the middle of a merge: train.py has conflicts"):
        act(live)


def test_an_unmerged_index_where_the_registry_branch_is_checked_out(
    live: Path, move: Act, refused: Refused, git: Git, tmp_path: Path
) -> None:
    conflict(live, git)
    linked = tmp_path / "linked"
    git(live, "worktree", "add", "--quiet", "-b", "feature", str(linked))
    with refused(linked, WorkspaceError, "in the middle of a merge", live):
        move(linked)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("how", ["--merge", "--apply"])
def test_a_rebase_of_the_registry_branch(
    live: Path, move: Act, refused: Refused, git: Git, tmp_path: Path, how: str, where: str
) -> None:
    conflict(live, git)
    git(live, "merge", "--abort")
    with pytest.raises(subprocess.CalledProcessError):
        git(live, "rebase", how, "theirs")
    (live / "train.py").write_text("resolved\n")
    git(live, "add", "train.py")
    folder = live
    if where == "elsewhere":
        folder = tmp_path / "linked"
        git(live, "worktree", "add", "--quiet", "-b", "feature", str(folder), "main")
    with refused(folder, WorkspaceError, "a rebase of main is under way", live):
        move(folder)
    git(live, "rebase", "--continue", env={"GIT_EDITOR": "true"})
    ModelRegistry(live).promote("v3")
    assert git(live, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["pointer.json", "model.pkl.dvc"])
@pytest.mark.parametrize(
    "how", ["edited", "staged", "deleted", "unstaged", "linked", "assumed unchanged", "skipped"]
)
def test_a_file_of_the_models_folder_that_was_changed(
    live: Path, refused: Refused, git: Git, name: str, how: str
) -> None:
    path = live / MODEL / name
    match how:
        case "edited":
            path.write_bytes(path.read_bytes() + b" ")
        case "staged":
            contents = path.read_bytes()
            path.write_bytes(contents + b" ")
            git(live, "add", str(path))
            path.write_bytes(contents)
        case "deleted":
            path.unlink()
        case "unstaged":
            git(live, "rm", "--quiet", "--cached", str(path))
        case "assumed unchanged":
            git(live, "update-index", "--assume-unchanged", str(path))
            path.write_bytes(b"mine")
        case "skipped":
            git(live, "update-index", "--skip-worktree", str(path))
            path.write_bytes(b"mine")
        case "linked":
            path.rename(live / "elsewhere")
            path.symlink_to(live / "elsewhere")
    with refused(live, WorkspaceError, "by hand"):
        ModelRegistry(live).promote("v3")


def test_a_file_staged_beside_those_of_the_model(
    live: Path, move: Act, refused: Refused, git: Git
) -> None:
    (live / MODEL / "notes.txt").write_text("mine\n")
    git(live, "add", "--force", str(MODEL / "notes.txt"))
    with refused(live, WorkspaceError, "notes.txt is edited or staged by hand"):
        move(live)


def test_a_changed_file_of_the_models_folder(live: Path, move: Act, refused: Refused) -> None:
    (live / POINTER).write_bytes(b"mine")
    with refused(live, WorkspaceError, "by hand"):
        move(live)


def test_a_changed_file_in_the_second_of_two_work_trees(
    live: Path, move: Act, refused: Refused, git: Git, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    git(live, "worktree", "add", "--quiet", "--force", str(twin), "main")
    (twin / POINTER).write_bytes(b"mine")
    with refused(live, WorkspaceError, "by hand", twin):
        move(live)


# What lies in the way -----------------------------------------------------------------------


def test_an_untracked_file_where_one_would_be_written(live: Path, refused: Refused) -> None:
    mine = live / MODEL / "model.bin.dvc"  # v3 has a file of that name, v2 has not
    mine.write_text("mine\n")
    with refused(live, WorkspaceError, "by hand"):
        ModelRegistry(live).promote("v3")


def test_an_untracked_file_that_is_ignored_where_one_would_be_written(
    live: Path, refused: Refused
) -> None:
    """Ignored is not worthless: `git status` alone does not show it."""
    mine = live / MODEL / "model.bin.dvc"
    mine.write_text("mine\n")
    with (live / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("registry/\n*.dvc\n")
    with refused(live, WorkspaceError, "by hand"):
        ModelRegistry(live).promote("v3")


@pytest.mark.parametrize("content", ["empty", "with a file"])
def test_a_folder_where_a_file_would_be_written(live: Path, refused: Refused, content: str) -> None:
    mine = live / MODEL / "model.bin.dvc"
    mine.mkdir()
    if content == "with a file":
        (mine / "notes.txt").write_text("mine\n")
    with refused(live, WorkspaceError, "model.bin.dvc"):
        ModelRegistry(live).promote("v3")


def test_a_file_where_the_models_folder_would_be(
    repo: Path, write_model: Writer, refused: Refused
) -> None:
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "model.pkl"), None)
    (repo / MODEL).write_text("mine\n")
    with refused(repo, WorkspaceError, "registry/model"):
        registry.promote("v1")


def test_a_file_where_the_registry_would_be(
    repo: Path, write_model: Writer, refused: Refused
) -> None:
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "model.pkl"), None)
    shutil.rmtree(repo / "registry")
    (repo / "registry").write_text("mine\n")
    with refused(repo, WorkspaceError, "registry"):
        registry.promote("v1")


def test_a_symlink_where_the_registry_would_be(
    live: Path, act: Act, refused: Refused, tmp_path: Path
) -> None:
    (live / "registry").rename(tmp_path / "elsewhere")
    (live / "registry").symlink_to(tmp_path / "elsewhere")
    with refused(live, WorkspaceError, "registry is a symlink"):
        act(live)


def test_a_symlink_where_the_models_folder_would_be(
    live: Path, move: Act, refused: Refused, tmp_path: Path
) -> None:
    (live / MODEL).rename(tmp_path / "elsewhere")
    (live / MODEL).symlink_to(tmp_path / "elsewhere")
    with refused(live, WorkspaceError, "registry/model is a symlink"):
        move(live)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_symlink_where_the_branch_would_have_the_registry(
    repo: Path, write_model: Writer, refused: Refused, git: Git, where: str
) -> None:
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "model.pkl"), None)
    (repo / "registry").rename(repo / "models")
    (repo / "registry").symlink_to("models")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Link")
    if where == "elsewhere":
        git(repo, "switch", "--quiet", "--create", "feature")
    with refused(repo, WorkspaceError, "registry is a symlink"):
        registry.promote("v1")


def test_a_branch_that_bears_the_next_versions_name(
    live: Path, refused: Refused, git: Git, write_model: Writer
) -> None:
    git(live, "branch", "model-v4")
    with refused(live, InvalidInput, "a branch is called model-v4"):
        ModelRegistry(live).register(write_model(live.parent / "new.pkl", 4), None)


def test_a_sparse_checkout_that_leaves_dvc_out(
    live: Path, refused: Refused, git: Git, write_model: Writer
) -> None:
    """DVC is set up; it is only not here, and to set it up anew would lose what is configured."""
    git(live, "sparse-checkout", "set", "--cone", "docs")
    model = write_model(live.parent / "new.pkl", 4)
    with refused(live, RegistryError, "DVC") as caught:
        ModelRegistry(live).register(model, None)
    assert "git sparse-checkout add .dvc" in caught.value.hint
    with refused(live, RegistryError, "DVC"):
        ModelRegistry.init(live)


# Others at work -----------------------------------------------------------------------------


def test_an_index_lock(live: Path, refused: Refused) -> None:
    lock = live / ".git" / "index.lock"
    lock.write_bytes(b"another git's")
    with refused(live, WorkspaceError, "another git is at work"):
        ModelRegistry(live).promote("v3")
    lock.unlink()
    assert ModelRegistry(live).promote("v3") == "v3"


def test_an_index_lock_in_the_second_of_two_work_trees(
    live: Path, refused: Refused, git: Git, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    git(live, "worktree", "add", "--quiet", "--force", str(twin), "main")
    (live / ".git" / "worktrees" / "twin" / "index.lock").touch()
    with refused(live, WorkspaceError, "another git is at work", twin):
        ModelRegistry(live).promote("v3")


def test_a_lock_of_the_branch(live: Path, refused: Refused) -> None:
    (live / ".git" / "refs" / "heads" / "main.lock").touch()
    with refused(live, RegistryError, "lock"):
        ModelRegistry(live).promote("v3")


def test_a_work_tree_that_is_locked_because_it_is_not_always_mounted(
    live: Path, move: Act, refused: Refused, git: Git, tmp_path: Path
) -> None:
    """What is promoted now would be undone by the next commit there."""
    git(live, "switch", "--quiet", "--create", "feature")
    git(live, "worktree", "add", "--quiet", "--lock", str(tmp_path / "stick"), "main")
    (tmp_path / "stick").rename(tmp_path / "unplugged")
    with refused(live, WorkspaceError, "stick"):
        move(live)


def test_a_full_disk(live: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with refused(live, RegistryError, "No space left on device"):
        ModelRegistry(live).promote("v3")


def test_a_hook_that_says_no(live: Path, refused: Refused) -> None:
    hook = live / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != prepared ]\n')
    hook.chmod(0o755)
    with refused(live, RegistryError, "update-ref"):
        ModelRegistry(live).promote("v3")


def test_a_local_branch_behind_its_remote_that_is_checked_out(
    live: Path, move: Act, refused: Refused, git: Git
) -> None:
    clone = live.with_name("clone")
    git(live, "clone", "--quiet", str(live), str(clone))
    ModelRegistry(live).promote("v3")
    ModelRegistry(live).promote("v1")
    ModelRegistry(live).promote("v2")
    git(clone, "fetch", "--quiet")
    with refused(clone, WorkspaceError, "main is behind origin/main"):
        move(clone)
    git(clone, "pull", "--quiet", "--ff-only", "origin", "main")


def test_signing_that_fails(live: Path, act: Act, refused: Refused, git: Git) -> None:
    git(live, "config", "gpg.format", "ssh")
    git(live, "config", "user.signingKey", "no-such-key.pub")
    git(live, "config", "commit.gpgSign", "true")
    git(live, "config", "tag.gpgSign", "true")
    with refused(live, RegistryError, "git"):
        act(live)


def test_no_name_to_commit_under(live: Path, act: Act, refused: Refused, git: Git) -> None:
    git(live, "config", "--global", "--unset-all", "user.email")
    git(live, "config", "--global", "user.useConfigOnly", "true")
    with refused(live, RegistryError, "git"):
        act(live)


def test_an_index_in_two_files_in_which_dvc_cannot_read_other_commits(
    live: Path, git: Git, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "hub.git")
    git(live, "remote", "add", "origin", str(tmp_path / "hub.git"))
    config = live / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", str(tmp_path / "storage")))
    git(live, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    git(live, "update-index", "--split-index")
    with pytest.raises(RegistryError, match="the index is split"):
        ModelRegistry(live).push()
    git(live, "update-index", "--no-split-index")
    assert len(ModelRegistry(live).push().versions) == 3
