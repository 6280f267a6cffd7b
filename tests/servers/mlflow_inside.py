"""What tests do with MLflow's own code; a script that runs in MLflow's environment, not a test.

Each line of standard input asks for one thing, as JSON; it is answered in a line.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import mlflow
import requests
from mlflow.exceptions import MlflowException

from mlv.bridges.mlflow import log_to_mlflow, transition_model_stage
from mlv.bridges.mlflow.server import Server
from mlv.cli import main

READING = ("/search", "/get-by-name")
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else is printed is no answer
warnings.simplefilter("ignore")


class Writes:
    """Counts what is asked of MLflow that is more than reading, and may die before one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.begin()
        self._send = requests.Session.send
        requests.Session.send = self.send  # type: ignore[method-assign, assignment]

    def send(self, request: Any, **how: Any) -> Any:
        path = request.url.partition("?")[0]
        if request.method != "GET" and not path.endswith(READING):
            if self.count == self.dies_at:
                say({"at": f"{request.method} {path.rpartition('/api')[2]}"})
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
        return self._send(self.session, request, **how)

    def begin(self, dies_at: int | None = None) -> None:
        """Begin anew in a child, which shares no connection with its parent."""
        self.session, self.dies_at = requests.Session(), dies_at


WRITES = Writes()


def say(answer: dict[str, Any]) -> None:
    ANSWERS.write(json.dumps(answer) + "\n")
    ANSWERS.flush()


def mlv(folder: str, args: list[str]) -> dict[str, Any]:
    """Run the command line, as a user does."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["mlv", *args]
    WRITES.count = 0
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return {
        "returncode": code, "stdout": out.getvalue(), "stderr": err.getvalue(),
        "writes": WRITES.count,
    }  # fmt: skip


def killed(folder: str, args: list[str], at: int) -> str:
    """Run the command line in a child that dies before its write number ``at``; "" if it ended."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        global ANSWERS  # noqa: PLW0603 - a child says to its parent what kills it
        ANSWERS = os.fdopen(send, "w")
        WRITES.begin(at)
        done = mlv(folder, args)
        say({"at": "" if done["returncode"] == 0 else f"failed: {done['stderr']}"})
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as said:
        answer = said.readline()
    os.waitpid(child, 0)
    return str(json.loads(answer)["at"])


def race(folder: str, args: list[str], runners: int) -> list[str]:
    """Run the command line in several children that reach each writing step at the same time.

    Give what each of them had to complain of.
    """
    import multiprocessing

    many = multiprocessing.get_context("fork")
    barriers = {name: many.Barrier(runners) for name in ("start_run", "create_version", "point")}

    def together(name: str) -> Any:
        method = getattr(Server, name)

        def wait_first(*given: Any, **how: Any) -> Any:
            with contextlib.suppress(Exception):  # a barrier is broken by who came alone
                barriers[name].wait(2)
            return method(*given, **how)

        return wait_first

    said = many.Queue()

    def run() -> None:
        WRITES.begin()
        for name in barriers:
            setattr(Server, name, together(name))
        done = mlv(folder, args)
        said.put(done["stderr"] if done["returncode"] else "")

    children = [many.Process(target=run) for _ in range(runners)]
    for child in children:
        child.start()
    found = [said.get(timeout=240) for _ in children]
    for child in children:
        child.join()
    return found


def show(name: str, given: list[list[float]]) -> dict[str, Any]:
    """Tell all that MLflow shows of a registered model, as its own client reads it."""
    client = mlflow.MlflowClient()
    model = client.get_registered_model(name)
    aliases = {alias: int(number) for alias, number in model.aliases.items()}
    versions = sorted(
        client.search_model_versions(f"name = '{name}'"), key=lambda each: int(each.version)
    )
    experiment = client.get_experiment_by_name(f"mlv.{name}")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return {
        "aliases": aliases,
        "versions": [_version(client, each) for each in versions],
        "runs": sorted(run.info.run_id for run in runs),
        "answers": {alias: _answer(f"models:/{name}@{alias}", given) for alias in aliases},
    }


def _version(client: Any, version: Any) -> dict[str, Any]:
    run = client.get_run(version.run_id)
    return {
        "number": int(version.version),
        "run_id": version.run_id,
        "tags": dict(version.tags),
        "description": version.description,
        "stage": getattr(version, "current_stage", None),
        "metrics": run.data.metrics,
        "params": run.data.params,
        "run_tags": run.data.tags,
        "status": run.info.status,
        "time": run.info.start_time,
        "files": _files(f"models:/{version.name}/{version.version}"),
        "run_files": _files(f"runs:/{version.run_id}/"),
    }


