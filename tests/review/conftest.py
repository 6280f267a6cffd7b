"""A registry for each case, copied from one that is made once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.review.mould import build, build_signed
from tests.review.proposals import RAN, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]


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
