"""`mlv serve`: the socket, the workers, and their end."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mlv.serve.live import LiveModel

_GRACE = 30  # seconds that running requests have when the server ends
# Seconds in which a worker answers its parent, which ends it otherwise. While Python loads a large
# pickle no other thread runs; but a worker that dies as it is asked is replaced that late.
_PULSE = 20
_BACKLOG = 2048
_ENDS = (signal.SIGINT, signal.SIGTERM)
_LOGS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s [%(process)d] %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "mlv": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


class Settings(NamedTuple):
    """How a server was asked for. ``loaders`` are pairs of suffix or role and module:function."""

    source: str
    model: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    watch: float = 30.0
    fetch: bool = True
    most: int = 10_000_000
    loaders: tuple[tuple[str, str], ...] = ()


def bind(settings: Settings) -> socket.socket:
    """Listen; `ConfigError` if that cannot be. Port 0 takes any that is free."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server(
            (settings.host, settings.port), family=family, backlog=_BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {settings.host} port {settings.port}: {error}",
            hint="--port takes another, --host another address",
        ) from None
    listening.set_inheritable(True)
    return listening


def serve(settings: Settings, listening: socket.socket, folder: Path) -> None:
    """Answer requests until the process is told to end; ``folder`` is empty, and the server's."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from mlv.predicting.loaders import loaders_named
    from mlv.store.process import export

    loaders_named(settings.loaders)
    # prometheus_client keeps its counts in files if this is set when it is imported.
    export("PROMETHEUS_MULTIPROC_DIR", str(folder))
    config = uvicorn.Config(
        functools.partial(build, settings, str(folder)),
        factory=True,
        workers=settings.workers,
        access_log=False,
        log_config=_LOGS,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_PULSE,
    )
    # uvicorn ends what runs, and raises the signal again: that would leave the folder behind.
    for each in _ENDS:
        signal.signal(each, lambda *_: None)
    if settings.workers > 1:
        Multiprocess(config, sockets=[listening]).run()
    else:
        uvicorn.Server(config).run(sockets=[listening])


def build(settings: Settings, folder: str) -> FastAPI:
    """Make one worker's application, in its process."""
    from mlv.predicting.loaders import loaders_named
    from mlv.serve.app import Worker, create_app
    from mlv.serve.board import Board
    from mlv.serve.live import LiveModel
    from mlv.serve.metrics import Metrics

    live = LiveModel(
        settings.source,
        settings.model,
        watch=settings.watch,
        fetch=settings.fetch,
        loaders=loaders_named(settings.loaders),
        wait=False,
        start=False,
    )
    _end_early(live)
    _end_with_parent()
    board = Board(Path(folder))
    metrics = Metrics(Path(folder), lambda: [live.status()._asdict(), *board.others()])
    return create_app(Worker(live, board, metrics, settings.most))


def _end_early(live: LiveModel) -> None:
    """Have what is being loaded wait for nothing more when the process is told to end."""
    if threading.current_thread() is not threading.main_thread():
        return
    for each in _ENDS:
        before = signal.getsignal(each)

        def end(number: int, frame: Any, before: Any = before) -> None:
            live.stop()
            if callable(before):
                before(number, frame)

        signal.signal(each, end)


def _end_with_parent() -> None:
    """End a worker whose parent was killed: it would hold the port, and nobody would know it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="mlv-parent", daemon=True).start()
