"""Versions whose answers tell which preprocessor and which model gave them."""

from __future__ import annotations

import pickle
from functools import partial
from operator import add, mul
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from pathlib import Path


class Served(Protocol):
    def __call__(self, number: int, *, model: Any = None, sample: Any = None) -> str: ...


def expected(version: str, value: float) -> float:
    """What the version ``vN`` answers: only its own two halves together give it."""
    number = int(version[1:])
    return (number + 1) * value + 100 * number


@pytest.fixture
def registry(repo: Path) -> ModelRegistry:
    return ModelRegistry(repo)


@pytest.fixture
def new(registry: ModelRegistry, tmp_path: Path) -> Served:
    """``new(2)`` registers v2: its preprocessor multiplies by 3, its model adds 200."""

    def make(number: int, *, model: Any = None, sample: Any = None) -> str:
        model_path, scaler = tmp_path / "m.pkl", tmp_path / "s.pkl"
        model_path.write_bytes(pickle.dumps(model or partial(add, 100 * number)))
        scaler.write_bytes(pickle.dumps(partial(mul, number + 1)))
        return registry.register(model_path, scaler, sample=sample)

    return make


@pytest.fixture
def two(registry: ModelRegistry, new: Served) -> ModelRegistry:
    """Return a registry in which v1 is live, and v2 may be."""
    new(1, sample=np.array([1.0, 2.0]))
    new(2)
    registry.promote("v1")
    return registry
