"""init, check-push."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.cli.templates import NEXT
from mlv.registry import ModelRegistry
from mlv.store.templates import NAMES

if TYPE_CHECKING:
    from mlv.initialisation import Initialised


@command(
    click.argument("directory", required=False),
    click.option("--hooks", "with_hooks", is_flag=True,
                 help="Install the hooks for commits and pushes too."),
    click.option("--template", "templates", metavar="NAME", multiple=True, type=click.Choice(NAMES),
                 help="Write files to start from: github, gitlab or pipeline."),
    model=False,
)  # fmt: skip
def init_command(
    session: Session, directory: str | None, *, with_hooks: bool, templates: tuple[str, ...]
) -> None:
    """Make a repository a registry: Git, DVC, mlv.yaml, one commit."""
    folder = session.path(directory) if directory else session.folder
    is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not session.as_json
    result = ModelRegistry.initialise(
        folder,
        with_hooks=with_hooks,
        templates=tuple(dict.fromkeys(templates)),
        may_replace=_ask if is_watched else lambda _: False,
    )
    if session.as_json:
        show.as_json(
            {
                "path": str(result.top),
                "branch": result.branch,
                "made": list(result.made),
                "written": list(result.written),
                "notes": list(result.notes),
            }
        )
    elif session.quiet:
        show.line(str(result.top))
    else:
        _tell(result)
        _say_what_is_next(result, templates)


def _ask(path: str) -> bool:
    return click.confirm(f"{path} is there and says something else: replace it?")


def _tell(result: Initialised) -> None:
    for what in (*result.made, *result.written):
        show.line(f"{click.style('✓', fg='green')} {show.plain(what)}")
    if not result.made and not result.written:
        show.line(f"{result.top} is set up already: nothing was changed")
    for each in result.notes:
        show.note(each)


def _say_what_is_next(result: Initialised, templates: tuple[str, ...]) -> None:
    if result.made:
        show.line()
        show.line(f"{result.branch} in {result.top} says what is live from now on. Next:")
        show.line(
            "  dvc remote add -d storage URL      where the bytes go; then commit .dvc/config"
        )
        show.line("  mlv register model.pkl --preprocessor scaler.pkl --metric roc_auc=0.99")
    for name in templates if result.written else ():
        show.line()
        show.line(NEXT[name].format(branch=result.branch))


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
