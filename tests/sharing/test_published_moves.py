"""Promotions and rollbacks with ``--push``: decided on the remote's branch, published there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mlv import (
    ChangedMeanwhile,
    ConfigError,
    InvalidInput,
    ModelRegistry,
    NoPreviousVersion,
    StatusError,
)
from mlv.sharing import branch as sharing_branch
from mlv.store.dvc.remote import Remote
from mlv.store.gitremote import GitRemote

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

POINTER = "registry/model/pointer.json"


@pytest.fixture
def three(hub: Hub, ada: Machine, bob: Machine) -> tuple[Machine, Machine]:
    """Return Ada's and Bob's machine: v1 was live, v2 is, v3 is registered. Bob's is stale."""
    for seed in (1, 2, 3):
        ada.registry.register(hub.model(seed), None, push=True)
    for version in ("v1", "v2"):
        ada.registry.promote(version, push=True)
    return ada, bob


def live(hub: Hub) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hub.git(hub.bare, "show", f"main:{POINTER}"))
    return found


def test_it_works_from_a_stale_clone_and_a_dirty_tree(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    _, bob = three
    (bob.top / "mlv.yaml").write_text("branch: main # edited\n")
    (bob.top / "new.txt").write_text("untracked\n")
    git(bob.top, "add", "new.txt")
    before = git(bob.top, "status", "--porcelain")
    assert bob.registry.promote("v3", push=True, reason="Better") == "v3"
    assert (live(hub)["current"], live(hub)["previous"]) == ("v3", "v2")
    assert git(bob.top, "status", "--porcelain") == before
    assert git(bob.top, "rev-parse", "main") == hub.refs()["refs/heads/main"]
    assert bob.registry.current_version() == "v3"
    assert "model-v2 is live on origin" in bob.notes
    git(bob.top, "fsck", "--strict", "--no-dangling")


def test_it_works_from_another_branch_and_from_a_detached_head(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    _, bob = three
    git(bob.top, "switch", "--quiet", "--create", "feature")
    bob.registry.promote("v3", push=True)
    assert git(bob.top, "rev-parse", "main") == hub.refs()["refs/heads/main"]
    git(bob.top, "switch", "--quiet", "--detach")
    git(bob.top, "branch", "--quiet", "--delete", "--force", "main")
    bob.registry.rollback(push=True)
    assert live(hub)["current"] == "v2"
    assert bob.registry.current_version() == "v2"


def test_only_the_models_folder_changes_on_the_remote(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    ada, bob = three
    (ada.top / "train.py").write_text("newer\n")
    git(ada.top, "add", "train.py")
    git(ada.top, "commit", "--quiet", "--message", "Train better")
    git(ada.top, "push", "--quiet")
    bob.registry.promote("v3", push=True)
    changed = git(hub.bare, "diff", "--name-only", "main~", "main").splitlines()
    assert all(path.startswith("registry/model/") for path in changed)
    assert git(hub.bare, "show", "main:train.py") == "newer"


def test_a_branch_that_has_diverged_is_left_alone_with_a_word(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    ada, _ = three
    git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "Mine")
    mine = git(ada.top, "rev-parse", "main")
    ada.registry.promote("v3", push=True)
    assert live(hub)["current"] == "v3"
    assert git(ada.top, "rev-parse", "main") == mine
    assert any("has diverged from origin/main and is left alone" in note for note in ada.notes)


def test_an_unpublished_promotion_here_does_not_count(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    ada, _ = three
    ada.registry.promote("v3", push=False)
    assert ada.registry.rollback(push=True) == "v1"
    assert live(hub)["current"] == "v1"


def test_files_edited_by_hand_stop_the_local_branch_alone(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    ada, _ = three
    (ada.top / POINTER).write_text("{}")
    ada.registry.promote("v3", push=True)
    assert live(hub)["current"] == "v3"
    assert (ada.top / POINTER).read_text() == "{}"
    assert any("published, but main here does not follow" in note for note in ada.notes)
    assert ada.registry.current_version() == "v3"  # the remote's branch is ahead, and read


def test_a_fast_forward_that_git_refuses_leaves_the_users_files(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    ada, bob = three
    (ada.top / "train.py").write_text("newer\n")
    git(ada.top, "add", "train.py")
    git(ada.top, "commit", "--quiet", "--message", "Train better")
    git(ada.top, "push", "--quiet")
    (bob.top / "train.py").write_text("my own\n")
    before = git(bob.top, "rev-parse", "main")
    bob.registry.promote("v3", push=True)
    assert any("published, but main here does not follow" in note for note in bob.notes)
    assert git(bob.top, "rev-parse", "main") == before
    assert git(bob.top, "status", "--porcelain") == "?? train.py"
    assert (bob.top / "train.py").read_text() == "my own\n"
    (bob.top / "train.py").unlink()
    bob.registry.promote("v3", push=True)  # is live, and nothing is in the way any more
    assert git(bob.top, "rev-parse", "main") == hub.refs()["refs/heads/main"]


def test_bytes_that_were_pulled_follow(
    hub: Hub, three: tuple[Machine, Machine], git: Git, dvc: Callable[..., str]
) -> None:
    ada, bob = three
    git(bob.top, "pull", "--quiet")
    dvc(bob.top, "pull")
    assert (bob.top / "registry/model/model.pkl").read_bytes() == hub.model(2).read_bytes()
    git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "Between")
    git(ada.top, "push", "--quiet")
    bob.registry.promote("v3", push=True)  # Bob lacks Ada's commit, and v3's bytes
    assert not (bob.top / "registry/model/model.pkl").exists()
    dvc(bob.top, "pull")
    assert (bob.top / "registry/model/model.pkl").read_bytes() == hub.model(3).read_bytes()


def test_bytes_of_another_model_follow_when_somebody_else_promoted_that(
    hub: Hub, two_models: Path, dvc: Callable[..., str]
) -> None:
    bob = hub.machine("bob")
    dvc(bob.top, "pull")
    assert ModelRegistry(two_models, notify=lambda _: None).promote("fraud-v3", push=True)
    bob.registry.promote("ranker-v3", push=True)
    for model in ("fraud", "ranker"):
        assert not (bob.top / "registry" / model / "model.pkl").exists()  # v3's are not here


def test_an_unpublished_version_is_published_with_its_promotion(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    ada, _ = three
    ada.registry.register(hub.model(4), None, push=False)
    ada.registry.promote("v4", push=True)
    assert "model-v4" in hub.tags()
    new = hub.machine("new").registry
    assert new.artifacts("@production")["model"].read_bytes() == hub.model(4).read_bytes()


def test_a_first_promotion_to_an_empty_remote_publishes_all_that_it_speaks_of(
    hub: Hub, tmp_path: Path, git: Git
) -> None:
    git(tmp_path, "clone", "--quiet", str(hub.bare), "first")
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    git(tmp_path / "first", "remote", "set-url", "origin", str(tmp_path / "empty.git"))
    git(tmp_path / "first", "update-ref", "-d", "refs/remotes/origin/main")
    registry = ModelRegistry(tmp_path / "first", notify=lambda _: None)
    for seed in (1, 2):
        registry.register(hub.model(seed), None)
    registry.promote("v1")
    registry.promote("v2", push=True)
    there = git(tmp_path / "empty.git", "for-each-ref", "--format=%(refname:short)").split()
    assert there == ["main", "model-v1", "model-v2"]
    assert '"previous": "v1"' in git(tmp_path / "empty.git", "show", f"main:{POINTER}")


# What the operator saw ------------------------------------------------------------------------


def test_a_rollback_stops_if_production_is_not_what_was_seen(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    ada, bob = three
    ada.registry.promote("v3", push=True, reason="Fresher")
    with pytest.raises(ChangedMeanwhile, match=r"model-v3 is live, not model-v2.*Ada Lovelace"):
        bob.registry.rollback(from_="v2", push=True)
    assert live(hub)["current"] == "v3"


def test_of_two_rollbacks_at_once_the_second_goes_no_further(
    hub: Hub, three: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = three
    push = GitRemote.push
    raced: list[bool] = []

    def rolled_back_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if not raced:
            raced.append(True)
            ada.registry.rollback(push=True)
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", rolled_back_meanwhile)
    with pytest.raises(ChangedMeanwhile, match="already rolled back to model-v1 by Ada"):
        bob.registry.rollback(push=True)
    assert (live(hub)["current"], live(hub)["previous"]) == ("v1", None)
    with pytest.raises(NoPreviousVersion, match="already rolled back to model-v1 by Ada Lovelace"):
        bob.registry.rollback(push=True)


def test_a_promotion_that_lost_to_another_commit_is_decided_again(
    hub: Hub, three: tuple[Machine, Machine], git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = three
    push = GitRemote.push
    raced: list[bool] = []

    def pushed_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if len(raced) < 3:
            raced.append(True)
            git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")
            git(ada.top, "push", "--quiet")
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", pushed_meanwhile)
    bob.registry.promote("v3", push=True)
    subjects = git(hub.bare, "log", "-4", "--format=%s", "main").splitlines()
    assert subjects == ["Promote model-v3 to production (was v2)", *["Meanwhile"] * 3]


def test_a_push_whose_answer_was_lost_counts_as_done(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    _, bob = three
    hub.forbid("post-receive", "kill -9 $PPID")  # the line is cut after the refs have moved
    bob.registry.promote("v3", push=True)
    assert live(hub)["current"] == "v3"
    assert bob.registry.current_version() == "v3"


def test_a_branch_that_was_reset_on_the_remote_is_not_brought_back(
    hub: Hub, three: tuple[Machine, Machine], git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = three
    push = GitRemote.push
    raced: list[bool] = []

    def reset_meanwhile(self: GitRemote, updates: Any, *options: Any) -> Any:
        if not raced:
            raced.append(True)
            git(hub.bare, "update-ref", "refs/heads/main", "main~")  # v2's promotion is taken back
        return push(self, updates, *options)

    monkeypatch.setattr(GitRemote, "push", reset_meanwhile)
    with pytest.raises(ChangedMeanwhile, match="model-v1 is live, not model-v2"):
        bob.registry.promote("v3", push=True)
    assert live(hub)["current"] == "v1"


# Bytes ----------------------------------------------------------------------------------------


def test_bytes_that_the_dvc_remote_lost_are_brought_back_before_the_promotion(
    hub: Hub, three: tuple[Machine, Machine]
) -> None:
    ada, _ = three
    for path in [path for path in hub.storage.rglob("*") if path.is_file()]:
        path.unlink()
    ada.registry.promote("v3", push=True)
    assert hub.objects() == 1
    assert hub.machine("new").registry.load()["model"]["seed"] == 3


def test_an_outage_of_the_dvc_remote_stops_a_promotion_but_no_rollback(
    hub: Hub, three: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = three

    def out_of_order(*_: object) -> None:
        from mlv import ProgramError

        raise ProgramError("DVC could not ask: connection refused", hint="try later")

    monkeypatch.setattr(Remote, "sizes", out_of_order)
    with pytest.raises(Exception, match="connection refused"):
        ada.registry.promote("v3", push=True)
    assert ada.registry.rollback(push=True) == "v1"
    assert any("whether the bytes of model-v1 are there is not known" in n for n in ada.notes)
    assert live(hub)["current"] == "v1"


# Several models -------------------------------------------------------------------------------


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("how", ["--bare", "--sparse"])
def test_a_rollback_goes_on_in_a_clone_without_dvc_but_no_promotion(
    hub: Hub, git: Git, how: str
) -> None:
    git(hub.folder, "clone", "--quiet", how, str(hub.bare), "night")
    night = hub.open(hub.folder / "night")
    with pytest.raises(ConfigError, match=r"DVC (needs a work tree|is not set up)"):
        night.registry.promote("v3", push=True)
    assert night.registry.rollback(push=True) == "v1"
    assert live(hub)["current"] == "v1"
    assert any("whether the bytes of model-v1 are there is not known" in n for n in night.notes)


def test_a_remote_that_is_pushed_to_elsewhere_is_read_there(
    hub: Hub, three: tuple[Machine, Machine], git: Git
) -> None:
    """A mirror to read from lags behind, and says nothing of what may be swapped."""
    _, bob = three
    git(hub.folder, "clone", "--quiet", "--mirror", str(hub.bare), "mirror.git")
    git(bob.top, "remote", "set-url", "origin", str(hub.folder / "mirror.git"))
    git(bob.top, "remote", "set-url", "--push", "origin", str(hub.bare))
    assert bob.registry.register(hub.model(4), None, push=True) == "v4"
    assert bob.registry.promote("v4", push=True) == "v4"
    assert bob.registry.rollback(push=True) == "v2"
    assert (live(hub)["current"], live(hub)["previous"]) == ("v2", None)
    git(bob.top, "remote", "set-url", "--add", "--push", "origin", str(hub.folder / "mirror.git"))
    with pytest.raises(ConfigError, match="is pushed to 2 places at once"):
        bob.registry.promote("v3", push=True)


@pytest.fixture
def two_models(hub: Hub, ada: Machine) -> Path:
    """Return a clone in which `fraud` and `ranker` have three versions each, v2 live of both."""
    for model in ("fraud", "ranker"):
        registry = ModelRegistry(ada.top, model, notify=lambda _: None)
        for seed in (1, 2, 3):
            registry.register(hub.model(seed), None, push=True)
    for number in (1, 2):
        ada.registry.move("promote", [f"fraud-v{number}", f"ranker-v{number}"], push=True)
    return ada.top


def pointers(hub: Hub) -> list[str]:
    return [
        json.loads(hub.git(hub.bare, "show", f"main:registry/{model}/pointer.json"))["current"]
        for model in ("fraud", "ranker")
    ]


@pytest.mark.parametrize("push", [False, True])
def test_several_models_go_live_and_back_in_one_commit(
    hub: Hub, two_models: Path, git: Git, mlv: Mlv, push: bool
) -> None:
    how = "--push" if push else "--no-push"
    before = git(two_models, "rev-list", "--count", "main")
    done = mlv(two_models, "promote", "fraud-v3", "ranker-v3", how)
    assert done.returncode == 0, done.stderr
    assert "● fraud-v3 is live (was fraud-v2)\n● ranker-v3 is live (was ranker-v2)" in done.stdout
    assert git(two_models, "rev-list", "--count", "main") == str(int(before) + 1)
    message = git(two_models, "log", "-1", "--format=%B", "main")
    assert message.startswith("Promote fraud-v3, ranker-v3 to production (was v2, v2)\n")
    assert message.count("Mlv-Model: ") == 2
    assert git(two_models, "status", "--porcelain") == ""
    done = mlv(two_models, "rollback", "fraud", "ranker", how, "--json")
    assert [each["tag"] for each in json.loads(done.stdout)] == ["fraud-v2", "ranker-v2"]
    assert git(two_models, "rev-list", "--count", "main") == str(int(before) + 2)
    assert pointers(hub) == ["v2", "v2"]


@pytest.mark.parametrize("push", [False, True])
def test_if_one_model_cannot_move_none_does(
    hub: Hub, two_models: Path, git: Git, push: bool
) -> None:
    registry = ModelRegistry(two_models, notify=lambda _: None)
    registry.move("rollback", models=["ranker"], push=True)
    before = (git(two_models, "rev-parse", "main"), hub.refs())
    with pytest.raises(NoPreviousVersion, match="already rolled back to ranker-v1"):
        registry.move("rollback", models=["fraud", "ranker"], push=push)
    with pytest.raises(ChangedMeanwhile, match="ranker-v1 is live, not ranker-v2"):
        registry.move("promote", ["fraud-v3", "ranker-v3"], from_=["ranker-v2"], push=push)
    with pytest.raises(StatusError, match="cannot roll back to ranker-v3"):
        registry.move("rollback", ["fraud-v1", "ranker-v3"], push=push)
    assert (git(two_models, "rev-parse", "main"), hub.refs()) == before


def test_a_model_named_twice_or_not_to_be_moved_is_refused(two_models: Path) -> None:
    registry = ModelRegistry(two_models, notify=lambda _: None)
    with pytest.raises(InvalidInput, match="are of one model"):
        registry.move("promote", ["fraud-v1", "fraud-v3"])
    with pytest.raises(InvalidInput, match="'ranker-v2' is not of the model"):
        registry.move("promote", ["fraud-v3"], from_=["ranker-v2"])


def test_one_that_is_live_already_is_said_and_the_other_moves(two_models: Path, mlv: Mlv) -> None:
    done = mlv(two_models, "promote", "fraud-v2", "ranker-v3", "--no-push")
    assert done.returncode == 0
    assert "fraud-v2 is live already: nothing was changed" in done.stderr
    assert done.stdout.startswith("● ranker-v3 is live (was ranker-v2)\n")


def test_the_loop_gives_up_in_the_end(
    hub: Hub, three: tuple[Machine, Machine], git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = three
    push = GitRemote.push

    def always_faster(self: GitRemote, updates: Any, *options: Any) -> Any:
        git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "Faster")
        git(ada.top, "push", "--quiet")
        return push(self, updates, *options)

    monkeypatch.setattr(sharing_branch, "_ATTEMPTS", 2)
    monkeypatch.setattr(GitRemote, "push", always_faster)
    with pytest.raises(ChangedMeanwhile, match="main changed meanwhile on origin"):
        bob.registry.promote("v3", push=True)
    assert live(hub)["current"] == "v2"
