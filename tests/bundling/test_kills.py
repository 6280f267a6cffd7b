"""Killed at any step, a bundle is there whole or not at all, and so is what comes out of one."""

from __future__ import annotations

import itertools
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from tests.bundling.conftest import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bundling.conftest import Made
    from tests.conftest import Killer

    Git = Callable[..., str]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims"),
    pytest.mark.slow,
]


def restore(aside: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if aside.exists():
        shutil.copytree(aside, folder, symlinks=True)


def kills(
    killer: Killer, made: Made, method: str, *arguments: object, world: Path, **options: object
) -> Iterator[str]:
    """Kill before each step in turn, until none is left; give the step each time."""
    for at in itertools.count(1):
        how = {"options": options, "world": str(world)}
        step = killer(made.repo, method, *map(str, arguments), at=at, **how)
        yield step
        if not step:
            assert at > 3
            return


def check_whole(folder: Path, git: Git, version: str, seed: int) -> None:
    registry = ModelRegistry(folder, "fraud", notify=quiet)
    assert registry.current_version() == version
    assert registry.load()["model"]["seed"] == seed
    assert git(folder, "status", "--porcelain") == ""
    assert not (folder / ".mlv-unbundle").exists()
    assert set(registry.verify("@production").values()) == {"ok"}


def test_unbundling_into_an_empty_folder(
    killer: Killer, made: Made, tmp_path: Path, git: Git
) -> None:
    folder = tmp_path / "world" / "new"
    folder.parent.mkdir()
    for _ in kills(killer, made, "unbundle", made.file, folder, world=folder.parent):
        if (folder / ".git").exists():
            assert ModelRegistry(folder, "fraud", notify=quiet).load()["model"]["seed"] == 2
        ModelRegistry.unbundle(made.file, folder, notify=quiet)
        check_whole(folder, git, "v2", 2)
        shutil.rmtree(folder)


def test_unbundling_into_a_clone(
    killer: Killer, made: Made, tmp_path: Path, git: Git, write_model: Callable[..., Path]
) -> None:
    folder = tmp_path / "world" / "clone"
    ModelRegistry.unbundle(made.file, folder, notify=quiet)
    shutil.copytree(folder, tmp_path / "aside", symlinks=True)
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.register(write_model(tmp_path / "model.pkl", 7), None)
    fraud.promote("v3")
    fraud.bundle("v3", file=tmp_path / "second.mlv")
    for _ in kills(killer, made, "unbundle", tmp_path / "second.mlv", folder, world=folder.parent):
        registry = ModelRegistry(folder, "fraud", notify=quiet)
        live = registry.current_version()
        assert live in ("v2", "v3")
        assert registry.load()["model"]["seed"] == {"v2": 2, "v3": 7}[live]
        if git(folder, "tag", "--list", "fraud-v3"):
            assert registry.load("v3")["model"]["seed"] == 7
        ModelRegistry.unbundle(tmp_path / "second.mlv", folder, notify=quiet)
        check_whole(folder, git, "v3", 7)
        restore(tmp_path / "aside", folder)


def test_bundling(killer: Killer, made: Made, tmp_path: Path) -> None:
    older = made.file.read_bytes()
    out = tmp_path / "world"
    out.mkdir()
    file = out / "fraud.mlv"
    file.write_bytes(older)
    made.registry.bundle("fraud-v1", "fraud-v2", file=tmp_path / "newer.mlv")
    newer = (tmp_path / "newer.mlv").read_bytes()
    for _ in kills(killer, made, "bundle", "fraud-v1", "fraud-v2", world=out, file=str(file)):
        assert file.read_bytes() in (older, newer)
        made.registry.bundle("fraud-v1", "fraud-v2", file=file)
        assert file.read_bytes() == newer
        file.write_bytes(older)
