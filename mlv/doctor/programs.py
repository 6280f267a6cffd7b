"""Versions of Git, DVC and ssh-keygen."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING

from mlv.doctor.checks import ok, problem
from mlv.errors import RegistryError
from mlv.store import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.doctor.checks import Check

# The first that verifies SSH signatures at the time they were made.
_OLDEST_GIT = (2, 35)
_OLDEST_DVC = (3, 0)


def check(folder: Path) -> Iterator[Check]:
    """Check that the programs that mlv runs are there, and new enough."""
    try:
        said = process.run(["git", "--version"], cwd=folder).stdout.decode(errors="replace")
    except RegistryError as error:
        yield problem("git", error.message, error.hint)
        return
    yield _compare("git", said.strip().removeprefix("git version "), _OLDEST_GIT)
    try:
        yield _compare("dvc", importlib.metadata.version("dvc"), _OLDEST_DVC)
    except importlib.metadata.PackageNotFoundError:
        yield problem("dvc", "DVC is not installed beside mlv", "pip install dvc")


def _compare(name: str, version: str, oldest: tuple[int, int]) -> Check:
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < oldest:
        wanted = ".".join(map(str, oldest))
        return problem(name, f"{name} {version} is old", f"install {name} {wanted} or later")
    return ok(name, f"{name} {version}")
