"""What is reviewed: which commits, as a forge and a shallow clone have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, ModelRegistry, NotFound

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from mlv.review.report import Report
    from tests.review.conftest import World

    Run = Callable[..., subprocess.CompletedProcess[str]]


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.blocking}


def test_the_merge_that_a_forge_makes_of_base_and_proposal_is_reviewed(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.git("switch", "-q", "main")
    world.write("train.py", "print('meanwhile')\n")
    world.git("switch", "-q", "--detach", "main")
    world.git("merge", "-q", "--no-ff", "--no-edit", "proposal")
    report = world.review("main..HEAD")
    assert report.findings == ()
    assert report.proposals[0].action == "promote"


def test_two_clean_changes_that_merge_into_two_live_versions_are_refused(world: World) -> None:
    """Text merges well where a registry does not: of a pointer, lines far apart."""
    world.propose("stage", "fraud-v3")
    world.git("switch", "-q", "--detach", "main")
    text = (world.top / "registry/fraud/pointer.json").read_text()
    world.git("merge", "-q", "--no-ff", "--no-commit", "proposal")
    merged = json.loads(text)
    merged["status"] = {"v3": "production", **merged["status"]}
    world.write("registry/fraud/pointer.json", json.dumps(merged, indent=2) + "\n", "Merge")
    assert rules(world.review("main..HEAD")) == {"pointer"}


def test_a_proposal_that_merged_main_in_is_told_not_to_be_forwarded_to(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.git("switch", "-q", "main")
    world.write("train.py", "print('meanwhile')\n")
    world.git("switch", "-q", "proposal")
    world.git("merge", "-q", "--no-edit", "main")
    report = world.review()
    assert report.passed
    assert [finding.rule for finding in report.findings] == ["history"]


def test_a_clone_that_is_too_shallow_is_told_what_to_fetch(
    world: World, git: Callable[..., str]
) -> None:
    world.propose("promote", "fraud-v3")
    world.git("push", "-q", "origin", "proposal")
    shallow = world.folder / "shallow"
    url = f"file://{world.folder / 'server.git'}"
    git(world.folder, "clone", "-q", "--depth=1", "--no-single-branch", "--template=", url,
        str(shallow))  # fmt: skip
    with pytest.raises(ConfigError, match="history is cut off here") as error:
        ModelRegistry.review(shallow, "origin/main..origin/proposal", remote=False)
    assert "git fetch --unshallow" in error.value.hint
    git(shallow, "fetch", "-q", "--depth=2", "origin", "proposal:refs/remotes/origin/proposal")
    git(shallow, "fetch", "-q", "--depth=1", "origin", "refs/tags/*:refs/tags/*")
    report = ModelRegistry.review(shallow, "origin/main..origin/proposal", remote=False)
    assert report.passed


def test_two_branches_that_were_merged_into_each_other_are_not_guessed_at(world: World) -> None:
    """A change may hide between two commits at which they part."""
    world.start()
    world.write("train.py", "print('one')\n")
    world.git("switch", "-q", "main")
    world.write("serve.py", "print('other')\n")
    ours = world.git("rev-parse", "main")
    world.git("merge", "-q", "--no-edit", "proposal")
    world.git("switch", "-q", "proposal")
    world.git("merge", "-q", "--no-edit", ours)
    world.write("train.py", "print('two')\n")
    with pytest.raises(ConfigError, match="part at more than one commit"):
        world.review()


def test_a_path_that_is_no_text_is_shown(world: World, mlv: Run) -> None:
    world.propose("promote", "fraud-v3")
    blob = world.git("hash-object", "-w", "mlv.yaml")
    world.git("update-index", "--add", "--cacheinfo", f"100644,{blob},code-\udce9\x1b[2J.py")
    world.git("commit", "-q", "-m", "Add")
    for form in ("text", "md", "json"):
        done = mlv(world.top, "review", "main..proposal", "--no-remote", "--format", form)
        assert (done.returncode, "\x1b[2J" in done.stdout) == (3, False)
        assert done.stderr == "error: the review refuses this change: alongside\n"


def test_a_commit_that_is_not_here_is_named(world: World) -> None:
    with pytest.raises(NotFound, match="no commit 'nowhere'"):
        world.review("main..nowhere")


def test_which_branch_is_the_base_is_not_left_to_a_branch_of_somebody(world: World) -> None:
    """Whoever may push a branch could name it the registry branch in its own mlv.yaml."""
    world.start("evil")
    world.write("mlv.yaml", "branch: evil\n")
    world.git("push", "-q", "origin", "evil")
    with pytest.raises(ConfigError, match="which branch says what is live"):
        ModelRegistry.review(world.top)
    world.git("remote", "set-head", "origin", "main")
    assert ModelRegistry.review(world.top).branch == "main"


# The command -------------------------------------------------------------------------------


def test_the_command_exits_with_3_where_it_refuses(world: World, mlv: Run) -> None:
    world.propose("promote", "fraud-v3")
    done = mlv(world.top, "review", "main..proposal")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ passed: promote fraud-v3")
    world.write("serve.py", "import os\n")
    done = mlv(world.top, "review", "main..proposal", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["passed"]) == (3, False)
    done = mlv(world.top, "review", "main..proposal", "--no-remote", "--format", "md")
    assert (done.returncode, "alongside" in done.stdout) == (3, True)
    done = mlv(world.top, "review", "main..proposal", "--no-remote", "-q")
    assert (done.returncode, done.stdout) == (3, "")


def test_only_what_is_recorded_as_forced_is_let_past_the_gate(world: World, mlv: Run) -> None:
    world.propose("promote", "fraud-v4", force=True, reason="To try it")
    assert rules(world.review()) == {"gate"}
    report = world.review(force=True)
    assert report.passed
    assert report.proposals[0].forced
    assert mlv(world.top, "review", "main..proposal", "--no-remote", "--force").returncode == 0
    text = json.loads((world.top / "registry/fraud/pointer.json").read_text())
    del text["forced"]
    world.write("registry/fraud/pointer.json", json.dumps(text, indent=2) + "\n")
    assert rules(world.review(force=True)) == {"gate"}


# Signatures --------------------------------------------------------------------------------


def test_versions_are_signed_where_the_base_wants_it(world: World) -> None:
    world.git("switch", "-q", "main")
    world.write("signers", "ada@example.com ssh-ed25519 AAAA\n")
    policy = "branch: main\nrequire_signed: all\nallowed_signers: signers\n"
    world.write("mlv.yaml", policy)
    world.start()
    world.git("checkout", "-q", "fraud-v3", "--", "registry/fraud")
    world.edit_pointer(current="v3", previous="v2", status={"v3": "production", "v2": "archived"})
    found = [(f.rule, f.subject) for f in world.review().blocking]
    head = world.git("rev-parse", "proposal")[:10]
    assert found == [("signature", "fraud-v2"), ("signature", "fraud-v3"), ("signature", head)]
