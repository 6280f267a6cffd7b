"""init, check-commit, check-push."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.cli.templates import NEXT
from mlv.registry import ModelRegistry
from mlv.store.git import NO_OBJECT
from mlv.store.gitremote import DELIVERED
from mlv.store.templates import NAMES

if TYPE_CHECKING:
    from mlv.initialisation import Initialised


@command(
    click.argument("directory", required=False),
    click.option("--hooks", "with_hooks", is_flag=True,
                 help="Install the hooks for commits and pushes too."),
    click.option("--template", "templates", metavar="NAME", multiple=True, type=click.Choice(NAMES),
                 help=f"Write files to start from: {', '.join(NAMES[:-1])} or {NAMES[-1]}."),
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
        may_replace=_ask if is_watched else None,
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
def check_commit_command(session: Session) -> None:
    """Refuse a commit that edits the registry by hand; a pre-commit hook."""
    session.open().check_commit(os.environ.get("GIT_INDEX_FILE"))
    if session.as_json:
        show.as_json({"refused": False})


@command(model=False)
def check_push_command(session: Session) -> None:
    """Refuse a push that would do harm; a pre-push hook.

    It may not rewrite what was live, nor publish a version before its bytes are on the DVC remote.

    Reads the lines that git writes to the hook; typed at a terminal it holds the registry branch
    against the remote's as it was last fetched.
    """
    lines = sys.stdin
    if isinstance(lines, io.TextIOWrapper):
        lines.reconfigure(errors="surrogateescape")  # a ref's name need not be UTF-8
    told = _told_by_pre_commit() or (None if lines.isatty() else lines)
    session.open().check_push(told, are_bytes_there=DELIVERED in os.environ)
    if session.as_json:
        show.as_json({"refused": False})


def _told_by_pre_commit() -> list[str]:
    """Give the line that pre-commit read before us, and tells by the environment."""
    names = ("LOCAL_BRANCH", "TO_REF", "REMOTE_BRANCH", "FROM_REF")
    words = [os.environ.get(f"PRE_COMMIT_{name}", "") for name in names]
    if not all(words[:3]):
        return []
    if words[2].startswith("refs/tags/") or not words[3]:
        words[3] = NO_OBJECT  # what it says of a new ref is only where to start comparing
    return [" ".join(words)]
