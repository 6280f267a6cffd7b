"""Opening a DVC remote in a thread of its own, while Git is still being fetched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.store.dvc.far import Downloader


class Ahead:
    """What is likely to be needed soon: its imports and its connection take as long as Git's."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._config = b""
        self._opened: list[Downloader] = []

    def begin(self, config: bytes, open_remote: Callable[[bytes], Downloader]) -> None:
        """Open the remote of a ``.dvc/config``; what goes wrong is told when it is needed."""
        if self._thread is not None and self._config == config:
            return

        def work() -> None:
            try:
                opened.append(open_remote(config))
            except Exception:  # noqa: BLE001 - it is opened again where it is needed, and raises
                return

        opened: list[Downloader] = []
        self._config, self._opened = config, opened
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def take(self, config: bytes) -> Downloader | None:
        """Give the remote of that configuration, once, if it was opened."""
        if self._thread is None or self._config != config:
            return None
        self._thread.join()
        self._thread = None
        return self._opened.pop() if self._opened else None
