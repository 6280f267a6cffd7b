"""serve."""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, loader_option
from mlv.errors import ConfigError
from mlv.store.scratch import temporary

if TYPE_CHECKING:
    from mlv.cli.options import Pairs
    from mlv.serve.workers import Settings


@command(
    click.argument("source", required=False),
    click.option("--host", default="127.0.0.1", show_default=True, help="Listen there."),
    click.option("--port", default=8000, show_default=True, help="0 takes any that is free."),
    click.option(
        "--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes."
    ),
    click.option(
        "--watch",
        default=30.0,
        show_default=True,
        type=click.FloatRange(min=0.1),
        metavar="SECONDS",
        help="How often to ask the Git remote what is live.",
    ),
    click.option("--no-fetch", is_flag=True, help="Never ask it; follow the clone alone."),
    click.option(
        "--max-body",
        default=10_000_000,
        show_default=True,
        type=click.IntRange(1),
        metavar="BYTES",
        help="The largest request.",
    ),
    loader_option,
)
def serve_command(
    session: Session,
    source: str | None,
    host: str,
    port: int,
    workers: int,
    watch: float,
    no_fetch: bool,
    max_body: int,
    loaders: Pairs,
) -> None:
    """Serve what is in production over HTTP, and follow it.

    SOURCE is a folder in a clone, or the URL of a registry; by default the one here.
    """
    _need_extra()
    from mlv.serve.workers import Settings, bind, serve

    settings = Settings(
        source or str(session.folder),
        session.model,
        host,
        port,
        workers,
        watch,
        not no_fetch,
        max_body,
        loaders,
    )
    with bind(settings) as listening, temporary("mlv-serve-") as folder:
        address = f"[{host}]" if ":" in host else host
        _tell(settings, session, f"http://{address}:{listening.getsockname()[1]}")
        serve(settings, listening, folder)
    _leave()


def _leave() -> None:
    """End now: Python would wait for a model that hangs, for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        os._exit(0)


def _tell(settings: Settings, session: Session, url: str) -> None:
    """Say what is live and where it is served; what is wrong is said before anything starts."""
    from mlv.serve.sources import source_of

    found = source_of(settings.source, session.model, show.note, fetch=settings.fetch)
    version = found.wanted()
    if version is None:
        show.note(f"nothing of {found.model!r} is in production yet: /ready says so until it is")
    if session.as_json:
        name = version.name if version else None
        show.as_json({"url": url, "model": found.model, "version": name})
    elif session.quiet:
        show.line(url)
    else:
        if version:
            show.line(f"{show.heading(version.tag)} is in production")
        show.line(f"serving on {url}")


def _need_extra() -> None:
    for package in ("fastapi", "prometheus_client", "uvicorn"):
        if find_spec(package) is None:
            raise ConfigError(f"mlv serve needs {package}", hint="pip install 'mlv[serve]'")
