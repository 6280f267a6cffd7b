"""Two versions side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain.comparison import delta, is_better

metrics = st.dictionaries(
    st.sampled_from(["roc_auc", "loss", "f1", "latency_ms"]),
    st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6),
)


def test_the_difference_is_the_second_less_the_first() -> None:
    assert delta({"auc": 0.5, "n": 10}, {"auc": 0.75, "n": 12}) == {"auc": 0.25, "n": 2}


def test_what_only_one_side_has_gives_none_in_the_order_of_the_first() -> None:
    differences = delta({"b": 1, "a": 2}, {"c": 3, "a": 5})
    assert list(differences.items()) == [("b", None), ("a", 3), ("c", None)]


@given(metrics)
def test_a_version_does_not_differ_from_itself(values: dict[str, float]) -> None:
    assert delta(values, values) == dict.fromkeys(values, 0)


@given(metrics, metrics)
def test_the_other_way_round_every_difference_turns_its_sign(
    a: dict[str, float], b: dict[str, float]
) -> None:
    there, back = delta(a, b), delta(b, a)
    assert there.keys() == back.keys() == a.keys() | b.keys()
    for name, change in there.items():
        other = back[name]
        assert (change is None) == (other is None) == ((name in a) != (name in b))
        if change is not None and other is not None:
            assert change == -other


@pytest.mark.parametrize(
    ("metric", "change", "better"),
    [
        ("roc_auc", 0.1, True),
        ("roc_auc", -0.1, False),
        ("loss", -0.1, True),
        ("val_loss", 0.1, False),
        ("rmse", -3, True),
        ("RMSE", -3, True),
        ("latency-ms", 4, False),
        ("cv_roc_auc_std", 0.01, False),
        ("cv_roc_auc_mean", 0.01, True),
        ("lossless_ratio", 0.1, True),
        ("neg_log_loss", 0.1, True),
        ("nll", -0.1, True),
        ("f1", 0, None),
        ("f1", None, None),
    ],
)
def test_the_name_tells_which_way_is_better(
    metric: str,
    change: float | None,
    better: bool | None,
) -> None:
    assert is_better(metric, change) is better
