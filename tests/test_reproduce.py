"""``git checkout X && dvc pull`` gives exactly the model that X means, without mlv."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[..., str]

# A version's files, by their path in the model's folder.
Bytes = dict[str, bytes]


def make_registry(folder: Path, git: Program, dvc: Program, **stated: str) -> Path:
    """Make a registry whose DVC remote is ``storage`` and whose Git remote is ``origin.git``."""
    repo = folder / "repo"
    ModelRegistry.init(repo)
    (folder / "storage").mkdir()
    # An absolute path: `dvc push --all-tags` takes a relative one for one below the root.
    dvc(repo, "remote", "add", "--default", "storage", str(folder / "storage"))
    git(folder, "init", "--quiet", "--bare", "origin.git")
    git(repo, "remote", "add", "origin", str(folder / "origin.git"))
    for name, text in stated.items():
        (repo / name).write_text(text)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Set up DVC's remote")
    return repo


def publish(repo: Path, git: Program, dvc: Program) -> Path:
    """Push bytes, branch and tags; give a new clone, with a cache of its own."""
    dvc(repo, "push", "--all-tags")
    git(repo, "push", "--quiet", "origin", "main", "--tags")
    clone = repo.with_name("clone")
    shutil.rmtree(clone, ignore_errors=True)
    git(repo.parent, "clone", "--quiet", str(repo.with_name("origin.git")), "clone")
    return clone


def is_clean(repo: Path, git: Program) -> bool:
    return git(repo, "status", "--porcelain", "--untracked-files=all") == ""


def artifacts_in(folder: Path) -> Bytes:
    """Read what lies beside the ``.dvc`` files of a model's folder."""
    found = {}
    for note in folder.glob("*.dvc"):
        path = note.with_suffix("")
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        for each in members:
            if each.is_file():
                found[each.relative_to(folder).as_posix()] = each.read_bytes()
    return found


def write(folder: Path, files: Bytes) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.mark.slow
def test_every_version_and_every_past_state_of_production_comes_back_byte_for_byte(
    tmp_path: Path, git: Program, dvc: Program
) -> None:
    repo = make_registry(tmp_path, git, dvc)
    registry = ModelRegistry(repo)
    versions: dict[str, Bytes] = {
        "model-v1": {"model.pkl": b"one", "preprocessor.pkl": b"scaler"},
        "model-v2": {
            "model/config.json": b"{}",
            "model/weights/empty.bin": b"",
            "model/weights/part é.bin": os.urandom(300_000),
            "tokenizer/vocab.txt": b"a b c",
        },
        "model-v3": {"model.pkl": b"three", "preprocessor/steps.json": b"[]"},
        "model-v4": {"model.pkl": b"one"},
    }
    production: dict[str, Bytes] = {}  # what was live, by commit of main

    def live_is(tag: str | None) -> None:
        assert is_clean(repo, git)
        production[git(repo, "rev-parse", "main")] = versions[tag] if tag else {}

    def register(tag: str) -> None:
        write(tmp_path / tag, versions[tag])
        roles = {path.stem: path for path in (tmp_path / tag).iterdir()}
        registry.register(roles.pop("model"), roles.pop("preprocessor", None), artifacts=roles)
        assert is_clean(repo, git)

    live_is(None)
    register("model-v1")
    register("model-v2")
    registry.promote("v1")
    live_is("model-v1")
    registry.promote("v2")
    live_is("model-v2")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Code")
    live_is("model-v2")
    register("model-v3")
    registry.stage("v3")
    live_is("model-v2")
    registry.promote("v3")
    live_is("model-v3")
    registry.rollback()
    live_is("model-v2")
    register("model-v4")
    registry.promote("v4")
    live_is("model-v4")
    assert len(production) == 8

    clone = publish(repo, git, dvc)
    assert set(production) < set(git(clone, "rev-list", "origin/main").split())
    # There and back, so that what another version left behind is in the way.
    for revision, expected in [*versions.items(), *production.items()]:
        git(clone, "checkout", "--quiet", revision)
        dvc(clone, "pull")
        assert artifacts_in(clone / "registry" / "model") == expected
        assert is_clean(clone, git)
        if revision in versions:
            assert dvc(clone, "status") == "Data and pipelines are up to date."

    copied = ModelRegistry(clone)
    assert copied.list_versions() == registry.list_versions()
    assert copied.current_version() == registry.current_version() == "v4"
    for tag, files in versions.items():
        folder = copied.artifacts(tag)["manifest"].parent
        assert {name: (folder / name).read_bytes() for name in files} == files


