"""Bytes that somebody pulled onto the registry branch are never those of another version."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry, WorkspaceError
from mlv.domain.description import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.conftest import Killer

    Git = Callable[..., str]
    Dvc = Callable[..., str]
    Refused = Callable[..., AbstractContextManager[None]]
    Untouched = Callable[..., AbstractContextManager[None]]
    Follows = Callable[[Path], None]
    Writer = Callable[..., Path]

MODEL = Path("registry/model")


@pytest.fixture
def notes() -> list[str]:
    """Collect what the registry tells."""
    return []


@pytest.fixture
def registry(live: Path, notes: list[str]) -> ModelRegistry:
    """Return the registry ``live``."""
    return ModelRegistry(live, notify=notes.append)


def bytes_in(top: Path) -> dict[str, bytes]:
    """Give what lies in the model's folder and is not in Git."""
    kept = {"manifest.json", "pointer.json", "requirements.txt", ".gitignore", *NAMES}
    return {
        path.relative_to(top / MODEL).as_posix(): path.read_bytes()
        for path in (top / MODEL).rglob("*")
        if path.is_file() and path.name not in kept and path.suffix != ".dvc"
    }


def bytes_of(registry: ModelRegistry, ref: str) -> dict[str, bytes]:
    """Give a version's files as mlv hands them out, verified."""
    found = {}
    for role, path in registry.artifacts(ref).items():
        if role not in ("manifest", "requirements"):
            inside = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
            found.update({p.relative_to(path.parent).as_posix(): p.read_bytes() for p in inside})
    return found


def pull(top: Path) -> None:
    """Bring the bytes of what is live, as a user without mlv would."""
    from dvc.repo import Repo

    with Repo(top) as repo:
        repo.checkout(targets=[str(note) for note in (top / MODEL).glob("*.dvc")])


def test_bytes_are_replaced_by_those_of_the_version_that_goes_live(
    live: Path, registry: ModelRegistry, git: Git, dvc: Dvc, follows: Follows, notes: list[str]
) -> None:
    pull(live)
    assert bytes_in(live) == bytes_of(registry, "v2")
    registry.rollback()
    assert bytes_in(live) == bytes_of(registry, "v1")
    registry.promote("v3")  # its files have other names
    assert bytes_in(live) == bytes_of(registry, "v3")
    assert set(bytes_in(live)) == {"model.bin"}
    registry.stage("v2")  # nothing else goes live
    assert bytes_in(live) == bytes_of(registry, "v3")
    follows(live)
    assert git(live, "status", "--porcelain") == ""
    assert "up to date" in dvc(live, "status")
    assert notes == []


def test_directories_are_replaced_whole(
    repo: Path, git: Git, dvc: Dvc, tmp_path: Path, follows: Follows
) -> None:
    registry = ModelRegistry(repo)
    for files in ({"config": b"1", "deep/a": b"a"}, {"config": b"2", "deep/b": b"b", "c": b"c"}):
        source = tmp_path / "bert"
        for name, data in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
        registry.register(source, None)
        shutil.rmtree(source)
    registry.promote("v1")
    pull(repo)
    registry.promote("v2")
    assert bytes_in(repo) == {"model/config": b"2", "model/deep/b": b"b", "model/c": b"c"}
    registry.rollback()
    assert bytes_in(repo) == {"model/config": b"1", "model/deep/a": b"a"}
    follows(repo)
    assert git(repo, "status", "--porcelain") == ""
    assert "up to date" in dvc(repo, "status")


def test_bytes_left_by_a_checkout_of_a_version_give_way_to_the_first_promotion(
    repo: Path, git: Git, write_model: Writer, follows: Follows
) -> None:
    registry = ModelRegistry(repo)
    for seed in (1, 2):
        registry.register(write_model(repo.parent / "model.pkl", seed), None)
    git(repo, "checkout", "--quiet", "model-v1")
    pull(repo)
    git(repo, "checkout", "--quiet", "main")
    assert bytes_in(repo) == bytes_of(registry, "v1")
    assert git(repo, "status", "--porcelain") == ""
    registry.promote("v2")
    assert bytes_in(repo) == bytes_of(registry, "v2")
    follows(repo)


