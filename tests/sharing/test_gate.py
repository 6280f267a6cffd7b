"""The gate where a promotion is published: the remote's, at the moment of publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlv import GateFailed
from mlv.store.gitremote import GitRemote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]


def state(machine: Machine, git: Git, gate: str) -> None:
    (machine.top / "mlv.yaml").write_text(f"gate: {gate}\n")
    git(machine.top, "commit", "--quiet", "--all", "--message", "A gate")


@pytest.fixture
def live(hub: Hub, ada: Machine, bob: Machine) -> Machine:
    """Return Ada's machine; v1 is live on the remote, v2 is 10 % worse, and Bob knows of it."""
    for seed, auc in ((1, 0.9), (2, 0.81)):
        ada.registry.register(hub.model(seed), None, {"auc": auc}, push=True)
    ada.registry.promote("v1", push=True)
    bob.registry.fetch()
    return ada


def test_the_remotes_gate_counts_and_nothing_is_published_past_it(
    hub: Hub, live: Machine, git: Git
) -> None:
    state(live, git, "{}")  # committed here, and not published
    before = hub.refs()
    for verb in ("stage", "promote"):
        with pytest.raises(GateFailed, match=r"auc is 0\.81, 10% worse; model-v1"):
            getattr(live.registry, verb)("v2", push=True)
    assert hub.refs() == before


def test_what_is_forced_is_published_as_such(hub: Hub, live: Machine, git: Git) -> None:
    live.registry.promote("v2", force=True, reason="v1 leaks", push=True)
    assert '"forced": [' in git(hub.bare, "show", "main:registry/model/pointer.json")
    assert "Mlv-Forced: v2" in git(hub.bare, "log", "-1", "--format=%B", "main")
    assert any("does not meet the gate" in note for note in live.notes)


def test_who_loses_a_race_is_judged_by_what_won_it(
    hub: Hub, live: Machine, bob: Machine, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.registry.register(hub.model(3), None, {"auc": 0.87}, push=True)
    live.registry.register(hub.model(4), None, {"auc": 0.95}, push=True)
    push = GitRemote.push
    raced: list[bool] = []

    def promoted_meanwhile(self: GitRemote, *order: Any) -> list[str]:
        if not raced:
            raced.append(True)
            bob.registry.fetch()
            bob.registry.promote("v4", push=True)
        return push(self, *order)

    assert live.registry.gate("v3").passed
    monkeypatch.setattr(GitRemote, "push", promoted_meanwhile)
    with pytest.raises(GateFailed, match=r"model-v4, which is live, has 0\.95"):
        live.registry.stage("v3", push=True)
    assert git(hub.bare, "log", "-1", "--format=%s", "main").startswith("Promote model-v4")
