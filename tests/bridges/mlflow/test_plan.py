"""What an export decides to do, without any MLflow."""

from __future__ import annotations

import pytest

from mlv.bridges.mlflow.plan import Found, Step, There, plan
from mlv.bridges.mlflow.portrait import DIGEST, FILES, RECORD, TAG, WHOLE, Portrait, portrait
from mlv.domain.manifest import Artifact, create
from mlv.domain.names import Version
from mlv.errors import RegistryError


def drawn(
    number: int, status: str = "registered", at: str = "2026-01-01T12:00:00Z", /, **metrics: float
) -> Portrait:
    manifest = create(
        Version("fraud", number),
        {"model": Artifact("model", "model.pkl", 3, "0" * 32, "1" * 64)},
        registered_at=at,
        registered_by="Ada Lovelace <ada@example.com>",
        metrics=metrics,
        metadata={"data_window": "last_90_days"},
        lineage={
            "commit": "a" * 40,
            "stage": {"name": "train", "params": {"params.yaml": {"tree": {"depth": 3}}}},
        },
    )
    return portrait(manifest, status)


def found(number: int, of: Portrait, **tags: str) -> Found:
    return Found(number, {FILES: WHOLE, **of.tags, **tags}, of.description, f"run-{number}")


def told(steps: list[Step]) -> list[str]:
    return [f"{each.action} {each.alias or each.version}" for each in steps]


def test_a_version_is_drawn_with_names_that_mlflow_takes() -> None:
    seen = drawn(3, "staging", **{"f1@0.5": 0.5, "f1#0.5": 0.25})
    assert seen.metrics == {"f1_0.5": 0.5, "f1_0.5-2": 0.25}
    assert seen.params == {"tree.depth": "3"}
    assert seen.aliases == ("challenger", "fraud-v3")
    assert seen.time == 1767268800000
    assert seen.tags["mlv.metadata.data_window"] == "last_90_days"
    assert seen.tags["mlv.status"] == "staging"


def test_a_date_that_mlflow_cannot_say_is_its_first_and_kept_as_text() -> None:
    for at in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"):
        seen = drawn(1, "registered", at)
        assert (seen.time, seen.tags["mlv.registered_at"]) == (1, at)


def test_versions_are_added_in_the_order_of_their_numbers_and_aliases_after_them() -> None:
    wanted = [drawn(10), drawn(9, "production"), drawn(2, "yanked")]
    assert told(plan(wanted, There())) == [
        "create fraud-v2", "create fraud-v9", "create fraud-v10",
        "alias champion", "alias fraud-v9", "alias fraud-v10",
    ]  # fmt: skip


def test_what_is_shown_already_needs_nothing() -> None:
    live, other = drawn(1, "production"), drawn(2)
    aliases = {"champion": 4, "fraud-v1": 4, "fraud-v2": 7, "mine": 4}
    there = There(
        exists=True,
        versions=(found(4, live), found(7, other), Found(5, {}, "", "")),
        aliases=aliases,
        runs={"fraud-v1": ("run-4",), "fraud-v2": ("run-7",)},
    )
    assert plan([live, other], there) == []


def test_aliases_follow_the_pointer_and_leave_alone_what_is_not_ours() -> None:
    was, now = drawn(1, "yanked"), drawn(2, "production")
    there = There(
        exists=True,
        versions=(found(1, drawn(1, "production")), found(2, now), Found(3, {}, "", "")),
        aliases={"champion": 1, "fraud-v1": 1, "mine": 1, "challenger": 3},
    )
    assert told(plan([was, now], there)) == [
        "describe fraud-v1", "alias champion", "alias fraud-v2", "unalias fraud-v1",
    ]  # fmt: skip
    nothing_live = There(exists=True, versions=there.versions, aliases={"champion": 1})
    assert "unalias champion" in told(plan([was, drawn(2)], nothing_live))


def test_what_was_made_twice_is_removed_last_and_the_first_one_stays() -> None:
    live = drawn(1, "production")
    there = There(
        exists=True,
        versions=(found(8, live), found(3, live)),
        aliases={"champion": 8, "fraud-v1": 3},
        runs={"fraud-v1": ("run-8", "run-3")},
    )
    steps = plan([live], there)
    assert told(steps) == ["alias champion", "remove fraud-v1", "remove run fraud-v1"]
    assert (steps[1].number, steps[2].run_id) == (8, "run-8")


def test_files_come_when_a_yank_is_taken_back() -> None:
    yanked, back = drawn(1, "yanked"), drawn(1, "archived")
    there = There(exists=True, versions=(found(1, yanked, **{FILES: RECORD}),))
    assert told(plan([yanked], there)) == []
    assert told(plan([back], there)) == ["fill fraud-v1", "describe fraud-v1", "alias fraud-v1"]


def test_a_tag_that_a_version_has_no_more_goes_and_others_tags_stay() -> None:
    seen = drawn(1)
    there = There(
        exists=True,
        versions=(found(1, seen, **{"mlv.old": "x", "theirs": "y", "mlv.status": "archived"}),),
        aliases={"fraud-v1": 1},
    )
    [step] = plan([seen], there)
    assert step.tags == {"mlv.status": "registered", "mlv.old": None}


def test_chosen_versions_alone_are_added_and_the_others_kept_in_step() -> None:
    first, second, third = drawn(1, "archived"), drawn(2, "production"), drawn(3)
    there = There(
        exists=True, versions=(found(1, drawn(1, "production")),), aliases={"champion": 1}
    )
    assert told(plan([first, second, third], there, {"fraud-v2"})) == [
        "describe fraud-v1", "create fraud-v2",
        "alias fraud-v1", "alias champion", "alias fraud-v2",
    ]  # fmt: skip


def test_another_registrys_version_of_the_same_number_is_refused() -> None:
    there = There(exists=True, versions=(Found(1, {TAG: "fraud-v1", DIGEST: "0"}, "", ""),))
    with pytest.raises(RegistryError, match="another fraud-v1 than the one here"):
        plan([drawn(1)], there)
