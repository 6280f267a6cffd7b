"""The files that make of a model's own bytes a model of MLflow's: MLmodel and what it names.

MLflow's own ``log_model`` would pickle anew, and what came out would be another file. Format:
https://mlflow.org/docs/latest/ml/model/
"""

from __future__ import annotations

import json
import mmap
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.store.modelclass import is_pickle, read_class

if TYPE_CHECKING:
    from collections.abc import Mapping

MLMODEL = "MLmodel"
FOLDER = "model"  # of the run's artifacts
_LOADER = Path(__file__).with_name("mlv_model_1.py")
_ENVIRONMENT = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
# What joblib writes beside the pickle's own language, which pickle alone cannot read.
_JOBLIB = b"joblib.numpy_pickle"
_PICKLE = b"\x80"
_OURS = re.compile(r"(?m)^(mlv|mlflow|mlflow-skinny|mlflow-tracing)==.*\n")
_SKLEARN = re.compile(r"(?m)^scikit-learn==(.+)$")


class Made(NamedTuple):
    """What a run and a moment add to a model: ``time`` in milliseconds."""

    run_id: str
    time: int
    mlflow: str
    python: str


def write(folder: Path, model: Path, pins: str, made: Made) -> None:
    """Write into ``folder`` what MLflow needs beside ``model``, which will lie there by its name.

    ``pins`` are the packages that it was trained with, as a requirements file.
    """
    sklearn = _sklearn(model, pins)
    flavours: dict[str, Any] = {"python_function": _python_function(model, made, bool(sklearn))}
    if sklearn:
        flavours["sklearn"] = sklearn
    moment = datetime.fromtimestamp(made.time / 1000, UTC)
    document = {
        "artifact_path": FOLDER,
        "flavors": flavours,
        "mlflow_version": made.mlflow,
        "model_uuid": made.run_id,
        "run_id": made.run_id,
        "utc_time_created": f"{moment:%Y-%m-%d %H:%M:%S.%f}",
    }
    requirements = f"mlflow\n{_OURS.sub('', pins)}"
    texts = {
        MLMODEL: _yaml(document),
        "requirements.txt": requirements,
        **_environments(made.python, requirements),
    }
    if not sklearn:
        texts["mlv_model.json"] = json.dumps({"model": model.name})
        texts[f"code/{_LOADER.name}"] = _LOADER.read_text(encoding="utf-8")
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def is_mlflow_model(path: Path) -> bool:
    """Whether an artifact is a folder that MLflow wrote, so that nothing has to be added."""
    return path.is_dir() and (path / MLMODEL).is_file()


def _sklearn(model: Path, pins: str) -> dict[str, Any] | None:
    """Describe a pickled estimator of scikit-learn's, which MLflow loads itself; None of others."""
    made_by = read_class(model) if is_pickle(model.name) and model.is_file() else None
    if made_by is None or not made_by.startswith("sklearn.") or not _is_plain_pickle(model):
        return None
    version = _SKLEARN.search(pins)
    return {
        "code": None,
        "pickled_model": model.name,
        "serialization_format": "pickle",
        **({"sklearn_version": version[1]} if version else {}),
    }


def _is_plain_pickle(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data[:1] == _PICKLE and data.find(_JOBLIB) < 0


def _python_function(model: Path, made: Made, is_sklearn: bool) -> dict[str, Any]:
    common = {"env": _ENVIRONMENT, "python_version": made.python}
    if is_sklearn:
        return {
            **common,
            "loader_module": "mlflow.sklearn",
            "model_path": model.name,
            "predict_fn": "predict",
        }
    return {**common, "code": "code", "loader_module": _LOADER.stem}


def _environments(python: str, requirements: str) -> dict[str, str]:
    pip = {"pip": requirements.split()}
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", pip],
    }
    virtual = {"python": python, "dependencies": ["-r requirements.txt"]}
    return {_ENVIRONMENT["conda"]: _yaml(conda), _ENVIRONMENT["virtualenv"]: _yaml(virtual)}


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False)
