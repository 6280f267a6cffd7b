"""Where what was brought of other people's registries is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.store import usercache

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_is_in_the_users_cache(home: Path) -> None:
    assert usercache.folder().is_relative_to(home)


def test_it_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLV_CACHE", str(tmp_path / "elsewhere"))
    assert usercache.folder() == tmp_path / "elsewhere"
