"""What a model takes and gives survives being written as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from mlv.domain.sample import Table
from mlv.errors import InvalidInput
from mlv.predicting.tables import from_table, to_table

KINDS = ["float64", "float32", "float16", "int64", "int8", "uint64", "bool"]


def there_and_back(value: Any) -> Any:
    return from_table(Table.parse(json.loads(json.dumps(to_table(value).to_dict()))))


@given(st.sampled_from(KINDS).flatmap(lambda kind: hn.arrays(kind, hn.array_shapes(max_side=4))))
def test_arrays_keep_values_type_and_shape(array: np.ndarray[Any, Any]) -> None:
    again = there_and_back(array)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)


def test_frames_keep_columns_types_and_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2**60],
            "real": [0.1, np.nan],
            "far": [np.inf, -np.inf],
            "text": ["NaN", None],
            "kind": pd.Categorical(["u", "v"]),
            "when": pd.to_datetime(["2020-01-01", None]),
            "zoned": pd.to_datetime(["2020-01-01T10:00+02:00", "2021-01-01T00:00+02:00"]),
            "yes": [True, False],
            "maybe": pd.array([1, None], dtype="Int64"),
            "either": pd.array([True, None], dtype="boolean"),
            "small": np.array([1, 2], dtype="float32"),
        }
    )
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


def test_other_shapes_of_data_become_arrays() -> None:
    from scipy.sparse import csr_matrix

    np.testing.assert_array_equal(there_and_back(csr_matrix(np.eye(2))), np.eye(2))
    np.testing.assert_array_equal(there_and_back(pd.Series([1.5, 2.5], name="x")), [1.5, 2.5])
    np.testing.assert_array_equal(there_and_back([[1, 2], [3, 4]]), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(there_and_back(["a", "bc"]), np.array(["a", "bc"]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.0, "no table"),
        ([[1], [2, 3]], "no table"),
        (np.array([1j]), "complex"),
        (np.array([object()], dtype=object), "object"),
        (pd.DataFrame({1: [2]}), "name is not text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "bear one name"),
        (pd.DataFrame({"a": [[1]]}), "list in 'a'"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        to_table(value)


@pytest.mark.parametrize(
    "table",
    [
        Table(["a"], None, ("float64",)),
        Table([1], None, ("no such type",)),
        Table([[1]], ("a",), ("datetime64[ages]",)),
        Table([["x"]], ("a",), ("int64",)),
        Table([300], None, ("int8",)),
        Table([[None]], None, ("int64",)),
    ],
)
def test_values_that_are_not_of_their_type_are_refused(table: Table) -> None:
    with pytest.raises(InvalidInput, match="not what their types say"):
        from_table(table)
