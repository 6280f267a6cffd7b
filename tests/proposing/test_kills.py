"""Killed at any step, a proposal is not there or whole, and proposing again works."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Killer
    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims"),
    pytest.mark.slow,
]

BRANCH = "mlv/promote-model-v3"
REF = f"refs/heads/{BRANCH}"


class World:
    """A hub and Ada's clone, in which v3 is not published, always at the same place."""

    def __init__(self, hub: Hub, ada: Machine) -> None:
        self.hub, self.top, self.git = hub, ada.top, hub.git
        self.main = hub.refs()["refs/heads/main"]
        self._parts = (hub.bare, hub.storage, ada.top)
        self._mould = hub.folder.with_name("mould")
        for part in self._parts:
            shutil.copytree(part, self._mould / part.name, symlinks=True)

    def load(self) -> None:
        """Go back to the start."""
        for part in self._parts:
            shutil.rmtree(part)
            shutil.copytree(self._mould / part.name, part, symlinks=True)

    def is_proposed(self) -> bool:
        """See that the proposal is whole, or not there."""
        refs = self.hub.refs()
        assert refs["refs/heads/main"] == self.main
        assert (REF in refs) == ("refs/tags/model-v3" in refs)
        if REF not in refs:
            return False
        pointer = self.git(self.hub.bare, "show", f"{BRANCH}:registry/model/pointer.json")
        assert json.loads(pointer)["current"] == "v3"
        assert self.git(self.hub.bare, "rev-parse", f"{BRANCH}~") == self.main
        self.git(self.hub.bare, "fsck", "--strict", "--no-dangling")
        md5 = hashlib.md5(self.hub.model(3).read_bytes(), usedforsecurity=False).hexdigest()
        assert (self.hub.storage / "files" / "md5" / md5[:2] / md5[2:]).is_file()
        return True

    def check_here(self) -> None:
        """See that nothing of it shows in Ada's clone."""
        assert self.git(self.top, "status", "--porcelain") == ""
        assert self.git(self.top, "rev-parse", "main") == self.main
        assert ModelRegistry(self.top, notify=lambda _: None).current_version() == "v2"
        self.git(self.top, "fsck", "--strict", "--no-dangling")


@pytest.fixture
def world(three: tuple[Machine, Machine], hub: Hub) -> World:
    ada, _ = three
    hub.git(hub.bare, "update-ref", "-d", "refs/tags/model-v3")
    hub.git(ada.top, "update-ref", "refs/mlv/model/v3", "model-v3")
    shutil.rmtree(hub.storage)
    hub.storage.mkdir()
    ada.registry.push("v1", "v2", whole=True)
    return World(hub, ada)


def test_killed_before_any_step(world: World, killer: Killer, tmp_path: Path) -> None:
    found = set()
    for at in itertools.count(1):
        world.load()
        step = killer(world.top, "propose", "v3", at=at, world=str(tmp_path))
        if not step:
            break
        try:
            found.add(world.is_proposed())
            world.check_here()
            assert killer(world.top, "propose", "v3", world=str(tmp_path)) == ""
            assert world.is_proposed()
            world.check_here()
        except BaseException as error:
            error.add_note(f"it had died before: {at}. {step}")
            raise
    assert found == {True, False}
    assert world.is_proposed()
