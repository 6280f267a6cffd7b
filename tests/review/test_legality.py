"""A pointer moves as mlv's own verbs move it, from what is live at the base; or it is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlv.review.report import Report
    from tests.review.conftest import World

SOON, MANY = 20, 100  # seconds, and findings


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.blocking}


@pytest.mark.parametrize(
    ("action", "refs", "told"),
    [
        ("promote", ["fraud-v3"], ("promote", 3)),
        ("stage", ["fraud-v3"], ("stage", 3)),
        ("rollback", ["fraud-v1"], ("rollback", 1)),
        ("yank", ["fraud-v1"], ("yank", 1)),
    ],
)
def test_what_mlv_itself_does_passes(
    world: World, action: str, refs: list[str], told: tuple[str, int]
) -> None:
    world.propose(action, *refs, **({"reason": "Bad data"} if action == "yank" else {}))
    report = world.review()
    assert report.findings == ()
    [proposal] = report.proposals
    assert (proposal.model, proposal.action) == ("fraud", told[0])
    assert proposal.proposed is not None
    assert proposal.proposed.manifest.version.number == told[1]
    assert {check.name: check.outcome for check in report.checks} == {
        "pointer": "passed",
        "folder": "passed",
        "alongside": "passed",
        "tags": "passed",
        "gate": "passed",
        "signatures": "not checked",
        "bytes": "passed",
        "pickles": "passed" if action == "yank" else "not checked",
    }


def test_a_change_of_code_alone_passes_with_a_short_report(world: World) -> None:
    world.start()
    world.write("train.py", "print('better')\n")
    report = world.review()
    assert (report.findings, report.proposals) == ((), ())
    assert [check.name for check in report.checks] == ["pointer", "folder", "alongside"]


def test_two_steps_in_one_proposal_pass(world: World) -> None:
    world.propose("yank", "fraud-v1", reason="Bad data")
    world.git("branch", "-q", "-f", "main", "proposal")
    world.git("switch", "-q", "main")
    world.registry.promote("fraud-v3")
    assert world.review("origin/main..main").findings == ()


def test_a_model_that_went_live_meanwhile_makes_it_stale(world: World) -> None:
    world.propose("stage", "fraud-v3")
    world.git("switch", "-q", "main")
    world.registry.promote("fraud-v3")
    report = world.review()
    assert rules(report) == {"stale"}
    [finding] = report.blocking
    assert "changed on main" in finding.message


def test_another_model_that_moved_meanwhile_does_not(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.git("switch", "-q", "main")
    world.registry.move("promote", ["ranker-v2"])
    assert world.review().findings == ()


def test_two_versions_in_production_are_refused(world: World) -> None:
    world.start()
    world.edit_pointer(status={"v3": "production"})
    report = world.review()
    assert rules(report) == {"pointer"}
    assert "in production is v3, v2" in report.blocking[0].message


def test_a_status_that_no_verb_gives_is_named(world: World) -> None:
    world.start()
    world.edit_pointer(status={"v3": "archived"})
    [finding] = world.review().blocking
    assert finding.rule == "pointer"
    assert "v3 registered -> archived" in finding.message


def test_a_version_without_a_tag_is_refused(world: World) -> None:
    world.start()
    world.edit_pointer(status={"v9": "staging"})
    assert rules(world.review()) == {"tag"}


def test_a_pointer_that_is_removed_is_refused(world: World) -> None:
    world.start()
    world.git("rm", "-q", "registry/fraud/pointer.json")
    world.git("commit", "-q", "-m", "Remove")
    assert "history" in rules(world.review())


@pytest.mark.parametrize("now", ["production", "staging", "archived"])
def test_what_was_yanked_does_not_come_back(world: World, now: str) -> None:
    world.registry.yank("fraud-v3", reason="Bad data")
    world.start()
    if now == "production":
        world.edit_pointer(status={"v2": "archived", "v3": now}, current="v3", previous="v2")
    elif now == "staging":
        world.edit_pointer(status={"v3": now})
    else:
        world.edit_pointer(status={"v3": now, "v4": "staging"})
    found = rules(world.review())
    assert ("withdrawn" in found) == (now != "archived")


def test_a_yank_that_is_taken_back_on_its_own_passes(world: World) -> None:
    world.registry.yank("fraud-v3", reason="Bad data")
    world.propose("unyank", "fraud-v3")
    assert world.review().findings == ()


# Reverts -----------------------------------------------------------------------------------


def test_the_revert_of_a_promotion_is_a_rollback(world: World) -> None:
    world.registry.promote("fraud-v3")
    world.start()
    world.git("revert", "--no-edit", "main")
    report = world.review()
    assert report.findings == ()
    [proposal] = report.proposals
    assert proposal.action == "revert"


def test_a_revert_keeps_what_was_withdrawn_since(world: World) -> None:
    world.registry.promote("fraud-v3")
    world.registry.yank("fraud-v1", reason="Bad data")
    world.start()
    world.git("checkout", "-q", "main~2", "--", "registry/fraud")
    world.edit_pointer(status={"v1": "yanked"})
    assert world.review().findings == ()


def test_a_revert_that_forgets_a_yank_is_refused(world: World) -> None:
    world.registry.promote("fraud-v3")
    world.registry.yank("fraud-v1", reason="Bad data")
    world.start()
    world.git("checkout", "-q", "main~2", "--", "registry/fraud")
    world.git("commit", "-q", "-m", "Revert all of it")
    [finding] = world.review().blocking
    assert (finding.rule, finding.subject) == ("withdrawn", "fraud-v1")


def test_the_revert_of_a_rollback_must_meet_the_gate(world: World) -> None:
    world.registry.promote("fraud-v4", force=True, reason="To try it")
    world.registry.rollback(to="fraud-v2")
    world.start()
    world.git("revert", "--no-edit", "main")
    report = world.review()
    assert rules(report) == {"gate"}
    assert report.proposals[0].action == "promote"


def test_the_first_step_of_a_model_may_be_reverted(world: World) -> None:
    world.start()
    world.git("revert", "--no-edit", "main")
    report = world.review()
    assert report.findings == ()
    assert report.proposals[0].after.current is None


def test_a_pointer_of_thousands_that_do_not_exist_is_refused_in_a_few_words(world: World) -> None:
    world.start()
    world.edit_pointer(status={f"v{n}": "archived" for n in range(100, 5000)})
    began = time.monotonic()
    report = world.review()
    assert time.monotonic() - began < SOON
    assert 0 < len(report.blocking) < MANY
    assert all(len(finding.message) < MANY * 10 for finding in report.blocking)
