"""pull."""

from __future__ import annotations

from pathlib import Path

import click

from mlv.cli import show
from mlv.cli.options import Session, command, ref_argument


@command(
    ref_argument(),
    click.option("--out", metavar="DIR", help="Copy the files there, writable."),
)
def pull_command(session: Session, ref: str, out: str | None) -> None:
    """Fetch and verify a version's files, and say where they are."""
    registry = session.open()
    files = registry.copy_out(ref, session.path(out)) if out else registry.artifacts(ref)
    if session.as_json:
        show.as_json({role: str(path) for role, path in files.items()})
        return
    width = max(map(len, files))
    for role, path in files.items():
        show.line(str(path) if session.quiet else f"{role.ljust(width)}  {_short(path)}")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
