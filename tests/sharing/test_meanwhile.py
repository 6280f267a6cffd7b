"""What another process here, or another machine of this user, does at the same moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ChangedMeanwhile
from mlv.registering import publication
from mlv.store.gitremote import GitRemote

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]


def test_a_version_that_is_registered_while_its_number_is_fetched_stays(
    hub: Hub, ada: Machine, bob: Machine, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's own fetch would put the remote's tag over it."""
    ada.registry.register(hub.model(1), None, push=True)
    fetch = GitRemote.fetch
    raced: list[bool] = []

    def registered_meanwhile(self: GitRemote, refspecs: Any) -> None:
        if not raced:
            raced.append(True)
            assert hub.open(bob.top).registry.register(hub.model(2), None) == "v1"
        fetch(self, refspecs)

    monkeypatch.setattr(GitRemote, "fetch", registered_meanwhile)
    assert [version.name for version in bob.registry.fetch().taken] == ["v1"]
    assert git(bob.top, "rev-parse", "model-v1") == git(bob.top, "rev-parse", "refs/mlv/model/v1")
    [(old, new)] = bob.registry.push().renumbered
    assert (old.name, new.name) == ("v1", "v2")
    assert bob.registry.load("v2")["model"]["seed"] == 2


def test_a_registration_that_another_process_here_publishes_first_is_published(
    hub: Hub, ada: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = GitRemote.push
    raced: list[bool] = []

    def published_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if not raced:
            raced.append(True)
            hub.open(ada.top).registry.push("v1")
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", published_meanwhile)
    assert ada.registry.register(hub.model(1), None, push=True) == "v1"
    assert hub.tags() == ["model-v1"]


def test_what_a_tag_publishes_is_told_once_however_often_the_push_is_tried(
    hub: Hub, ada: Machine, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "Work")
    ada.registry.promote(ada.registry.register(hub.model(1), None))
    push = GitRemote.push
    raced: list[bool] = []

    def moved_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if not raced:
            raced.append(True)
            other = git(hub.bare, "commit-tree", "main^{tree}", "-p", "main", "-m", "Other work")
            git(hub.bare, "update-ref", "refs/heads/main", other)
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", moved_meanwhile)
    assert [version.name for version in ada.registry.push().versions] == ["v1"]
    assert len([note for note in ada.notes if "publishes" in note]) == 1


def test_the_same_bytes_registered_by_one_user_in_the_same_second_are_two_versions(
    hub: Hub, ada: Machine, monkeypatch: pytest.MonkeyPatch, tick: Callable[[], datetime]
) -> None:
    now = tick()
    monkeypatch.setattr(publication, "datetime", SimpleNamespace(now=lambda _: now))
    laptop = hub.machine("laptop")
    for machine in (ada, laptop):
        machine.registry.register(hub.model(1), None, push=False)
    assert [version.name for version in ada.registry.push().versions] == ["v1"]
    assert [version.name for version in laptop.registry.push().versions] == ["v2"]


def test_the_same_rollback_by_one_user_in_the_same_second_is_told_once(
    hub: Hub, ada: Machine, monkeypatch: pytest.MonkeyPatch, tick: Callable[[], datetime]
) -> None:
    for seed in (1, 2):
        ada.registry.promote(ada.registry.register(hub.model(seed), None, push=True), push=True)
    laptop = hub.machine("laptop")
    push = GitRemote.push
    raced: list[bool] = []
    tick()

    def rolled_back_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if not raced:
            raced.append(True)
            ada.registry.rollback(push=True)
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", rolled_back_meanwhile)
    with pytest.raises(ChangedMeanwhile, match="already rolled back to model-v1"):
        laptop.registry.rollback(push=True)
