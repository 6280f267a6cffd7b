"""A registry to look at from the command line."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def _fraud_mould(
    _repo_mould: Path, tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., Path]
) -> Path:
    """Return a folder with the registry of `fraud`, made once."""
    mould = tmp_path_factory.mktemp("fraud")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    registry = ModelRegistry(mould / "repo", "fraud", notify=lambda _: None)
    scaler = write_model(mould / "scaler.pkl", 9)
    for number in (1, 2, 3):
        registry.register(
            write_model(mould / "model.pkl", number),
            scaler,
            metrics={"roc_auc": 0.9 + number / 100, "log_loss": 0.32 - number / 100},
            metadata={"data_window": "last_90_days"},
        )
    registry.promote("v1")
    registry.promote("v2", reason="better on every metric")
    registry.stage("v3")
    return mould


@pytest.fixture
def fraud(_fraud_mould: Path, tmp_path: Path, git: Callable[..., str]) -> Path:
    """Return a registry of `fraud`, in which v2 is live, v1 was, and v3 is in staging.

    Beside it lie model.pkl, scaler.pkl and storage, its DVC remote.
    """
    shutil.copytree(_fraud_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    repo = tmp_path / "repo"
    config = repo / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", str(tmp_path / "storage")))
    git(repo, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    return repo
