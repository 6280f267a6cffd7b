"""Versions in W&B, offline: what stands in the run's file, read back from disk."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest
from wandb.proto import wandb_internal_pb2

from mlv import ConfigError, InvalidInput, ModelRegistry, RegistryError
from mlv.bridges import wandb as bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BLOCK, _HEADER = 32 * 1024, 7
TAGS = ("fraud-v1", "fraud-v3")


def records(file: Path) -> Iterator[Any]:
    """Read a run's file: blocks of LevelDB's log, with records that may go over several."""
    data = file.read_bytes()
    at, parts = _HEADER, b""
    while at + _HEADER <= len(data):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if not kind:
            return
        parts += data[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (1, 4):  # a whole one, or the last part
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined] # made at import
            record.ParseFromString(parts)
            yield record
            parts = b""


@pytest.fixture
def registry(
    repo: Path,
    tmp_path: Path,
    dvc: Callable[..., str],
    write_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> ModelRegistry:
    """Return a registry whose fraud-v1 is live; a stage made its model from data."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb-cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb-data"))
    (repo / "data.csv").write_text("1,2\n")
    for name in ("train.py", "Explore.R", "look.ipynb"):
        (repo / name).write_text("# how it was made\n")
    write_model(tmp_path / "made.pkl", 1)
    (repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: cp ../made.pkl model.pkl\n"
        "    deps: [data.csv, train.py, Explore.R, look.ipynb]\n"
        "    outs: [model.pkl]\n"
    )
    dvc(repo, "repro", "--quiet")
    made = ModelRegistry(repo, "fraud", notify=lambda _: None)
    made.register(repo / "model.pkl", None, metrics={"roc_auc": 0.91}, metadata={"rows": 7})
    made.promote("v1")
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb.*")
def test_a_run_file_holds_the_version(registry: ModelRegistry, repo: Path) -> None:
    [done] = bridge.export(registry, ["v1"], None)
    assert str(done.folder).startswith(str(repo / ".git"))
    [file] = done.folder.glob("*.wandb")
    logged = list(records(file))
    artifacts = {r.artifact.name: r.artifact for r in logged if r.HasField("artifact")}
    sent = [r.request.log_artifact.artifact for r in logged if r.HasField("request")]
    artifacts |= {each.name: each for each in sent if each.name}
    model = artifacts["fraud"]
    assert (model.type, set(model.aliases)) == ("model", {"latest", "fraud-v1", "v1", "production"})
    assert model.digest == done.digest
    entries = {entry.path: entry for entry in model.manifest.contents}
    md5 = hashlib.md5((repo / "model.pkl").read_bytes(), usedforsecurity=False).digest()
    assert entries["model.pkl"].digest == base64.b64encode(md5).decode()
    assert {"manifest.json", "requirements.txt"} <= entries.keys()
    metadata = json.loads(model.metadata)
    assert metadata["metrics"] == {"roc_auc": 0.91}
    assert metadata["model_sha256"] == registry.get_manifest("v1")["model_sha256"]
    assert done.datasets == ("data.csv",)
    assert [each for each, known in artifacts.items() if known.type == "dataset"] == ["data.csv"]
    assert len(metadata["lineage"]["stage"]["deps"]) == 4
    data = artifacts["data.csv"]
    assert (data.type, data.use_after_commit) == ("dataset", True)
    stage = registry.get_manifest("v1")["lineage"]["stage"]
    assert json.loads(data.metadata)["md5"] == stage["deps"]["data.csv"]
    summary = {u.key: u.value_json for r in logged for u in r.summary.update}
    assert summary["roc_auc"] == "0.91"
    [again] = bridge.export(registry, ["v1"], None)
    assert (again.digest, again.run) == (done.digest, done.run)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb.*")
def test_a_version_that_is_named_twice_is_logged_once(
    registry: ModelRegistry, mlv: Callable[..., Any]
) -> None:
    repo = registry.path
    done = mlv(repo, "export", "wandb", "v1", "v1", "--quiet")
    assert (done.returncode, done.stdout) == (0, "fraud-v1\n"), done.stderr
    both = mlv(repo, "export", "wandb", "v1", "--all")
    assert (both.returncode, "leave one out" in both.stderr) == (2, True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb.*")
def test_what_one_version_lacks_is_told_when_the_others_are_logged(
    registry: ModelRegistry,
    tmp_path: Path,
    write_model: Callable[..., Path],
    mlv: Callable[..., Any],
) -> None:
    for number in (2, 3, 4):
        registry.register(write_model(tmp_path / "other.pkl", number), None)
    for name in ("v1", "v3"):
        md5 = registry.get_manifest(name)["artifacts"]["model"]["md5"]
        (registry.path / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    done = mlv(registry.path, "export", "wandb", "--all", "--quiet")
    assert done.returncode == 6, done.stderr
    assert sorted(done.stdout.split()) == ["fraud-v2", "fraud-v4"]
    assert sum(f"{tag} could not be exported either" in done.stderr for tag in TAGS) == 1


def test_without_wandb_it_is_said_what_to_install(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError) as caught:
        bridge.export(registry, ["v1"], None)
    assert caught.value.hint == "pip install 'mlv[wandb]'"


@pytest.mark.parametrize(
    ("mode", "said", "hint"),
    [
        ("disabled", "is switched off", "WANDB_MODE=online or offline"),
        ("ofline", "should be 'online', 'offline'", "WANDB_MODE is online or offline"),
    ],
)
def test_a_mode_in_which_nothing_is_kept_is_said_so(
    registry: ModelRegistry, mlv: Callable[..., Any], mode: str, said: str, hint: str
) -> None:
    done = mlv(registry.path, "export", "wandb", "v1", env={"WANDB_MODE": mode})
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert "fraud-v1" not in done.stdout
    assert "Traceback" not in done.stderr
    assert hint in done.stderr.partition("hint: ")[2]


def test_a_project_that_wandb_cannot_have_is_a_mistake(registry: ModelRegistry) -> None:
    with pytest.raises(InvalidInput, match="no project 'a/b c': Invalid project name") as caught:
        bridge.export(registry, ["v1"], "a/b c")
    assert caught.value.hint == "--project NAME gives another"


def test_without_a_key_it_is_said_how_to_log_in(
    registry: ModelRegistry, mlv: Callable[..., Any], tmp_path: Path
) -> None:
    online = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    nobody = {"WANDB_API_KEY": "", "NETRC": str(tmp_path / "none")}
    done = mlv(registry.path, "export", "wandb", "v1", env={**online, **nobody})
    assert (done.returncode, "hint: wandb login" in done.stderr) == (1, True), done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb.*")
@pytest.mark.parametrize("error", [OSError("no room"), TypeError("no such type")])
def test_what_fails_while_it_logs_is_one_error_and_a_run_that_failed(
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(bridge, "_artifact", fail)
    with pytest.raises(RegistryError, match=str(error)):
        bridge.export(registry, ["v1"], None)
    assert "Traceback" not in capfd.readouterr().err
    [file] = registry.path.glob(".git/mlv/.wandb/wandb/offline-run-*/*.wandb")
    assert [r.exit.exit_code for r in records(file) if r.HasField("exit")] == [1]
