"""Opening a DVC remote in a thread of its own, while Git is still being fetched."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.store.dvc.far import Downloader


class Ahead:
    """What is likely to be needed soon: its imports and its connection take as long as Git's."""

    def __init__(self) -> None:
        self._config = b""
        self._coming: Future[Downloader] | None = None

    def begin(self, config: bytes, open_remote: Callable[[bytes], Downloader]) -> None:
        """Open the remote of a ``.dvc/config``; what goes wrong is told when it is needed."""
        if self._coming is not None and self._config == config:
            return
        self.close()
        coming: Future[Downloader] = Future()

        def work() -> None:
            try:
                coming.set_result(open_remote(config))
            except Exception as error:  # noqa: BLE001 - it is opened again where it is needed, and raises
                coming.set_exception(error)

        self._config, self._coming = config, coming
        threading.Thread(target=work, daemon=True).start()

    def take(self, config: bytes) -> Downloader | None:
        """Give the remote of that configuration, once, if it was opened."""
        if self._coming is None or self._config != config:
            return None
        coming, self._coming = self._coming, None
        return None if coming.exception() else coming.result()

    def close(self) -> None:
        """Let go of what nobody took, or once it is open of what is still being opened."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.add_done_callback(_let_go)


def _let_go(opened: Future[Downloader]) -> None:
    if not opened.exception():
        opened.result().close()
