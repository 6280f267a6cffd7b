"""Registries with something to go back to, and models that answer, crash or hang when told to."""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Git = Callable[..., str]

# What "the environment" does with a model is said by a module that a test may write anew.
ANSWERING = """\
import os, sys, time

class Model:
    def __init__(self, seed):
        self.seed = seed

    def __setstate__(self, state):
        self.__dict__.update(state)
        {on_load}

    def predict(self, rows):
        {on_predict}
        return [[value * self.seed {tweak} for value in row] for row in rows]
"""


SAMPLE = [[1.0, 2.0], [3.0, 4.0]]


class Environment:
    """The packages that a model is loaded with."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "answering_for_drills.py"
        self.becomes()

    def becomes(self, on_load: str = "pass", on_predict: str = "pass", tweak: str = "") -> None:
        """Do something else from now on, in processes that start then."""
        text = ANSWERING.format(on_load=on_load, on_predict=on_predict, tweak=tweak)
        self._path.write_text(text)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    folder = tmp_path / "environment"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    made = Environment(folder)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "answering_for_drills", raising=False)
    return made


@pytest.fixture
def train(repo: Path, environment: Environment) -> Callable[..., str]:  # noqa: ARG001 - is there
    """``train("fraud", 2)`` registers and publishes a version that answers its rows times 2."""

    def register(
        model: str = "fraud", seed: int = 1, *, sample: list[list[float]] | None = SAMPLE
    ) -> str:
        module = importlib.import_module("answering_for_drills")
        path = repo.parent / f"{model}-{seed}.pkl"
        path.write_bytes(pickle.dumps(module.Model(seed)))
        registry = ModelRegistry(repo, model)
        version = registry.register(path, None, {"auc": 0.9}, sample=sample)
        return f"{model}-{version}"

    return register


@pytest.fixture
def live(repo: Path, train: Callable[..., str], git: Git) -> ModelRegistry:
    """Return a registry whose fraud-v2 is live, on both remotes, and fraud-v1 before it."""
    publish(repo, git)
    for seed in (1, 2):
        ModelRegistry(repo).promote(train("fraud", seed))
    ModelRegistry(repo).push()
    return ModelRegistry(repo)


def publish(repo: Path, git: Git) -> None:
    """Give the registry a Git remote."""
    bare = repo.parent / "origin.git"
    if not bare.exists():
        git(repo.parent, "init", "--quiet", "--bare", str(bare))
        git(repo, "remote", "add", "origin", str(bare))
        git(repo, "push", "--quiet", "--set-upstream", "origin", "main")


def fingerprint(*roots: Path) -> Mapping[str, str]:
    """Hash every file and link below, and note modes and times."""
    found = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            facts = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            digest = hashlib.sha256(data).hexdigest()
            found[str(path)] = f"{facts.st_mode:o} {facts.st_size} {facts.st_mtime_ns} {digest}"
    return found


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """``read_only(folder)`` shows a folder where nobody, root neither, can write to it.

    Without root its files' modes do it.
    """
    mounted: list[Path] = []
    closed: list[tuple[Path, int]] = []

    def show(folder: Path) -> Path:
        if os.geteuid():
            for path in (folder, *folder.rglob("*")):
                if not path.is_symlink():
                    closed.append((path, path.stat().st_mode))
                    path.chmod(path.stat().st_mode & ~0o222)
            return folder
        place = tmp_path / "read-only"
        place.mkdir()
        subprocess.run(["mount", "--bind", str(folder), str(place)], check=True)
        mounted.append(place)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        return place

    yield show
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)
    for path, mode in closed:
        path.chmod(mode)
