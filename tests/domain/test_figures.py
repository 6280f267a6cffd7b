"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from mlv.domain.figures import count, duration, number, share, signed, size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9142, "0.9142"),
        (0.00001234, "1.234e-05"),
        (123456.7, "1.235e+05"),
        (0.0, "0.0000"),
        (12, "12"),
        (10**300, "1e+300"),
        (None, "-"),
    ],
)
def test_a_metric_takes_little_room(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_a_change_bears_its_sign() -> None:
    assert [signed(each) for each in (0.02, -0.02, 0.0, 3)] == ["+0.0200", "-0.0200", "0", "+3"]


def test_a_share_is_of_what_was_there() -> None:
    assert share(-0.5, 2.0) == "-25.0%"
    assert share(1.0, -2.0) == "+50.0%"
    assert share(1.0, 0.0) == ""
    assert share(10**300, 1) == "+1e+302%"


def test_sizes_and_counts_are_in_words() -> None:
    assert [size(each) for each in (1, 1500, 10**12)] == ["1 B", "1.5 kB", "1.0 TB"]
    assert (count(1, "commit"), count(2, "commit"), count(0, "entry", "entries")) == (
        "1 commit", "2 commits", "0 entries",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0.00 s"),
        (0.004, "0.00 s"),
        (0.57, "0.57 s"),
        (3.0, "3 s"),
        (3.14159, "3.14 s"),
        (12.34, "12.3 s"),
        (300.0, "300 s"),
        (310.4, "310 s"),
    ],
)
def test_a_duration_shows_what_of_it_counts(seconds: float, written: str) -> None:
    assert duration(seconds) == written
