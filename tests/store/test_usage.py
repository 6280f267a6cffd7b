"""Which objects are in use: what every tip, stash and work tree spells out, and no ancestor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, ModelRegistry
from mlv.domain.names import Version
from mlv.store.config import Config
from mlv.store.git import Git, find
from mlv.store.usage import named_objects
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., str]


def md5(letter: str) -> str:
    return letter * 32


def note(path: Path, letter: str) -> None:
    """Write a `.dvc` file that names an object, as if `dvc add` had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"outs:\n- md5: {md5(letter)}\n  size: 3\n  hash: md5\n  path: {path.stem}\n")


def commit(git: Run, folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def used(folder: Path, **how: object) -> dict[str, str]:
    versions = Versions(Git(find(folder)), Config())
    given: dict[str, object] = {"there": {}, "purged": (), **how}
    return named_objects(versions, given["there"], given["purged"])  # type: ignore[arg-type]


def test_what_the_tip_of_a_branch_names_is_in_use_and_what_an_ancestor_named_is_not(
    repo: Path, git: Run
) -> None:
    note(repo / "data" / "train.csv.dvc", "a")
    commit(git, repo, "Old data")
    note(repo / "data" / "train.csv.dvc", "b")
    commit(git, repo, "New data")
    git(repo, "branch", "trial")
    assert used(repo) == {md5("b"): "the branch main"}


def test_another_branch_counts_and_so_does_a_remote_one(repo: Path, git: Run) -> None:
    for branch, letter in (("trial", "a"), ("gone", "b")):
        git(repo, "switch", "--quiet", "--create", branch, "main")
        note(repo / "train.csv.dvc", letter)
        commit(git, repo, branch)
    git(repo, "update-ref", "refs/remotes/origin/gone", "gone")
    git(repo, "switch", "--quiet", "main")
    git(repo, "branch", "--quiet", "-D", "gone")
    assert used(repo) == {md5("a"): "the branch trial", md5("b"): "origin/gone"}


def test_a_pipeline_names_its_outputs_in_its_lock_file(repo: Path, git: Run) -> None:
    lock = repo / "pipeline" / "dvc.lock"
    lock.parent.mkdir()
    lock.write_text(
        "schema: '2.0'\nstages:\n  train:\n    cmd: true\n    outs:\n"
        f"    - path: model\n      md5: {md5('a')}.dir\n      size: 3\n"
    )
    commit(git, repo, "Train")
    assert used(repo) == {f"{md5('a')}.dir": "the branch main"}


def test_a_pipeline_that_dvc_cannot_read_still_keeps_what_it_names(repo: Path, git: Run) -> None:
    (repo / "dvc.yaml").write_text("stages: [broken")
    (repo / "dvc.lock").write_text(f"<<<<<<<\n  md5: {md5('a')}\n")
    commit(git, repo, "Break it")
    assert used(repo) == {md5("a"): "the branch main"}


def test_a_tag_that_is_no_version_counts_whatever_it_is_called(repo: Path, git: Run) -> None:
    for letter, name in (("a", "release"), ("b", "api-v2")):
        note(repo / "train.csv.dvc", letter)
        commit(git, repo, name)
        git(repo, "tag", "--annotate", "--message", name, name)
    git(repo, "rm", "--quiet", "train.csv.dvc")
    git(repo, "commit", "--quiet", "--message", "Without data")
    blob = git(repo, "hash-object", "-w", "mlv.yaml")
    git(repo, "tag", "of-a-file", blob)
    assert used(repo) == {md5("a"): "the tag release", md5("b"): "the tag api-v2"}


def test_of_a_stash_what_was_edited_staged_and_untracked_counts(repo: Path, git: Run) -> None:
    note(repo / "train.csv.dvc", "a")
    commit(git, repo, "Data")
    note(repo / "train.csv.dvc", "b")
    git(repo, "stash")
    note(repo / "train.csv.dvc", "c")
    git(repo, "add", "--all")
    note(repo / "train.csv.dvc", "d")
    note(repo / "test.csv.dvc", "e")
    git(repo, "stash", "--include-untracked")
    git(repo, "rm", "--quiet", "train.csv.dvc")
    git(repo, "commit", "--quiet", "--message", "Without data")
    assert used(repo) == {
        md5("a"): "stash@{1}",  # as it was staged, which `stash pop --index` brings back
        md5("b"): "stash@{1}",
        md5("c"): "stash@{0}",
        md5("d"): "stash@{0}",
        md5("e"): "stash@{0}",
    }


def test_in_every_work_tree_what_is_checked_out_staged_and_lying_there_counts(
    repo: Path, git: Run, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", "--detach", str(linked))
    note(linked / "train.csv.dvc", "a")
    commit(git, linked, "On no branch")
    note(linked / "train.csv.dvc", "b")
    git(linked, "add", "--all")
    note(linked / "train.csv.dvc", "c")
    note(linked / "deep" / "test.csv.dvc", "d")
    note(repo / "new.csv.dvc", "e")
    in_linked = f"the work tree {linked}"
    assert used(repo) == {
        **dict.fromkeys(map(md5, "abcd"), in_linked),
        md5("e"): f"the work tree {repo}",
    }
    assert used(linked) == used(repo)


def test_a_work_tree_that_is_not_mounted_now_still_counts(
    repo: Path, git: Run, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", "--detach", str(linked))
    note(linked / "train.csv.dvc", "a")
    commit(git, linked, "On no branch")
    note(linked / "train.csv.dvc", "b")
    git(linked, "add", "--all")
    linked.rename(tmp_path / "away")
    assert set(used(repo)) == {md5("a"), md5("b")}


def test_files_that_an_unmerged_index_holds_count(repo: Path, git: Run) -> None:
    note(repo / "train.csv.dvc", "a")
    commit(git, repo, "Data")
    git(repo, "switch", "--quiet", "--create", "trial")
    note(repo / "train.csv.dvc", "b")
    commit(git, repo, "Theirs")
    git(repo, "switch", "--quiet", "main")
    note(repo / "train.csv.dvc", "c")
    commit(git, repo, "Ours")
    with pytest.raises(Exception, match="merge"):
        git(repo, "merge", "trial")  # conflicts
    git(repo, "update-ref", "--no-deref", "HEAD", "HEAD~1")
    git(repo, "branch", "-D", "trial")
    (repo / "train.csv.dvc").unlink()
    assert set(used(repo)) == {md5("a"), md5("b"), md5("c")}


def test_of_a_version_its_own_folder_counts_unless_it_is_purged(
    repo: Path, git: Run, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    note(repo / "train.csv.dvc", "a")
    commit(git, repo, "Data")
    registry = ModelRegistry(repo)
    registry.register(write_model(tmp_path / "model.pkl", 1), None)
    git(repo, "rm", "--quiet", "train.csv.dvc")
    git(repo, "commit", "--quiet", "--message", "Without data")
    own = registry.get_manifest("v1")["artifacts"]["model"]["md5"]
    assert used(repo) == {own: "model-v1"}
    assert used(repo, purged={Version("model", 1)}) == {}


def test_a_version_of_the_same_number_that_lost_a_race_counts_by_its_kept_ref(
    repo: Path, git: Run, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    registry = ModelRegistry(repo)
    registry.register(write_model(tmp_path / "model.pkl", 1), None)
    ours = registry.get_manifest("v1")["artifacts"]["model"]["md5"]
    git(repo, "update-ref", "refs/keep", "refs/tags/model-v1")
    git(repo, "update-ref", "-d", "refs/mlv/model/v1")
    git(repo, "tag", "-d", "model-v1")
    registry.register(write_model(tmp_path / "model.pkl", 2), None)
    git(repo, "update-ref", "refs/mlv/model/v1", "refs/keep")
    git(repo, "update-ref", "-d", "refs/keep")
    assert used(repo, purged={Version("model", 1)}) == {ours: "refs/mlv/model/v1"}


def test_what_only_the_remote_has_counts_too(repo: Path, git: Run) -> None:
    git(repo, "switch", "--quiet", "--detach")
    note(repo / "train.csv.dvc", "a")
    commit(git, repo, "Theirs")
    theirs = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "--quiet", "main")
    assert used(repo) == {}
    assert used(repo, there={"refs/heads/trial": theirs}) == {
        md5("a"): "the branch trial on origin"
    }


def test_a_damaged_tree_is_an_error_and_never_taken_for_empty(repo: Path, git: Run) -> None:
    note(repo / "deep" / "train.csv.dvc", "a")
    commit(git, repo, "Data")
    git(repo, "update-ref", "refs/heads/trial", "HEAD")
    tree = git(repo, "rev-parse", "HEAD:deep")
    (repo / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(IntegrityError, match="the branch") as refused:
        used(repo)
    assert "git fsck" in refused.value.hint
