"""Following the registry: what changes there is exported, as long as it is asked for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from mlv.bridges.mlflow.export import export, portraits
from mlv.errors import ConfigError, InvalidInput, RegistryError
from mlv.serve.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.bridges.mlflow.export import Exported, Order
    from mlv.registry import ModelRegistry

_FIRST = 2.0  # seconds after which what failed is tried again
_AT_LATEST = 600.0  # seconds after which MLflow is looked at though nothing changed here


def follow(
    registry: ModelRegistry,
    order: Order,
    *,
    watch: float,
    told: Callable[[list[Exported]], None],
    notify: Callable[[str], None],
    stop: threading.Event | None = None,
) -> None:
    """Export whenever the registry has changed; ask the Git remote every ``watch`` seconds.

    ``told`` gets what was done. While MLflow or the remote is away that is told to ``notify`` once,
    and tried again after longer and longer pauses. Ends when ``stop`` is set. What was typed wrong
    or is not installed is raised.
    """
    ended = stop or threading.Event()
    follower = _Follower(registry, order, watch, told, notify)
    while not ended.is_set():
        ended.wait(follower.turn())


class _Follower:
    """What is known from turn to turn."""

    def __init__(
        self,
        registry: ModelRegistry,
        order: Order,
        watch: float,
        told: Callable[[list[Exported]], None],
        notify: Callable[[str], None],
    ) -> None:
        self._registry, self._order, self._watch = registry, order, watch
        self._told, self._notify = told, notify
        self._shown: object = None  # what MLflow was last brought to show
        self._looked = 0.0
        self._trouble = {"remote": "", "mlflow": ""}
        self._patience = Patience(_FIRST)

    def turn(self) -> float:
        """Look once; say in how many seconds to look again."""
        self._try("remote", self._refresh)
        if self._patience.left == 0 and self._try("mlflow", self._export):
            self._patience.succeeded()
        elif self._patience.left == 0:
            self._patience.failed()
        return min(self._watch, self._patience.left or self._watch)

    def _refresh(self) -> None:
        if self._registry.has_remote():
            self._registry.fetch()

    def _export(self) -> None:
        now = time.monotonic()
        wanted = portraits(self._registry, self._order)
        if wanted == self._shown and now - self._looked < _AT_LATEST:
            return
        done = export(self._registry, self._order)
        self._shown, self._looked = wanted, now
        if any(each.steps for each in done):
            self._told(done)

    def _try(self, what: str, act: Callable[[], None]) -> bool:
        try:
            act()
        except (ConfigError, InvalidInput):
            raise
        except RegistryError as error:
            if error.message != self._trouble[what]:
                self._notify(f"{error.message}; it is tried again")
            self._trouble[what] = error.message
            return False
        if self._trouble[what]:
            self._notify("it answers again")
        self._trouble[what] = ""
        return True
