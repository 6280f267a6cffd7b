"""Loading one version, in a thread of its own: what hangs there can be left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from mlv.domain.figures import duration
from mlv.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.domain.names import Version
    from mlv.predicting.predictor import Predictor


class Attempt:
    """The loading of ``version``, which begins at once; ``predictor`` comes of it, or an error."""

    def __init__(self, version: Version, load: Callable[[Version], Predictor]) -> None:
        self.version = version
        self.predictor: Predictor | None = None
        self._error: BaseException | None = None
        self._start = time.monotonic()
        self._thread = threading.Thread(
            target=self._run, args=(load,), name="mlv-load", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:  # there are too many
            self._error = error

    def _run(self, load: Callable[[Version], Predictor]) -> None:
        try:
            self.predictor = load(self.version)
        except BaseException as error:  # noqa: BLE001 - a model may raise anything
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def why(self) -> BaseException:
        """Give what went wrong, once: errors hold frames, and these a whole model."""
        error, self._error = self._error, None
        return error or RegistryError(f"{self.version.tag} was not loaded")

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._start

    def __str__(self) -> str:
        """Say what is under way, and for how long."""
        return f"{self.version.tag} has been loading for {duration(self.seconds)}"