def _files(uri: str) -> dict[str, str]:
    """Give the SHA-256 of every file that is downloaded, by path."""
    with tempfile.TemporaryDirectory() as place:
        top = Path(mlflow.artifacts.download_artifacts(uri, dst_path=place))
        return _listing(top)


def _answer(uri: str, given: list[list[float]]) -> Any:
    import numpy as np

    try:
        return np.asarray(mlflow.pyfunc.load_model(uri).predict(np.asarray(given))).tolist()
    except (MlflowException, ImportError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def sklearn_class(uri: str) -> str:
    """Load a model by scikit-learn's own flavour and name its class."""
    return type(mlflow.sklearn.load_model(uri)).__name__


def foreign(name: str, alias: str | None = None) -> int:
    """Register a model that is nobody's but MLflow's; give its number."""
    client = mlflow.MlflowClient()
    with contextlib.suppress(MlflowException):
        client.create_registered_model(name)
    with mlflow.start_run() as run:
        mlflow.log_text("not mlv's", "model/notes.txt")
    source = f"{run.info.artifact_uri}/model"
    made = client.create_model_version(name, source, run.info.run_id, tags={"whose": "mine"})
    if alias:
        client.set_registered_model_alias(name, alias, made.version)
    return int(made.version)


def fill(name: str, folder: str) -> list[dict[str, Any]]:
    """Register three models as MLflow's own users do; tell all there is of them."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    client, told = mlflow.MlflowClient(), []
    scaler = Path(folder, "preprocessor.pkl")
    with contextlib.suppress(MlflowException):
        client.create_registered_model(name)
    for number in (1, 2, 3):
        scaler.write_bytes(b"scaler %d" % number)
        given = np.arange(20.0).reshape(10, 2)
        place = Path(folder, f"mlflow-model-{number}")
        mlflow.sklearn.save_model(
            LinearRegression().fit(given, number * given.sum(axis=1)), str(place),
            serialization_format="pickle",
        )  # fmt: skip
        metrics = {"roc_auc": 0.9 + number / 1000, "loss": 0.1 + 0.2}
        with mlflow.start_run() as run:
            mlflow.log_metrics({**metrics, "diverged": math.nan})
            mlflow.log_params({"depth": number, "loss": "log"})
            mlflow.log_artifacts(str(place), "model")
            mlflow.log_artifact(str(scaler))
        source, tags = f"{run.info.artifact_uri}/model", {"team": "ä", "number": str(number)}
        made = client.create_model_version(name, source, run.info.run_id, tags=tags)
        stamp = time.gmtime(made.creation_timestamp // 1000)
        told.append({
            "metrics": metrics, "params": {"depth": str(number), "loss": "log"}, "tags": tags,
            "aliases": {2: ["champion"], 3: ["challenger"]}.get(number, []),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", stamp),
            "files": _listing(place), "preprocessor": _hash(scaler),
        })  # fmt: skip
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "challenger", "3")
    return told


def forget(name: str, number: int) -> None:
    """Delete a version's files, as who clears up a store of artifacts."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    version = mlflow.MlflowClient().get_model_version(name, str(number))
    get_artifact_repository(version.source).delete_artifacts()


def log_beside(name: str, number: int, path: str) -> None:
    """Log a file to the run of a version that is long made."""
    client = mlflow.MlflowClient()
    client.log_artifact(client.get_model_version(name, str(number)).run_id, path)


def _listing(top: Path) -> dict[str, str]:
    paths = (path for path in sorted(top.rglob("*")) if path.is_file())
    return {path.relative_to(top).as_posix(): _hash(path) for path in paths}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def log(**how: Any) -> str:
    return log_to_mlflow(**how)


def stage(name: str, version: int, stage: str) -> dict[str, Any]:
    """Move a version; give every version's stage, and the aliases."""
    transition_model_stage(name, version, stage)
    client = mlflow.MlflowClient()
    found = client.search_model_versions(f"name = '{name}'")
    return {
        "stages": {each.version: each.current_stage for each in found},
        "aliases": {a: int(v) for a, v in client.get_registered_model(name).aliases.items()},
    }


def estimator(path: str, factor: float, by: str = "pickle") -> None:
    """Train a small model that answers the sum of its row times ``factor``."""
    import joblib
    import numpy as np
    from sklearn.linear_model import LinearRegression

    given = np.arange(20.0).reshape(10, 2)
    given[3] = (5, 1)
    made = LinearRegression().fit(given, factor * given.sum(axis=1))
    if by == "joblib":
        joblib.dump(made, path)
    else:
        Path(path).write_bytes(pickle.dumps(made))


def run() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            say({"result": globals()[asked["what"]](**asked["how"])})
        except Exception:  # noqa: BLE001 - told to the test
            say({"trouble": traceback.format_exc()})


if __name__ == "__main__":
    time.tzset()
    run()
