"""A version brought back in a work tree of its own, and trained once more there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import InvalidInput, ModelRegistry, ProgramError, WorkspaceError
from mlv.store import lineage
from mlv.store.lineage import Packages

if TYPE_CHECKING:
    from collections.abc import Callable

    Program = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, data.txt]
    outs: [model.pkl]
  judge:
    cmd: python judge.py
    deps: [judge.py, model.pkl]
    metrics:
      - metrics.json: {cache: false}
"""
TRAIN = """\
import os, pickle
seen = int(open("data.txt").read())
pickle.dump(seen + NOISE, open("model.pkl", "wb"))
"""
JUDGE = """\
import json, pickle
json.dump({"score": pickle.load(open("model.pkl", "rb")) / 8}, open("metrics.json", "w"))
"""


@pytest.fixture
def train(repo: Path, git: Program, dvc: Program) -> Callable[..., ModelRegistry]:
    """``train(noise)`` runs a pipeline, ``noise`` being Python, and registers what it made."""

    def make(noise: str = "0") -> ModelRegistry:
        (repo / "dvc.yaml").write_text(PIPELINE)
        (repo / "train.py").write_text(TRAIN.replace("NOISE", noise))
        (repo / "judge.py").write_text(JUDGE)
        (repo / "data.txt").write_text("4")
        dvc(repo, "repro", "--quiet")
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "Train")
        registry = ModelRegistry(repo)
        metrics = json.loads((repo / "metrics.json").read_text())
        registry.register(repo / "model.pkl", None, metrics)
        return registry

    return make


def state(repo: Path, git: Program) -> tuple[str, ...]:
    facts = ("status", "--porcelain"), ("for-each-ref",), ("diff", "HEAD"), ("config", "--list")
    return tuple(git(repo, *args) for args in facts)


def test_it_stands_at_the_tag_with_the_bytes_and_nothing_else_changes(
    repo: Path, train: Callable[..., ModelRegistry], git: Program
) -> None:
    registry = train()
    (repo / "train.py").write_text("edited, and not committed")
    (repo / "new.txt").write_text("untracked")
    before = state(repo, git)
    done = registry.reproduce("v1")
    assert done.folder == repo.with_name("repo-model-v1")
    assert git(done.folder, "rev-parse", "HEAD") == git(repo, "rev-parse", "model-v1^{commit}")
    assert done.files["model"].read_bytes() == registry.artifacts("v1")["model"].read_bytes()
    assert (done.folder / "train.py").read_text() == TRAIN.replace("NOISE", "0")
    assert git(done.folder, "status", "--porcelain") == ""
    assert state(repo, git) == before
    git(repo, "worktree", "remove", str(done.folder))


def test_it_goes_on_with_a_work_tree_that_is_there_and_mends_one_half_made(
    train: Callable[..., ModelRegistry], git: Program
) -> None:
    registry = train()
    folder = registry.reproduce("v1").folder
    (folder / "train.py").unlink()
    (folder / "registry" / "model" / "model.pkl").unlink()
    again = registry.reproduce("v1")
    assert again.folder == folder
    assert again.files["model"].is_file()
    assert git(folder, "status", "--porcelain") == ""
    (folder / "train.py").write_text("mine")
    with pytest.raises(WorkspaceError, match=r"train\.py was changed in the work tree"):
        registry.reproduce("v1")
    assert (folder / "train.py").read_text() == "mine"