# Pipelines ----------------------------------------------------------------------------------

TRAIN = """\
from pathlib import Path
out = Path("out")
out.mkdir(exist_ok=True)
(out / "model.pkl").write_bytes(b"model of " + Path("data.csv").read_bytes())
(out / "scaler.pkl").write_bytes(b"scaler of " + Path("data.csv").read_bytes())
"""
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [data.csv, train.py]
    outs: [out/model.pkl, out/scaler.pkl]
"""
STATED = """\
models:
  fraud:
    model: out/model.pkl
    preprocessor: out/scaler.pkl
"""


@pytest.mark.slow
def test_an_ordinary_pipeline_is_reproduced_from_its_first_run_on(
    tmp_path: Path, git: Program, dvc: Program
) -> None:
    repo = make_registry(tmp_path, git, dvc, **{"train.py": TRAIN, "mlv.yaml": STATED})
    registry = ModelRegistry(repo)
    out = repo / "out"

    def run(data: str) -> None:
        (repo / "data.csv").write_text(data)
        dvc(repo, "add", "--quiet", "data.csv")
        dvc(repo, "repro", "--quiet")

    def register() -> str:
        before = git(repo, "status", "--porcelain", "--untracked-files=all")
        name = registry.register(out / "model.pkl", out / "scaler.pkl")
        assert git(repo, "status", "--porcelain", "--untracked-files=all") == before
        assert registry.get_manifest(name)["lineage"]["stage"]["cmd"] == "python train.py"
        return name

    # First, all that DVC has written is untracked; then only dvc.lock, and the data have moved on.
    (repo / "dvc.yaml").write_text(PIPELINE)
    run("1")
    assert not git(repo, "ls-files", "dvc.yaml", "dvc.lock", "*.dvc")
    assert register() == "v1"
    git(repo, "add", "--all", ":!dvc.lock")
    git(repo, "commit", "--quiet", "--message", "Pipeline")
    run("2")
    assert register() == "v2"
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Second run")
    assert registry.promote("v2") == "v2"

    clone = publish(repo, git, dvc)
    for revision, data in (("fraud-v1", b"1"), ("fraud-v2", b"2"), ("origin/main", b"2")):
        git(clone, "checkout", "--quiet", "--detach", revision)
        dvc(clone, "pull")
        model = b"model of " + data
        assert (clone / "data.csv").read_bytes() == data
        assert (clone / "out" / "model.pkl").read_bytes() == model
        assert artifacts_in(clone / "registry" / "fraud") == {
            "model.pkl": model,
            "preprocessor.pkl": b"scaler of " + data,
        }
        assert is_clean(clone, git)
        assert dvc(clone, "status") == "Data and pipelines are up to date."


# What would make `dvc pull` bring nothing ---------------------------------------------------

HIDING = [
    (".gitignore", "registry/"),
    (".gitignore", "registry"),
    (".gitignore", "/registry/*"),
    (".gitignore", "model/"),
    (".dvcignore", "registry/"),
    (".dvcignore", "registry"),
    (".dvcignore", "/registry/model"),
    (".dvcignore", "*.dvc"),
    (".dvcignore", "*.pkl"),
    (".dvcignore", "registry/*/*.pkl"),
    (".dvcignore", "model.*"),
    ("registry/.dvcignore", "*.pkl"),
]


@pytest.mark.parametrize(("file", "rule"), HIDING, ids=lambda text: text.replace("/", "|"))
def test_rules_that_hide_a_version_from_dvc_are_refused(
    repo: Path, tmp_path: Path, git: Program, file: str, rule: str
) -> None:
    with (repo / file).open("a", encoding="utf-8") as ignores:
        ignores.write(f"{rule}\n")
    git(repo, "add", "--all", "--force")
    git(repo, "commit", "--quiet", "--message", "Ignore")
    before = git(repo, "for-each-ref")
    write(tmp_path, {"model.pkl": b"model"})
    with pytest.raises(ConfigError, match=r"registry.*hidden") as refused:
        ModelRegistry(repo).register(tmp_path / "model.pkl", None)
    assert "check-ignore" in refused.value.hint
    assert git(repo, "for-each-ref") == before
    assert is_clean(repo, git)


@pytest.mark.slow
def test_rules_that_hide_none_of_dvcs_files_do_no_harm(
    tmp_path: Path, git: Program, dvc: Program
) -> None:
    repo = make_registry(
        tmp_path,
        git,
        dvc,
        **{".gitignore": "*.pkl\n*.json\n*.txt\n*.dvc\n", ".dvcignore": "*.csv\n!/registry/**\n"},
    )
    registry = ModelRegistry(repo)
    write(tmp_path, {"model.pkl": b"model", "tok/a.txt": b"a", "tok/.hidden": b"h"})
    registry.register(tmp_path / "model.pkl", None, artifacts={"tok": tmp_path / "tok"})
    registry.promote("v1")
    assert is_clean(repo, git)
    clone = publish(repo, git, dvc)
    for revision in ("origin/main", "model-v1"):
        git(clone, "checkout", "--quiet", "--detach", revision)
        dvc(clone, "pull")
        assert artifacts_in(clone / "registry" / "model") == {
            "model.pkl": b"model",
            "tok/a.txt": b"a",
            "tok/.hidden": b"h",
        }
        assert is_clean(clone, git)


@pytest.mark.slow
def test_files_of_a_directory_that_dvcignore_hides_are_left_out_and_told(
    tmp_path: Path, git: Program, dvc: Program
) -> None:
    repo = make_registry(tmp_path, git, dvc, **{".dvcignore": "*.log\n"})
    notes: list[str] = []
    registry = ModelRegistry(repo, notify=notes.append)
    write(tmp_path, {"bert/weights.bin": b"w", "bert/train.log": b"l", "bert/a/b.log": b"l"})
    registry.register(tmp_path / "bert", None)
    [note] = notes
    assert note.startswith("2 file(s) of bert")
    assert ".dvcignore" in note
    assert registry.get_manifest("v1")["artifacts"]["model"]["nfiles"] == 1
    clone = publish(repo, git, dvc)
    git(clone, "checkout", "--quiet", "model-v1")
    dvc(clone, "pull")
    assert artifacts_in(clone / "registry" / "model") == {"model/weights.bin": b"w"}
    assert dvc(clone, "status") == "Data and pipelines are up to date."


# Bytes that lie in the work tree ------------------------------------------------------------


@pytest.mark.slow
def test_bytes_that_were_pulled_follow_what_goes_live(
    tmp_path: Path, git: Program, dvc: Program
) -> None:
    repo = make_registry(tmp_path, git, dvc)
    registry = ModelRegistry(repo)
    for number in (1, 2):
        write(tmp_path, {"model.pkl": b"model %d" % number})
        registry.register(tmp_path / "model.pkl", None)
    registry.promote("v1")
    path = repo / "registry" / "model" / "model.pkl"
    assert not path.exists()  # a promotion brings no bytes where none were
    dvc(repo, "checkout")
    assert path.read_bytes() == b"model 1"
    registry.promote("v2")
    assert path.read_bytes() == b"model 2"
    assert dvc(repo, "status") == "Data and pipelines are up to date."
    registry.rollback()
    assert path.read_bytes() == b"model 1"
    assert is_clean(repo, git)
