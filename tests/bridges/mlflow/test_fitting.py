"""Names and values that MLflow takes."""

from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlv.bridges.mlflow import fitting
from mlv.errors import InvalidInput


@example(["..0", "...", "0"])
@given(st.lists(st.text(max_size=300), unique=True, max_size=20))
def test_any_name_is_one_that_mlflow_takes_and_none_is_lost(names: list[str]) -> None:
    fitted = fitting.keys(dict.fromkeys(names, 1))
    assert len(fitted) == len(names)
    for name in fitted:
        assert re.fullmatch(r"[/\w.\- ]{1,250}", name), name
        assert posixpath.normpath(name) == name  # as mlflow.utils.validation asks
        assert not name.startswith(("/", ".."))
        assert name != "."


def test_nested_values_are_flat_and_long_ones_cut() -> None:
    nested = {"a": {"b": {"c": [1, {"d": 2}]}, "e": {}}, "f": None}
    assert fitting.flat(nested) == {"a.b.c": [1, {"d": 2}], "a.e": {}, "f": None}
    assert fitting.text({"ä": 1}) == '{"ä": 1}'
    assert fitting.text("x" * 9, 8) == "xxxxx..."


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a'b", "x" * 201, " a", "a\n"])
def test_a_name_that_would_be_another_in_a_query_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        fitting.check_name(name)
