"""The pipeline template: what it declares, and what comes out of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "templates/pipeline/"
TEMPLATE = ROOT / PREFIX
STAGES = ["prepare", "train", "evaluate"]
ARTIFACTS = ["artifacts/model.pkl", "artifacts/preprocessor.pkl"]
HELD_OUT = ["roc_auc", "accuracy", "recall", "precision", "f1"]
KNOWN = {
    "random_forest": [0.9939, 0.9561, 0.9722, 0.9589, 0.9655],
    "gradient_boosting": [0.9854, 0.9386, 0.9583, 0.9452, 0.9517],
}


@pytest.fixture(autouse=True)
def _python_first_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stage's `python` be the one of the tests, as in an activated environment."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))


def copy_template(to: Path) -> Path:
    """Copy what Git would bring: nothing that a run in the checkout has left behind."""
    left_behind = shutil.ignore_patterns(
        ".dvc", "__pycache__", "artifacts", "data", "dvc.lock", "metrics.json"
    )
    return shutil.copytree(TEMPLATE, to, ignore=left_behind)


def set_model(project: Path, kind: str) -> None:
    params = project / "params.yaml"
    text = params.read_text(encoding="utf-8")
    changed = text.replace("model: random_forest", f"model: {kind}")
    assert changed != text
    params.write_text(changed, encoding="utf-8")


def train(project: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "src/train.py"]
    return subprocess.run(argv, cwd=project, capture_output=True, encoding="utf-8", check=False)


def metrics(project: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((project / "metrics.json").read_text(encoding="utf-8"))
    return found


def held_out(project: Path) -> list[float]:
    return [metrics(project)[name] for name in HELD_OUT]


def artifacts(project: Path) -> list[bytes]:
    return [(project / path).read_bytes() for path in ARTIFACTS]


def stages_run(said: str) -> list[str]:
    return re.findall(r"Running stage '(.+)'", said)


def stages(file: Path) -> dict[str, Any]:
    declared: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
    return declared


@pytest.mark.slow
def test_a_copy_runs_and_the_figures_are_the_known_ones(
    tmp_path: Path, git: Callable[..., str], dvc: Callable[..., str]
) -> None:
    project = copy_template(tmp_path / "my project")
    git(project, "init", "--quiet")
    dvc(project, "init", "--quiet")

    assert stages_run(dvc(project, "repro")) == STAGES
    assert held_out(project) == KNOWN["random_forest"]
    assert list(metrics(project)) == [*HELD_OUT, "cv_roc_auc_mean", "cv_roc_auc_std"]
    # Not to the last digit: it follows the version of scikit-learn.
    assert metrics(project)["cv_roc_auc_mean"] == pytest.approx(0.9896, abs=0.001)
    assert metrics(project)["cv_roc_auc_std"] == pytest.approx(0.0083, abs=0.001)

    trained = artifacts(project)
    assert train(project).returncode == 0
    assert artifacts(project) == trained
    again = dvc(project, "repro")
    assert stages_run(again) == []
    assert "Data and pipelines are up to date." in again

    git(project, "add", "--all")
    tracked = git(project, "ls-files").splitlines()
    assert {"dvc.lock", "dvc.yaml", "metrics.json", "params.yaml"} <= set(tracked)
    assert [path for path in tracked if path.startswith(("data/", "artifacts/"))] == []
    assert [path for path in tracked if "__pycache__" in path] == []

    set_model(project, "gradient_boosting")
    assert stages_run(dvc(project, "repro")) == ["train", "evaluate"]
    assert held_out(project) == KNOWN["gradient_boosting"]


def test_an_unknown_model_stops_with_the_kinds_there_are(tmp_path: Path) -> None:
    project = copy_template(tmp_path / "project")
    set_model(project, "oracle")
    stopped = train(project)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines() == [
        "train.model is 'oracle'; choose one of: random_forest, gradient_boosting"
    ]


def test_this_repository_declares_the_same_pipeline() -> None:
    here = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    pipeline = stages(ROOT / "dvc.yaml")
    template = stages(TEMPLATE / "dvc.yaml")

    assert list(pipeline) == list(template) == STAGES
    for stage in STAGES:
        for key in ("outs", "metrics"):
            assert pipeline[stage].get(key) == template[stage].get(key)
    assert PREFIX in here
    assert yaml.safe_load(here.replace(PREFIX, ""))["stages"] == template
    assert PREFIX not in (TEMPLATE / "dvc.yaml").read_text(encoding="utf-8")


def test_this_repository_runs_it_from_the_root(
    tmp_path: Path, git: Callable[..., str], dvc: Callable[..., str]
) -> None:
    checkout = tmp_path / "mlv"
    copy_template(checkout / PREFIX)
    for path in ("dvc.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (checkout / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, checkout / path)
    git(checkout, "init", "--quiet")

    # The template's own dvc.yaml is not a second pipeline, forever "changed", of this repository.
    assert dvc(checkout, "stage", "list", "--all", "--name-only").split() == STAGES
    ran = dvc(checkout, "repro", "prepare")
    assert "> python templates/pipeline/src/prepare.py" in ran
    assert (checkout / "data/train.csv").is_file()
    assert git(checkout, "ls-files", "--others", "--exclude-standard", "*.csv") == ""


def test_the_readme_tells_the_known_figures() -> None:
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    assert f"| model | {' | '.join(HELD_OUT)} |" in readme
    for kind, figures in KNOWN.items():
        assert f"| {kind} | {' | '.join(map(str, figures))} |" in readme
