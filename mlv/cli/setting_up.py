"""init."""

from __future__ import annotations

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.registry import ModelRegistry


@command(click.argument("directory", required=False), model=False)
def init_command(session: Session, directory: str | None) -> None:
    """Make a repository a registry: Git, DVC, mlv.yaml, one commit."""
    result = ModelRegistry.initialise(session.path(directory) if directory else session.folder)
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
