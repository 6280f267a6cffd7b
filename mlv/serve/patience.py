"""When to try again what may fail for hours."""

from __future__ import annotations

import random
import time

_LONGEST = 60.0  # seconds, unless the usual pause is longer
_DOUBLINGS = 6


class Patience:
    """Tries again after ``first`` seconds, twice as many each time, then every minute.

    ``pause`` is how long to wait after a success. Each wait is a little shorter by chance: all who
    lost the same server at once do not come back to it at once.
    """

    def __init__(self, first: float, pause: float = 0.0) -> None:
        self._first, self._pause = first, pause
        self._due = 0.0
        self.failures = 0  # in a row

    def failed(self) -> None:
        """Wait longer than the last time."""
        longest = max(_LONGEST, self._pause)
        wait = min(longest, self._first * 2 ** min(self.failures, _DOUBLINGS))
        self.failures += 1
        self._wait(wait)

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._wait(self._pause)

    @property
    def left(self) -> float:
        """Seconds until it is time to try; 0 if it is."""
        return max(0.0, self._due - time.monotonic())

    def _wait(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds * random.uniform(0.8, 1.0)  # noqa: S311
