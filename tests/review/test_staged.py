"""The pre-commit hook: nobody edits the registry by hand, and git's own ways with it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

POINTER = "registry/model/pointer.json"


@pytest.fixture
def live(repo: Path, tmp_path: Path, write_model: Callable[..., Path]) -> Path:
    """Return a registry in which v2 is live, v1 was, v3 is registered, and the hooks are in."""
    registry = ModelRegistry(repo, notify=lambda _: None)
    for seed in (1, 2, 3):
        registry.register(write_model(tmp_path / "m.pkl", seed), None)
    for ref in ("v1", "v2"):
        registry.promote(ref)
    ModelRegistry.initialise(repo, with_hooks=True)
    return repo


def commit(folder: Path, git: Git, *args: str) -> None:
    git(folder, "commit", "--quiet", "--all", "--message", "By hand", *args)


def refused(folder: Path, git: Git, *args: str) -> str:
    with pytest.raises(Exception, match="commit") as error:
        commit(folder, git, *args)
    return "".join(error.value.__notes__)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_pointer_that_is_edited_is_refused(live: Path, git: Git) -> None:
    edit(live / POINTER, '"current": "v2"', '"current": "v3"')
    said = refused(live, git)
    assert "what is staged is not what mlv writes" in said
    assert "git commit --no-verify goes without this" in said
    commit(live, git, "--no-verify")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda live: edit(live / "registry/model/model.pkl.dvc", "md5: ", "md5: 0"),
        lambda live: edit(live / "registry/model/manifest.json", '"v2"', '"v3"'),
        lambda live: (live / POINTER).unlink(),
        lambda live: (live / "registry/.gitignore").unlink(),
        lambda live: (live / "registry/.gitignore").write_text("*\n"),
    ],
    ids=["bytes", "manifest", "no pointer", "no guard", "guard"],
)
def test_no_other_file_of_the_registry_is_edited_either(
    live: Path, git: Git, spoil: Callable[[Path], object]
) -> None:
    spoil(live)
    assert "what is staged is not what mlv writes" in refused(live, git)


def test_files_of_another_version_without_its_pointer_are_refused(live: Path, git: Git) -> None:
    git(live, "checkout", "model-v3", "--", "registry/model")
    assert "is not that of model-v2" in refused(live, git)


def test_a_file_that_only_lies_there_is_refused(live: Path, git: Git) -> None:
    (live / "registry/notes.txt").write_text("x")
    git(live, "add", "--force", "registry/notes.txt")
    assert "registry/notes.txt is new" in refused(live, git)


def test_what_is_committed_is_looked_at_and_not_what_else_is_staged(live: Path, git: Git) -> None:
    """For `git commit PATH` and `git commit --all`, git has an index of its own."""
    edit(live / POINTER, '"current": "v2"', '"current": "v3"')
    (live / "code.py").write_text("x")
    git(live, "add", "code.py")
    git(live, "commit", "--quiet", "--message", "Code", "code.py")
    assert "not what mlv writes" in refused(live, git)
    git(live, "add", POINTER)
    (live / "code.py").write_text("y")
    git(live, "commit", "--quiet", "--message", "Code", "code.py")


def test_code_passes_wherever_it_is_committed(live: Path, git: Git) -> None:
    for start in ("main", "model-v3"):
        git(live, "checkout", "--quiet", "--detach", start)
        (live / "code.py").write_text("x")
        git(live, "add", "code.py")
        commit(live, git)


def test_reverts_merges_and_cherry_picks_of_what_mlv_wrote_pass(live: Path, git: Git) -> None:
    """Where git stops for a conflict elsewhere, what it has made of the registry is committed."""
    git(live, "revert", "--no-edit", "HEAD")
    git(live, "revert", "--no-commit", "HEAD")
    commit(live, git)
    git(live, "switch", "--quiet", "--create", "proposal")
    git(live, "switch", "--quiet", "main")
    registry = ModelRegistry(live, notify=lambda _: None)
    registry.promote("v3")
    registry.rollback()
    git(live, "branch", "--force", "proposal", "main~2")
    git(live, "switch", "--quiet", "proposal")
    (live / "code.py").write_text("x")
    git(live, "add", "code.py")
    commit(live, git)
    git(live, "merge", "--quiet", "--no-commit", "main")
    commit(live, git)
    assert "v3" in (live / POINTER).read_text()

    git(live, "switch", "--quiet", "--create", "picked", "main~2")
    git(live, "cherry-pick", "--no-commit", "main~1")
    commit(live, git)
    assert '"current": "v3"' in (live / POINTER).read_text()


def test_the_first_commit_of_a_repository_passes(tmp_path: Path, git: Git, mlv: Mlv) -> None:
    git(tmp_path, "init", "--quiet", "new")
    new = tmp_path / "new"
    assert mlv(new, "init", "--hooks").returncode == 0
    git(new, "checkout", "--quiet", "--orphan", "other")
    commit(new, git)


def test_a_squashed_merge_of_what_was_promoted_meanwhile_passes(live: Path, git: Git) -> None:
    """Several steps in one, which nobody could tell from an edit, are the branch's own here."""
    git(live, "switch", "--quiet", "--create", "work", "main~1")
    git(live, "switch", "--quiet", "main")
    registry = ModelRegistry(live, notify=lambda _: None)
    for ref in ("v1", "v3", "v1"):
        registry.promote(ref)
    git(live, "switch", "--quiet", "work")
    git(live, "merge", "--quiet", "--squash", "main")
    commit(live, git)
    assert git(live, "rev-parse", "work:registry") == git(live, "rev-parse", "main:registry")
