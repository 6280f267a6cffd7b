"""A sample's document, and what counts as another answer."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain import sample as samples
from mlv.domain.sample import Differences, Sample, Table
from mlv.errors import IntegrityError

PLAIN = Sample(Table([[1.0], [2.0]], None, ("float64",)), Table([3.0, 4.0], None, ("float64",)))
FRAME = Table([[1, "a"], [2, None]], ("n", "t"), ("int64", "str"))


@pytest.mark.parametrize("sample", [PLAIN, Sample(FRAME, Table(["x", "y"]), 0.0, 0.5)])
def test_it_reads_back_as_itself(sample: Sample) -> None:
    assert samples.parse(sample.to_bytes(), "fraud-v1") == sample


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample": 2}, "schema"),
        ({"sample": None}, "schema"),
        ({"more": 1}, "too many keys"),
        ({"tolerance": {"relative": -1, "absolute": 0}}, "tolerance"),
        ({"tolerance": {"relative": True, "absolute": 0}}, "tolerance"),
        ({"tolerance": 1e-6}, "tolerance"),
        ({"input": {"data": []}}, "0 rows"),
        ({"input": {"data": [[1]] * 1001}}, "1001 rows"),
        ({"input": [1]}, "a table is"),
        ({"input": {"data": [[1], [1, 2]]}}, "not all of one length"),
        ({"input": {"data": [{"a": 1}]}}, "one shape"),
        ({"input": {"data": [1], "index": [0]}}, "no 'index'"),
        ({"input": {"columns": ["a", "a"], "data": [[1, 2]]}}, "stands twice"),
        ({"input": {"columns": ["a"], "dtypes": ["int64", "str"], "data": [[1]]}}, "have 2 types"),
        ({"input": {"columns": ["a"], "data": [[1, 2]]}}, "row 0 has not 1 values"),
        ({"output": {"data": [1], "dtype": 3}}, "dtype"),
        ({"output": {"data": ["a"], "dtype": "U400000000"}}, "'U400000000' is no type"),
        ({"output": {"data": [1], "dtype": "(9999,9999)i8"}}, "is no type"),
        ({"input": {"columns": ["a"], "dtypes": ["S900000000"], "data": [["a"]]}}, "is no type"),
        ({"output": {"columns": ["a"], "data": [[[1, 2]]]}}, "a list or an object"),
        ({"input": {"columns": ["a"], "data": [[{"b": 1}]]}}, "a list or an object"),
    ],
)
def test_what_mlv_did_not_write_is_refused(change: dict[str, Any], said: str) -> None:
    document = {**json.loads(PLAIN.to_bytes()), **change}
    with pytest.raises(IntegrityError, match=said) as refused:
        samples.parse(json.dumps(document).encode(), "fraud-v1")
    assert "the sample of fraud-v1 was not written by mlv" in refused.value.message


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"NaN", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        samples.parse(data, "fraud-v1")


def told(expected: list[Any], found: list[Any], **how: Any) -> Differences | None:
    sample = Sample(Table([1]), Table(expected), **how)
    return samples.differences(sample, Table(found))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ([1.0, 2], [1.0 + 9e-7, 2.0]),
        ([0.0], [9e-10]),
        (["NaN", "Infinity"], ["NaN", "Infinity"]),
        (["yes", None, True], ["yes", None, True]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([2**70], [2**70]),
    ],
)
def test_the_same_within_the_tolerance(expected: list[Any], found: list[Any]) -> None:
    assert told(expected, found) is None


@pytest.mark.parametrize(
    ("expected", "found", "where", "largest"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.5, 4.0], "row 1", 1.0),
        ([0.0], [1e-8], "row 0", 1e-8),
        ([1.0], ["NaN"], "row 0", None),
        (["Infinity"], ["-Infinity"], "row 0", None),
        ([1.0], [None], "row 0", None),
        (["yes"], ["no"], "row 0", None),
        ([[1, 2], [3, 4]], [[1, 2], [3, 5]], "row 1, 1", 1.0),
    ],
)
def test_another_answer_is_told_by_place_and_size(
    expected: list[Any], found: list[Any], where: str, largest: float | None
) -> None:
    differs = told(expected, found)
    assert differs
    assert (differs.where, differs.largest) == (where, largest)


def test_of_a_frame_the_column_is_named() -> None:
    sample = Sample(Table([1]), FRAME)
    differs = samples.differences(sample, FRAME._replace(data=[[1, "a"], [2, "b"]]))
    assert differs
    assert (differs.differing, differs.values, differs.where) == (1, 4, "row 1, 't'")


def test_another_shape_is_told_as_that() -> None:
    differs = told([[1, 2]], [[1], [2]])
    assert differs
    assert differs.shapes == ("1 x 2", "2 x 1")


def test_columns_that_only_read_alike_are_another_shape() -> None:
    sample = Sample(Table([1]), Table([[1]], ("a, b",)))
    differs = samples.differences(sample, Table([[1, 2]], ("a", "b")))
    assert differs
    assert differs.shapes


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_answer_is_its_own(values: list[float]) -> None:
    assert told(values, list(values)) is None
    moved = [value + 1 + abs(value) for value in values]
    if all(math.isfinite(value) for value in moved):
        differs = told(values, moved)
        assert differs
        assert differs.differing == len(values)
