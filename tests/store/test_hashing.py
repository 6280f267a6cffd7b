"""Copying and hashing in one pass."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from mlv.store.hashing import copy_hashed, copy_with_sha256

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LARGE = bytes(range(256)) * 32 * 1024  # 8 MB: two threads' work


def test_a_file_system_that_tells_the_end_too_early_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(LARGE)
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0, raising=False)
    md5, sha256 = (hashlib.new(kind, LARGE).hexdigest() for kind in ("md5", "sha256"))
    steps: list[int] = []
    assert copy_hashed(source, tmp_path / "copy", steps.append) == (md5, sha256, len(LARGE))
    assert copy_with_sha256(source, tmp_path / "other", lambda _: None) == sha256
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "other").read_bytes() == LARGE
    assert sum(steps) == len(LARGE)
