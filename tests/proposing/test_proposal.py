"""Proposals as Git sees them: one commit, on a branch of its own; main is protected."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mlv import (
    ChangedMeanwhile,
    ConfigError,
    InvalidInput,
    ModelRegistry,
    RefusedByRemote,
)
from mlv.domain.names import Version
from mlv.domain.pointer import empty, promote
from mlv.errors import GateFailed
from mlv.moving.drafting import Moved
from mlv.proposing.proposal import branch_of
from mlv.store.gitremote import GitRemote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]
    Two = tuple[Machine, Machine]

POINTER = "registry/model/pointer.json"
BRANCH = "mlv/promote-model-v3"
REF = f"refs/heads/{BRANCH}"


def pointer(hub: Hub, branch: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hub.git(hub.bare, "show", f"{branch}:{POINTER}"))
    return found


def commit_on_main(hub: Hub, message: str = "Train better") -> str:
    """Have main move as when a pull request of somebody else is merged."""
    tree = hub.git(hub.bare, "rev-parse", "main^{tree}")
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "Eve"), ("EMAIL", "eve@example.com"))}  # fmt: skip
    new = hub.git(hub.bare, "commit-tree", tree, "-p", "main", "-m", message, env=who)
    hub.git(hub.bare, "update-ref", "refs/heads/main", new)
    return new


def merge(hub: Hub, commit: str = REF) -> None:
    """Have main move to a commit, as a forge does that merges."""
    hub.git(hub.bare, "update-ref", "refs/heads/main", commit)


def test_a_proposal_is_one_commit_on_the_remotes_main_which_stays(hub: Hub, three: Two) -> None:
    ada, _ = three
    main = hub.refs()["refs/heads/main"]
    proposed = ada.registry.propose("v3", reason="Better on the new data")
    assert (proposed.branch, proposed.base_commit, proposed.is_pushed) == (BRANCH, main, True)
    assert proposed.commit == hub.refs()[REF]
    assert hub.refs()["refs/heads/main"] == main
    assert hub.git(hub.bare, "rev-parse", f"{BRANCH}~") == main
    assert pointer(hub, BRANCH)["current"] == "v3"
    changed = hub.git(hub.bare, "diff", "--name-only", "main", BRANCH).splitlines()
    assert all(path.startswith("registry/model/") for path in changed)
    message = hub.git(hub.bare, "show", "-s", "--format=%B", BRANCH)
    assert message.startswith("Promote model-v3 to production (was v2)\n\nBetter on the new data\n")
    assert ada.registry.current_version() == "v2"
    assert (proposed.url, proposed.is_open, proposed.opened_with) == (None, False, None)
    assert proposed.title == "Promote model-v3 to production (was v2)"


def test_a_proposal_that_is_merged_is_live(hub: Hub, three: Two) -> None:
    ada, bob = three
    ada.registry.propose("v3")
    merge(hub)
    bob.registry.fetch()
    assert bob.registry.current_version() == "v3"


def dirty(machine: Machine, git: Git) -> None:
    (machine.top / "mlv.yaml").write_text("branch: main # edited\n")
    (machine.top / "new.txt").write_text("new\n")
    git(machine.top, "add", "new.txt")


def other_branch(machine: Machine, git: Git) -> None:
    git(machine.top, "switch", "--quiet", "--create", "feature")
    git(machine.top, "commit", "--quiet", "--allow-empty", "--message", "Mine")


def detached(machine: Machine, git: Git) -> None:
    git(machine.top, "switch", "--quiet", "--detach")
    git(machine.top, "branch", "--quiet", "--delete", "--force", "main")


def sparse(machine: Machine, git: Git) -> None:
    git(machine.top, "sparse-checkout", "set", "--no-cone", "/train.py", "/.dvc")


def diverged(machine: Machine, git: Git) -> None:
    git(machine.top, "commit", "--quiet", "--allow-empty", "--message", "Mine")


@pytest.mark.parametrize("state", [dirty, other_branch, detached, sparse, diverged])
def test_it_works_from_any_checkout_and_touches_nothing_there(
    hub: Hub, three: Two, git: Git, state: Callable[[Machine, Git], None]
) -> None:
    _, bob = three  # whose clone is stale: it has no version yet
    state(bob, git)
    ours = ("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/stash")
    index = (bob.top / ".git" / "index").read_bytes()
    before = [git(bob.top, *words) for words in (ours, ("status", "--porcelain"))]
    assert ModelRegistry(bob.top, notify=bob.notes.append).propose("v3").commit == hub.refs()[REF]
    assert [git(bob.top, *words) for words in (ours, ("status", "--porcelain"))] == before
    assert (bob.top / ".git" / "index").read_bytes() == index
    git(bob.top, "fsck", "--strict", "--no-dangling")


def test_it_works_from_a_linked_work_tree(hub: Hub, three: Two, git: Git, tmp_path: Path) -> None:
    ada, _ = three
    git(ada.top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    proposed = ModelRegistry(tmp_path / "linked", notify=lambda _: None).propose("v3")
    assert proposed.commit == hub.refs()[REF]
    assert proposed.body == ada.top / ".git" / "mlv" / "proposals" / "promote-model-v3.md"


@pytest.mark.usefixtures("three")
def test_it_works_from_a_bare_clone(hub: Hub, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(hub.bare), "bare.git")
    notes: list[str] = []
    registry = ModelRegistry(tmp_path / "bare.git", notify=notes.append)
    assert registry.propose("v3").commit == hub.refs()[REF]
    assert any("whether the bytes of model-v3 are there is not known" in note for note in notes)


def test_it_works_from_a_shallow_clone(hub: Hub, three: Two, git: Git, tmp_path: Path) -> None:
    ada, _ = three
    ada.registry.propose("v3", reason="Better")
    commit_on_main(hub)
    url = hub.bare.as_uri()
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=main", url, "shallow")
    registry = ModelRegistry(tmp_path / "shallow", notify=lambda _: None)
    assert registry.propose("v3").commit == hub.refs()[REF]
    assert "Better" in hub.git(hub.bare, "show", "-s", "--format=%B", BRANCH)


def test_a_branch_in_the_way_is_told_of(hub: Hub, three: Two) -> None:
    ada, _ = three
    hub.git(hub.bare, "update-ref", "refs/heads/mlv", "main")
    with pytest.raises(RefusedByRemote, match="origin refuses mlv/promote-model-v3"):
        ada.registry.propose("v3")


def test_an_unpublished_version_is_published_with_its_proposal_bytes_and_all(
    hub: Hub, three: Two
) -> None:
    ada, _ = three
    ada.registry.register(hub.model(4), None, push=False)
    ada.registry.propose("v4")
    assert "model-v4" in hub.tags()
    new = hub.machine("new").registry
    assert new.artifacts("v4")["model"].read_bytes() == hub.model(4).read_bytes()


def test_a_remote_that_refuses_the_branch_gets_no_tag_either(hub: Hub, three: Two) -> None:
    ada, _ = three
    hub.forbid("update", 'case "$1" in refs/heads/*) echo "no branches" >&2; exit 1;; esac')
    ada.registry.register(hub.model(4), None, push=False)
    before = hub.refs()
    with pytest.raises(RefusedByRemote, match="origin refuses mlv/promote-model-v4: no branches"):
        ada.registry.propose("v4")
    assert hub.refs() == before


def test_what_is_live_needs_no_proposal(hub: Hub, three: Two) -> None:
    ada, _ = three
    before = hub.refs()
    proposed = ada.registry.propose("v2")
    assert (proposed.branch, proposed.commit, proposed.is_pushed) == (None, None, False)
    assert "model-v2 is live already: there is nothing to propose" in ada.notes
    assert hub.refs() == before


# Rollbacks and several models ----------------------------------------------------------------


def test_a_rollback_is_proposed_likewise(hub: Hub, three: Two) -> None:
    ada, _ = three
    proposed = ada.registry.propose(action="rollback", reason="It finds fewer frauds")
    assert proposed.branch == "mlv/rollback-model-v1"
    assert pointer(hub, proposed.branch)["current"] == "v1"
    merge(hub, f"refs/heads/{proposed.branch}")
    with pytest.raises(Exception, match="already rolled back to model-v1 by Ada"):
        ada.registry.propose(action="rollback")


def test_a_rollback_to_a_version_further_back(hub: Hub, three: Two) -> None:
    ada, _ = three
    ada.registry.propose("v3")
    merge(hub)
    assert ada.registry.propose("v1", action="rollback").branch == "mlv/rollback-model-v1"


def test_from_stops_where_another_version_is_live(hub: Hub, three: Two) -> None:
    ada, _ = three
    with pytest.raises(ChangedMeanwhile, match="model-v2 is live, not model-v1"):
        ada.registry.propose("v3", from_=["v1"])
    assert REF not in hub.refs()
    assert ada.registry.propose("v3", from_=["v2"]).is_pushed


def test_several_models_go_into_one_proposal(hub: Hub, ada: Machine) -> None:
    for model in ("fraud", "ranker"):
        registry = ModelRegistry(ada.top, model, notify=lambda _: None)
        for seed in (1, 2):
            registry.register(hub.model(seed), None, push=True)
    ada.registry.move("promote", ["fraud-v1", "ranker-v1"], push=True)
    proposed = ada.registry.propose(["fraud-v2", "ranker-v2"])
    assert proposed.branch == "mlv/promote-fraud-v2-ranker-v2"
    assert hub.git(hub.bare, "rev-list", "--count", f"main..{proposed.branch}") == "1"
    for model in ("fraud", "ranker"):
        path = f"{proposed.branch}:registry/{model}/pointer.json"
        assert '"current": "v2"' in hub.git(hub.bare, "show", path)
    merge(hub, f"refs/heads/{proposed.branch}")
    back = ada.registry.propose(action="rollback", models=["fraud", "ranker"])
    assert back.branch == "mlv/rollback-fraud-v1-ranker-v1"


def test_a_branch_with_too_many_names_is_cut_and_stays_its_own() -> None:
    def moved(letter: str) -> tuple[Moved, ...]:
        models = [f"{letter}{number}{'x' * 60}" for number in range(9)]
        return tuple(
            Moved(Version(model, 1), empty(model), promote(empty(model), 1)) for model in models
        )

    names = {branch_of("promote", moved(letter)) for letter in "ab"}
    assert len(names) == 2
    assert all(len(name) < 200 for name in names)


# The gate ------------------------------------------------------------------------------------


def close_the_gate(hub: Hub, machine: Machine, git: Git) -> None:
    """Have main ask for a metric that no version states."""
    git(machine.top, "pull", "--quiet")
    (machine.top / "mlv.yaml").write_text("gate: {metrics: {roc_auc: {min: 0.9}}}\n")
    git(machine.top, "commit", "--quiet", "--all", "--message", "Ask for more")
    (hub.bare / "hooks" / "update").unlink()
    git(machine.top, "push", "--quiet")


def test_the_gate_of_main_is_enforced_unless_it_is_forced(hub: Hub, three: Two, git: Git) -> None:
    ada, bob = three
    close_the_gate(hub, ada, git)
    with pytest.raises(GateFailed, match="model-v3 does not meet the gate"):
        bob.registry.propose("v3")  # whose own mlv.yaml asks for nothing
    assert REF not in hub.refs()
    with pytest.raises(InvalidInput, match="needs a reason"):
        bob.registry.propose("v3", force=True)
    proposed = bob.registry.propose("v3", force=True, reason="The night on call")
    assert pointer(hub, BRANCH)["forced"] == ["v3"]
    assert proposed.moved[0].is_forced
    assert any("forced, and recorded" in note for note in bob.notes)
    assert proposed.body
    # As the check says, until somebody decides otherwise.
    assert "Refused" in proposed.body.read_text()
    assert not bob.registry.propose("v3", force=True, reason="The night on call").is_pushed
    assert bob.registry.propose(action="rollback").is_pushed  # which passes no gate


# Proposing again -----------------------------------------------------------------------------


def test_proposing_again_pushes_nothing(hub: Hub, three: Two) -> None:
    ada, bob = three
    first = ada.registry.propose("v3", reason="Better")
    for machine in (ada, bob):
        again = machine.registry.propose("v3")
        assert (again.commit, again.is_pushed) == (first.commit, False)
        assert "is on origin already, by Ada Lovelace" in machine.notes[-1]
    assert hub.refs()[REF] == first.commit


def test_another_reason_makes_another_commit(hub: Hub, three: Two) -> None:
    ada, _ = three
    first = ada.registry.propose("v3", reason="Better")
    second = ada.registry.propose("v3", reason="Better, and faster")
    assert second.is_pushed
    assert second.commit == hub.refs()[REF] != first.commit


def test_a_base_that_moved_brings_a_new_commit_with_the_old_reason(hub: Hub, three: Two) -> None:
    ada, bob = three
    first = ada.registry.propose("v3", reason="Better on the new data")
    main = commit_on_main(hub)
    second = bob.registry.propose("v3")
    assert second.is_pushed
    assert second.commit == hub.refs()[REF] != first.commit
    assert hub.git(hub.bare, "rev-parse", f"{BRANCH}~") == main
    assert "Better on the new data" in hub.git(hub.bare, "show", "-s", "--format=%B", BRANCH)


def test_a_branch_into_which_main_was_merged_is_still_a_proposal(
    hub: Hub, three: Two, git: Git
) -> None:
    ada, bob = three
    ada.registry.propose("v3")
    main = commit_on_main(hub)
    git(ada.top, "fetch", "--quiet")
    git(ada.top, "switch", "--quiet", BRANCH)
    git(ada.top, "merge", "--quiet", "--no-edit", main)  # a forge's button "Update branch"
    git(ada.top, "push", "--quiet")
    assert bob.registry.propose("v3").is_pushed
    assert hub.git(hub.bare, "rev-parse", f"{BRANCH}~") == main


@pytest.mark.parametrize("path", ["train.py", POINTER])
def test_somebodys_commits_on_the_branch_are_left_alone(
    hub: Hub, three: Two, git: Git, path: str
) -> None:
    ada, bob = three
    ada.registry.propose("v3")
    git(bob.top, "fetch", "--quiet")
    git(bob.top, "switch", "--quiet", BRANCH)
    (bob.top / path).write_text("{}\n")
    git(bob.top, "add", path)
    git(bob.top, "commit", "--quiet", "--message", "A word of my own")
    git(bob.top, "push", "--quiet")
    theirs = hub.refs()[REF]
    commit_on_main(hub)
    with pytest.raises(ChangedMeanwhile, match=r"by Bob, .* \(A word of my own\)") as caught:
        ada.registry.propose("v3")
    assert f"git push origin --delete {BRANCH}" in caught.value.hint
    assert hub.refs()[REF] == theirs
    git(ada.top, "push", "--quiet", "origin", "--delete", BRANCH)
    assert ada.registry.propose("v3").is_pushed


def test_a_merged_branch_that_is_still_there_is_replaced(hub: Hub, three: Two) -> None:
    ada, _ = three
    ada.registry.propose("v3")
    merge(hub)
    ada.registry.propose(action="rollback")
    merge(hub, "refs/heads/mlv/rollback-model-v2")
    again = ada.registry.propose("v3", reason="Once more")
    assert again.is_pushed
    assert hub.git(hub.bare, "rev-parse", f"{BRANCH}~") == hub.refs()["refs/heads/main"]


def test_a_branch_that_was_squashed_into_main_is_replaced(hub: Hub, three: Two) -> None:
    ada, _ = three
    ada.registry.propose("v3")
    commit_on_main(hub)
    tree = hub.git(hub.bare, "rev-parse", f"{BRANCH}^{{tree}}")
    who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.com")
    squashed = hub.git(hub.bare, *who, "commit-tree", tree, "-p", "main", "-m", "Promote (#7)")
    merge(hub, squashed)
    ada.registry.propose(action="rollback")
    merge(hub, "refs/heads/mlv/rollback-model-v2")
    assert ada.registry.propose("v3").is_pushed


# Two at once ---------------------------------------------------------------------------------


def test_of_two_who_propose_the_same_one_finds_it_done(
    hub: Hub, three: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = three
    push, waits = GitRemote.push, [True]

    def proposed_meanwhile(self: GitRemote, *arguments: Any) -> Any:
        if waits:
            waits.clear()
            ada.registry.propose("v3", reason="I was faster")
        return push(self, *arguments)

    monkeypatch.setattr(GitRemote, "push", proposed_meanwhile)
    done = bob.registry.propose("v3", reason="Bob's own")
    assert not done.is_pushed
    assert done.commit == hub.refs()[REF]
    assert "I was faster" in hub.git(hub.bare, "show", "-s", "--format=%B", BRANCH)
    assert any("is on origin already, by Ada Lovelace" in note for note in bob.notes)


def test_a_branch_that_moves_while_it_is_replaced_is_not_overwritten(
    hub: Hub, three: Two, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = three
    ada.registry.propose("v3")
    commit_on_main(hub)
    push, waits = GitRemote.push, [True]

    def edited_meanwhile(self: GitRemote, *arguments: Any) -> Any:
        if waits:
            waits.clear()
            git(ada.top, "switch", "--quiet", BRANCH)
            git(ada.top, "commit", "--quiet", "--allow-empty", "--message", "A word")
            git(ada.top, "push", "--quiet", "origin", BRANCH)
        return push(self, *arguments)

    monkeypatch.setattr(GitRemote, "push", edited_meanwhile)
    with pytest.raises(ChangedMeanwhile, match=r"carries a commit .* \(A word\)"):
        bob.registry.propose("v3")
    assert hub.git(hub.bare, "show", "-s", "--format=%s", BRANCH) == "A word"


def test_a_main_that_moves_between_lets_the_proposal_be_made_on_what_was_seen(
    hub: Hub, three: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = three
    push = GitRemote.push

    def moved_meanwhile(self: GitRemote, *arguments: Any) -> Any:
        commit_on_main(hub)
        return push(self, *arguments)

    monkeypatch.setattr(GitRemote, "push", moved_meanwhile)
    first = ada.registry.propose("v3")
    assert first.base_commit != hub.refs()["refs/heads/main"]


# What cannot be proposed ---------------------------------------------------------------------


def test_an_empty_remote_has_nothing_to_propose_against(
    three: Two, git: Git, tmp_path: Path
) -> None:
    ada, _ = three
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    git(ada.top, "remote", "set-url", "origin", str(tmp_path / "empty.git"))
    with pytest.raises(ConfigError, match="origin has no branch main yet"):
        ada.registry.propose("v3")


def test_only_promotions_and_rollbacks_are_proposed(three: Two) -> None:
    ada, _ = three
    with pytest.raises(InvalidInput, match="yank is not proposed"):
        ada.registry.propose("v3", action="yank", reason="It is wrong")


def test_a_reason_with_control_characters_is_refused(hub: Hub, three: Two) -> None:
    ada, _ = three
    with pytest.raises(InvalidInput, match="the reason is empty or holds control characters"):
        ada.registry.propose("v3", reason="\x1b[2J")
    assert REF not in hub.refs()


def test_a_clone_whose_disk_takes_no_note_has_proposed_all_the_same(hub: Hub, three: Two) -> None:
    ada, _ = three
    shutil.rmtree(ada.top / ".git" / "mlv" / "proposals", ignore_errors=True)
    (ada.top / ".git" / "mlv" / "proposals").write_text("in the way")
    proposed = ada.registry.propose("v3")
    assert (proposed.commit, proposed.body) == (hub.refs()[REF], None)
