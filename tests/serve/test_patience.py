"""How long what failed is let alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mlv.serve import patience
from mlv.serve.patience import Patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand still at ``clock.now``; no wait is shortened by chance."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(patience, "random", SimpleNamespace(uniform=lambda _low, high: high))
    return clock


def failed(patience: Patience, times: int) -> list[float]:
    waits = []
    for _ in range(times):
        patience.failed()
        waits.append(patience.left)
    return waits


def test_each_failure_makes_the_next_try_later_up_to_a_minute(clock: SimpleNamespace) -> None:
    del clock
    assert failed(Patience(1), 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert failed(Patience(300, 300), 2) == [300, 300]  # nobody asks more often than was wished


def test_time_and_success_end_a_wait(clock: SimpleNamespace) -> None:
    patience = Patience(1, pause=30)
    assert patience.left == 0
    failed(patience, 3)
    clock.now += 3
    assert patience.left == 1
    clock.now += 5
    assert patience.left == 0
    patience.succeeded()
    assert patience.left == 30
    assert failed(patience, 1) == [1]


def test_waits_differ_so_that_not_all_come_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: 0.0))
    waits = {failed(Patience(10), 1)[0] for _ in range(20)}
    assert len(waits) > 1
    assert all(8 <= wait <= 10 for wait in waits)
