"""`mlv export mlflow` and `mlv import mlflow`: what they say before they ask any MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv.cli import exporting_mlflow

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlv = Callable[..., subprocess.CompletedProcess[str]]

NOWHERE = ("--tracking-uri", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("export", "mlflow"), 2, "which MLflow?"),
        (("export", "mlflow", *NOWHERE, "v1", "--all"), 2, "REF is one version"),
        (("export", "mlflow", *NOWHERE, "--follow", "--dry-run"), 2, "--follow writes"),
        (("export", "mlflow", *NOWHERE), 1, "pip install 'mlv[mlflow]'"),
        (("import", "mlflow", "--name", "fraud"), 2, "which MLflow?"),
        (("import", "mlflow", "--name", "fraud", *NOWHERE), 1, "pip install 'mlv[mlflow]'"),
    ],
)
def test_it_says_what_is_wrong_before_anything_is_asked(
    repo: Path,
    mlv: Mlv,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    args: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # Whether or not it is installed beside the tests.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mlflow' else real(name, *a)\n"
    )
    done = mlv(repo, *args, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_environment_says_goes_before_what_is_thought_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in exporting_mlflow._DEFAULTS:
        monkeypatch.setenv(name, "mine")
    exporting_mlflow.use_defaults()
    import os

    assert {os.environ[name] for name in exporting_mlflow._DEFAULTS} == {"mine"}
