"""Good proposals pass, whoever made them and however they are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mlv.domain import pointer as pointers
from tests.review.mould import BETTER, FOLDER, MLV_YAML, WORSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.review.proposals import Desk, Make


class Case(NamedTuple):
    """A proposal, what it does to each model, rules that want a look, and options."""

    make: Make
    does: dict[str, str]
    notes: set[str]
    options: tuple[str, ...]


CASES: list[Case] = []


def passes(
    *, notes: tuple[str, ...] = (), options: tuple[str, ...] = (), **does: str
) -> Callable[[Make], Make]:
    """Add a case: ``fraud="promote"`` says what it does to a model."""

    def add(make: Make) -> Make:
        CASES.append(Case(make, does, set(notes), options))
        return make

    return add


def by_mlv(desk: Desk, action: str, *refs: str, **how: Any) -> None:
    """Have mlv itself make the commit, and propose it instead of publishing it."""
    desk.git("switch", "-q", "main")
    desk.registry().move(action, list(refs), push=False, **how)
    desk.git("branch", "-q", "-f", "proposal", "main")
    desk.git("switch", "-q", "proposal")
    desk.git("branch", "-q", "-f", "main", "origin/main")


def by_propose(desk: Desk, *refs: str, **how: Any) -> None:
    """Have mlv propose it, whose branch is then what is reviewed."""
    branch = desk.registry().propose(refs, **how).branch
    desk.git("fetch", "-q")
    desk.git("reset", "-q", "--hard", f"origin/{branch}")


# By mlv ------------------------------------------------------------------------------------


@passes(fraud="promote", ranker="promote")
def proposed_promotions(desk: Desk) -> None:
    by_propose(desk, "fraud-v3", "ranker-v2", reason="They find more")


@passes(fraud="rollback")
def a_proposed_rollback(desk: Desk) -> None:
    by_propose(desk, action="rollback", models=["fraud"])


@passes(fraud="promote", notes=("gate",), options=("--force",))
def one_proposed_past_the_gate(desk: Desk) -> None:
    by_propose(desk, f"fraud-v{WORSE}", reason="The old one is unlawful", force=True)


@passes(fraud="promote")
def a_promotion(desk: Desk) -> None:
    by_mlv(desk, "promote", "fraud-v3", reason="It finds more")


@passes(churn="promote")
def a_first_promotion(desk: Desk) -> None:
    by_mlv(desk, "promote", "churn-v2")


@passes(fraud="promote")
def a_version_with_a_directory(desk: Desk) -> None:
    by_mlv(desk, "promote", f"fraud-v{FOLDER}")


@passes(fraud="rollback")
def a_rollback(desk: Desk) -> None:
    by_mlv(desk, "rollback", models=["fraud"], reason="It finds less")


@passes(fraud="rollback")
def a_rollback_to_what_would_not_meet_the_gate(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(WORSE)
        desk.promote(BETTER)
    desk.restart()
    by_mlv(desk, "rollback", f"fraud-v{WORSE}")


@passes(fraud="stage")
def a_staging(desk: Desk) -> None:
    by_mlv(desk, "stage", "fraud-v3")


@passes(fraud="yank")
def a_yank(desk: Desk) -> None:
    by_mlv(desk, "yank", "fraud-v1", reason="Wrong data")


@passes(fraud="unyank")
def a_yank_taken_back(desk: Desk) -> None:
    by_mlv(desk, "unyank", "fraud-v6")


@passes(fraud="promote", ranker="promote")
def two_models_in_one_commit(desk: Desk) -> None:
    by_mlv(desk, "promote", "fraud-v3", "ranker-v2")


@passes(fraud="promote", notes=("gate",), options=("--force",))
def one_forced_past_the_gate(desk: Desk) -> None:
    by_mlv(desk, "promote", f"fraud-v{WORSE}", reason="The old one is unlawful", force=True)


@passes(fraud="promote")
def a_yank_and_a_promotion(desk: Desk) -> None:
    by_mlv(desk, "yank", "fraud-v1", reason="Wrong data")
    desk.promote(BETTER)


# By hand -----------------------------------------------------------------------------------


@passes(fraud="promote")
def a_promotion_by_hand(desk: Desk) -> None:
    desk.promote(BETTER)


@passes(fraud="promote")
def two_promotions_one_after_the_other(desk: Desk) -> None:
    desk.promote(BETTER)
    desk.promote(FOLDER)


@passes(fraud="promote", options=("--deep",))
def a_promotion_looked_at_deeply(desk: Desk) -> None:
    desk.promote(BETTER)


@passes(fraud="stage")
def a_staging_by_hand(desk: Desk) -> None:
    desk.point(pointers.stage(desk.pointer(), BETTER))
    desk.commit()


@passes(fraud="revert")
def the_last_promotion_reverted(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(BETTER)
    desk.restart()
    desk.git("revert", "--no-edit", "HEAD")


@passes(fraud="revert")
def two_promotions_reverted(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(BETTER)
        desk.promote(FOLDER)
    desk.restart()
    desk.git("revert", "--no-edit", "HEAD", "HEAD~1")


@passes(churn="revert")
def the_first_promotion_reverted(desk: Desk) -> None:
    with desk.on_main():
        desk.promote(2, "churn")
    desk.restart()
    desk.git("revert", "--no-edit", "HEAD")


@passes(fraud="revert")
def a_merge_of_a_promotion_reverted(desk: Desk) -> None:
    desk.promote(BETTER)
    with desk.on_main():
        desk.git("merge", "-q", "--no-ff", "-m", "Merge pull request 7", "proposal")
    desk.restart()
    desk.git("revert", "--no-edit", "-m", "1", "HEAD")


# Merged in each way, and judged again --------------------------------------------------------


def code_lands(desk: Desk) -> None:
    with desk.on_main():
        desk.write("train.py", "print('faster')\n")
        desk.commit("Train faster")


@passes(fraud="promote")
def one_that_code_overtook(desk: Desk) -> None:
    desk.promote(BETTER)
    code_lands(desk)


@passes(fraud="promote", notes=("history",))
def one_that_was_brought_up_to_date(desk: Desk) -> None:
    desk.promote(BETTER)
    code_lands(desk)
    desk.git("merge", "-q", "--no-edit", "main")


@passes(fraud="promote")
def a_squash(desk: Desk) -> None:
    desk.promote(BETTER)
    code_lands(desk)
    desk.git("reset", "-q", "--hard", "main")
    desk.git("merge", "-q", "--squash", "proposal@{1}")
    desk.commit("Promote fraud-v3 (pull request 7)")


@passes(fraud="promote")
def a_rebase(desk: Desk) -> None:
    desk.promote(BETTER)
    code_lands(desk)
    desk.git("rebase", "-q", "main")


@passes(fraud="promote")
def a_merge_commit(desk: Desk) -> None:
    """As CI checks a pull request out: merged into main."""
    desk.promote(BETTER)
    code_lands(desk)
    proposed = desk.git("rev-parse", "HEAD")
    desk.restart()
    desk.git("merge", "-q", "--no-ff", "-m", "Merge pull request 7", proposed)


@passes(fraud="promote")
def one_that_another_model_overtook(desk: Desk) -> None:
    desk.promote(BETTER)
    with desk.on_main():
        desk.promote(2, "ranker")


# What does not move a pointer ----------------------------------------------------------------


@passes()
def code(desk: Desk) -> None:
    desk.write("train.py", "print('faster')\n")
    desk.write("tests/test_train.py", "\n")
    desk.git("rm", "-q", "README.md")
    desk.commit("Train faster")


@passes()
def documentation(desk: Desk) -> None:
    desk.write("docs/registry/pointer.json", "{}\n")
    desk.commit("Write about it")


@passes()
def nothing(desk: Desk) -> None:
    desk.commit("Run CI again")


@passes(notes=("alongside",))
def another_gate(desk: Desk) -> None:
    desk.write("mlv.yaml", MLV_YAML.replace("0.8", "0.5"))
    desk.commit("Ask for less")


@passes(notes=("alongside",))
def another_workflow(desk: Desk) -> None:
    desk.write(".github/workflows/review.yml", "on: push\n")
    desk.commit()


@passes(notes=("alongside",))
def another_place_for_the_bytes(desk: Desk) -> None:
    desk.edit(".dvc/config", "../../storage", "s3://bucket/storage")
    desk.commit()


@passes(notes=("alongside",))
def what_deploys(desk: Desk) -> None:
    desk.write(".mlv/deploy", "#!/bin/sh\n")
    desk.commit()


@passes(notes=("alongside",))
def an_object_in_the_cache(desk: Desk) -> None:
    desk.write(".dvc/cache/files/md5/ab/cdef", "x")
    desk.commit()


@pytest.mark.parametrize("case", CASES, ids=[case.make.__name__ for case in CASES])
def test_it_passes(desk: Desk, case: Case) -> None:
    case.make(desk)
    seen = desk.review(*case.options)
    assert (seen.code, seen.rules) == (0, set()), seen.words
    assert {each["rule"] for each in seen.report["findings"]} == case.notes, seen.words
    assert {each["model"]: each["action"] for each in seen.report["proposals"]} == case.does
    left_out = {check["name"] for check in seen.report["checks"] if check["outcome"] != "passed"}
    assert left_out <= {"pickles", "signatures"}, seen.report["checks"]


def test_one_made_by_hand_is_the_one_that_mlv_makes(desk: Desk) -> None:
    by_mlv(desk, "promote", "fraud-v3")
    made = desk.git("rev-parse", "HEAD^{tree}")
    desk.restart()
    desk.promote(BETTER)
    assert desk.git("rev-parse", "HEAD^{tree}") == made
