"""A registry on a Git remote, and clones of it: each is another person's machine."""

from __future__ import annotations

import shutil
import stat
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]


class Machine(NamedTuple):
    """A clone, its registry, and the notes that it told."""

    top: Path
    registry: ModelRegistry
    notes: list[str]


class Hub:
    """A bare repository ``hub.git`` and a DVC remote ``storage``; `machine` clones both."""

    def __init__(self, folder: Path, git: Git, write_model: Callable[..., Path]) -> None:
        self.folder, self.git, self._write = folder, git, write_model
        self.bare, self.storage = folder / "hub.git", folder / "storage"

    def machine(self, name: str) -> Machine:
        """Clone the repository as somebody new would."""
        top = self.folder / name
        self.git(self.folder, "clone", "--quiet", "--template=", str(self.bare), str(top))
        return self.open(top)

    def open(self, top: Path) -> Machine:
        """Open the registry of a clone."""
        notes: list[str] = []
        return Machine(top, ModelRegistry(top, notify=notes.append), notes)

    def model(self, seed: int) -> Path:
        """Write a small model."""
        return self._write(self.folder / f"{seed}.pkl", seed)

    def refs(self) -> dict[str, str]:
        """Read what the remote has."""
        lines = self.git(self.bare, "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split() for line in lines.splitlines())

    def tags(self) -> list[str]:
        """Name the versions that the remote has."""
        return [ref.removeprefix("refs/tags/") for ref in self.refs() if "/tags/" in ref]

    def objects(self) -> int:
        """Count what the DVC remote has."""
        return sum(1 for path in self.storage.rglob("*") if path.is_file())

    def forbid(self, hook: str, script: str) -> None:
        """Give the remote a rule."""
        path = self.bare / "hooks" / hook
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IEXEC)


@pytest.fixture(scope="session")
def new_hub(_repo_mould: Path, git: Git, write_model: Callable[..., Path]) -> Callable[[Path], Hub]:
    """``new_hub(folder)`` makes a remote of a set-up registry without a version."""

    def make(folder: Path) -> Hub:
        first = folder / "first"
        git(folder, "clone", "--quiet", "--template=", str(_repo_mould / "repo"), str(first))
        config = first / ".dvc" / "config"
        config.write_text(config.read_text().replace("/STORAGE", str(folder / "storage")))
        git(first, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
        git(folder, "clone", "--quiet", "--bare", "--template=", str(first), "hub.git")
        shutil.rmtree(first)
        (folder / "storage").mkdir()
        (folder / "hub.git" / "hooks").mkdir()
        return Hub(folder, git, write_model)

    return make


@pytest.fixture
def hub(tmp_path: Path, new_hub: Callable[[Path], Hub]) -> Hub:
    """Return a remote to which a set-up registry without a version was pushed."""
    return new_hub(tmp_path)


@pytest.fixture
def ada(hub: Hub) -> Machine:
    """Return Ada's machine."""
    return hub.machine("ada")


@pytest.fixture
def bob(hub: Hub, ada: Machine) -> Machine:  # noqa: ARG001 - Ada is there first
    """Return Bob's machine."""
    machine = hub.machine("bob")
    hub.git(machine.top, "config", "user.name", "Bob")
    return machine
