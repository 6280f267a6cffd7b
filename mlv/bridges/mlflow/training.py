"""Logging a training run: its log, its model, and the version that it makes."""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.bridges.mlflow import fitting, folder
from mlv.bridges.mlflow.server import Server, connected
from mlv.errors import InvalidInput
from mlv.store import lineage
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    AnyPath = str | os.PathLike[str]

DEFAULT_NAME = "model"
FAILED = "FAILED"
_NEEDED = {"run_id": str, "winner_config": dict, "val_metrics": dict}
_NOTED = ("run_id", "data_window", "git_commit")  # tags of the run and of the version
_SCORES = ("cv_roc_auc_mean", "cv_roc_auc_std")


class RunLog(NamedTuple):
    """What a run's log says, as MLflow takes it."""

    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def log_to_mlflow(
    model_path: AnyPath,
    preprocessor_path: AnyPath | None,
    run_log_path: AnyPath,
    experiment_name: str = DEFAULT_NAME,
    registry_name: str = DEFAULT_NAME,
    *,
    tracking_uri: str | None = None,
) -> str:
    """Log a training run to MLflow and register its model there; give the MLflow run's id.

    The log is JSON: ``winner_config`` becomes parameters (nested names joined by dots), the numbers
    of ``val_metrics``, ``cv_roc_auc_mean`` and ``cv_roc_auc_std`` metrics, ``run_id``,
    ``data_window`` and ``git_commit`` tags. The model's own bytes become a version of
    ``registry_name``, which `mlflow.pyfunc.load_model` loads, and `mlflow.sklearn.load_model` where
    it is a pickled estimator. Preprocessor (None: there is none) and log are artifacts of the run.
    ``tracking_uri`` is MLflow's own setting unless given.
    """
    model, log_path = Path(model_path), Path(run_log_path)
    beside = [log_path] if preprocessor_path is None else [Path(preprocessor_path), log_path]
    for path in (model, *beside):
        if not path.exists():
            raise InvalidInput(f"{path} does not exist")
    with on_disk(log_path):
        log = parse(log_path.read_bytes(), str(log_path))
    name = fitting.check_name(registry_name)
    with connected(tracking_uri) as server:
        run = server.start_run(experiment_name, log.name, log.tags)
        run_id = str(run.info.run_id)
        try:
            server.log(run_id, log.metrics, log.params, _now())
            _upload(server, run_id, model, beside)
        except BaseException:
            server.end_run(run_id, FAILED)
            raise
        server.end_run(run_id)
        server.need_model(name, {}, "")
        source = f"{run.info.artifact_uri}/{folder.FOLDER}"
        server.create_version(name, source, run_id, log.tags)
    return run_id


def parse(data: bytes, where: str) -> RunLog:
    """Read a run's log; `InvalidInput` says what it lacks."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidInput(f"{where} is not a JSON object")
    for key, kind in _NEEDED.items():
        if not isinstance(document.get(key), kind):
            raise InvalidInput(
                f"{where} has no {key!r}, or it is something else",
                hint=f"the log needs {', '.join(_NEEDED)}",
            )
    scores = {name: document[name] for name in _SCORES if document.get(name) is not None}
    metrics = {**fitting.flat(document["val_metrics"]), **scores}
    params = fitting.keys(fitting.flat(document["winner_config"]))
    noted = {name: document.get(name) for name in _NOTED}
    tags = {name: fitting.text(value) for name, value in noted.items() if value not in (None, "")}
    if "git_commit" in tags:
        tags["mlflow.source.git.commit"] = tags["git_commit"]
    return RunLog(
        document["run_id"],
        {name: fitting.text(value, fitting.LONGEST_PARAM) for name, value in params.items()},
        {name: float(v) for name, v in fitting.keys(metrics).items() if _is_number(v)},
        tags,
    )


def _is_number(value: Any) -> bool:
    """Whether it is a number that MLflow can keep; what is none stays in the log."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _upload(server: Server, run_id: str, model: Path, beside: list[Path]) -> None:
    for path in beside:
        server.upload(run_id, path, path.name if path.is_dir() else None)
    is_whole = folder.is_mlflow_model(model)
    at = folder.FOLDER if model.is_file() or is_whole else f"{folder.FOLDER}/{model.name}"
    server.upload(run_id, model, at)
    if not is_whole:
        import platform

        made = folder.Made(run_id, _now(), server.version, platform.python_version())
        with tempfile.TemporaryDirectory(prefix="mlv-mlflow-") as place:
            folder.write(Path(place), model, lineage.packages().pins.decode(), made)
            server.upload(run_id, Path(place), folder.FOLDER)


def _now() -> int:
    return int(time.time() * 1000)
