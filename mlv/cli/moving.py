"""stage, promote, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref, ref_argument

if TYPE_CHECKING:
    from mlv.promotion import Change
    from mlv.registry import ModelRegistry

_REASON = click.option("--reason", help="Why; kept in the commit for good.")
_FROM = click.option(
    "--from", "from_", metavar="REF", shell_complete=complete_ref,
    help="The version you saw live; stop if it is not.",
)  # fmt: skip


@command(ref_argument(), _REASON)
def stage_command(session: Session, ref: str, reason: str | None) -> None:
    """Put a version in staging."""
    registry = session.open()
    _show(session, registry, registry.move("stage", ref, reason=reason))


@command(ref_argument(), _REASON, _FROM)
def promote_command(session: Session, ref: str, reason: str | None, from_: str | None) -> None:
    """Put a version live; the one that was live is archived."""
    registry = session.open()
    _show(session, registry, registry.move("promote", ref, reason=reason, from_=from_))


@command(
    click.option("--to", metavar="REF", shell_complete=complete_ref,
                 help="A version that was live before; else the previous one."),
    _REASON,
    _FROM,
)  # fmt: skip
def rollback_command(
    session: Session, to: str | None, reason: str | None, from_: str | None
) -> None:
    """Go back to the version that was live before."""
    registry = session.open()
    _show(session, registry, registry.move("rollback", to, reason=reason, from_=from_))


def _show(session: Session, registry: ModelRegistry, change: Change) -> None:
    tag, was = change.version.tag, change.before.current
    if session.as_json:
        show.as_json(
            {
                "action": change.action,
                "model": change.version.model,
                "version": change.version.name,
                "tag": tag,
                "was": None if was is None else f"v{was}",
                "changed": change.commit is not None,
                "commit": change.commit,
            }
        )
        return
    if session.quiet:
        show.line(change.version.name)
        return
    if change.commit is None:
        return  # said already
    branch = registry.config.branch
    mark = click.style(show.LIVE_MARK, fg="yellow" if change.action == "stage" else "green")
    if change.action == "stage":
        show.line(f"{mark} {tag} is in staging")
    else:
        before = f" (was {change.version.model}-v{was})" if was is not None else ""
        show.line(f"{mark} {tag} is live{before}")
    show.line(f"  commit {change.commit[:10]} on {branch}")
    if registry.has_remote():
        show.line(f"  publish it: git push {registry.config.remote} {branch}")
