"""The Python API: every verb, on real repositories."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlv import (
    ChangedMeanwhile,
    IntegrityError,
    InvalidInput,
    ModelRegistry,
    NoPreviousVersion,
    NotFound,
    RegistryError,
    StatusError,
    WorkspaceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Writer = Callable[..., Path]
    Git = Callable[..., str]

KEYS = [
    "schema", "model", "version", "registered_at", "registered_by", "artifacts", "metrics",
    "metadata", "lineage", "status", "model_sha256", "preprocessor_sha256",
]  # fmt: skip


@pytest.fixture
def notes() -> list[str]:
    """Collect what a registry tells besides results."""
    return []


@pytest.fixture
def registry(repo: Path, notes: list[str]) -> ModelRegistry:
    """Return the empty registry in ``repo``."""
    return ModelRegistry(repo, notify=notes.append)


@pytest.fixture
def model(tmp_path: Path, write_model: Writer) -> Path:
    """Return a trained model."""
    return write_model(tmp_path / "model.pkl")


@pytest.fixture
def scaler(tmp_path: Path, write_model: Writer) -> Path:
    """Return a fitted preprocessor."""
    return write_model(tmp_path / "scaler.pkl", 1)


@pytest.fixture
def storage(repo: Path) -> Path:
    """Return the DVC remote's folder."""
    return repo.with_name("storage")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refs(repo: Path, git: Git) -> str:
    return git(repo, "for-each-ref") + git(repo, "rev-parse", "HEAD")


def commits(repo: Path, git: Git) -> int:
    return int(git(repo, "rev-list", "--count", "main"))


def cached(repo: Path) -> set[str]:
    """Name the objects in DVC's cache."""
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in cache.rglob("*") if path.is_file()}


def object_in(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def overwrite(path: Path, data: bytes) -> None:
    """Replace a read-only file, leaving its other hard links alone."""
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o444)


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.crater),))


# Registering --------------------------------------------------------------------------------


def test_versions_are_numbered_from_one(registry: ModelRegistry, model: Path) -> None:
    assert registry.list_versions() == []
    assert registry.current_version() is None
    assert [registry.register(model, None) for _ in range(3)] == ["v1", "v2", "v3"]
    assert registry.current_version() is None


def test_a_registration_is_a_commit_beside_the_branch_kept_by_its_tag(
    repo: Path, registry: ModelRegistry, model: Path, scaler: Path, git: Git
) -> None:
    before = git(repo, "rev-parse", "main")
    registry.register(model, scaler, metrics={"roc_auc": 0.9})

    assert git(repo, "rev-parse", "main", "HEAD", "model-v1^") == "\n".join([before] * 3)
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "cat-file", "-t", "model-v1") == "tag"
    assert git(repo, "for-each-ref", "--format=%(refname)", "refs/mlv") == "refs/mlv/model/v1"
    changed = git(repo, "diff", "--name-only", before, "model-v1").splitlines()
    assert changed == [
        f"registry/model/{name}"
        for name in (
            ".gitignore", "README.md", "dvc.yaml", "manifest.json", "metrics.json",
            "model.pkl.dvc", "preprocessor.pkl.dvc", "requirements.txt",
        )
    ]  # fmt: skip
    manifest = git(repo, "show", "model-v1:registry/model/manifest.json")
    subject, _, body = git(repo, "tag", "--list", "--format=%(contents)", "model-v1").partition(
        "\n\n"
    )
    assert subject == "model-v1: roc_auc 0.9"
    assert body.strip() == manifest
    pins = git(repo, "show", "model-v1:registry/model/requirements.txt").splitlines()
    assert f"numpy=={np.__version__}" in pins


def test_files_are_copied_never_moved_or_linked(
    repo: Path, registry: ModelRegistry, model: Path
) -> None:
    before, bytes_before = model.stat(), model.read_bytes()
    registry.register(model, None)
    after = model.stat()
    assert (after.st_ino, after.st_nlink, after.st_mode, after.st_mtime_ns) == (
        before.st_ino, 1, before.st_mode, before.st_mtime_ns,
    )  # fmt: skip
    model.write_bytes(b"trained anew")
    assert registry.verify("v1") == {"model": "ok"}
    assert registry.artifacts("v1")["model"].read_bytes() == bytes_before
    assert not (repo / "registry" / "model").exists()


def test_a_manifest_says_what_the_bytes_are(
    registry: ModelRegistry, model: Path, scaler: Path
) -> None:
    metrics: dict[str, Any] = {"roc_auc": np.float64(0.9), "rows": np.int64(7)}
    metadata = {"data_window": "last_90_days"}
    registry.register(str(model), scaler, metrics, metadata)  # text is as good as a path
    manifest = registry.get_manifest("v1")
    assert list(manifest) == KEYS
    assert manifest["artifacts"] == {
        role: {
            "path": f"{role}.pkl",
            "size": path.stat().st_size,
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),  # noqa: S324 - DVC's address
            "sha256": sha256(path),
        }
        for role, path in (("model", model), ("preprocessor", scaler))
    }
    assert manifest["model_sha256"] == sha256(model)
    assert manifest["preprocessor_sha256"] == sha256(scaler)
    assert manifest["status"] == "registered"
    assert manifest["metrics"] == {"roc_auc": 0.9, "rows": 7}
    assert manifest["metadata"]["data_window"] == "last_90_days"
    assert manifest["registered_by"] == "Ada Lovelace <ada@example.com>"
    assert json.loads(json.dumps(manifest)) == manifest


