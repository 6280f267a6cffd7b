"""A registry by its URL: what is live, a version's files, and the second time without network."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import mlv
from mlv.pulling import RemoteRegistry

if TYPE_CHECKING:
    from tests.pulling.conftest import Published


def test_the_live_version_is_loaded_from_its_url(published: Published) -> None:
    loaded = mlv.load(str(published.url), model="fraud", cache=published.cache)
    assert loaded["model"]["seed"] == 1
    assert (loaded["tokenizer"] / "vocab").read_text() == "vocab\n"


def test_files_are_those_of_a_clone(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    here = published.registry.artifacts("v2")
    there = far.artifacts("fraud-v2")
    assert there.keys() == here.keys()
    assert pickle.loads(there["model"].read_bytes())["seed"] == 2
    for role in ("model", "manifest"):
        assert there[role].read_bytes() == here[role].read_bytes()
