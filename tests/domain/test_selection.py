"""Which of many versions are meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain import manifest as manifests
from mlv.domain.manifest import Artifact, Manifest
from mlv.domain.names import Version
from mlv.domain.selection import METADATA, METRICS, PARAMS, Key, parse
from mlv.errors import InvalidInput

MODEL = {"model": Artifact("model", "model.pkl", 1, "0" * 32, "0" * 64)}


def version(
    number: int,
    metrics: dict[str, float] | None = None,
    metadata: dict[str, Any] | None = None,
    *,
    params: Any = None,
    day: int = 1,
    model: str = "fraud",
    status: str = "registered",
) -> tuple[Manifest, str]:
    written = manifests.create(
        Version(model, number),
        MODEL,
        registered_at=f"2026-01-{day:02}T00:00:00Z",
        registered_by="Ada",
        metrics=metrics or {},
        metadata=metadata or {},
        lineage={} if params is None else {"stage": {"name": "train", "params": params}},
    )
    return written, status


def chosen(versions: list[tuple[Manifest, str]], **asked: Any) -> list[str]:
    return [manifest.version.tag for manifest, _ in parse(**asked).of(versions)]


FOUR = [
    version(1, {"auc": 0.7, "ms": 5}, {"window": "last_30_days"}, status="archived"),
    version(2, {"auc": 0.9, "ms": 30}, {"window": "last 60 days"}, status="production"),
    version(3, {"auc": 0.8}, {"window": 90, "draft": True}, status="staging"),
    version(10, {"ms": 2}),
]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("auc>0.8", [2]),
        ("auc>=.8", [2, 3]),
        ("auc < 8e-1", [1]),
        ("auc<=0.8", [1, 3]),
        ("auc=0.8", [3]),
        ("auc==0.8", [3]),
        ("auc!=0.8", [1, 2]),
        ("metrics.auc>-1", [1, 2, 3]),
        ("auc>0.75 and ms<50", [2]),
        ('"auc">0.75 and "ms" < 50', [2]),
        (["auc>0.75", "ms<50"], [2]),
        ("metadata.window=last_30_days", [1]),
        ('metadata.window="last 60 days"', [2]),
        ("metadata.window!=last_30_days", [2, 3]),
        ("metadata.window>80", [3]),
        ('metadata.window>"l"', [1, 2]),
        ('metadata.window="90"', []),
        ("metadata.draft=true", [3]),
        ("auc>1", []),
    ],
)
def test_a_condition_holds_what_is_stated_against_a_value(
    where: str | list[str], numbers: list[int]
) -> None:
    assert chosen(FOUR, where=where) == [f"fraud-v{number}" for number in numbers]


def test_parameters_are_found_flat_or_nested_in_any_file() -> None:
    versions = [
        version(1, params={"params.yaml": {"train.rate": 0.1}}),
        version(2, params={"other.yaml": {}, "params.yaml": {"train": {"rate": 0.2}}}),
        version(3, params="nonsense"),
        version(4),
    ]
    assert chosen(versions, where="params.train.rate>0") == ["fraud-v1", "fraud-v2"]
    assert chosen(versions, where="params.train.rate>0.1") == ["fraud-v2"]
    assert chosen(versions, where="params.train=1") == []


def test_a_number_that_was_written_as_text_equals_it_and_is_not_ordered_by_it() -> None:
    versions = [version(1, metadata={"commit": "1234567"})]
    assert chosen(versions, where="metadata.commit=1234567") == ["fraud-v1"]
    assert chosen(versions, where="metadata.commit>9") == []


names = st.text(min_size=1, max_size=8).filter(str.isprintable)
values = st.floats(-1e6, 1e6) | st.integers(-(10**20), 10**20)


@given(names, st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), values, values)
def test_any_name_can_be_asked_about_in_quotes(
    name: str, sign: str, stated: float, asked: float
) -> None:
    where = f"{json.dumps(f'metrics.{name}')} {sign} {asked!r}"
    held = {
        "<": stated < asked, "<=": stated <= asked, ">": stated > asked,
        ">=": stated >= asked, "=": stated == asked, "!=": stated != asked,
    }[sign]  # fmt: skip
    assert (chosen([version(1, {name: stated})], where=where) == ["fraud-v1"]) is held


@given(st.sampled_from([METRICS, METADATA, PARAMS]), names)
def test_a_key_reads_back_as_it_was_written(source: str, name: str) -> None:
    assert Key.parse(str(Key(source, name))) == Key(source, name)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "it lacks the name of a metric"),
        (">0.9", "it lacks the name of a metric"),
        ("auc", "a shell takes > for a file: quote it"),
        ("auc 0.9", "it lacks one of <"),
        ("auc>", "it lacks a value"),
        ("auc>>1", "it lacks a value"),
        ("auc>high", "auc is a metric, and high is no number"),
        ('auc>"0.9"', 'auc is a metric, and "0.9" is no number'),
        ("auc>nan", "nan is no number"),
        ("auc>1e999", "1e999 is no number"),
        ("auc>1_000", "1_000 is no number"),
        ("auc>0.9 or ms<3", "or stands where only 'and' may"),
        ("auc>0.9, ms<3", "0.9, is no number"),
        ("auc>0.9 and", "it lacks the name of a metric"),
        ('"auc>0.9', "what begins at '\"auc>0.9' cannot be read"),
        (r'"\q">1', r"\q"),
    ],
)
def test_what_is_no_condition_is_refused_by_what_is_wrong_with_it(where: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(where=where)
    assert message in caught.value.message
    assert "roc_auc>0.95" in caught.value.hint


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"status": "live"}, "'live' is no status"),
        ({"status": ["staging", ""]}, "'' is no status"),
        ({"limit": 0}, "0 is no number of versions"),
        ({"limit": True}, "True is no number of versions"),
        ({"sort": ""}, "'' is nothing to sort by"),
        ({"sort": "-"}, "'-' is nothing to sort by"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(**asked)
    assert message in caught.value.message
    assert caught.value.hint


def test_statuses_are_alternatives() -> None:
    assert chosen(FOUR, status="production") == ["fraud-v2"]
    assert chosen(FOUR, status=["staging", "registered"]) == ["fraud-v3", "fraud-v10"]


def test_it_sorts_by_a_metric_and_puts_what_lacks_it_last_either_way() -> None:
    assert chosen(FOUR, sort="auc") == ["fraud-v1", "fraud-v3", "fraud-v2", "fraud-v10"]
    assert chosen(FOUR, sort="-auc") == ["fraud-v2", "fraud-v3", "fraud-v1", "fraud-v10"]
    assert chosen(FOUR, sort="-ms", limit=2) == ["fraud-v2", "fraud-v1"]


def test_texts_sort_after_numbers() -> None:
    sorted_by = chosen(FOUR, sort="metadata.window")
    assert sorted_by == ["fraud-v3", "fraud-v2", "fraud-v1", "fraud-v10"]
    backwards = chosen(FOUR, sort="-metadata.window")
    assert backwards == ["fraud-v1", "fraud-v2", "fraud-v3", "fraud-v10"]


TWO_MODELS = [
    version(1, model="churn", day=3),
    version(2, model="churn", day=1),
    version(1, day=2),
    version(2, day=4),
    version(10, day=4),
]


def test_it_sorts_by_number_within_each_model_and_by_date_over_all() -> None:
    tags = [manifest.version.tag for manifest, _ in TWO_MODELS]
    assert chosen(TWO_MODELS, sort="number") == tags == chosen(TWO_MODELS)
    backwards = ["churn-v2", "churn-v1", "fraud-v10", "fraud-v2", "fraud-v1"]
    assert chosen(TWO_MODELS, sort="-number") == backwards
    by_date = ["churn-v2", "fraud-v1", "churn-v1", "fraud-v2", "fraud-v10"]
    assert chosen(TWO_MODELS, sort="date") == by_date
    assert chosen(TWO_MODELS, sort="-date") == by_date[::-1]


def test_a_limit_leaves_the_first_of_an_order_else_those_registered_last() -> None:
    assert chosen(TWO_MODELS, limit=3) == ["churn-v1", "fraud-v2", "fraud-v10"]
    assert chosen(TWO_MODELS, limit=2, sort="number") == ["churn-v1", "churn-v2"]
    assert chosen(FOUR, limit=1, where="auc>0") == ["fraud-v3"]
    assert chosen(FOUR, limit=99) == chosen(FOUR)


def test_a_key_that_no_version_states_is_named_with_those_that_are() -> None:
    asked = parse(where="rocauc>0.9 and auc>0", sort="metadata.windw")
    assert list(asked.unstated(FOUR)) == [
        "no version states metrics.rocauc; metrics are auc, ms",
        "no version states metadata.windw",
    ]
    assert list(asked.unstated([])) == []
