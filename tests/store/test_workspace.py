"""The user's work is, byte for byte, as it was before."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    Git = Callable[..., str]
    Act = Callable[[Path], None]
    Untouched = Callable[..., AbstractContextManager[None]]
    Follows = Callable[[Path], None]

POINTER = "registry/model/pointer.json"


def test_edited_and_untracked_files(
    live: Path, act: Act, untouched: Untouched, follows: Follows
) -> None:
    (live / "train.py").write_text("edited\n")
    (live / "old.py").unlink()
    (live / "docs" / "guide.md").chmod(0o755)
    (live / "evaluate.py").unlink()
    (live / "evaluate.py").symlink_to("train.py")
    (live / "notes.txt").write_text("untracked\n")
    (live / "registry" / "notes.txt").write_text("untracked beside the model\n")
    (live / "empty").mkdir()
    with untouched(live):
        act(live)
    follows(live)


def test_staged_changes(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    (live / "new.py").write_text("staged\n")
    (live / "train.py").write_text("staged\n")
    (live / "old.py").rename(live / "older.py")
    git(live, "add", "--all")
    git(live, "rm", "--quiet", "--cached", "evaluate.py")
    (live / "intended.py").write_text("its contents are not staged\n")
    git(live, "add", "--intent-to-add", "intended.py")
    (live / "train.py").write_text("edited after it was staged\n")
    with untouched(live):
        act(live)
    follows(live)
    # `git add --intent-to-add` shows as this, and as nothing else.
    assert " A intended.py" in git(live, "status", "--porcelain").splitlines()


def test_a_stash(live: Path, act: Act, untouched: Untouched, git: Git) -> None:
    (live / "train.py").write_text("stashed\n")
    git(live, "stash", "push", "--quiet")
    with untouched(live):
        act(live)
    git(live, "stash", "pop", "--quiet")
    assert (live / "train.py").read_text() == "stashed\n"


def test_another_branch_is_checked_out(
    live: Path, act: Act, untouched: Untouched, git: Git
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    (live / "train.py").write_text("edited\n")
    (live / "new.py").write_text("staged\n")
    git(live, "add", "new.py")
    index, registry = (live / ".git" / "index"), (live / "registry" / "model")
    git(live, "status")
    before = index.read_bytes(), {path: path.read_bytes() for path in registry.iterdir()}
    with untouched(live):
        act(live)
        assert before == (
            index.read_bytes(),
            {path: path.read_bytes() for path in registry.iterdir()},
        )


def test_a_merge_with_conflicts_on_another_branch(
    live: Path, move: Act, untouched: Untouched, git: Git
) -> None:
    for branch in ("theirs", "ours"):
        git(live, "switch", "--quiet", "--create", branch, "main")
        (live / "train.py").write_text(f"{branch}\n")
        git(live, "commit", "--quiet", "--all", "--message", branch)
    with pytest.raises(subprocess.CalledProcessError):
        git(live, "merge", "theirs")
    assert "UU train.py" in git(live, "status", "--porcelain")
    with untouched(live):
        move(live)


def test_a_merge_that_waits_for_its_commit(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    git(live, "switch", "--quiet", "--create", "theirs")
    (live / "train.py").write_text("theirs\n")
    git(live, "commit", "--quiet", "--all", "--message", "Theirs")
    git(live, "switch", "--quiet", "main")
    git(live, "merge", "--quiet", "--no-ff", "--no-commit", "theirs")
    with untouched(live):
        act(live)
    follows(live)
    registry = git(live, "rev-parse", "main:registry")
    git(live, "commit", "--quiet", "--no-edit")
    assert git(live, "rev-parse", "main^2") == git(live, "rev-parse", "theirs")
    assert git(live, "rev-parse", "main:registry") == registry


def test_the_registry_branch_is_another_name_of_the_one_checked_out(
    live: Path, move: Act, follows: Follows, git: Git
) -> None:
    """As where `main` was made a symbolic ref to `master` when the default changed."""
    git(live, "branch", "--quiet", "--move", "main", "master")
    git(live, "symbolic-ref", "refs/heads/main", "refs/heads/master")
    assert git(live, "symbolic-ref", "--short", "HEAD") == "master"
    (live / "train.py").write_text("edited\n")
    move(live)
    assert git(live, "rev-parse", "main") == git(live, "rev-parse", "master")
    assert git(live, "status", "--porcelain") == " M train.py"
    follows(live)


def test_a_rebase_of_another_branch(live: Path, act: Act, untouched: Untouched, git: Git) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    (live / "train.py").write_text("feature\n")
    git(live, "commit", "--quiet", "--all", "--message", "Feature")
    with pytest.raises(subprocess.CalledProcessError):
        git(live, "rebase", "--exec", "false", "HEAD~1")
    assert (live / ".git" / "rebase-merge").is_dir()
    with untouched(live):
        act(live)
    git(live, "rebase", "--continue", env={"GIT_EDITOR": "true"})
    assert git(live, "symbolic-ref", "--short", "HEAD") == "feature"


def test_the_registry_branch_is_checked_out_in_another_work_tree(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git, tmp_path: Path
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    (live / "train.py").write_text("edited here\n")
    other = tmp_path / "other"
    git(live, "worktree", "add", "--quiet", str(other), "main")
    (other / "train.py").write_text("edited there\n")
    (other / "new.py").write_text("staged there\n")
    git(other, "add", "new.py")
    with untouched(live, other):
        act(live)
    follows(other)


def test_inside_a_linked_work_tree(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git, tmp_path: Path
) -> None:
    (live / "train.py").write_text("edited in the main work tree\n")
    linked = tmp_path / "linked"
    git(live, "worktree", "add", "--quiet", "-b", "feature", str(linked))
    (linked / "train.py").write_text("edited in the linked one\n")
    (linked / "evaluate.py").unlink()
    (linked / "new.py").write_text("staged in the linked one\n")
    git(linked, "add", "new.py")
    with untouched(linked, live):
        act(linked)
    follows(live)


def test_two_work_trees_have_the_registry_branch_checked_out(
    live: Path, move: Act, untouched: Untouched, follows: Follows, git: Git, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    git(live, "worktree", "add", "--quiet", "--force", str(twin), "main")
    (live / "train.py").write_text("edited here\n")
    (twin / "new.py").write_text("staged there\n")
    git(twin, "add", "new.py")
    with untouched(live, twin):
        move(live)
    follows(live)
    follows(twin)


def test_a_work_tree_that_was_deleted_is_no_obstacle(
    live: Path, move: Act, git: Git, tmp_path: Path
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    git(live, "worktree", "add", "--quiet", str(tmp_path / "other"), "main")
    shutil.rmtree(tmp_path / "other")
    move(live)


@pytest.mark.parametrize("settings", ["common", "of each work tree"])
def test_in_a_bare_repository_with_linked_work_trees(
    live: Path,
    act: Act,
    untouched: Untouched,
    follows: Follows,
    git: Git,
    tmp_path: Path,
    settings: str,
) -> None:
    """As `git clone --bare URL project/.git` and `git worktree add` make it."""
    project = tmp_path / "project"
    git(live, "clone", "--quiet", "--bare", str(live), str(project / ".git"))
    main, feature = project / "main", project / "feature"
    git(project, "worktree", "add", "--quiet", "main")
    git(project, "worktree", "add", "--quiet", "feature")
    if settings == "of each work tree":
        git(feature, "sparse-checkout", "init", "--cone")  # moves core.bare to where it holds
        git(feature, "sparse-checkout", "disable")
        assert "bare" in (project / ".git" / "config.worktree").read_text()
    shutil.copytree(live.parent / "storage", project / "storage")
    (main / "train.py").write_text("edited\n")
    with untouched(main, feature):
        act(feature)
    follows(main)


def test_a_git_directory_that_lies_elsewhere(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git, tmp_path: Path
) -> None:
    git(live, "init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    assert (live / ".git").is_file()
    (live / "train.py").write_text("edited\n")
    with untouched(live):
        act(live)
    follows(live)


@pytest.mark.parametrize("settings", ["common", "of each work tree"])
def test_a_linked_work_tree_of_a_submodule(
    live: Path,
    move: Act,
    untouched: Untouched,
    follows: Follows,
    git: Git,
    tmp_path: Path,
    settings: str,
) -> None:
    """Git knows where a submodule's main work tree is by `core.worktree` alone."""
    outer, linked = tmp_path / "outer", tmp_path / "linked"
    git(tmp_path, "init", "--quiet", str(outer))
    allow = ("-c", "protocol.file.allow=always")
    git(outer, *allow, "submodule", "--quiet", "add", str(live), "models")
    models = outer / "models"
    (models / "train.py").write_text("edited\n")
    git(models, "worktree", "add", "--quiet", "-b", "feature", str(linked))
    if settings == "of each work tree":
        git(linked, "sparse-checkout", "init", "--cone")  # moves core.worktree likewise
        git(linked, "sparse-checkout", "disable")
    with untouched(models, linked):
        move(linked)
    follows(models)