def test_a_folder_that_is_something_else_is_left_alone(
    repo: Path, train: Callable[..., ModelRegistry], tmp_path: Path, git: Program
) -> None:
    registry = train()
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="exists, and is no work tree"):
        registry.reproduce("v1", plain)
    git(tmp_path, "clone", "--quiet", str(repo), "clone")
    with pytest.raises(InvalidInput, match="no work tree of this repository"):
        registry.reproduce("v1", tmp_path / "clone")
    git(repo, "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    with pytest.raises(WorkspaceError, match="is not at model-v1"):
        registry.reproduce("v1", tmp_path / "other")
    assert (plain / "thesis.txt").read_text() == "mine"


def test_a_training_that_depends_on_nothing_else_is_bit_identical(
    repo: Path, train: Callable[..., ModelRegistry], git: Program, mlv: Mlv
) -> None:
    train()
    before = state(repo, git)
    done = mlv(repo, "reproduce", "v1", "--retrain", "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)["retrained"]
    assert (again["identical"], again["stage"]) == (True, "train")
    assert again["metrics"] == {"score": {"before": 0.5, "after": 0.5}}
    assert "Running stage 'judge'" in done.stderr
    assert state(repo, git) == before


def test_data_that_dvc_keeps_is_brought_before_it_is_trained_on(
    repo: Path, train: Callable[..., ModelRegistry], dvc: Program, mlv: Mlv
) -> None:
    (repo / "data.txt").write_text("4")
    dvc(repo, "add", "--quiet", "data.txt")
    train()
    dvc(repo, "push", "--quiet", "--all-tags")
    shutil.rmtree(repo / ".dvc" / "cache")
    (repo / ".dvc" / "config.local").touch(mode=0o600)
    done = mlv(repo, "reproduce", "v1", "--retrain", "--json")
    assert done.returncode == 0, done.stderr
    secrets = Path(json.loads(done.stdout)["folder"]) / ".dvc" / "config.local"
    assert os.name == "nt" or secrets.stat().st_mode & 0o777 == 0o600


def test_another_outcome_says_which_metrics_differ_and_by_how_much(
    repo: Path, train: Callable[..., ModelRegistry], mlv: Mlv, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("int(os.environ.get('NOISE', 0))")
    monkeypatch.setenv("NOISE", "2")
    done = mlv(repo, "reproduce", "v1", "--retrain")
    assert done.returncode == 3, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["model.pkl", "model", "differs"] in lines
    assert ["score", "0.5000", "0.7500", "+0.2500"] in lines
    assert "something else came out" in done.stdout


def test_a_stage_that_fails_is_named(
    repo: Path, train: Callable[..., ModelRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = train("1 // int(os.environ.get('ONE', 1)) - 1")
    monkeypatch.setenv("ONE", "0")
    with pytest.raises(ProgramError, match=r"training model-v1 again failed: .*'train'") as failed:
        registry.reproduce("v1", retrain=True)
    assert "ZeroDivisionError" in failed.value.stderr
    assert repo.with_name("repo-model-v1").is_dir()


def test_modules_of_the_project_do_not_stand_in_the_way_of_dvc(
    repo: Path, train: Callable[..., ModelRegistry]
) -> None:
    (repo / "queue.py").write_text("raise SystemExit('this is no queue of Python')")
    registry = train()
    done = registry.reproduce("v1", retrain=True).retrained
    assert done
    assert done.is_identical


def test_what_no_stage_made_cannot_be_trained_again(
    repo: Path, write_model: Callable[..., Path]
) -> None:
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    with pytest.raises(InvalidInput, match="names no DVC stage"):
        registry.reproduce("v1", retrain=True)
    assert not repo.with_name("repo-model-v1").exists()


# Packages -----------------------------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that pip and uv install from, with one package in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    name = "tiny_thing-1.0"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "ANSWER = 42\n")
        wheel.writestr(
            f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.usefixtures("wheels")
def test_its_packages_are_installed_and_mlv_is_not(
    repo: Path,
    git: Program,
    write_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tool: str,
) -> None:
    pins = b"mlv==0.1.0\ntiny-thing==1.0\n"  # as an mlv of long ago pinned itself
    monkeypatch.setattr(lineage, "packages", lambda: Packages(pins, ()))
    if tool == "pip":
        without_uv(monkeypatch, tmp_path)
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    made = registry.reproduce("v1", env=True).environment
    assert made
    assert (made.packages, made.notes) == (1, ("mlv itself was left out: no version needs it",))
    asked = subprocess.run(
        [made.python, "-c", "import tiny_thing; print(tiny_thing.ANSWER)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout == "42\n"
    assert git(made.folder.parent, "status", "--porcelain") == ""


@pytest.mark.usefixtures("wheels")
def test_a_package_that_cannot_be_installed_is_named_and_a_second_run_goes_on(
    repo: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, wheels: Path
) -> None:
    monkeypatch.setattr(lineage, "packages", lambda: Packages(b"tiny-thing==1.0\n", ()))
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    [wheel] = wheels.iterdir()
    wheel.rename(wheels.parent / wheel.name)
    with pytest.raises(ProgramError, match="could not install the packages") as failed:
        registry.reproduce("v1", env=True)
    assert "tiny-thing" in failed.value.stderr
    (wheels.parent / wheel.name).rename(wheel)
    made = registry.reproduce("v1", env=True).environment
    assert made
    assert made.packages == 1


@pytest.mark.usefixtures("wheels")
def test_nothing_of_the_tree_is_run(
    repo: Path,
    git: Program,
    write_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(lineage, "packages", lambda: Packages(b"tiny-thing==1.0\n", ()))
    without_uv(monkeypatch, tmp_path)
    for name in ("venv", "pip", "platform"):
        (repo / f"{name}.py").write_text(f"raise SystemExit('{name} of the tree')")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Modules")
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    made = registry.reproduce("v1", env=True).environment
    assert made
    assert made.packages == 1


def test_uv_is_not_configured_by_the_tree(
    repo: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uv = without_uv(monkeypatch, tmp_path) / "uv"
    uv.write_text(f"#!/bin/sh\npwd > {tmp_path}/where\nexit 1\n")
    uv.chmod(0o755)
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    with pytest.raises(ProgramError, match=r"could not make .*\.venv"):
        registry.reproduce("v1", env=True)
    where = Path((tmp_path / "where").read_text().strip())
    assert where in tmp_path.parents


def test_an_environment_that_lies_in_the_tree_is_not_run(
    repo: Path, git: Program, write_model: Callable[..., Path]
) -> None:
    program = repo / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch {repo.parent}/was-run\n")
    program.chmod(0o755)
    git(repo, "add", "--all", "--force")
    git(repo, "commit", "--quiet", "--message", "An environment")
    registry = ModelRegistry(repo)
    registry.register(write_model(repo.parent / "m.pkl"), None)
    with pytest.raises(InvalidInput, match=r"has a \.venv of its own"):
        registry.reproduce("v1", env=True)
    assert not (repo.parent / "was-run").exists()


def without_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave git alone on PATH, in the folder that is given back."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(_which("git"))
    monkeypatch.setenv("PATH", str(programs))
    return programs


def _which(program: str) -> str:
    import shutil

    found = shutil.which(program, path=os.environ["PATH"])
    assert found
    return found
