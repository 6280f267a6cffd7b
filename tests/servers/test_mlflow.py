"""What is exported, as real MLflow servers show it: the latest 3, and the last 2."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ModelRegistry
from tests.test_docs import MLFLOW, Document, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.mlflow import Mlflow
    from tests.servers.proxy import Proxy

ROOT = Path(__file__).parents[2]
ROWS = [[1.0, 2.0], [3.0, 5.0]]
SUMS = [3.0, 8.0]
PATIENCE = 240.0  # seconds for what another process does
METRICS = {"roc_auc": 0.9345678901234567, "f1@0.5": 1e-05, "rows": 12000}
METADATA = {"data_window": "last_90_days", "training_samples": 12000, "owner": {"team": "ä"}}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class World:
    """A registry of `fraud` with five versions; the model of v<N> answers N times a row's sum."""

    def __init__(self, repo: Path, folder: Path, mlflow: Mlflow) -> None:
        self.repo, self.mlflow = repo, mlflow
        self.registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
        self.models = {n: folder / f"model-{n}.pkl" for n in (1, 2, 3, 4, 5)}
        self.scaler = folder / "scaler.pkl"
        self.scaler.write_bytes(b"scaler")
        tokenizer = folder / "tokenizer"
        (tokenizer / "inner").mkdir(parents=True)
        (tokenizer / "inner" / "words.txt").write_text("words")
        for number, path in self.models.items():
            by = "joblib" if number % 2 == 0 else "pickle"
            mlflow.ask("estimator", path=str(path), factor=float(number), by=by)
            self.registry.register(
                path,
                self.scaler if number == 2 else None,
                METRICS,
                METADATA,
                {"tokenizer": tokenizer} if number == 2 else {},
            )
        for ref in ("v1", "v2"):
            self.registry.promote(ref)
        self.registry.move("stage", "v3")
        self.registry.move("yank", "v4", reason="It leaks")

    def export(self, name: str, *args: str) -> dict[str, Any]:
        done = self.mlflow.mlv(self.repo, "export", "mlflow", "--name", name, "--json", *args)
        assert done.returncode == 0, done.stderr
        [facts] = json.loads(done.stdout)["models"]
        return {**facts, "writes": done.writes}

    def shown(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.mlflow.ask("show", name=name, given=ROWS)
        return found


@pytest.fixture
def world(repo: Path, tmp_path: Path, mlflow: Mlflow) -> World:
    return World(repo, tmp_path, mlflow)


def statuses(shown: dict[str, Any]) -> dict[str, str]:
    tags = [each["tags"] for each in shown["versions"] if "mlv.tag" in each["tags"]]
    return {each["mlv.version"]: each["mlv.status"] for each in tags}


def test_what_the_registry_says_is_shown_and_followed(world: World) -> None:
    """Everything of a version is there, once; what changes is followed; what is foreign stays."""
    name = "shown"
    world.mlflow.ask("foreign", name=name, alias="champion")
    dry = world.export(name, "--dry-run")
    assert (dry["writes"], len(dry["steps"])) == (0, 11)
    assert world.export(name)["steps"] == dry["steps"]
    shown = world.shown(name)

    # Every version in order, behind the one that was there; aliases say what the pointer says.
    assert [each["number"] for each in shown["versions"]] == [1, 2, 3, 4, 5, 6]
    assert [each["tags"].get("mlv.tag") for each in shown["versions"]] == [
        None, "fraud-v1", "fraud-v2", "fraud-v3", "fraud-v4", "fraud-v5",
    ]  # fmt: skip
    assert shown["aliases"] == {
        "champion": 3, "challenger": 4,
        "fraud-v1": 2, "fraud-v2": 3, "fraud-v3": 4, "fraud-v5": 6,
    }  # fmt: skip
    assert statuses(shown) == {
        "v1": "archived", "v2": "production", "v3": "staging", "v4": "yanked", "v5": "registered",
    }  # fmt: skip
    check_version(world, shown["versions"][2])

    # The server serves what was registered, by scikit-learn's flavour where it is a plain pickle.
    for alias, factor in {"champion": 2, "challenger": 3, "fraud-v1": 1, "fraud-v5": 5}.items():
        assert shown["answers"][alias] == pytest.approx([factor * each for each in SUMS]), alias
    assert world.mlflow.ask("sklearn_class", uri=f"models:/{name}/2") == "LinearRegression"

    # Of what was yanked the record, and nothing that could be loaded.
    assert set(shown["versions"][4]["files"]) - {"registered_model_meta"} == {"manifest.json"}

    # A second time in a row nothing is written.
    again = world.export(name, "--all")
    assert (again["steps"], again["writes"]) == ([], 0)
    assert world.shown(name) == shown

    # What changes is followed, a yank taken back brings its files; the foreign version stays.
    world.registry.rollback()
    world.registry.move("unyank", "v4")
    world.registry.promote("v5")
    world.registry.move("yank", "v3", reason="Too slow")
    world.export(name)
    after = world.shown(name)
    assert statuses(after) == {
        "v1": "archived", "v2": "archived", "v3": "yanked", "v4": "archived", "v5": "production",
    }  # fmt: skip
    assert after["aliases"] == {
        "champion": 6, "fraud-v1": 2, "fraud-v2": 3, "fraud-v4": 5, "fraud-v5": 6,
    }  # fmt: skip
    assert after["answers"]["fraud-v4"] == pytest.approx([4 * each for each in SUMS])
    assert after["versions"][0] == shown["versions"][0]
    assert after["runs"] == shown["runs"]
    assert world.export(name)["writes"] == 0


def check_version(world: World, version: dict[str, Any]) -> None:
    """Hold v2, as MLflow shows it, against its manifest."""
    manifest = world.registry.get_manifest("v2")
    assert version["metrics"] == {"roc_auc": 0.9345678901234567, "f1_0.5": 1e-05, "rows": 12000.0}
    tags, lineage = version["tags"], manifest["lineage"]
    assert tags["mlv.commit"] == lineage["commit"]
    assert tags["mlv.registered_at"] == manifest["registered_at"]
    assert tags["mlv.registered_by"] == "Ada Lovelace <ada@example.com>"
    assert tags["mlv.metadata.data_window"] == "last_90_days"
    assert tags["mlv.metadata.training_samples"] == "12000"
    assert json.loads(tags["mlv.metadata.owner"]) == {"team": "ä"}
    assert tags["mlv.sha256.model"] == sha256(world.models[2])
    assert version["run_tags"]["mlflow.source.git.commit"] == lineage["commit"]
    assert version["status"] == "FINISHED"
    assert "fraud-v2" in version["description"]
    files = version["files"]
    assert files["model.pkl"] == sha256(world.models[2])
    assert files["preprocessor.pkl"] == sha256(world.scaler)
    assert files["tokenizer/inner/words.txt"] == hashlib.sha256(b"words").hexdigest()
    record = world.registry.artifacts("v2")["manifest"]
    assert files["manifest.json"] == tags["mlv.manifest_sha256"] == sha256(record)


def test_one_version_is_exported_alone_and_another_registry_is_not_mixed_in(
    world: World, tmp_path: Path, git: Callable[..., str]
) -> None:
    world.export("alone", "v3")
    world.registry.promote("v3")
    world.export("alone", "v1")
    shown = world.shown("alone")
    assert [each["tags"]["mlv.tag"] for each in shown["versions"]] == ["fraud-v3", "fraud-v1"]
    assert shown["aliases"] == {"champion": 1, "fraud-v3": 1, "fraud-v1": 2}
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    stranger = ModelRegistry.init(other, "fraud")
    stranger.register(world.models[5], None, {"roc_auc": 0.1})
    done = world.mlflow.mlv(other, "export", "mlflow", "--name", "alone")
    assert (done.returncode, done.writes) == (1, 0)
    assert "is another fraud-v1 than the one here" in done.stderr


def test_killed_anywhere_it_is_finished_the_next_time(
    repo: Path, tmp_path: Path, mlflow: Mlflow
) -> None:
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for number in (1, 2):
        path = tmp_path / f"{number}.pkl"
        mlflow.ask("estimator", path=str(path), factor=float(number))
        registry.register(path, None, METRICS, METADATA)
    registry.promote("v2")
    calm = mlflow.mlv(repo, "export", "mlflow", "--name", "calm")
    assert calm.returncode == 0, calm.stderr
    expected = without_ids(mlflow.ask("show", name="calm", given=ROWS))
    args = ["export", "mlflow", "--name", "KILLED"]
    seen = []
    for at in range(calm.writes + 1):
        args[-1] = f"killed-{at}"
        seen.append(mlflow.ask("killed", folder=str(repo), args=args, at=at))
        assert not seen[-1].startswith("failed"), seen[-1]
        done = mlflow.mlv(repo, *args)
        assert done.returncode == 0, done.stderr
        assert mlflow.mlv(repo, *args).writes == 0
        shown = without_ids(mlflow.ask("show", name=args[-1], given=ROWS))
        assert shown == expected, seen[-1]
    assert seen[-1] == ""
    assert all(seen[:-1])
    steps = " ".join(seen)
    for step in ("experiments/create", "runs/create", "log-batch", "mlflow-artifacts",
                 "runs/update", "model-versions/create", "registered-models/alias"):  # fmt: skip
        assert step in steps


def without_ids(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave out what MLflow makes up anew for every run."""
    versions = []
    for each in shown["versions"]:
        files = {
            k: v for k, v in each["files"].items() if k not in ("MLmodel", "registered_model_meta")
        }
        run_files = {k: v for k, v in each["run_files"].items() if not k.endswith("MLmodel")}
        versions.append({**each, "run_id": None, "files": files, "run_files": run_files})
    return {**shown, "versions": versions, "runs": len(shown["runs"])}


def test_two_at_once_leave_what_one_would(world: World) -> None:
    args = ["export", "mlflow", "--name", "raced", "--quiet"]
    said = world.mlflow.ask("race", folder=str(world.repo), args=args, runners=2)
    assert said == ["", ""]
    shown = world.shown("raced")
    tags = [each["tags"]["mlv.tag"] for each in shown["versions"]]
    assert tags == [f"fraud-v{n}" for n in (1, 2, 3, 4, 5)]
    assert len(shown["runs"]) == 5
    numbers = {each["tags"]["mlv.tag"]: each["number"] for each in shown["versions"]}
    assert shown["aliases"]["champion"] == numbers["fraud-v2"]
    assert shown["answers"]["champion"] == pytest.approx([2 * each for each in SUMS])
    assert world.export("raced")["writes"] == 0


def test_following_goes_on_while_mlflow_is_away(
    repo: Path,
    tmp_path: Path,
    mlflow: Mlflow,
    proxy: Callable[[int], Proxy],
) -> None:
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for number in (1, 2):
        path = tmp_path / f"{number}.pkl"
        mlflow.ask("estimator", path=str(path), factor=float(number))
        registry.register(path, None)
    registry.promote("v1")
    between = proxy(mlflow.port)
    argv = [
        *(str(mlflow.python), "-P", "-m", "mlv", "-C", str(repo)),
        *("export", "mlflow", "--name", "followed", "--follow", "--watch", "0.2", "--json"),
        *("--tracking-uri", f"http://127.0.0.1:{between.port}"),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    log = tmp_path / "follow.log"
    with log.open("w") as said, subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=said, text=True, env=env
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            first = json.loads(process.stdout.readline())["models"][0]
            assert [each["aliases"] for each in first["versions"]] == [["champion", "fraud-v1"],
                                                                       ["fraud-v2"]]  # fmt: skip
            between.cut()
            registry.promote("v2")
            wait_for(lambda: "it is tried again" in log.read_text(), log)
            between.heal()
            second = json.loads(process.stdout.readline())["models"][0]
            assert [each["status"] for each in second["versions"]] == ["archived", "production"]
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
    assert mlflow.ask("show", name="followed", given=ROWS)["aliases"]["champion"] == 2


def wait_for(holds: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_a_training_run_is_logged_and_its_version_moved(tmp_path: Path, mlflow: Mlflow) -> None:
    model, scaler, log = (tmp_path / name for name in ("best.pkl", "scaler.joblib", "run.json"))
    mlflow.ask("estimator", path=str(model), factor=7.0)
    scaler.write_bytes(b"scaler")
    log.write_text(json.dumps({
        "run_id": "2026-05-01-a",
        "winner_config": {"model": {"depth": 3, "loss": "log"}, "seed": 1},
        "val_metrics": {"roc_auc": 0.91, "note": "good"}, "cv_roc_auc_mean": 0.9,
        "cv_roc_auc_std": None, "data_window": "last_90_days", "git_commit": "a" * 40,
    }))  # fmt: skip
    how = {
        "model_path": str(model), "preprocessor_path": str(scaler), "run_log_path": str(log),
        "experiment_name": "training", "registry_name": "trained",
    }  # fmt: skip
    run_ids = [mlflow.ask("log", **how) for _ in range(2)]
    steps = ((1, "Staging"), (1, "production"), (2, "Staging"), (2, "Production"))
    moved = [mlflow.ask("stage", name="trained", version=v, stage=s) for v, s in steps]
    assert [each["aliases"] for each in moved] == [
        {"challenger": 1}, {"champion": 1}, {"champion": 1, "challenger": 2}, {"champion": 2},
    ]  # fmt: skip
    assert moved[-1]["stages"] == {"1": "Archived", "2": "Production"}
    shown = mlflow.ask("show", name="trained", given=ROWS)
    assert shown["answers"] == {"champion": pytest.approx([7 * each for each in SUMS])}
    version = shown["versions"][1]
    assert version["run_id"] == run_ids[1]
    assert version["params"] == {"model.depth": "3", "model.loss": "log", "seed": "1"}
    assert version["metrics"] == {"roc_auc": 0.91, "cv_roc_auc_mean": 0.9}
    for tags in (version["tags"], version["run_tags"]):
        assert tags["run_id"] == "2026-05-01-a"
        assert (tags["data_window"], tags["git_commit"]) == ("last_90_days", "a" * 40)
    assert version["files"]["best.pkl"] == sha256(model)
    assert version["run_files"]["scaler.joblib"] == sha256(scaler)
    assert version["run_files"]["run.json"] == sha256(log)
    gone = mlflow.ask("stage", name="trained", version=2, stage="archived")
    assert (gone["aliases"], gone["stages"]["2"]) == ({}, "Archived")


def test_an_mlflow_that_is_away_is_said_so(
    repo: Path, tmp_path: Path, mlflow: Mlflow, write_model: Callable[..., Path],
    proxy: Callable[[int], Proxy],
) -> None:  # fmt: skip
    ModelRegistry(repo, notify=lambda _: None).register(write_model(tmp_path / "m.pkl"), None)
    between = proxy(mlflow.port)
    between.cut()
    uri = f"http://ada:secret@127.0.0.1:{between.port}"
    done = mlflow.mlv(repo, "export", "mlflow", "--tracking-uri", uri)
    assert done.returncode == 1
    assert f"error: MLflow at http://127.0.0.1:{between.port}" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "uri", ["foo://ada:secret@x", "http://[ada:secret@x", "mssql://a:secret@x/y"]
)
def test_an_address_that_is_none_is_said_without_its_password(
    repo: Path, tmp_path: Path, mlflow: Mlflow, write_model: Callable[..., Path], uri: str
) -> None:
    ModelRegistry(repo, notify=lambda _: None).register(write_model(tmp_path / "m.pkl"), None)
    for more in ((), ("--follow",)):  # which tries again what may come back, and no more
        done = mlflow.mlv(repo, "export", "mlflow", "--tracking-uri", uri, *more)
        assert (done.returncode, done.stderr[:16]) == (1, "error: MLflow at"), done.stderr
        assert "secret" not in done.stderr


def test_a_model_filled_by_mlflow_comes_in_with_every_number_and_byte(
    repo: Path, tmp_path: Path, mlflow: Mlflow
) -> None:
    made = mlflow.ask("fill", name="theirs", folder=str(tmp_path))
    done = mlflow.mlv(repo, "import", "mlflow", "--name", "theirs", "--model", "fraud", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["production"], facts["staging"]) == ("v2", "v3")
    assert done.writes == 0
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for number, each in enumerate(made, 1):
        manifest = registry.get_manifest(f"v{number}")
        told = manifest["metadata"]["imported"]
        assert manifest["metrics"] == each["metrics"]
        assert told["metrics"] == {"diverged": "nan"}
        assert told["params"] == each["params"]
        assert told["tags"] == each["tags"]
        assert told.get("aliases", []) == each["aliases"]
        assert manifest["registered_at"] == each["time"]
        files = registry.artifacts(f"v{number}")
        found = {
            path.relative_to(files["model"]).as_posix(): sha256(path)
            for path in files["model"].rglob("*")
            if path.is_file()
        }
        assert found == each["files"]
        assert sha256(files["preprocessor"]) == each["preprocessor"]
    again = mlflow.mlv(repo, "import", "mlflow", "--name", "theirs", "--model", "fraud", "--json")
    assert not any(each["new"] for each in json.loads(again.stdout)["versions"]), again.stderr
    wrong = mlflow.mlv(repo, "import", "mlflow", "--name", "others", "--model", "ranker")
    assert wrong.returncode == 6
    assert "has no model 'others'\nhint: there are " in wrong.stderr


def test_a_version_whose_run_gains_a_preprocessor_is_known_again(
    repo: Path, tmp_path: Path, mlflow: Mlflow
) -> None:
    mlflow.ask("foreign", name="growing")
    args = ("import", "mlflow", "--name", "growing", "--model", "fraud", "--json")
    done = mlflow.mlv(repo, *args)
    assert done.returncode == 0, done.stderr
    late = tmp_path / "preprocessor.pkl"
    late.write_bytes(b"scaler")
    mlflow.ask("log_beside", name="growing", number=1, path=str(late))
    again = mlflow.mlv(repo, *args)
    assert again.returncode == 0, again.stderr
    assert [each["new"] for each in json.loads(again.stdout)["versions"]] == [False]


def test_a_version_whose_files_are_gone_is_named_and_left_out(
    repo: Path, tmp_path: Path, mlflow: Mlflow
) -> None:
    mlflow.ask("fill", name="cleared", folder=str(tmp_path))
    mlflow.ask("forget", name="cleared", number=1)
    args = ("import", "mlflow", "--name", "cleared", "--model", "fraud")
    done = mlflow.mlv(repo, *args)
    assert done.returncode != 0
    assert "v1 cannot come in" in done.stderr
    assert "hint: --skip 1 leaves it out" in done.stderr
    done = mlflow.mlv(repo, *args, "--skip", "1")
    assert done.returncode == 0, done.stderr
    facts = ModelRegistry(repo, "fraud", notify=lambda _: None).list_versions()
    assert [each["version"] for each in facts] == ["v2", "v3"]


def test_the_document_shows_what_is_printed(
    home: Path, tmp_path: Path, mlflow: Mlflow, caller_env: dict[str, str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in {"mlv": "-P -m mlv", "python": ""}.items():
        script = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {mlflow.python} {module} "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": mlflow.url,
    }
    text = MLFLOW.read_text(encoding="utf-8")
    with Shell(home, tmp_path, env=env) as shell:
        real = Document(shell, MLFLOW.name, update=bool(caller_env.get("UPDATE_DOCS"))).run(text)
    if caller_env.get("UPDATE_DOCS"):
        MLFLOW.write_text(real, encoding="utf-8")
