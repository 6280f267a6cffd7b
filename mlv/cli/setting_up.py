"""init, check-push."""

from __future__ import annotations

import io
import sys

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.registry import ModelRegistry


@command(
    click.argument("directory", required=False),
    click.option("--hooks", "with_hooks", is_flag=True, help="Install the pre-push hook too."),
    model=False,
)
def init_command(session: Session, directory: str | None, *, with_hooks: bool) -> None:
    """Make a repository a registry: Git, DVC, mlv.yaml, one commit."""
    folder = session.path(directory) if directory else session.folder
    result = ModelRegistry.initialise(folder, with_hooks=with_hooks)
    if session.as_json:
        show.as_json(
            {
                "path": str(result.top),
                "branch": result.branch,
                "made": list(result.made),
                "notes": list(result.notes),
            }
        )
        return
    if session.quiet:
        show.line(str(result.top))
        return
    for what in result.made:
        show.line(f"{click.style('✓', fg='green')} {what}")
    if not result.made:
        show.line(f"{result.top} is set up already: nothing was changed")
    for each in result.notes:
        show.note(each)
    if result.made:
        show.line()
        show.line(f"{result.branch} in {result.top} says what is live from now on. Next:")
        show.line(
            "  dvc remote add -d storage URL      where the bytes go; then commit .dvc/config"
        )
        show.line("  mlv register model.pkl --preprocessor scaler.pkl --metric roc_auc=0.99")


@command(model=False)
def check_push_command(session: Session) -> None:
    """Refuse a push that would rewrite what was live; a pre-push hook.

    Reads the lines that git writes to the hook; typed at a terminal it holds the registry branch
    against the remote's as it was last fetched.
    """
    lines = sys.stdin
    if isinstance(lines, io.TextIOWrapper):
        lines.reconfigure(errors="surrogateescape")  # a ref's name need not be UTF-8
    session.open().check_push(None if lines.isatty() else lines)
    if session.as_json:
        show.as_json({"refused": False})
