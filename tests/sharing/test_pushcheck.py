"""The pre-push hook: no push turns the registry branch round or publishes a merged registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, ModelRegistry, WorkspaceError
from mlv.sharing.pushcheck import check_successor

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

NONE = "0" * 40


@pytest.fixture
def clones(
    repo: Path, git: Git, tmp_path: Path, write_model: Callable[..., Path]
) -> tuple[Path, Path]:
    """Return two clones of one registry in which v1 is live; the first one has the hook."""
    registry = ModelRegistry(repo, notify=lambda _: None)
    for seed in (1, 2):
        registry.register(write_model(tmp_path / "m.pkl", seed), None)
    registry.promote("v1")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "shared.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "shared.git"))
    git(repo, "push", "--quiet", "--set-upstream", "origin", "main", "--tags")
    git(tmp_path, "clone", "--quiet", "shared.git", "other")
    ModelRegistry.initialise(repo, with_hooks=True)
    return repo, tmp_path / "other"


def commit(folder: Path, git: Git, name: str) -> None:
    (folder / name).write_text(name)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", f"Add {name}")


def pull_round(mine: Path, other: Path, git: Git) -> None:
    """Have ``mine`` merge what ``other`` published, on top of a commit of its own."""
    ModelRegistry(other, notify=lambda _: None).promote("v2")
    git(other, "push", "--quiet")
    commit(mine, git, "mine.py")
    git(mine, "pull", "--quiet", "--no-rebase")


def refused(folder: Path, git: Git, *args: str) -> str:
    with pytest.raises(Exception, match="push") as error:
        git(folder, "push", *args)
    return "".join(error.value.__notes__)


def test_a_push_of_a_pull_that_turned_the_branch_round_is_refused_and_mended_as_told(
    clones: tuple[Path, Path], git: Git
) -> None:
    mine, other = clones
    pull_round(mine, other, git)
    said = refused(mine, git, "origin", "main")
    assert "leaves origin/main out" in said
    assert "git rebase origin/main" in said
    git(mine, "rebase", "--quiet", "origin/main")
    git(mine, "push", "--quiet", "origin", "main")
    assert (mine / "mine.py").exists()
    assert ModelRegistry(mine).history()[-1]["uncertain_since"] is None


def test_ordinary_pushes_and_merged_pull_requests_pass(clones: tuple[Path, Path], git: Git) -> None:
    mine, other = clones
    commit(mine, git, "mine.py")
    git(mine, "push", "--quiet", "origin", "main")
    git(mine, "switch", "--quiet", "--create", "feature", "HEAD~1")
    commit(mine, git, "feature.py")
    git(mine, "switch", "--quiet", "main")
    git(mine, "merge", "--quiet", "--no-ff", "feature")
    git(mine, "push", "--quiet", "origin", "main", "feature", "--tags")
    git(other, "pull", "--quiet", "--ff-only")


def test_a_registration_that_was_merged_is_refused(clones: tuple[Path, Path], git: Git) -> None:
    mine, _ = clones
    git(mine, "merge", "--quiet", "--strategy=ours", "--message=Merge", "model-v2")
    said = refused(mine, git, "origin", "main")
    assert "the registration model-v2 was merged" in said
    git(mine, "reset", "--quiet", "--hard", "HEAD~1")
    commit(mine, git, "mine.py")
    git(mine, "push", "--quiet", "origin", "main")


def test_forgetting_and_deleting_the_branch_are_refused(
    clones: tuple[Path, Path], git: Git
) -> None:
    mine, _ = clones
    assert "would be forgotten" in refused(mine, git, "--force", "origin", "main~1:main")
    assert "would delete main" in refused(mine, git, "origin", ":main")
    git(mine, "push", "--quiet", "origin", "main:elsewhere")
    git(mine, "push", "--quiet", "origin", ":elsewhere")


def test_no_name_of_a_branch_hides_a_push_from_the_hook(
    clones: tuple[Path, Path], git: Git
) -> None:
    """Git lets a name hold what Python takes for a blank."""
    mine, _ = clones
    git(mine, "branch", "no\u00a0break", "main~1")
    said = refused(mine, git, "--force", "origin", "no\u00a0break:main")
    assert "would be forgotten" in said


def test_a_tip_that_is_not_here_is_refused_with_what_to_do(
    clones: tuple[Path, Path], git: Git
) -> None:
    mine, other = clones
    commit(other, git, "other.py")
    git(other, "push", "--quiet")
    commit(mine, git, "mine.py")
    assert "which is not here" in refused(mine, git, "--force", "origin", "main")


def test_a_pointer_that_nobody_can_read_is_not_published(
    clones: tuple[Path, Path], git: Git
) -> None:
    mine, _ = clones
    (mine / "registry/model/pointer.json").write_text("<<<<<<< HEAD")
    git(mine, "commit", "--quiet", "--all", "--message", "Conflict")
    assert "pointer.json was not written by mlv" in refused(mine, git, "origin", "main")


def test_the_check_stands_alone_for_a_review(clones: tuple[Path, Path], git: Git) -> None:
    mine, other = clones
    versions = ModelRegistry(mine)._versions
    old = git(mine, "rev-parse", "main")
    pull_round(mine, other, git)
    new, theirs = (git(mine, "rev-parse", ref) for ref in ("main", "origin/main"))
    check_successor(versions, old, theirs)
    check_successor(versions, old, old)
    check_successor(versions, None, new)
    check_successor(versions, old, new)  # on its own side it goes on from there
    with pytest.raises(WorkspaceError, match="turned the branch round"):
        check_successor(versions, theirs, new)
    git(mine, "merge", "--quiet", "--strategy=ours", "--message=Merge", "model-v2")
    with pytest.raises(IntegrityError, match="model-v2 was merged"):
        check_successor(versions, old, git(mine, "rev-parse", "main"))


def test_lines_that_git_would_not_write_are_passed_over(clones: tuple[Path, Path]) -> None:
    registry = ModelRegistry(clones[0])
    registry.check_push([])
    registry.check_push(["", "nonsense\n", f"refs/heads/main --all refs/heads/main {NONE}"])
    registry.check_push(None)


# Installing ---------------------------------------------------------------------------------


def test_a_hook_of_the_users_own_is_left_alone_and_told_what_to_add(repo: Path, mlv: Mlv) -> None:
    hook = repo / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    done = mlv(repo, "init", "--hooks")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    assert 'pushed=$(cat); echo "$pushed" | mlv check-push || exit 1' in done.stderr
    hook.unlink()
    assert "pre-push hook" in mlv(repo, "init", "--hooks").stdout
    assert "nothing was changed" in mlv(repo, "init", "--hooks").stdout


def test_hooks_that_other_repositories_share_are_left_alone(
    repo: Path, mlv: Mlv, git: Git, tmp_path: Path
) -> None:
    git(repo, "config", "core.hooksPath", str(tmp_path / "hooks"))
    done = mlv(repo, "init", "--hooks")
    assert "core.hooksPath" in done.stderr
    assert not (tmp_path / "hooks").exists()