def test_bytes_that_are_not_here_leave_none_behind(
    live: Path, registry: ModelRegistry, notes: list[str], follows: Follows
) -> None:
    pull(live)
    forget(live, registry, "v1")
    registry.rollback()
    assert bytes_in(live) == {}
    follows(live)
    assert [note for note in notes if "dvc pull" in note]


def test_a_directory_of_which_one_file_is_not_here_leaves_none_behind(
    repo: Path, tmp_path: Path
) -> None:
    notes: list[str] = []
    registry = ModelRegistry(repo, notify=notes.append)
    source = tmp_path / "bert"
    source.mkdir()
    for text in ("one", "two"):
        (source / "weights").write_text(text)
        (source / "config").write_text("the same")
        registry.register(source, None)
    registry.promote("v2")
    pull(repo)
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    weights = next(
        path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == b"one"
    )
    weights.unlink()
    registry.promote("v1")
    assert bytes_in(repo) == {}
    assert [note for note in notes if "dvc pull" in note]


def forget(repo: Path, registry: ModelRegistry, ref: str) -> None:
    """Take a version's bytes out of DVC's cache."""
    for artifact in registry.get_manifest(ref)["artifacts"].values():
        md5 = artifact["md5"]
        (repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()


@pytest.mark.parametrize("name", ["model.pkl", "preprocessor.pkl"])
def test_bytes_changed_by_hand_are_refused(
    live: Path, registry: ModelRegistry, refused: Refused, name: str
) -> None:
    pull(live)
    path = live / MODEL / name
    path.unlink()
    path.write_bytes(b"tuned by hand")
    with refused(live, WorkspaceError, f"{name} holds bytes that no version has"):
        registry.rollback()


def test_bytes_in_the_way_of_the_next_version_are_refused(
    live: Path, registry: ModelRegistry, refused: Refused
) -> None:
    (live / MODEL / "model.bin").write_bytes(b"mine, and in no cache")
    with refused(live, WorkspaceError, "model.bin holds bytes that no version has"):
        registry.promote("v3")


def test_a_file_added_to_a_directory_by_hand_is_refused(
    repo: Path, tmp_path: Path, refused: Refused
) -> None:
    registry = ModelRegistry(repo)
    source = tmp_path / "bert"
    source.mkdir()
    for text in ("one", "two"):
        (source / "weights").write_text(text)
        registry.register(source, None)
    registry.promote("v1")
    pull(repo)
    (repo / MODEL / "model" / "notes.txt").write_text("mine")
    with refused(repo, WorkspaceError, "model holds bytes that no version has"):
        registry.promote("v2")


def test_a_link_in_place_of_bytes(live: Path, registry: ModelRegistry, tmp_path: Path) -> None:
    """What a link leads to is not mlv's to remove."""
    mine = tmp_path / "mine.bin"
    mine.write_bytes(b"mine")
    (live / MODEL / "model.bin").symlink_to(mine)
    with contextlib.suppress(WorkspaceError):
        registry.promote("v3")
    assert mine.read_bytes() == b"mine"


def test_a_broken_link_where_bytes_would_be(live: Path, registry: ModelRegistry) -> None:
    """As DVC's links are when the cache is gone."""
    pull(live)
    for name in ("model.pkl", "preprocessor.pkl"):
        (live / MODEL / name).unlink()
        (live / MODEL / name).symlink_to(live / "gone")
    registry.rollback()
    assert not (live / MODEL / "model.pkl").is_symlink()


def test_where_no_bytes_lie_none_are_brought_and_dvc_is_not_asked(live: Path) -> None:
    code = (
        "import sys, mlv\n"
        "registry = mlv.ModelRegistry('.')\n"
        "registry.promote('v3'), registry.rollback(), registry.stage('v3')\n"
        "print(sorted({'dvc', 'dvc_data'} & sys.modules.keys()))\n"
    )
    argv = [sys.executable, "-P", "-c", code]
    done = subprocess.run(argv, cwd=live, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert bytes_in(live) == {}


def test_bytes_in_another_work_tree_follow_as_well(
    live: Path, registry: ModelRegistry, git: Git, dvc: Dvc, tmp_path: Path, untouched: Untouched
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    other = tmp_path / "other"
    git(live, "worktree", "add", "--quiet", str(other), "main")
    # A linked work tree has a cache of its own unless it is told otherwise.
    dvc(other, "cache", "dir", "--local", str(live / ".dvc" / "cache"))
    pull(live)
    pull(other)
    with untouched(live, other):
        registry.rollback()
    assert bytes_in(other) == bytes_of(registry, "v1")
    assert bytes_in(live) == bytes_of(registry, "v2")  # of the branch that is checked out there
    assert git(other, "status", "--porcelain") == ""


def test_bytes_where_a_sparse_checkout_leaves_the_registry_out(
    live: Path, registry: ModelRegistry, git: Git
) -> None:
    pull(live)
    git(live, "sparse-checkout", "set", "--no-cone", "/*", "!/registry")
    assert set(bytes_in(live)) == {"model.pkl", "preprocessor.pkl"}
    registry.rollback()
    assert registry.promote("v3") == "v3"
    assert bytes_in(live) in ({}, bytes_of(registry, "v3"))
    assert git(live, "status", "--porcelain") == ""
    assert git(live, "ls-files", "-v", "registry").count("S ") == len(
        git(live, "ls-files", "registry").splitlines()
    )


def test_a_dvc_at_work_stops_neither_a_promotion_nor_the_next(
    live: Path, registry: ModelRegistry, git: Git
) -> None:
    """As a `dvc repro` that trains for hours: it holds DVC's lock all the time."""
    pull(live)
    hold = (
        "from dvc.repo import Repo\n"
        "with Repo('.').lock:\n"
        "    print('held', flush=True)\n"
        "    input()\n"
    )
    argv = [sys.executable, "-P", "-W", "ignore", "-c", hold]
    with subprocess.Popen(argv, cwd=live, stdin=-1, stdout=-1, text=True) as training:
        assert training.stdout
        assert training.stdout.readline() == "held\n"
        assert registry.rollback() == "v1"
        assert bytes_in(live) in ({}, bytes_of(registry, "v1"))
        assert registry.promote("v3") == "v3"
        assert git(live, "status", "--porcelain") == ""
        training.communicate("\n")


@pytest.mark.parametrize("how", ["hardlink", "symlink"])
def test_links_into_the_cache_are_replaced_and_the_cache_stays(
    live: Path, registry: ModelRegistry, dvc: Dvc, how: str
) -> None:
    dvc(live, "config", "--local", "cache.type", how)
    pull(live)
    assert (live / MODEL / "model.pkl").is_symlink() == (how == "symlink")
    registry.rollback()
    assert bytes_in(live) == bytes_of(registry, "v1")
    assert registry.verify("v2", fetch=False) == {"model": "ok", "preprocessor": "ok"}


def test_killed_with_bytes_there_a_stale_model_never_stays(
    live: Path, git: Git, tmp_path: Path, killer: Killer
) -> None:
    pull(live)
    for at in (
        "update-ref",
        "model/.gitignore",
        ".git/index.lock",
        "model/model.pkl",
        ".journal.json",
    ):
        repo = tmp_path / at.replace("/", "-") / "repo"
        shutil.copytree(live, repo, symlinks=True)
        step = killer(repo, "promote", "v3", at=at)
        assert step
        registry = ModelRegistry(repo, notify=lambda _: None)
        assert bytes_in(repo) == bytes_of(registry, registry.current_version() or ""), step
        assert git(repo, "status", "--porcelain") == "", step
