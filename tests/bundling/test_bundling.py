"""Versions go into one file, and come out of it in an empty folder or a clone."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from mlv import (
    ChangedMeanwhile,
    ConfigError,
    IntegrityError,
    InvalidInput,
    ModelRegistry,
    NotFound,
    StatusError,
    StorageError,
    WorkspaceError,
)
from tests.bundling.conftest import quiet

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.bundling.conftest import Made

    Git = Callable[..., str]


def refs_of(repo: Path, git: Git) -> str:
    return git(repo, "for-each-ref", "--format=%(refname) %(objectname)")


def objects_of(repo: Path) -> set[str]:
    cache = repo / ".dvc" / "cache"
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


# Into an empty folder ----------------------------------------------------------------------


def test_an_empty_folder_becomes_a_registry_that_needs_nobody(
    made: Made, tmp_path: Path, git: Git, dvc: Callable[..., str]
) -> None:
    shutil.rmtree(tmp_path / "storage")
    made.repo.rename(tmp_path / "gone")
    folder = tmp_path / "new"
    folder.mkdir()
    inode = folder.stat().st_ino
    notes: list[str] = []
    done = ModelRegistry.unbundle(made.file, folder, notify=notes.append)
    assert [version.tag for version in done.versions] == ["fraud-v2"]
    assert notes == ["ranker-v1 is live by the bundle, and its bytes are neither in it nor here"]
    assert folder.stat().st_ino == inode  # whoever is in it stays in it
    registry = ModelRegistry(folder, "fraud")
    assert registry.current_version() == "v2"
    loaded = registry.load()
    assert loaded["model"]["seed"] == 2
    assert (loaded["tokenizer"] / "vocab").read_text() == "vocab\n"
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "tag", "--list").split() == ["fraud-v2", "ranker-v1"]
    assert registry.status()["problems"] == []
    assert not (folder / ".mlv-unbundle").exists()
    git(folder, "checkout", "--quiet", "fraud-v2")
    dvc(folder, "pull")  # the remote does not answer, and need not
    assert (folder / "data.csv").read_text() == "1,2"
    assert (folder / "registry" / "fraud" / "model.pkl").is_file()


def test_a_bundle_is_an_archive_that_git_and_dvc_read_by_themselves(
    made: Made, tmp_path: Path, git: Git, dvc: Callable[..., str]
) -> None:
    with tarfile.open(made.file) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    git(tmp_path, "clone", "--quiet", "unpacked/repository.bundle", "clone")
    clone = tmp_path / "clone"
    git(clone, "checkout", "--quiet", "fraud-v2")
    dvc(clone, "remote", "add", "--local", "-d", "unpacked", str(tmp_path / "unpacked"))
    dvc(clone, "pull")
    assert (clone / "registry" / "fraud" / "model.pkl").is_file()


def test_the_same_versions_give_the_same_bytes_in_any_clone(
    made: Made, tmp_path: Path, git: Git
) -> None:
    again = made.registry.bundle("fraud-v2", file=tmp_path / "again.mlv")
    assert (tmp_path / "again.mlv").read_bytes() == made.file.read_bytes()
    git(tmp_path, "clone", "--quiet", "repo", "clone")
    git(tmp_path / "clone", "tag", "--delete", "fraud-v1")
    shutil.copytree(made.repo / ".dvc" / "cache", tmp_path / "clone" / ".dvc" / "cache")
    git(tmp_path / "clone", "repack", "-a", "-d", "-f", "--quiet", "--depth=3")
    there = ModelRegistry(tmp_path / "clone", notify=quiet)
    assert there.bundle("fraud-v2", file=tmp_path / "there.mlv").sha256 == again.sha256
    ModelRegistry.unbundle(made.file, tmp_path / "new", notify=quiet)
    new = ModelRegistry(tmp_path / "new", notify=quiet)
    assert new.bundle("fraud-v2", file=tmp_path / "new.mlv").sha256 == again.sha256
    git(tmp_path / "clone", "tag", "--delete", "ranker-v1")
    with pytest.raises(NotFound, match="there is no version v1 of 'ranker'"):
        there.bundle("fraud-v2", file=tmp_path / "there.mlv")


def test_a_folder_with_something_in_it_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "letter.txt").write_text("Dear Bob")
    with pytest.raises(WorkspaceError, match=r"holds 'letter\.txt'"):
        ModelRegistry.unbundle(made.file, tmp_path / "new", notify=quiet)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["letter.txt"]
    with pytest.raises(InvalidInput, match="is in no repository"):
        ModelRegistry.unbundle(made.file, tmp_path / "other", branch=False, notify=quiet)


def test_a_repository_of_something_else_is_not_to_be_set_up_for_it(
    made: Made, tmp_path: Path, git: Git
) -> None:
    git(tmp_path, "init", "--quiet", "other")
    with pytest.raises(ConfigError, match="is a Git repository, and no model registry") as refused:
        ModelRegistry.unbundle(made.file, tmp_path / "other", notify=quiet)
    assert "an empty folder, without git init" in refused.value.hint


def test_a_dry_run_verifies_and_makes_nothing(made: Made, tmp_path: Path) -> None:
    done = ModelRegistry.unbundle(made.file, tmp_path / "new", dry_run=True, notify=quiet)
    assert (done.is_new, [v.tag for v in done.versions]) == (True, ["fraud-v2"])
    assert not (tmp_path / "new").exists()


# Into a clone ------------------------------------------------------------------------------


def test_a_clone_gets_what_is_new_and_nothing_twice(
    made: Made, tmp_path: Path, git: Git, write_model: Callable[..., Path]
) -> None:
    clone = tmp_path / "new"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)
    (clone / "notes.txt").write_text("mine")
    write_model(tmp_path / "model.pkl", 7)
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.register(tmp_path / "model.pkl", None)
    fraud.promote("v3")
    fraud.bundle("fraud@production", "fraud-v2", file=tmp_path / "second.mlv")
    before = objects_of(clone)
    planned = ModelRegistry.unbundle(tmp_path / "second.mlv", clone, dry_run=True, notify=quiet)
    assert objects_of(clone) == before
    assert ModelRegistry(clone, "fraud").current_version() == "v2"
    done = ModelRegistry.unbundle(tmp_path / "second.mlv", clone, notify=quiet)
    assert done == planned
    assert [v.tag for v in done.versions] == ["fraud-v3"]
    assert [v.tag for v in done.known] == ["fraud-v2"]
    assert done.objects == len(objects_of(clone) - before) == 1
    assert ModelRegistry(clone, "fraud").load()["model"]["seed"] == 7
    assert git(clone, "status", "--porcelain") == "?? notes.txt"
    refs = refs_of(clone, git)
    again = ModelRegistry.unbundle(tmp_path / "second.mlv", clone, notify=quiet)
    assert (again.versions, again.commit, again.objects) == ((), None, 0)
    older = ModelRegistry.unbundle(made.file, clone, notify=quiet)
    assert (older.versions, older.commit, older.objects) == ((), None, 0)
    assert refs_of(clone, git) == refs


def test_an_object_that_is_damaged_here_is_mended(made: Made, tmp_path: Path) -> None:
    ModelRegistry.unbundle(made.file, tmp_path / "new", notify=quiet)
    registry = ModelRegistry(tmp_path / "new", "fraud")
    md5 = registry.get_manifest("v2")["artifacts"]["model"]["md5"]
    path = tmp_path / "new" / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-1] + b"?")
    assert ModelRegistry.unbundle(made.file, tmp_path / "new", notify=quiet).objects == 1
    assert path.read_bytes() == whole


def test_a_tag_that_is_another_here_is_never_overwritten(
    made: Made, tmp_path: Path, git: Git
) -> None:
    clone = tmp_path / "new"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)
    theirs = git(clone, "rev-parse", "refs/tags/fraud-v2")
    forged = git(clone, "cat-file", "tag", "fraud-v2").replace("Ada", "Eve")
    ours = git(clone, "hash-object", "-t", "tag", "-w", "--stdin", input=forged + "\n")
    git(clone, "update-ref", "refs/tags/fraud-v2", ours)
    with pytest.raises(IntegrityError) as caught:
        ModelRegistry.unbundle(made.file, clone, notify=quiet)
    assert ours[:10] in caught.value.message
    assert theirs[:10] in caught.value.message
    assert git(clone, "rev-parse", "refs/tags/fraud-v2") == ours


def test_a_branch_that_went_another_way_is_left_as_it_is(
    made: Made, tmp_path: Path, git: Git, write_model: Callable[..., Path]
) -> None:
    clone = tmp_path / "new"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Of our own")
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.register(write_model(tmp_path / "model.pkl", 7), None)
    fraud.promote("v3")
    fraud.bundle("fraud-v3", file=tmp_path / "second.mlv")
    refs = refs_of(clone, git)
    with pytest.raises(ChangedMeanwhile, match="main here and in the bundle have diverged"):
        ModelRegistry.unbundle(tmp_path / "second.mlv", clone, notify=quiet)
    assert refs_of(clone, git) == refs
    ModelRegistry.unbundle(tmp_path / "second.mlv", clone, branch=False, notify=quiet)
    registry = ModelRegistry(clone, "fraud")
    assert registry.current_version() == "v2"
    assert registry.load("v3")["model"]["seed"] == 7


def test_an_older_bundle_makes_no_branch_where_the_remotes_alone_is_here(
    made: Made, tmp_path: Path, git: Git
) -> None:
    ModelRegistry(made.repo, "fraud", notify=quiet).rollback()
    git(tmp_path, "clone", "--quiet", "repo", "clone")
    clone = tmp_path / "clone"
    git(clone, "switch", "--quiet", "--detach")
    git(clone, "branch", "--quiet", "--delete", "--force", "main")
    refs = refs_of(clone, git)
    done = ModelRegistry.unbundle(made.file, clone, notify=quiet)
    assert (done.versions, done.commit, done.objects > 0) == ((), None, True)
    assert refs_of(clone, git) == refs
    assert ModelRegistry(clone, "fraud", notify=quiet).current_version() == "v1"


def test_nothing_goes_live_whose_bytes_are_not_here(
    made: Made, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    clone = tmp_path / "new"
    both = made.registry.bundle("fraud@production", "ranker@production", file=tmp_path / "both.mlv")
    ModelRegistry.unbundle(both.path, clone, notify=quiet)
    ranker = ModelRegistry(made.repo, "ranker", notify=quiet)
    ranker.register(write_model(tmp_path / "model.pkl", 8), None)
    ranker.promote("v2")
    notes: list[str] = []
    made.registry.bundle("fraud@production", file=tmp_path / "fraud.mlv")
    ModelRegistry(made.repo, notify=notes.append).bundle("fraud-v2", file=tmp_path / "fraud.mlv")
    assert notes == ["live on main, and not in the bundle: ranker-v2 (add ranker@production)"]
    with pytest.raises(NotFound, match="ranker-v2 is live by the bundle, and its bytes are nei"):
        ModelRegistry.unbundle(tmp_path / "fraud.mlv", clone, notify=quiet)
    assert ModelRegistry(clone, "ranker").load()["model"]["seed"] == 3


def test_a_tag_that_came_without_bytes_does_not_go_live_in_place_of_what_has_them(
    made: Made, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    clone, file = tmp_path / "new", tmp_path / "next.mlv"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)  # of ranker-v1, the tag alone
    ranker = ModelRegistry(made.repo, "ranker", notify=quiet)
    for seed in (8, 9):
        ranker.register(write_model(tmp_path / "model.pkl", seed), None)
        ranker.promote("@latest")
        made.registry.bundle("fraud@production", file=file)
        notes: list[str] = []
        ModelRegistry.unbundle(file, clone, notify=notes.append)
        assert "its bytes are neither in it nor here" in notes[0]
    ranker.bundle("@production", file=file)
    ModelRegistry.unbundle(file, clone, notify=quiet)
    ranker.rollback()
    made.registry.bundle("fraud@production", file=file)
    with pytest.raises(NotFound, match="ranker-v2 is live by the bundle"):
        ModelRegistry.unbundle(file, clone, notify=quiet)
    assert ModelRegistry(clone, "ranker").load()["model"]["seed"] == 9


def test_edited_files_stop_the_branch_and_not_the_versions(made: Made, tmp_path: Path) -> None:
    clone = tmp_path / "new"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.rollback()
    fraud.bundle("fraud-v1", "fraud-v2", file=tmp_path / "second.mlv")
    pointer = clone / "registry" / "fraud" / "pointer.json"
    pointer.write_text("{}")
    with pytest.raises(WorkspaceError, match="main stays where it is") as refused:
        ModelRegistry.unbundle(tmp_path / "second.mlv", clone, notify=quiet)
    assert refused.value.message.endswith("overwritten by merge: registry/fraud/pointer.json")
    assert "commit what was edited there, or put it aside" in refused.value.hint
    assert pointer.read_text() == "{}"
    assert ModelRegistry(clone, "fraud").record("v1").manifest.version.tag == "fraud-v1"


# What is bundled ---------------------------------------------------------------------------


def test_what_is_withdrawn_damaged_or_cut_off_is_not_bundled(
    made: Made, tmp_path: Path, git: Git
) -> None:
    file = tmp_path / "none.mlv"
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.yank("v1", reason="It leaks")
    with pytest.raises(StatusError, match="fraud-v1 is yanked"):
        fraud.bundle("v1", file=file)
    md5 = fraud.get_manifest("v2")["artifacts"]["model"]["md5"]
    path = made.repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match=rf"the object {md5} in the DVC cache"):
        fraud.bundle("v2", file=file)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{made.repo}", "shallow")
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=1", "origin", "tag", "fraud-v2")
    with pytest.raises(ConfigError, match="history is cut off here"):
        ModelRegistry(tmp_path / "shallow", notify=quiet).bundle("fraud-v2", file=file)
    assert not file.exists()
    assert not [*tmp_path.glob(".none.mlv*")]


def test_an_output_that_nobody_has_is_named(made: Made, tmp_path: Path) -> None:
    registry = made.registry
    md5 = (made.repo / "dvc.lock").read_text().partition("md5: ")[2][:32]
    (made.repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    (made.repo / ".dvc" / "config").write_text("")  # and no remote to ask
    with pytest.raises(NotFound, match=r"data\.csv of fraud-v2 is neither in the DVC cache"):
        registry.bundle("fraud-v2", file=tmp_path / "whole.mlv")
    done = registry.bundle("fraud-v2", file=tmp_path / "part.mlv", partial=True)
    assert done.lacking == ("data.csv",)
    there = ModelRegistry.unbundle(tmp_path / "part.mlv", tmp_path / "new", notify=quiet)
    assert there.lacking == ("data.csv",)
    assert ModelRegistry(tmp_path / "new", "fraud").load()["model"]["seed"] == 2


def test_a_file_that_is_no_bundle_is_not_overwritten(made: Made, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Bob")
    with pytest.raises(InvalidInput, match="exists, and is no bundle"):
        made.registry.bundle("fraud-v2", file=letter)
    assert letter.read_text() == "Dear Bob"


@pytest.mark.parametrize("name", ["a**b.mlv", "[a-z]?.mlv", "n" * 250])
def test_a_file_may_be_called_anything(made: Made, tmp_path: Path, name: str) -> None:
    made.registry.bundle("fraud-v2", file=tmp_path / name)
    assert (tmp_path / name).read_bytes() == made.file.read_bytes()
    left = tmp_path / f".{name[:40]}.1.mlv-part"  # of one that was killed long ago
    left.touch()
    os.utime(left, (0, 0))
    made.registry.bundle("fraud-v2", file=tmp_path / name)
    assert not left.exists()


def test_a_name_that_is_too_long_is_called_so(made: Made, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long") as refused:
        made.registry.bundle("fraud-v2", file=tmp_path / ("n" * 300))
    assert refused.value.hint == "choose a shorter name"


# The commands ------------------------------------------------------------------------------


def test_the_commands(
    made: Made, tmp_path: Path, mlv: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert mlv(made.repo, "bundle", "fraud-v1", "fraud-v2").returncode == 2
    assert mlv(made.repo, "bundle", "../only.mlv").returncode == 2
    for words in (("bundle", "fraud-v1", "-"), ("unbundle", "-")):
        piped = mlv(made.repo, *words)
        assert (piped.returncode, "'-' is none" in piped.stderr) == (2, True)
    assert not (made.repo / "-").exists()
    said = mlv(made.repo, "bundle", "fraud@production", "../fraud.mlv", "--json")
    told = json.loads(said.stdout)
    assert told["versions"] == ["fraud-v2"]
    dry = mlv(tmp_path, "unbundle", "../fraud.mlv", "-C", "there", "--dry-run")
    assert "nothing was changed" in dry.stdout
    done = json.loads(mlv(tmp_path / "storage", "unbundle", "../fraud.mlv", "--json").stdout)
    assert (done["new"], done["commit"]) == (True, told["commit"])
    assert mlv(tmp_path / "storage", "current", "-qm", "fraud").stdout == "v2\n"
