"""A published registry, cloned, in which anybody may propose anything."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ModelRegistry
from tests.review.mould import build, build_signed
from tests.review.proposals import RAN, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.review.report import Report

    Git = Callable[..., str]

MLV_YAML = "branch: main\ngate:\n  max_regression: 0.05\n"
POINTER = "registry/fraud/pointer.json"


def quiet(_: str) -> None:
    """Take a note and let it go."""


class World:
    """A clone ``top`` of ``server.git``, and ``storage``, where the bytes are.

    Of fraud v2 is live, v1 was before, v3 is better and v4 worse; of ranker v1 is live.
    """

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder, self.top, self._git = folder, folder / "repo", git

    def git(self, *args: str) -> str:
        """Run git in the clone."""
        return self._git(self.top, *args)

    @property
    def registry(self) -> ModelRegistry:
        """The registry of the clone."""
        return ModelRegistry(self.top, notify=quiet)

    def start(self, name: str = "proposal") -> None:
        """Begin a proposal from main."""
        self.git("switch", "-q", "-c", name, "main")

    def propose(self, action: str, *refs: str, **how: Any) -> None:
        """Begin a proposal with what mlv itself would do, and leave main as it was."""
        was = self.git("rev-parse", "main")
        self.registry.move(action, list(refs), **how)
        made = self.git("rev-parse", "main")
        self.git("reset", "-q", "--hard", was)
        self.git("switch", "-q", "-c", "proposal", made)

    def write(self, path: str, text: str | bytes, message: str = "Edit") -> None:
        """Commit a file."""
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "-f", path)
        self.git("commit", "-q", "-m", message)

    def edit_pointer(self, **facts: Any) -> None:
        """Edit the pointer of fraud by hand; ``status`` is added to what is there."""
        document = json.loads((self.top / POINTER).read_text())
        status = {**document["status"], **facts.pop("status", {})}
        document.update(facts, status=dict(sorted(status.items(), reverse=True)))
        self.write(POINTER, json.dumps(document, indent=2) + "\n")

    def land(self) -> None:
        """Publish main as it is here."""
        self.git("push", "-q", "origin", "main")
        self.git("fetch", "-q", "origin")

    def review(self, span: str = "main..proposal", **how: Any) -> Report:
        """Review the proposal."""
        return ModelRegistry.review(self.top, span, **how)


@pytest.fixture(scope="session")
def _world_mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    write_model: Callable[..., Path],
) -> Path:
    mould = tmp_path_factory.mktemp("world")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    config = repo / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", "../../storage"))
    (repo / "mlv.yaml").write_text(MLV_YAML)
    (repo / "train.py").write_text("print('training')\n")
    git(repo, "add", "--all")
    git(repo, "commit", "-q", "-m", "Say where the bytes go")
    git(mould, "init", "-q", "--bare", "server.git")
    git(repo, "remote", "add", "origin", "../server.git")
    git(repo, "config", "user.name", "Ada Lovelace")
    model = mould / "model.pkl"
    for name, scores in (("fraud", (0.9, 0.91, 0.93, 0.5)), ("ranker", (0.7, 0.8))):
        registry = ModelRegistry(repo, name, notify=quiet)
        for seed, score in enumerate(scores):
            write_model(model, seed + len(name))
            registry.register(model, None, metrics={"auc": score})
    ModelRegistry(repo, notify=quiet).promote("fraud-v1")
    ModelRegistry(repo, notify=quiet).promote("fraud-v2")
    ModelRegistry(repo, notify=quiet).promote("ranker-v1")
    ModelRegistry(repo, notify=quiet).push()
    return mould


@pytest.fixture
def world(_world_mould: Path, tmp_path: Path, git: Git) -> World:
    """Return a published registry to propose changes to."""
    shutil.copytree(_world_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    git(tmp_path / "repo", "update-index", "--refresh")
    return World(tmp_path, git)


# Where bad and good proposals are made -------------------------------------------------------


@pytest.fixture(scope="session")
def _mould(_repo_mould: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Path:
    return build(tmp_path_factory.mktemp("registry"), _repo_mould, git).folder


@pytest.fixture(scope="session")
def _signed_mould(_repo_mould: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Path:
    return build_signed(tmp_path_factory.mktemp("signed"), _repo_mould, git).folder


@pytest.fixture
def desk(_mould: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a registry in which fraud-v2 is live, on a branch ``proposal``."""
    return _copy(_mould, tmp_path / "desk", git, monkeypatch)


@pytest.fixture
def signed(_signed_mould: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a registry that wants all signed, in which fraud-v2 is live."""
    return _copy(_signed_mould, tmp_path / "desk", git, monkeypatch)


def _copy(mould: Path, folder: Path, git: Git, patch: pytest.MonkeyPatch) -> Desk:
    left_out = shutil.ignore_patterns("made", "cache", "tmp", "*.sample")
    shutil.copytree(mould, folder, symlinks=True, ignore=left_out)
    desk = Desk(folder, git)
    patch.setenv(RAN, str(desk.ran))
    for clone in (desk.author, desk.reviewer):
        git(clone, "update-index", "-q", "--refresh")
    return desk
