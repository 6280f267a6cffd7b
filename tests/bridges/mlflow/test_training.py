"""Reading a training run's log, and what is written beside a model."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import joblib
import pytest
import yaml
from sklearn.linear_model import LinearRegression

from mlv.bridges.mlflow import folder, log_to_mlflow, transition_model_stage
from mlv.bridges.mlflow.training import parse
from mlv.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

LOG: dict[str, Any] = {
    "run_id": "r1",
    "winner_config": {"model": {"depth": 3}, "layers": [1, 2], "weights": None},
    "val_metrics": {"roc_auc": 0.9, "by": {"eu": 0.8}, "note": "x", "ok": True, "lost": None},
    "cv_roc_auc_mean": 0.88,
    "cv_roc_auc_std": 0.01,
    "data_window": "last_90_days",
    "git_commit": None,
}


def test_a_log_becomes_parameters_metrics_and_tags() -> None:
    log = parse(json.dumps(LOG).encode(), "run.json")
    assert log.name == "r1"
    assert log.params == {"model.depth": "3", "layers": "[1, 2]", "weights": "null"}
    assert log.metrics == {
        "roc_auc": 0.9, "by.eu": 0.8, "cv_roc_auc_mean": 0.88, "cv_roc_auc_std": 0.01,
    }  # fmt: skip
    assert log.tags == {"run_id": "r1", "data_window": "last_90_days"}
    log = parse(json.dumps({**LOG, "git_commit": "abc"}).encode(), "run.json")
    assert log.tags["git_commit"] == log.tags["mlflow.source.git.commit"] == "abc"


def test_a_score_that_is_one_of_the_metrics_is_kept() -> None:
    log = {"run_id": "a", "winner_config": {}, "val_metrics": {"cv_roc_auc_mean": 0.8}}
    both = {**log, "cv_roc_auc_mean": 0.9, "cv_roc_auc_std": None}
    assert parse(json.dumps(log).encode(), "run.json").metrics == {"cv_roc_auc_mean": 0.8}
    assert parse(json.dumps(both).encode(), "run.json").metrics == {"cv_roc_auc_mean": 0.9}


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"run_id": 1}', b"\xff"])
def test_a_log_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"run\.json"):
        parse(data, "run.json")


@pytest.mark.parametrize("is_plain", [True, False])
def test_scikit_learns_flavour_is_for_what_it_loads(tmp_path: Path, is_plain: bool) -> None:
    model = tmp_path / "best.pkl"
    estimator = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    if is_plain:
        model.write_bytes(pickle.dumps(estimator))
    else:
        joblib.dump(estimator, model)
    place = tmp_path / "place"
    place.mkdir()
    pins = "mlv==1\nmlflow==9\nscikit-learn==1.5.2\n"
    folder.write(place, model, pins, folder.Made("run", 0, "3.17.2", "3.11.7"))
    flavours = yaml.safe_load((place / "MLmodel").read_text())["flavors"]
    assert ("sklearn" in flavours) == is_plain
    assert (place / "code" / "mlv_model_1.py").exists() != is_plain
    assert (place / "requirements.txt").read_text() == "mlflow\nscikit-learn==1.5.2\n"
    if is_plain:
        assert flavours["sklearn"]["sklearn_version"] == "1.5.2"
        assert flavours["sklearn"]["pickled_model"] == "best.pkl"


def test_a_missing_mlflow_and_bad_arguments_are_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlv.bridges.mlflow.server.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        transition_model_stage("fraud", 1, "Production")
    assert caught.value.hint == "pip install 'mlv[mlflow]'"
    for version, stage in ((1, "Live"), ("v1", "Staging")):
        with pytest.raises(InvalidInput):
            transition_model_stage("fraud", version, stage)
    with pytest.raises(InvalidInput, match="does not exist"):
        log_to_mlflow(tmp_path / "none", None, tmp_path / "run.json")