def test_a_main_work_tree_that_git_itself_cannot_find(live: Path, git: Git, tmp_path: Path) -> None:
    """Brought along or refused; but a commit there must not undo the promotion."""
    linked = tmp_path / "linked"
    git(live, "init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    git(live, "worktree", "add", "--quiet", "-b", "feature", str(linked))
    with contextlib.suppress(RegistryError):
        ModelRegistry(linked).promote("v3")
    promoted = git(live, "rev-parse", "main:registry")
    (live / "train.py").write_text("mine\n")
    git(live, "commit", "--quiet", "--all", "--message", "Mine")
    assert git(live, "rev-parse", "main:registry") == promoted


def test_a_detached_head(live: Path, act: Act, untouched: Untouched, git: Git) -> None:
    git(live, "switch", "--quiet", "--detach", "main")
    (live / "train.py").write_text("edited\n")
    with untouched(live):
        act(live)


def test_a_branch_without_a_commit(live: Path, move: Act, untouched: Untouched, git: Git) -> None:
    git(live, "checkout", "--quiet", "--orphan", "fresh")
    (live / "train.py").write_text("begun anew\n")
    git(live, "add", "train.py")
    with untouched(live):
        move(live)


# Sparse checkouts ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", [("--cone",), ("--cone", "--sparse-index")], ids=" ".join)
def test_a_sparse_checkout_without_the_registry(
    live: Path, act: Act, untouched: Untouched, git: Git, how: tuple[str, ...]
) -> None:
    git(live, "sparse-checkout", "set", *how, "docs", ".dvc")
    assert not (live / "registry").exists()
    (live / "docs" / "guide.md").write_text("edited\n")
    with untouched(live):
        act(live)
    assert not (live / "registry").exists()
    listed = git(live, "ls-files", "-v", "--", "registry").splitlines()
    assert listed
    assert {line[0] for line in listed} == {"S"}
    assert git(live, "ls-files", "-s", "--", "registry").replace(" 0\t", "\t") == git(
        live, "ls-tree", "-r", "HEAD", "registry"
    ).replace(" blob ", " ")


def test_a_sparse_checkout_with_the_registry(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    git(live, "sparse-checkout", "set", "--cone", "registry", ".dvc")
    assert not (live / "docs").exists()
    (live / "train.py").write_text("edited\n")
    with untouched(live):
        act(live)
    follows(live)
    assert not (live / "docs").exists()
    hidden = git(live, "ls-files", "-v").splitlines()
    assert [line for line in hidden if line.startswith("S")] == ["S docs/guide.md"]


def test_a_sparse_checkout_of_the_pointers_alone(
    live: Path, act: Act, untouched: Untouched, git: Git
) -> None:
    git(live, "sparse-checkout", "set", "--no-cone", "/*.py", "/.dvc", "pointer.json")
    (live / "train.py").write_text("edited\n")
    with untouched(live):
        act(live)
    assert [path.name for path in (live / "registry" / "model").iterdir()] == ["pointer.json"]
    assert (live / POINTER).read_text() == git(live, "show", f"HEAD:{POINTER}") + "\n"
    assert git(live, "status", "--porcelain", "--", "registry") == ""


def test_a_sparse_checkout_in_a_linked_work_tree_alone(
    live: Path, move: Act, untouched: Untouched, git: Git, tmp_path: Path
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    linked = tmp_path / "linked"
    git(live, "worktree", "add", "--quiet", str(linked), "main")
    git(linked, "sparse-checkout", "set", "--cone", "docs")
    assert (live / "registry").is_dir()
    with untouched(live, linked):
        move(live)
    assert not (linked / "registry").exists()
    assert git(linked, "status", "--porcelain") == ""


def test_a_checkout_that_became_sparse_since_the_registry_was_opened(live: Path, git: Git) -> None:
    """Everything is read anew at each call, git's configuration as well."""
    registry = ModelRegistry(live)
    registry.promote("v3")
    git(live, "sparse-checkout", "set", "--cone", "docs", ".dvc")
    registry.promote("v1")
    assert not (live / "registry").exists()
    assert git(live, "status", "--porcelain") == ""


def test_a_file_of_the_model_that_somebody_committed_as_a_program(
    live: Path, move: Act, follows: Follows, git: Git
) -> None:
    """As a `chmod -R` does, or a file system where everything may be run."""
    git(live, "update-index", "--chmod=+x", POINTER, "registry/model/model.pkl.dvc")
    git(live, "commit", "--quiet", "--message", "Chmod")
    git(live, "checkout", "--", "registry")
    move(live)
    follows(live)


def test_a_folder_that_somebody_committed_among_the_models_files(
    live: Path, move: Act, git: Git
) -> None:
    """Brought along or refused; but nothing is left staged that the next commit would add."""
    (live / "registry" / "model" / "docs").mkdir()
    (live / "registry" / "model" / "docs" / "card.md").write_text("A card\n")
    git(live, "add", "--force", "registry/model/docs/card.md")
    git(live, "commit", "--quiet", "--message", "Card")
    with contextlib.suppress(RegistryError):
        move(live)
    assert git(live, "status", "--porcelain") == ""


def test_a_split_index(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    git(live, "update-index", "--split-index")
    (live / "new.py").write_text("staged\n")
    git(live, "add", "new.py")
    with untouched(live):
        act(live)
    follows(live)


@pytest.mark.parametrize("bit", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_was_told_not_to_look_at(
    live: Path, act: Act, untouched: Untouched, git: Git, bit: str
) -> None:
    git(live, "update-index", bit, "train.py")
    (live / "train.py").write_text("a local setting\n")
    with untouched(live):
        act(live)


# Where, and in which environment ------------------------------------------------------------


def test_a_subfolder_is_the_working_directory(
    live: Path,
    typed: Act,
    untouched: Untouched,
    follows: Follows,
) -> None:
    (live / "docs" / "guide.md").write_text("edited\n")
    with untouched(live):
        typed(live / "docs")
    follows(live)


def test_a_path_with_spaces_and_letters_of_all_kinds(
    live: Path, typed: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    home = live.with_name("mes modèles 模型 [1] 'x'")
    live.rename(home)
    (home / "später.py").write_text("staged\n")
    git(home, "add", "später.py")
    (home / "noch später.py").write_text("untracked\n")
    with untouched(home):
        typed(home)
    follows(home)


def test_lines_that_end_as_on_windows(
    live: Path, act: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    clone = live.with_name("clone")
    git(live, "clone", "--quiet", "--config", "core.autocrlf=true", str(live), str(clone))
    assert (clone / "train.py").read_bytes() == b"train.py as committed\r\n"
    (clone / "evaluate.py").write_bytes(b"edited\r\n")
    with untouched(clone):
        act(clone)
    follows(clone)
    assert b"\r\n" in (clone / POINTER).read_bytes()
    git(clone, "-c", "core.autocrlf=false", "cat-file", "-e", f"main:{POINTER}")
    assert "\r" not in git(clone, "cat-file", "blob", f"main:{POINTER}")


def test_a_version_holds_what_git_would_commit_of_such_lines(
    live: Path, git: Git, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    clone = live.with_name("clone")
    git(live, "clone", "--quiet", "--config", "core.autocrlf=true", str(live), str(clone))
    (clone / "evaluate.py").write_bytes(b"edited\r\n")
    registry = ModelRegistry(clone)
    registry.register(write_model(tmp_path / "new.pkl", 4), None)
    assert registry.get_manifest("v4")["lineage"]["dirty"] == ["evaluate.py"]
    assert (
        git(clone, "diff", "--stat", "main", "model-v4", "--", ":!registry", ":!evaluate.py") == ""
    )
    assert "\r" not in git(clone, "cat-file", "blob", "model-v4:evaluate.py")


def test_a_hooks_environment_that_names_another_repository(
    live: Path,
    typed: Act,
    untouched: Untouched,
    follows: Follows,
    git: Git,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(other))
    (other / "kept.py").write_text("theirs\n")
    git(other, "add", "kept.py")
    git(other, "commit", "--quiet", "--message", "Theirs")
    (live / "train.py").write_text("edited\n")
    with untouched(live, other), monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(other / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        hook.setenv("GIT_WORK_TREE", str(other))
        hook.setenv("GIT_PREFIX", "docs/")
        typed(live)
    follows(live)
    assert git(other, "rev-list", "--all", "--count") == "1"


# The user's own commits ---------------------------------------------------------------------


@pytest.mark.parametrize("how", [("--all",), (), ("--only", "train.py"), ("--amend", "--all")])
def test_a_commit_after_a_promotion_does_not_undo_it(
    live: Path, move: Act, git: Git, how: tuple[str, ...]
) -> None:
    (live / "train.py").write_text("mine\n")
    (live / "new.py").write_text("mine\n")
    git(live, "add", "new.py")
    move(live)
    promoted = git(live, "rev-parse", "main:registry")
    git(live, "commit", "--quiet", "--message", "Mine", *how)
    assert git(live, "rev-parse", "main:registry") == promoted
    assert git(live, "status", "--porcelain", "--", "registry") == ""


def test_a_commit_whose_editor_was_open_during_a_promotion_does_not_undo_it(
    live: Path, git: Git
) -> None:
    """Git has made the tree by then, and must not put it on top of the promotion."""
    (live / "new.py").write_text("mine\n")
    git(live, "add", "new.py")
    editor = live.parent / "editor.sh"
    editor.write_text(
        f"#!/bin/sh\n{sys.executable} -P -m mlv -C '{live}' promote v3 || exit 1\n"
        'echo Mine > "$1"\n'
    )
    editor.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError):
        git(live, "commit", env={"GIT_EDITOR": str(editor)})
    assert '"current": "v3"' in git(live, "show", f"main:{POINTER}")
    git(live, "commit", "--quiet", "--message", "Mine")
    assert '"current": "v3"' in git(live, "show", f"main:{POINTER}")
    assert git(live, "status", "--porcelain") == ""


def test_registering_needs_no_index_lock(live: Path, write_model: Callable[..., Path]) -> None:
    lock = live / ".git" / "index.lock"
    lock.touch()
    registry = ModelRegistry(live)
    assert registry.register(write_model(live.parent / "new.pkl", 4), None) == "v4"
    assert lock.exists()


def test_a_promotion_follows_a_user_who_is_not_allowed_to_be_asked(
    live: Path, move: Act, untouched: Untouched, follows: Follows, git: Git
) -> None:
    """Settings that change what git prints are the user's, and mislead nobody."""
    for key, value in {
        "status.showUntrackedFiles": "no",
        "status.short": "true",
        "status.branch": "true",
        "color.ui": "always",
        "core.quotePath": "false",
        "core.abbrev": "5",
        "diff.noprefix": "true",
        "log.showSignature": "true",
        "submodule.recurse": "true",
        "feature.manyFiles": "true",
        "core.preloadIndex": "false",
    }.items():
        git(live, "config", "--global", key, value)
    (live / "train.py").write_text("edited\n")
    with untouched(live):
        move(live)
    follows(live)


def test_no_scratch_is_left_and_no_folder_is_made_in_the_users_place(live: Path, act: Act) -> None:
    folders = (live, live.parent)
    before = [sorted(folder.iterdir()) for folder in folders]
    act(live)
    assert [sorted(folder.iterdir()) for folder in folders] == before
