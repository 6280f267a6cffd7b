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
    git(mine, "commit", "--quiet", "--no-verify", "--all", "--message", "Conflict")
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


# The bytes of versions ----------------------------------------------------------------------


@pytest.fixture
def third(clones: tuple[Path, Path], write_model: Callable[..., Path]) -> Path:
    """Return a clone with the hooks, in which v3 is registered and not published."""
    mine, _ = clones
    ModelRegistry(mine, notify=lambda _: None).register(write_model(mine.parent / "m.pkl", 3), None)
    return mine


def test_a_version_is_not_pushed_before_its_bytes(third: Path, git: Git, dvc: Git) -> None:
    said = refused(third, git, "origin", "model-v3")
    assert "registry/model/model.pkl of model-v3 is not on the DVC remote" in said
    assert "mlv push model-v3 brings bytes and tag" in said
    assert "--no-verify" in said
    dvc(third, "push", "--all-tags")
    git(third, "push", "--quiet", "origin", "model-v3")


def test_mlv_push_brings_both_and_says_so_to_the_hook(third: Path, git: Git, mlv: Mlv) -> None:
    assert mlv(third, "push", "v3").returncode == 0
    assert git(third, "ls-remote", "--tags", "origin", "model-v3")


def test_a_dvc_remote_that_cannot_be_asked_is_told_and_nothing_is_pushed(
    third: Path, git: Git, dvc: Git, mlv: Mlv
) -> None:
    lines = f"refs/tags/model-v3 {git(third, 'rev-parse', 'model-v3')} refs/tags/model-v3 {NONE}\n"
    dvc(third, "remote", "remove", "storage")
    done = mlv(third, "check-push", input=lines)
    assert done.returncode == 1
    assert "whether the bytes of model-v3 are on the DVC remote cannot be told" in done.stderr
    assert "git push --no-verify goes without this" in done.stderr


def test_tags_of_others_and_of_published_versions_cost_no_question(third: Path, git: Git) -> None:
    registry = ModelRegistry(third)
    git(third, "tag", "release-v3")
    for name, old in (("release-v3", NONE), ("model-v3", "1" * 40)):
        new = git(third, "rev-parse", name)
        registry.check_push([f"refs/tags/{name} {new} refs/tags/{name} {old}"])
    registry.check_push([f"(delete) {NONE} refs/tags/model-v3 {'1' * 40}"])


def test_pre_commit_tells_the_hook_by_the_environment(third: Path, git: Git, mlv: Mlv) -> None:
    new = git(third, "rev-parse", "model-v3")
    env = {
        "PRE_COMMIT_LOCAL_BRANCH": "refs/tags/model-v3",
        "PRE_COMMIT_TO_REF": new,
        "PRE_COMMIT_REMOTE_BRANCH": "refs/tags/model-v3",
        "PRE_COMMIT_FROM_REF": git(third, "rev-parse", "main"),
    }
    done = mlv(third, "check-push", input="", env=env)
    assert done.returncode == 6
    assert "is not on the DVC remote" in done.stderr


# Installing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("pre-commit", "mlv check-commit || exit 1"),
        ("pre-push", 'pushed=$(cat); echo "$pushed" | mlv check-push || exit 1'),
    ],
)
def test_a_hook_of_the_users_own_is_left_alone_and_told_what_to_add(
    repo: Path, mlv: Mlv, name: str, line: str
) -> None:
    hook = repo / ".git/hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    done = mlv(repo, "init", "--hooks")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    assert line in done.stderr
    hook.unlink()
    assert f"{name} hook" in mlv(repo, "init", "--hooks").stdout
    assert "nothing was changed" in mlv(repo, "init", "--hooks").stdout


def test_hooks_that_other_repositories_share_are_left_alone(
    repo: Path, mlv: Mlv, git: Git, tmp_path: Path
) -> None:
    git(repo, "config", "core.hooksPath", str(tmp_path / "hooks"))
    done = mlv(repo, "init", "--hooks")
    assert "core.hooksPath" in done.stderr
    assert not (tmp_path / "hooks").exists()