def test_a_directory_is_registered_as_sha256sum_would_list_it(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    source = tmp_path / "bert"
    files = {"config.json": b"{}", "weights/b.bin": b"bb", "weights/a.bin": b"", "Z": b"z"}
    for name, data in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    registry.register(source, None)

    facts = registry.get_manifest("v1")["artifacts"]["model"]
    assert (facts["path"], facts["nfiles"], facts["size"]) == ("model", 4, 5)
    assert facts["md5"].endswith(".dir")
    listing = subprocess.run(
        ["sh", "-c", "LC_ALL=C; find * -type f | sort | xargs sha256sum"],
        cwd=source, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert facts["sha256"] == hashlib.sha256(listing).hexdigest()
    handed_out = registry.artifacts("v1")["model"]
    found = {p.relative_to(handed_out).as_posix(): p.read_bytes()
             for p in handed_out.rglob("*") if p.is_file()}  # fmt: skip
    assert found == files


def test_further_artifacts_are_kept_by_role(
    registry: ModelRegistry, model: Path, tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tok-final"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("a b c")
    labels = tmp_path / "labels.tar.gz"
    labels.write_bytes(b"labels")
    registry.register(model, None, artifacts={"tokenizer": tokenizer, "labels": labels})
    paths = {
        role: facts["path"] for role, facts in registry.get_manifest("v1")["artifacts"].items()
    }
    assert paths == {"model": "model.pkl", "tokenizer": "tokenizer", "labels": "labels.tar.gz"}
    loaded = registry.load("v1")
    assert loaded["labels"].read_bytes() == b"labels"
    assert (loaded["tokenizer"] / "vocab.txt").read_text() == "a b c"


def test_the_preprocessor_is_given_or_declined_never_forgotten(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    before = refs(repo, git)
    with pytest.raises(InvalidInput, match="preprocessor is neither given nor declined") as refused:
        registry.register(model)
    assert "preprocessor_path=None" in refused.value.hint
    assert refs(repo, git) == before
    registry.register(model, None)
    assert registry.get_manifest("v1")["preprocessor_sha256"] is None


@pytest.mark.parametrize("role", ["model", "preprocessor"])
def test_model_and_preprocessor_are_not_further_artifacts(
    registry: ModelRegistry, model: Path, role: str
) -> None:
    with pytest.raises(InvalidInput, match=role):
        registry.register(model, None, artifacts={role: model})
    assert registry.list_versions() == []


def test_the_same_bytes_are_said_so_and_stored_once(
    repo: Path, registry: ModelRegistry, model: Path, notes: list[str], write_model: Writer
) -> None:
    registry.register(model, None)
    registry.register(write_model(model.with_name("other.pkl"), 9), None)
    assert notes == []
    stored = cached(repo)
    registry.register(model, None, metrics={"roc_auc": 0.5})
    assert notes == ["same model bytes as v1"]
    assert cached(repo) == stored
    first, third = registry.get_manifest("v1"), registry.get_manifest("v3")
    assert first["artifacts"] == third["artifacts"]


def test_a_damaged_object_in_the_cache_is_mended_by_registering_the_bytes_again(
    repo: Path, registry: ModelRegistry, model: Path
) -> None:
    registry.register(model, None)
    md5 = registry.get_manifest("v1")["artifacts"]["model"]["md5"]
    overwrite(object_in(repo / ".dvc" / "cache", md5), b"damaged")
    registry.register(model, None)
    assert registry.verify("v2") == registry.verify("v1") == {"model": "ok"}


# Numbers ------------------------------------------------------------------------------------


def test_versions_are_listed_in_numeric_order_beyond_v10(
    registry: ModelRegistry, model: Path
) -> None:
    names = [registry.register(model, None, metrics={"n": n}) for n in range(1, 13)]
    assert names == [f"v{n}" for n in range(1, 13)]
    listed = registry.list_versions()
    assert [each["version"] for each in listed] == names
    assert [each["metrics"]["n"] for each in listed] == list(range(1, 13))
    assert registry.get_manifest("@latest")["version"] == "v12"


def test_a_number_never_comes_back(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    registry.register(model, None)
    registry.register(model, None)
    git(repo, "tag", "--delete", "model-v2")
    assert registry.register(model, None) == "v3"
    assert registry.get_manifest("v2")["version"] == "v2"
    assert [each["version"] for each in registry.list_versions()] == ["v1", "v2", "v3"]


def test_tags_that_only_look_alike_are_no_versions(
    repo: Path, registry: ModelRegistry, model: Path, notes: list[str], git: Git
) -> None:
    git(repo, "tag", "api-v2")
    git(repo, "tag", "--annotate", "--message", "release", "model-v4")
    assert registry.list_versions() == []
    assert registry.models() == []
    assert registry.register(model, None) == "v5"
    assert [each["version"] for each in registry.list_versions()] == ["v5"]
    with pytest.raises(NotFound, match="model-v4 holds no version"):
        registry.get_manifest("model-v4")
    assert notes == []


def test_a_branch_that_would_hide_a_version_stops_its_registration(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    git(repo, "branch", "model-v1")
    with pytest.raises(InvalidInput, match="branch is called model-v1") as refused:
        registry.register(model, None)
    assert "git branch -m model-v1" in refused.value.hint


# Metadata and lineage -----------------------------------------------------------------------

LOGISTIC = "sklearn.linear_model._logistic.LogisticRegression"


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib"])
def test_commit_and_class_are_filled_in(
    repo: Path, registry: ModelRegistry, tmp_path: Path, git: Git, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(LogisticRegression()))
    registry.register(path, None)
    metadata = registry.get_manifest("v1")["metadata"]
    assert metadata == {"git_commit": git(repo, "rev-parse", "HEAD"), "model_class": LOGISTIC}


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("zlib", 9)], ids=str)
def test_the_class_is_read_through_joblibs_compression(
    registry: ModelRegistry, tmp_path: Path, compress: Any
) -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit([[0], [1]], [0, 1])
    path = tmp_path / "model.joblib"
    joblib.dump(fitted, path, compress=compress)
    registry.register(path, None)
    assert registry.get_manifest("v1")["metadata"]["model_class"] == "sklearn.pipeline.Pipeline"
    assert registry.load("v1")["model"].predict([[1]]) == [1]


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps({"weights": [1.0]}),
        pickle.dumps([LogisticRegression()]),
        b"no pickle",
        b"\x80",
        gzip.compress(pickle.dumps(LogisticRegression()))[:20],
        b"\x1f\x8b" + b"\0" * 50,
    ],
    ids=["a dict", "a list", "text", "one byte", "cut off", "not gzip"],
)
def test_a_class_that_the_file_does_not_tell_is_left_out(
    registry: ModelRegistry, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    registry.register(path, None)
    assert "model_class" not in registry.get_manifest("v1")["metadata"]


def test_reading_the_class_never_unpickles(
    registry: ModelRegistry, model: Path, tmp_path: Path
) -> None:
    model.write_bytes(pickle.dumps(Bomb(tmp_path / "crater")))
    registry.register(model, None)
    registry.verify("v1")
    registry.artifacts("v1")
    assert not (tmp_path / "crater").exists()


def test_what_the_user_says_wins_over_what_is_filled_in(
    registry: ModelRegistry, model: Path
) -> None:
    registry.register(model, None, metadata={"model_class": "mine.Model"})
    assert registry.get_manifest("v1")["metadata"]["model_class"] == "mine.Model"


def configure(repo: Path, git: Git, text: str) -> None:
    (repo / "mlv.yaml").write_text(text, encoding="utf-8")
    git(repo, "commit", "--quiet", "--all", "--message", "Configure mlv")


def test_required_metadata_is_asked_for_by_name(repo: Path, model: Path, git: Git) -> None:
    configure(repo, git, "require_metadata: [data_window, training_samples]\n")
    registry = ModelRegistry(repo)
    with pytest.raises(InvalidInput, match="data_window, training_samples") as refused:
        registry.register(model, None, metadata={"data_window": ""})
    assert "--meta training_samples=" in refused.value.hint
    assert registry.list_versions() == []
    metadata = {"data_window": "2026", "training_samples": 0}
    assert registry.register(model, None, metadata=metadata) == "v1"


def test_metadata_stated_in_mlv_yaml_are_those_of_the_model(
    repo: Path, model: Path, git: Git
) -> None:
    configure(
        repo,
        git,
        "require_metadata: [owner]\n"
        "models:\n"
        "  fraud:\n"
        "    metadata: {owner: risk, window: 90}\n"
        "  churn:\n"
        "    require_metadata: []\n",
    )
    fraud, churn = ModelRegistry(repo, "fraud"), ModelRegistry(repo, "churn")
    fraud.register(model, None, metadata={"window": 30})
    metadata = fraud.get_manifest("v1")["metadata"]
    assert (metadata["owner"], metadata["window"]) == ("risk", 30)
    churn.register(model, None)
    assert "owner" not in churn.get_manifest("v1")["metadata"]
    with pytest.raises(InvalidInput, match="owner"):
        ModelRegistry(repo, "other").register(model, None)


def test_one_model_stated_in_mlv_yaml_needs_not_be_named(repo: Path, model: Path, git: Git) -> None:
    configure(repo, git, "models: {fraud: {}}\n")
    ModelRegistry(repo).register(model, None)
    assert ModelRegistry(repo).models() == ["fraud"]


def test_a_clean_tree_may_be_required(repo: Path, model: Path, git: Git) -> None:
    configure(repo, git, "require_clean: true\n")
    registry = ModelRegistry(repo)
    (repo / ".dvcignore").write_text("# edited\n")
    before = refs(repo, git)
    with pytest.raises(WorkspaceError, match=r"\.dvcignore is not committed"):
        registry.register(model, None)
    assert refs(repo, git) == before
    git(repo, "commit", "--quiet", "--all", "--message", "Edit")
    (repo / "notes.txt").write_text("an untracked file did not train the model")
    assert registry.register(model, None) == "v1"


def test_what_was_not_committed_is_in_the_version_and_told(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    for name in ("train.py", "old.py", "staged.py"):
        (repo / name).write_text(f"# {name}\n")
    git(repo, "add", "train.py", "old.py")
    git(repo, "commit", "--quiet", "--message", "Train")
    git(repo, "add", "staged.py")
    (repo / "train.py").write_text("# edited\n")
    (repo / "old.py").unlink()
    (repo / "secrets.txt").write_text("untracked")
    (repo / "dvc.yaml").write_text("stages: {}\n")
    status = git(repo, "status", "--porcelain")
    registry.register(model, None)

    lineage = registry.get_manifest("v1")["lineage"]
    assert lineage["dirty"] == ["dvc.yaml", "old.py", "staged.py", "train.py"]
    assert lineage["commit"] == git(repo, "rev-parse", "HEAD")
    assert lineage["branch"] == "main"
    assert lineage["remote"] is None
    assert "stage" not in lineage
    assert git(repo, "show", "model-v1:train.py") == "# edited"
    held = git(repo, "ls-tree", "--name-only", "model-v1").splitlines()
    assert {"dvc.yaml", "staged.py", "train.py"} <= set(held)
    assert not {"old.py", "secrets.txt"} & set(held)
    assert git(repo, "status", "--porcelain") == status


def test_a_detached_head_has_no_branch(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    git(repo, "checkout", "--quiet", "--detach")
    registry.register(model, None)
    assert registry.get_manifest("v1")["lineage"]["branch"] is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:secret@git.example/team/repo.git", "https://git.example/team/repo.git"),
        ("https://secret@git.example:8443/repo?token=secret", "https://git.example:8443/repo"),
        ("ssh://git:secret@git.example/repo", "ssh://git@git.example/repo"),
        ("git@git.example:team/repo.git", "git@git.example:team/repo.git"),
    ],
)
def test_a_remote_is_named_without_credentials(
    repo: Path, registry: ModelRegistry, model: Path, git: Git, url: str, shown: str
) -> None:
    git(repo, "remote", "add", "origin", url)
    registry.register(model, None)
    assert registry.get_manifest("v1")["lineage"]["remote"] == shown
    assert "secret" not in git(repo, "cat-file", "-p", "model-v1")


def test_a_remote_that_is_no_url_stops_no_registration(
    repo: Path, registry: ModelRegistry, model: Path, git: Git
) -> None:
    git(repo, "remote", "add", "origin", "https://[secret@git.example/repo")
    assert registry.register(model, None) == "v1"
    assert "secret" not in git(repo, "cat-file", "-p", "model-v1")


def lock_file(model: Path) -> str:
    """Write the ``dvc.lock`` of a stage that wrote ``model``."""
    md5 = hashlib.md5(model.read_bytes()).hexdigest()  # noqa: S324 - DVC's address
    return (
        "schema: '2.0'\n"
        "stages:\n"
        "  train:\n"
        "    cmd: python train.py\n"
        "    deps:\n"
        "    - path: train.py\n"
        "      md5: 0123456789abcdef0123456789abcdef\n"
        "    params:\n"
        "      params.yaml:\n"
        "        rate: 0.1\n"
        "    outs:\n"
        "    - path: out/model.pkl\n"
        f"      md5: {md5}\n"
    )


STAGE = {
    "name": "train",
    "cmd": "python train.py",
    "deps": {"train.py": "0123456789abcdef0123456789abcdef"},
    "params": {"params.yaml": {"rate": 0.1}},
}


def test_the_stage_that_wrote_the_model_is_its_lineage(
    repo: Path, registry: ModelRegistry, write_model: Writer, notes: list[str]
) -> None:
    trained = write_model(repo / "out" / "model.pkl")
    (repo / "dvc.lock").write_text(lock_file(trained))
    registry.register(trained, None)
    assert registry.get_manifest("v1")["lineage"]["stage"] == STAGE
    write_model(trained, 2)
    registry.register(trained, None)
    assert "stage" not in registry.get_manifest("v2")["lineage"]
    assert len(notes) == 1
    assert "'train'" in notes[0]


@pytest.mark.parametrize("typed", ["../out/model.pkl", "../out/../out/model.pkl"])
def test_the_stage_is_found_however_the_path_is_typed(
    repo: Path, write_model: Writer, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    (repo / "dvc.lock").write_text(lock_file(write_model(repo / "out" / "model.pkl")))
    (repo / "notebooks").mkdir()
    monkeypatch.chdir(repo / "notebooks")
    registry = ModelRegistry()
    registry.register(typed, None)
    assert registry.get_manifest("v1")["lineage"]["stage"] == STAGE


def test_a_registry_is_opened_from_any_folder_in_it(
    repo: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repo / "deep" / "inside"
    folder.mkdir(parents=True)
    shutil.copy(model, folder / "own.pkl")
    monkeypatch.chdir(folder)
    registry = ModelRegistry()
    assert registry.path == repo
    assert registry.register("own.pkl", None) == "v1"
    assert ModelRegistry(str(repo)).verify("v1") == {"model": "ok"}


# Comparing ----------------------------------------------------------------------------------


def test_metrics_of_two_versions_are_held_side_by_side(
    registry: ModelRegistry, model: Path
) -> None:
    registry.register(model, None, metrics={"auc": 0.5, "loss": 2.0})
    registry.register(model, None, metrics={"auc": 0.75, "rows": 10})
    assert registry.compare("v1", "v2") == {
        "v1": {"auc": 0.5, "loss": 2.0},
        "v2": {"auc": 0.75, "rows": 10},
        "delta (b - a)": {"auc": 0.25, "loss": None, "rows": None},
    }


def test_a_version_is_compared_with_itself(registry: ModelRegistry, model: Path) -> None:
    registry.register(model, None, metrics={"auc": 0.5})
    assert registry.compare("v1", "model-v1") == {"v1": {"auc": 0.5}, "delta (b - a)": {"auc": 0}}


def test_versions_of_two_models_are_compared_by_their_tags(repo: Path, model: Path) -> None:
    ModelRegistry(repo, "fraud").register(model, None, metrics={"auc": 0.5})
    ModelRegistry(repo, "churn").register(model, None, metrics={"auc": 0.25})
    assert ModelRegistry(repo).compare("fraud-v1", "churn-v1") == {
        "fraud-v1": {"auc": 0.5},
        "churn-v1": {"auc": 0.25},
        "delta (b - a)": {"auc": -0.25},
    }


# Staging, promoting, rolling back -----------------------------------------------------------


@pytest.fixture(scope="module")
def _three_mould(
    _repo_mould: Path, tmp_path_factory: pytest.TempPathFactory, write_model: Writer
) -> Path:
    """Return a folder with a registry of three versions, made once."""
    mould = tmp_path_factory.mktemp("three")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    registry = ModelRegistry(mould / "repo")
    for seed in (1, 2, 3):
        model = write_model(mould / "trained" / "model.pkl", seed)
        scaler = write_model(mould / "trained" / "scaler.pkl", seed + 10)
        registry.register(model, scaler, metrics={"auc": seed / 4})
    return mould


@pytest.fixture
def three(repo: Path, _three_mould: Path, notes: list[str], git: Git) -> ModelRegistry:
    """Return a registry with v1 to v3, none of which is anything yet."""
    shutil.rmtree(repo)
    shutil.copytree(_three_mould / "repo", repo, symlinks=True)
    git(repo, "update-index", "--refresh")  # the copies are other inodes
    return ModelRegistry(repo, notify=notes.append)


def statuses(registry: ModelRegistry) -> list[str]:
    return [each["status"] for each in registry.list_versions()]


def test_a_model_goes_through_its_life(repo: Path, three: ModelRegistry, git: Git) -> None:
    assert three.promote("v1") == "v1"
    assert statuses(three) == ["production", "registered", "registered"]
    assert three.stage("v2") == "v2"
    assert statuses(three) == ["production", "staging", "registered"]
    assert three.stage("model-v3") == "v3"
    assert statuses(three) == ["production", "registered", "staging"]
    assert three.promote("@staging") == "v3"
    assert statuses(three) == ["archived", "registered", "production"]
    assert three.current_version() == "v3"
    assert three.rollback() == "v1"
    assert statuses(three) == ["production", "registered", "archived"]
    assert three.rollback(to="v3") == "v3"
    assert three.get_manifest("@production")["version"] == "v3"
    assert git(repo, "status", "--porcelain") == ""
    subjects = git(repo, "log", "--format=%s", "-6", "main").splitlines()
    assert subjects == [
        "Roll back to model-v3 (was v1)",
        "Roll back to model-v1 (was v3)",
        "Promote model-v3 to production (was v1)",
        "Stage model-v3",
        "Stage model-v2",
        "Promote model-v1 to production",
    ]


def test_a_promotion_commit_changes_the_models_folder_alone(
    repo: Path, three: ModelRegistry, git: Git
) -> None:
    three.promote("v1")
    (repo / "train.py").write_text("# code\n")
    git(repo, "add", "train.py")
    git(repo, "commit", "--quiet", "--message", "Code")
    three.promote("v2", reason="better by 0.25\n\nand checked")
    changed = git(repo, "diff", "--name-only", "main~", "main").splitlines()
    assert changed == [
        "registry/model/README.md",
        "registry/model/dvc.yaml",
        "registry/model/manifest.json",
        "registry/model/metrics.json",
        "registry/model/model.pkl.dvc",
        "registry/model/pointer.json",
        "registry/model/preprocessor.pkl.dvc",
    ]
    for name in ("manifest.json", "model.pkl.dvc", ".gitignore", "requirements.txt"):
        path = f"registry/model/{name}"
        assert git(repo, "rev-parse", f"main:{path}") == git(repo, "rev-parse", f"model-v2:{path}")
        assert (repo / path).is_file()
    pointer = json.loads((repo / "registry" / "model" / "pointer.json").read_text())
    assert pointer == {
        "model": "model",
        "current": "v2",
        "previous": "v1",
        "status": {"v2": "production", "v1": "archived"},
    }
    assert git(repo, "log", "-1", "--format=%B", "main") == (
        "Promote model-v2 to production (was v1)\n\n"
        "better by 0.25\n\nand checked\n\n"
        "Mlv-Action: promote\nMlv-Model: model\nMlv-From: v1\nMlv-To: v2"
    )


def test_promoting_what_is_live_changes_nothing(
    repo: Path, three: ModelRegistry, notes: list[str], git: Git
) -> None:
    three.promote("v1")
    three.promote("v2")
    before = refs(repo, git)
    assert three.promote("v2") == "v2"
    assert refs(repo, git) == before
    assert notes == ["model-v2 is live already: nothing was changed"]
    assert three.rollback() == "v1"


def test_staging_what_is_staged_changes_nothing(
    repo: Path, three: ModelRegistry, notes: list[str], git: Git
) -> None:
    three.stage("v1")
    before = refs(repo, git)
    assert three.stage("v1") == "v1"
    assert refs(repo, git) == before
    assert notes == ["model-v1 is staged already: nothing was changed"]


@pytest.mark.parametrize("promoted", [[], ["v1"]], ids=["nothing live", "the first live"])
def test_there_may_be_no_previous_version(
    repo: Path, three: ModelRegistry, git: Git, promoted: list[str]
) -> None:
    for ref in promoted:
        three.promote(ref)
    before = refs(repo, git)
    with pytest.raises(NoPreviousVersion, match="No previous version to roll back to"):
        three.rollback()
    assert refs(repo, git) == before


def test_a_second_rollback_names_the_way_to_name_a_version(three: ModelRegistry) -> None:
    for ref in ("v1", "v2", "v3"):
        three.promote(ref)
    three.rollback()
    with pytest.raises(NoPreviousVersion, match="No previous version to roll back to") as refused:
        three.rollback()
    assert 'rollback(to="v3")' in str(refused.value)
    assert three.rollback(to="v1") == "v1"


@pytest.mark.parametrize(("to", "why"), [("v2", "registered"), ("v3", "live already")])
def test_rolling_back_goes_only_to_what_was_live(
    repo: Path, three: ModelRegistry, git: Git, to: str, why: str
) -> None:
    three.promote("v1")
    three.promote("v3")
    before = refs(repo, git)
    with pytest.raises(StatusError, match=f"model-{to}.*{why}"):
        three.rollback(to=to)
    assert refs(repo, git) == before


def test_a_step_stops_where_production_is_not_what_the_caller_saw(
    repo: Path, three: ModelRegistry, git: Git
) -> None:
    three.promote("v1")
    three.promote("v2")
    before = refs(repo, git)
    for step in (
        lambda: three.rollback(from_="v3"),
        lambda: three.promote("v3", from_="v1"),
        lambda: three.promote("v2", from_="v1"),
    ):
        with pytest.raises(ChangedMeanwhile, match=r"model-v2 is live, not model-v[13]") as refused:
            step()
        assert "Ada Lovelace" in refused.value.message
    assert refs(repo, git) == before
    assert three.rollback(from_="model-v2") == "v1"


@pytest.mark.parametrize("reason", ["", "  \n", "bell \a", "escape \x1b[2J"], ids=repr)
def test_a_reason_is_plain_text(repo: Path, three: ModelRegistry, git: Git, reason: str) -> None:
    before = refs(repo, git)
    with pytest.raises(InvalidInput, match="reason"):
        three.promote("v1", reason=reason)
    assert refs(repo, git) == before


def test_a_reason_cannot_pose_as_a_trailer(repo: Path, three: ModelRegistry, git: Git) -> None:
    three.promote("v1", reason="see below\n\nMlv-To: v9")
    form = "--format=%(trailers:key=Mlv-To,valueonly,separator=%x2C)"
    assert git(repo, "log", "-1", form, "main") == "v1"


def test_what_another_process_does_is_seen_at_once(repo: Path, three: ModelRegistry) -> None:
    other = ModelRegistry(repo)
    assert other.current_version() is None
    three.promote("v1")
    assert other.current_version() == "v1"
    three.promote("v2")
    assert other.current_version() == "v2"
    assert other.rollback() == "v1"
    assert three.current_version() == "v1"


def test_once_warm_the_current_version_takes_no_new_process(
    three: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.promote("v1")
    three.current_version()

    def start(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    assert three.current_version() == "v1"


def test_a_version_that_was_withdrawn_is_kept_for_audit_alone(
    repo: Path, three: ModelRegistry, git: Git
) -> None:
    three.promote("v1")
    path = repo / "registry" / "model" / "pointer.json"
    document = json.loads(path.read_text())
    document["status"] = {"v3": "purged", "v2": "yanked", "v1": "production"}
    path.write_text(json.dumps(document))
    git(repo, "commit", "--quiet", "--all", "--message", "Withdraw")
    assert statuses(three) == ["production", "yanked", "purged"]
    before = refs(repo, git)
    for ref, status in (("v2", "yanked"), ("v3", "purged")):
        for ask in (three.promote, three.stage, three.load, three.artifacts):
            with pytest.raises(StatusError, match=f"model-{ref} is {status}"):
                ask(ref)
        with pytest.raises(StatusError, match=f"model-{ref}: it is {status}"):
            three.rollback(to=ref)
        assert three.get_manifest(ref)["status"] == status
    assert three.verify("v2") == {"model": "ok", "preprocessor": "ok"}
    assert refs(repo, git) == before


# Several models -----------------------------------------------------------------------------


def test_several_models_live_in_one_repository(
    repo: Path, model: Path, scaler: Path, git: Git
) -> None:
    fraud, churn, every = (
        ModelRegistry(repo, "fraud"),
        ModelRegistry(repo, "churn"),
        ModelRegistry(repo),
    )
    assert [fraud.register(model, None), fraud.register(scaler, None)] == ["v1", "v2"]
    assert churn.register(scaler, None) == "v1"
    fraud.promote("v1")
    churn.promote("v1")
    fraud.promote("v2")

    assert every.models() == ["churn", "fraud"]
    assert (fraud.current_version(), churn.current_version()) == ("v2", "v1")
    listed = [(each["model"], each["version"]) for each in every.list_versions()]
    assert listed == [("churn", "v1"), ("fraud", "v1"), ("fraud", "v2")]
    assert [each["version"] for each in fraud.list_versions()] == ["v1", "v2"]
    assert every.get_manifest("fraud@production")["version"] == "v2"
    assert every.load("churn-v1")["model"] == pickle.loads(scaler.read_bytes())
    assert sorted(git(repo, "ls-tree", "--name-only", "main:registry").splitlines()) == [
        ".gitignore", "churn", "fraud",
    ]  # fmt: skip
    assert git(repo, "ls-tree", "--name-only", "fraud-v2:registry").split() == [
        ".gitignore", "fraud",
    ]  # fmt: skip
    assert fraud.rollback() == "v1"
    assert churn.current_version() == "v1"


def test_with_several_models_a_registry_bound_to_none_asks_which(
    repo: Path, model: Path, git: Git
) -> None:
    for name in ("fraud", "churn"):
        ModelRegistry(repo, name).register(model, None)
    every = ModelRegistry(repo)
    before = refs(repo, git)
    questions: list[Callable[[], object]] = [
        every.current_version,
        every.rollback,
        lambda: every.register(model, None),
        lambda: every.promote("v1"),
        every.load,
        lambda: every.get_manifest("@latest"),
    ]
    for question in questions:
        with pytest.raises(InvalidInput, match=r"which model.*churn, fraud") as refused:
            question()
        assert "model" in refused.value.hint
    assert refs(repo, git) == before
    assert every.promote("fraud-v1") == "v1"


def test_a_registry_bound_to_one_model_refuses_references_to_another(
    repo: Path, model: Path
) -> None:
    fraud = ModelRegistry(repo, "fraud")
    fraud.register(model, None)
    ModelRegistry(repo, "churn").register(model, None)
    for ref in ("churn-v1", "churn@latest"):
        with pytest.raises(InvalidInput, match="not of the model 'fraud'"):
            fraud.get_manifest(ref)


# Files --------------------------------------------------------------------------------------


def test_files_are_handed_out_verified_and_read_only_in_a_folder_of_their_version(
    repo: Path, three: ModelRegistry
) -> None:
    three.promote("v2")
    files = three.current_artifacts()
    folder = repo / ".git" / "mlv" / "model" / "v2"
    assert files == {
        "model": folder / "model.pkl",
        "preprocessor": folder / "preprocessor.pkl",
        "manifest": folder / "manifest.json",
        "requirements": folder / "requirements.txt",
    }
    facts = three.get_manifest("v2")
    assert sha256(files["model"]) == facts["model_sha256"]
    assert sha256(files["preprocessor"]) == facts["preprocessor_sha256"]
    assert json.loads(files["manifest"].read_text())["version"] == "v2"
    for path in files.values():
        assert path.stat().st_mode & 0o222 == 0, path
    assert three.artifacts("v2") == files


def test_of_a_linked_work_tree_they_lie_in_the_common_git_directory(
    repo: Path, three: ModelRegistry, tmp_path: Path, git: Git
) -> None:
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", "--detach", str(linked))
    files = ModelRegistry(linked).artifacts("v1")
    assert files["model"] == repo / ".git" / "mlv" / "model" / "v1" / "model.pkl"
    assert files == three.artifacts("v1")


def test_a_process_that_has_v2_open_is_undisturbed_when_v1_goes_live(
    three: ModelRegistry,
) -> None:
    three.promote("v1")
    three.promote("v2")
    files = three.current_artifacts()
    stamp = {role: path.stat().st_ino for role, path in files.items()}
    with files["model"].open("rb") as serving:
        first = serving.read(5)
        three.rollback()
        assert three.current_artifacts()["model"] != files["model"]
        whole = first + serving.read()
    assert pickle.loads(whole)["seed"] == 2
    assert {role: path.stat().st_ino for role, path in files.items()} == stamp
    assert three.load()["model"]["seed"] == 1


def test_nothing_live_has_no_files(three: ModelRegistry) -> None:
    for ask in (three.current_artifacts, three.load):
        with pytest.raises(NotFound, match="nothing of 'model' is in production") as refused:
            ask()
        assert "promote" in refused.value.hint


def test_what_is_loaded_is_what_was_trained(
    registry: ModelRegistry, model: Path, scaler: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "model.weights"
    weights.write_bytes(b"weights")
    registry.register(model, scaler)
    registry.register(weights, None)
    registry.promote("v1")
    assert registry.load() == {
        "model": pickle.loads(model.read_bytes()),
        "preprocessor": pickle.loads(scaler.read_bytes()),
    }
    other = registry.load("v2")
    assert other["model"].read_bytes() == b"weights"
    assert other["preprocessor"] is None


def test_a_model_whose_package_is_gone_says_so(registry: ModelRegistry, model: Path) -> None:
    model.write_bytes(b"cno_such_package\nModel\n.")
    registry.register(model, None)
    with pytest.raises(RegistryError, match="no_such_package") as refused:
        registry.load("v1")
    assert "requirements.txt" in refused.value.hint


def test_what_fails_while_it_is_loaded_is_told_as_that(
    registry: ModelRegistry, model: Path
) -> None:
    model.write_bytes(b"no pickle at all")
    registry.register(model, None)
    with pytest.raises(RegistryError, match="cannot be loaded here"):
        registry.load("v1")


def test_bytes_that_are_not_here_are_fetched(
    repo: Path, storage: Path, registry: ModelRegistry, model: Path, dvc: Callable[..., str]
) -> None:
    folder = model.with_name("tokenizer")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "vocab.txt").write_text("a b c")
    registry.register(model, None, artifacts={"tokenizer": folder})
    registry.register(model, folder)
    dvc(repo, "push", "--all-tags")
    assert len(list(storage.rglob("??/*"))) == 3
    shutil.rmtree(repo / ".dvc" / "cache")
    assert registry.verify("v1", fetch=False) == {"model": "not here", "tokenizer": "not here"}
    loaded = registry.load("v1")
    assert loaded["model"] == pickle.loads(model.read_bytes())
    assert (loaded["tokenizer"] / "deep" / "vocab.txt").read_text() == "a b c"
    assert registry.verify("v2") == {"model": "ok", "preprocessor": "ok"}


def test_files_are_copied_out_writable_and_never_over_something_else(
    three: ModelRegistry, tmp_path: Path
) -> None:
    target = tmp_path / "deploy"
    files = three.copy_out("v1", target)
    assert sorted(path.name for path in target.iterdir()) == [
        "manifest.json", "model.pkl", "preprocessor.pkl", "requirements.txt",
    ]  # fmt: skip
    assert sha256(files["model"]) == three.get_manifest("v1")["model_sha256"]
    files["preprocessor"].unlink()
    assert three.copy_out("v1", target) == files
    files["model"].write_bytes(b"mine")
    with pytest.raises(InvalidInput, match=str(files["model"])):
        three.copy_out("v1", target)
    assert files["model"].read_bytes() == b"mine"


# Tampering ----------------------------------------------------------------------------------


def tampered(registry: ModelRegistry, path: Path, ask: Callable[[], object]) -> IntegrityError:
    """Ask, and return the error that names what was expected and what was found."""
    with pytest.raises(IntegrityError) as refused:
        ask()
    error = refused.value
    assert "model.pkl of model-v1" in error.message
    assert registry.get_manifest("v1")["model_sha256"] in error.message
    assert sha256(path) in error.message
    assert str(path) in error.hint
    assert error.exit_code == 4
    return error


def test_a_tampered_cache_object_is_never_unpickled(
    repo: Path, registry: ModelRegistry, model: Path, tmp_path: Path
) -> None:
    registry.register(model, None)
    md5 = registry.get_manifest("v1")["artifacts"]["model"]["md5"]
    path = object_in(repo / ".dvc" / "cache", md5)
    overwrite(path, pickle.dumps(Bomb(tmp_path / "crater")))
    for ask in (registry.load, registry.artifacts, registry.verify):
        tampered(registry, path, lambda ask=ask: ask("v1"))  # type: ignore[misc]
    assert not (tmp_path / "crater").exists()
    assert not (repo / ".git" / "mlv" / "model" / "v1").exists()
    # The hint helps: without the object, the bytes are fetched (here: put back) and right.
    path.unlink()
    registry.register(model, None)
    assert registry.load("v1")["model"] == pickle.loads(model.read_bytes())


@pytest.mark.parametrize("how", ["replaced", "in place", "in place, with its old times"])
def test_a_tampered_file_that_was_handed_out_is_never_unpickled(
    registry: ModelRegistry, model: Path, tmp_path: Path, how: str
) -> None:
    model.write_bytes(pickle.dumps(list(range(1000))))
    registry.register(model, None)
    path = registry.artifacts("v1")["model"]
    registry.load("v1")  # verified and known
    before = path.stat()
    bomb = pickle.dumps(Bomb(tmp_path / "crater")).ljust(before.st_size, b"\0")
    assert len(bomb) == before.st_size
    if how == "replaced":
        overwrite(path, bomb)
    else:
        path.chmod(0o644)
        path.write_bytes(bomb)
    if how == "in place, with its old times":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for ask in (registry.load, registry.artifacts, registry.verify):
        tampered(registry, path, lambda ask=ask: ask("v1"))  # type: ignore[misc]
    assert not (tmp_path / "crater").exists()


def test_a_file_that_was_handed_out_and_removed_is_brought_back(
    registry: ModelRegistry, model: Path
) -> None:
    registry.register(model, None)
    path = registry.artifacts("v1")["model"]
    path.unlink()
    assert registry.artifacts("v1")["model"].read_bytes() == model.read_bytes()
    shutil.rmtree(path.parent)
    assert registry.load("v1")["model"] == pickle.loads(model.read_bytes())


def test_a_symlink_in_place_of_a_file_is_no_file(registry: ModelRegistry, model: Path) -> None:
    registry.register(model, None)
    path = registry.artifacts("v1")["model"]
    path.unlink()
    path.symlink_to(model)
    for ask in (registry.load, registry.artifacts, registry.verify):
        with pytest.raises(IntegrityError, match="symlink"):
            ask("v1")


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "link"])
def test_a_tampered_directory_is_noticed(
    registry: ModelRegistry, tmp_path: Path, change: str
) -> None:
    source = tmp_path / "bert"
    source.mkdir()
    for name in ("config.json", "weights.bin"):
        (source / name).write_text(name)
    registry.register(source, None)
    folder = registry.artifacts("v1")["model"]
    weights = folder / "weights.bin"
    if change == "edit":
        overwrite(weights, b"weights.bad")
    elif change == "add":
        (folder / "__init__.py").write_text("print('run')")
    elif change == "remove":
        weights.unlink()
    elif change == "rename":
        weights.rename(folder / "weights.bak")
    else:
        (folder / "link").symlink_to(source)
    for ask in (registry.load, registry.artifacts, registry.verify):
        with pytest.raises(IntegrityError):
            ask("v1")


def test_a_tampered_object_of_a_directory_is_noticed(
    repo: Path, registry: ModelRegistry, tmp_path: Path
) -> None:
    source = tmp_path / "bert"
    source.mkdir()
    (source / "weights.bin").write_bytes(b"weights")
    registry.register(source, None)
    md5 = hashlib.md5(b"weights").hexdigest()  # noqa: S324 - DVC's address
    overwrite(object_in(repo / ".dvc" / "cache", md5), b"tampered")
    for ask in (registry.load, registry.artifacts, registry.verify):
        with pytest.raises(IntegrityError, match="model of model-v1"):
            ask("v1")


def test_a_tampered_object_on_the_remote_is_never_unpickled(
    repo: Path,
    storage: Path,
    registry: ModelRegistry,
    model: Path,
    tmp_path: Path,
    dvc: Callable[..., str],
) -> None:
    registry.register(model, None)
    dvc(repo, "push", "--all-tags")
    shutil.rmtree(repo / ".dvc" / "cache")
    md5 = registry.get_manifest("v1")["artifacts"]["model"]["md5"]
    overwrite(object_in(storage, md5), pickle.dumps(Bomb(tmp_path / "crater")))
    with pytest.raises(RegistryError) as refused:
        registry.load("v1")
    assert refused.value.hint
    assert not (tmp_path / "crater").exists()


def test_a_tag_that_was_moved_is_noticed(repo: Path, three: ModelRegistry, git: Git) -> None:
    git(repo, "tag", "--force", "model-v3", "refs/tags/model-v1")
    for ask in (three.get_manifest, three.promote, three.load, three.verify):
        with pytest.raises(IntegrityError, match=r"model-v3.*really the tag 'model-v1'"):
            ask("v3")


def test_a_tag_rewritten_over_another_manifest_is_noticed(
    repo: Path, three: ModelRegistry, git: Git
) -> None:
    message = git(repo, "tag", "--list", "--format=%(contents)", "model-v3")
    forged = message.replace("0.75", "0.99")
    git(
        repo, "tag", "--force", "--annotate", "--cleanup=verbatim", "--file=-",
        "model-v3", "model-v3^{commit}", input=forged + "\n",
    )  # fmt: skip
    for ask in (three.get_manifest, three.promote, three.load):
        with pytest.raises(IntegrityError, match="bear different manifests"):
            ask("v3")


# What is printed ----------------------------------------------------------------------------


def test_the_library_prints_nothing(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notes: list[str] = []
    ModelRegistry.init(tmp_path / "new")
    registry = ModelRegistry(tmp_path / "new", notify=notes.append)
    registry.register(model, None)
    registry.promote("v1")
    registry.load()
    registry.verify("v1")
    registry.status()
    assert capfd.readouterr() == ("", "")
    [note] = notes
    assert note.startswith("no DVC remote is set up")


def test_what_the_user_should_know_is_logged_unless_somebody_listens(
    repo: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = ModelRegistry(repo)
    registry.register(model, None)
    assert caplog.messages == []
    registry.register(model, None)
    assert [(each.name, each.levelname, each.message) for each in caplog.records] == [
        ("mlv", "WARNING", "same model bytes as v1")
    ]


# What CI and other tools see ----------------------------------------------------------------


def test_the_lightweight_tag_of_a_ci_checkout_is_read_all_the_same(
    repo: Path, three: ModelRegistry, git: Git
) -> None:
    listed = three.list_versions()
    commit = git(repo, "rev-parse", "model-v2^{commit}")
    git(repo, "update-ref", "-d", "refs/mlv/model/v2")
    git(repo, "update-ref", "refs/tags/model-v2", commit)
    assert three.list_versions() == listed
    assert three.load("v2")["model"]["seed"] == 2
    assert three.promote("v2") == "v2"


def test_a_hooks_environment_does_not_lead_elsewhere(
    repo: Path, three: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git
) -> None:
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / "index"))
    assert ModelRegistry(repo).promote("v1") == "v1"
    assert three.current_version() == "v1"


def test_reading_brings_neither_dvc_nor_gitpython_nor_rich(
    repo: Path, three: ModelRegistry
) -> None:
    three.promote("v1")
    three.artifacts("v1")
    asked = (
        "import sys, mlv\n"
        f"r = mlv.ModelRegistry({str(repo)!r})\n"
        "r.current_version(), r.list_versions(), r.get_manifest('v1'), r.compare('v1', 'v2')\n"
        "r.artifacts('v1')\n"
        "print(sorted({'dvc', 'git', 'rich'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", asked], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
