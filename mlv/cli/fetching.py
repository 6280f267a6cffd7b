"""pull."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from mlv.pulling import RemoteRegistry


@command(
    click.argument("words", nargs=-1, metavar="[URL] REF", shell_complete=complete_ref),
    click.option("--out", metavar="DIR", help="Copy the files there, writable."),
    click.option("--offline", is_flag=True, help="With a URL: ask nobody; what is here, or 6."),
    click.option(
        "--cache", metavar="DIR", envvar="MLV_CACHE",
        help="With a URL: keep what is fetched there (or MLV_CACHE).",
    ),
)  # fmt: skip
def pull_command(
    session: Session, words: tuple[str, ...], out: str | None, offline: bool, cache: str | None
) -> None:
    """Fetch and verify a version's files, and say where they are.

    URL is a registry's address, or its path; without one it is the repository here.
    """
    url, ref = _url_and_ref(words)
    if url is None:
        if offline:
            raise InvalidInput(
                "--offline needs a registry's URL", hint="mlv pull --offline URL REF"
            )
        registry = session.open()
        files = registry.copy_out(ref, session.path(out)) if out else registry.artifacts(ref)
    else:
        far = _open(session, url, cache, offline=offline)
        far.catch_up(ref)
        files = far.copy_out(ref, session.path(out)) if out else far.artifacts(ref)
    if session.as_json:
        show.as_json({role: str(path) for role, path in files.items()})
        return
    width = max(map(len, files))
    for role, path in files.items():
        show.line(str(path) if session.quiet else f"{role.ljust(width)}  {_short(path)}")


def _url_and_ref(words: tuple[str, ...]) -> tuple[str | None, str]:
    match words:
        case [ref]:
            return None, ref
        case [url, ref]:
            return url, ref
    raise click.UsageError("Name a version, and before it, if it is not of here, its registry.")


def _open(session: Session, url: str, cache: str | None, *, offline: bool) -> RemoteRegistry:
    """Open a registry by its URL; a path is seen from the folder of ``-C``."""
    from mlv.cli.progress import bar
    from mlv.pulling import RemoteRegistry

    at = session.path(url)
    return RemoteRegistry(
        at if at.is_dir() else url,
        session.model,
        cache=session.path(cache) if cache else None,
        offline=offline,
        notify=(lambda _: None) if session.quiet else show.note,
        progress=None if session.quiet else bar(),
    )


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
