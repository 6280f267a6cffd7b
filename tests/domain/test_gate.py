"""The gate: what a version must meet, judged by numbers as people read them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain.gate import OPEN, Gate, MetricRule, Side, Verdict, judge
from mlv.domain.names import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

V1, V2 = Version("fraud", 1), Version("fraud", 2)


def a_side(version: Version, metrics: Mapping[str, float] | None = None, **how: Any) -> Side:
    facts = {"metadata": {}, "data": None, "is_staged": False, "is_live": False, **how}
    return Side(version, metrics or {}, **facts)


def held(gate: Gate, now: Mapping[str, float], was: Mapping[str, float] | None) -> Verdict:
    """Hold v2 against the gate and against v1, which is live unless ``was`` is None."""
    return judge(gate, a_side(V2, now), None if was is None else a_side(V1, was, is_live=True))


def kinds(verdict: Verdict) -> list[str]:
    return [outcome.kind for outcome in verdict.outcomes]


def at_most(part: float, goal: str | None = None) -> Gate:
    return Gate(metrics={"m": MetricRule(goal=goal, max_regression=part)})


# Regressions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "now", "was", "passed"),
    [
        # exactly at the boundary, which floats would miss: 1 - 0.95 > 0.05
        ("max", 0.95, 1.0, True),
        ("max", 0.9499999999999999, 1.0, False),
        ("max", 0.855, 0.9, True),
        ("min", 1.05, 1.0, True),
        ("min", 1.0500000000000003, 1.0, False),
        ("min", 52.5, 50, True),
        # better is never a regression, by whatever much
        ("max", 1e300, 1e-300, True),
        ("min", 0, 1e300, True),
        # below zero: a part of how far from zero it is
        ("max", -1.05, -1.0, True),
        ("max", -1.06, -1.0, False),
        ("min", -0.95, -1.0, True),
        ("min", -0.94, -1.0, False),
        # of zero no part can be taken: as before or better, or it fails
        ("max", 0, 0, True),
        ("max", -0.0, 0.0, True),
        ("max", 1e-9, 0, True),
        ("max", -1e-9, 0, False),
        ("min", 1e-9, 0, False),
        ("min", -1e-9, 0, True),
        # whole numbers beyond what a float tells apart
        ("max", 95 * 10**20, 100 * 10**20, True),
        ("max", 95 * 10**20 - 1, 100 * 10**20, False),
        ("max", 10**308, 1e-308, True),
        ("min", 10**308, 1e-308, False),
    ],
)
def test_a_regression_is_a_part_of_the_live_value_and_knows_its_direction(
    goal: str, now: float, was: float, passed: bool
) -> None:
    [outcome] = held(at_most(0.05, goal), {"m": now}, {"m": was}).outcomes
    assert (outcome.kind, outcome.blocks) == (("passed", False) if passed else ("failed", True))


@pytest.mark.parametrize(
    ("name", "goal", "now", "passed"),
    [
        ("log_loss", None, 0.5, False),
        ("log_loss", None, 0.3, True),
        ("roc_auc", None, 0.3, False),
        ("log_loss", "max", 0.5, True),
        ("roc_auc", "min", 0.3, True),
    ],
)
def test_the_goal_decides_and_without_one_the_name(
    name: str, goal: str | None, now: float, passed: bool
) -> None:
    gate = Gate(metrics={name: MetricRule(goal=goal, max_regression=0.05)})
    assert held(gate, {name: now}, {name: 0.4}).passed is passed


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**308), 10**308)
)
parts = st.floats(0, 1)
rules = st.builds(
    MetricRule, st.sampled_from([None, "min", "max"]), st.none() | numbers, st.none() | numbers,
    st.none() | parts,
)  # fmt: skip
metrics = st.dictionaries(st.sampled_from(["m", "loss", "n"]), numbers)
gates = st.builds(
    Gate, st.none() | parts, st.dictionaries(st.sampled_from(["m", "loss"]), rules),
    st.just(("who",)), st.booleans(), st.booleans(),
)  # fmt: skip
data = st.none() | st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]))
sides = st.builds(a_side, st.just(V2), metrics, data=data, is_staged=st.booleans())


@given(gates, sides, st.none() | sides)
def test_every_gate_gives_a_verdict_on_every_version(
    gate: Gate, challenger: Side, champion: Side | None
) -> None:
    verdict = judge(gate, challenger, champion)
    assert verdict.passed == (not verdict.blocking)
    assert verdict.to_dict()["passed"] is verdict.passed
    labels = [outcome.rule for outcome in verdict.outcomes]
    assert len(set(labels)) == len(labels)
    assert all(outcome.message for outcome in verdict.outcomes)


@given(numbers, numbers, parts)
def test_what_is_a_regression_one_way_is_none_the_other_way(
    now: float, was: float, part: float
) -> None:
    more, less = (held(at_most(part, goal), {"m": now}, {"m": was}) for goal in ("max", "min"))
    assert more.passed or less.passed
    mirrored = held(at_most(part, "min"), {"m": -now}, {"m": -was})
    assert mirrored.passed is more.passed


@given(numbers, parts, parts)
def test_a_laxer_gate_passes_what_a_stricter_one_does(was: float, a: float, b: float) -> None:
    strict, lax = sorted((a, b))
    now = {"m": was * 0.9 if isinstance(was, float) else was // 10 * 9}
    if held(at_most(strict, "max"), now, {"m": was}).passed:
        assert held(at_most(lax, "max"), now, {"m": was}).passed


@given(st.integers(1, 10**6), st.integers(0, 1000))
def test_boundaries_are_exact_for_decimals(thousandths: int, part: int) -> None:
    """0.001 * part of the live value, written as people write it, is still allowed."""
    was = float(f"{thousandths}e-3")
    bound = Fraction(thousandths, 1000) * (1 - Fraction(part, 1000))
    now = float(f"{thousandths * (1000 - part)}e-6")
    if Fraction(repr(now)) == bound:
        assert held(at_most(float(f"{part}e-3"), "max"), {"m": now}, {"m": was}).passed
        worse = float(f"{thousandths * (1000 - part) - 1}e-6")
        assert not held(at_most(float(f"{part}e-3"), "max"), {"m": worse}, {"m": was}).passed


def test_a_message_says_both_numbers_and_by_how_much() -> None:
    [outcome] = held(at_most(0.05, "max"), {"m": 0.85}, {"m": 0.95}).outcomes
    assert outcome.rule == "m: max_regression 5%"
    assert outcome.message == "m is 0.85, 10.5% worse; fraud-v1, which is live, has 0.95"
    [outcome] = held(at_most(0.05, "max"), {"m": 0.96}, {"m": 0.96}).outcomes
    assert "as before" in outcome.message
    [outcome] = held(at_most(0.05, "max"), {"m": -1}, {"m": 0}).outcomes
    assert "worse than 0" in outcome.message


# Limits, and metrics that are missing -------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.9, "passed"), (0.8999999, "failed"), (0.95, "passed"), (0.9500001, "failed")],
)
def test_limits_belong_to_what_is_allowed(value: float, expected: str) -> None:
    gate = Gate(metrics={"m": MetricRule(min=0.9, max=0.95)})
    assert expected in kinds(held(gate, {"m": value}, None))
    assert held(gate, {"m": value}, None).passed is (expected == "passed")


def test_a_metric_with_a_limit_must_be_stated() -> None:
    verdict = held(Gate(metrics={"m": MetricRule(min=0.9)}), {}, None)
    assert kinds(verdict) == ["metric missing"]
    assert not verdict.passed


def test_the_first_promotion_meets_only_absolute_limits() -> None:
    gate = Gate(0.05, {"m": MetricRule(min=0.9, max_regression=0.01)}, same_data=True)
    verdict = held(gate, {"m": 0.9, "other": 0.1}, None)
    assert kinds(verdict) == ["passed", *["not comparable"] * 3]
    assert verdict.passed
    assert verdict.champion is None


def test_a_metric_that_the_live_version_states_must_be_stated() -> None:
    verdict = held(Gate(0.05), {}, {"m": 0.9})
    assert kinds(verdict) == ["metric missing"]
    assert not verdict.passed


def test_a_metric_that_the_live_version_lacks_is_no_regression() -> None:
    verdict = held(Gate(0.05), {"m": 0.1}, {})
    assert kinds(verdict) == ["metric missing in the live version"]
    assert verdict.passed


def test_the_general_rule_is_for_metrics_without_one_of_their_own() -> None:
    gate = Gate(0.05, {"m": MetricRule(max_regression=None)})
    verdict = held(gate, {"m": 0.1, "n": 0.1}, {"m": 1.0, "n": 1.0})
    assert [outcome.rule for outcome in verdict.blocking] == ["n: max_regression 5%"]


def test_an_open_gate_asks_nothing() -> None:
    assert held(OPEN, {}, {"m": 1}).outcomes == ()
    assert held(OPEN, {}, {"m": 1}).passed


# The other rules ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "passed"), [({"who": "Ada"}, True), ({"who": ""}, False), ({}, False)]
)
def test_metadata_must_be_there_and_say_something(metadata: dict[str, Any], passed: bool) -> None:
    gate = Gate(require_metadata=("who",))
    assert judge(gate, a_side(V2, metadata=metadata), None).passed is passed


@pytest.mark.parametrize(
    ("now", "was", "said"),
    [
        ({"a": "1"}, {"a": "1"}, "trained on the data of fraud-v1"),
        ({"a": "2"}, {"a": "1"}, "other data than fraud-v1: a"),
        ({"a": "1", "b": "1"}, {"a": "1"}, "other data than fraud-v1: b"),
        (None, {"a": "1"}, "which data trained fraud-v2 is not known"),
        ({"a": "1"}, None, "which data trained fraud-v1 is not known"),
        (None, None, "which data trained fraud-v2 and fraud-v1 is not known"),
    ],
)
def test_the_same_data_are_the_same_hashes_at_the_same_places(
    now: dict[str, str] | None, was: dict[str, str] | None, said: str
) -> None:
    gate = Gate(same_data=True)
    verdict = judge(gate, a_side(V2, data=now), a_side(V1, data=was))
    [outcome] = verdict.outcomes
    assert said in outcome.message
    assert verdict.passed is (now == was and now is not None)


def test_staging_comes_first_but_not_before_staging() -> None:
    gate = Gate(require_staging=True)
    assert not judge(gate, a_side(V2), None).passed
    assert judge(gate, a_side(V2, is_staged=True), None).passed
    assert judge(gate, a_side(V2), None, to_stage=True).outcomes == ()
