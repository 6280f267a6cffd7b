"""The small chart: what it draws, and when there is nothing to see."""

from __future__ import annotations

from mlv.domain.rules import OPEN
from mlv.review.chart import chart, deciding, spark
from tests.review.reports import manifest_of, proposal


def test_bars_go_from_the_least_to_the_most() -> None:
    assert "".join(spark([0.90, 0.93, None, 0.97])) == "▁▄·█"
    assert "".join(spark([5, 5])) == "▅▅"
    assert "".join(spark([-1e308, 0, 1e308])) == "▁▅█"


def test_of_two_versions_the_table_says_all() -> None:
    found = proposal("auc")
    assert chart(found)
    assert chart(found._replace(recent=found.recent[:2])) == []


def test_without_rules_those_that_changed_most_decide() -> None:
    found = proposal("auc")._replace(gate=OPEN)
    assert deciding(found, found.recent) == ["auc"]  # `auc loss` did not change


def test_what_is_old_goes_first_but_never_a_side_of_the_proposal() -> None:
    found = proposal("auc")
    recent = tuple(manifest_of(number, "auc") for number in range(1, 30))
    head, *_, marks = chart(found._replace(recent=recent))
    assert head.split() == ["v1", "v3", *(f"v{n}" for n in range(20, 30))]
    assert marks.split()[:2] == ["●", "○"]
    assert max(map(len, chart(found._replace(recent=recent)))) <= 80


def test_a_long_name_is_cut() -> None:
    lines = chart(proposal("a_very_long_name_of_a_metric_indeed"))
    assert lines[1].startswith("  a_very_long_name_of…")
