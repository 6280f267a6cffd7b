"""A registry that others published: one version live, another registered, in a bare repository."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Published:
    """The bare repository that is pulled from, a clone of its maker's, and its DVC remote."""

    url: Path
    clone: Path
    storage: Path
    cache: Path
    registry: ModelRegistry


def commit_config(published: Published) -> None:
    """Publish the clone's ``.dvc/config``, as whoever may push to the branch can."""
    run = ("git", "-C", str(published.clone))
    subprocess.run([*run, "commit", "--quiet", "--message", "Move", ".dvc/config"], check=True)
    subprocess.run([*run, "push", "--quiet", "origin", "main"], check=True)


@pytest.fixture
def published(
    repo: Path,
    tmp_path: Path,
    git: Callable[..., str],
    write_model: Callable[..., Path],
) -> Published:
    """Publish fraud-v1, which is live, and fraud-v2; a server that can filter has them."""
    url = tmp_path / "fraud.git"
    (repo / "train.py").write_text("print('a program that nobody needs to have')\n" * 99)
    git(repo, "add", "train.py")
    git(repo, "commit", "--quiet", "--message", "Train the fraud model")
    git(tmp_path, "init", "--quiet", "--bare", str(url))
    git(url, "config", "uploadpack.allowFilter", "true")
    git(repo, "remote", "add", "origin", str(url))
    registry = ModelRegistry(repo, "fraud")
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    for name in ("merges", "vocab"):
        (folder / name).write_text(f"{name}\n")
    for seed in (1, 2):
        model = write_model(tmp_path / "model.pkl", seed)
        registry.register(
            model, preprocessor_path=None, artifacts={"tokenizer": folder}, metrics={"auc": 0.9}
        )
    registry.promote("v1", reason="The first")
    registry.push()
    return Published(url, repo, tmp_path / "storage", tmp_path / "cache", registry)
