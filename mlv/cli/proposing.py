"""propose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.moving import FORCE, FROM, REASON
from mlv.cli.options import Session, command, complete_ref
from mlv.domain.names import name_of
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from mlv.moving.drafting import Moved
    from mlv.proposing.proposal import Proposed


@command(
    click.argument("names", metavar="[REF]...", nargs=-1, shell_complete=complete_ref),
    click.option("--rollback", "is_rollback", is_flag=True,
                 help="Propose to go back; REF is then a MODEL."),
    click.option("--to", metavar="REF", multiple=True, shell_complete=complete_ref,
                 help="With --rollback: a version that was live before."),
    REASON,
    FROM,
    FORCE,
    click.option("--draft", is_flag=True, help="Open the pull request as a draft."),
)  # fmt: skip
def propose_command(
    session: Session,
    names: tuple[str, ...],
    is_rollback: bool,
    to: tuple[str, ...],
    reason: str | None,
    from_: tuple[str, ...],
    force: bool,
    draft: bool,
) -> None:
    """Propose a promotion or a rollback as a pull request.

    The one commit is pushed to a branch of its own, on top of the remote's registry branch, where
    nothing changes until the pull request is merged. Proposing again brings it up to date.
    """
    if to and not is_rollback:
        raise InvalidInput(
            "--to goes with --rollback", hint="mlv propose REF promotes that version"
        )
    if not names and not is_rollback:
        raise InvalidInput("propose which version?", hint="mlv propose REF, or --rollback")
    registry = session.open()
    proposed = registry.propose(
        to if is_rollback else names,
        action="rollback" if is_rollback else "promote",
        models=names if is_rollback else (),
        reason=reason,
        from_=from_,
        force=force,
        draft=draft,
    )
    if session.as_json:
        show.as_json(_facts(proposed))
    elif proposed.branch and session.quiet:
        show.line(show.plain(proposed.url or proposed.branch))
    elif proposed.branch:
        show.lines(_lines(proposed, registry.config.remote))


def _lines(proposed: Proposed, remote: str) -> list[str]:
    mark, changed = click.style("✓", fg="green"), [m for m in proposed.moved if m.is_change]
    lines = [f"{mark} proposed: {_said(proposed.action, each)}" for each in changed]
    commit, base = str(proposed.commit)[:10], f"{remote}/{proposed.base}"
    lines.append(f"  {proposed.branch} at {commit}, on {base} at {proposed.base_commit[:10]}")
    if proposed.url and proposed.is_open:
        return [*lines, f"  {show.plain(proposed.url)}"]
    if proposed.url:
        lines.append(f"  open a pull request: {show.plain(proposed.url)}")
    else:
        lines.append(f"  open a pull request from {proposed.branch} into {proposed.base}")
    return [*lines, *([f"  its text: {show.plain(_near(proposed.body))}"] if proposed.body else [])]


def _near(path: Path) -> Path:
    """Give a path as seen from here, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _said(action: str, moved: Moved) -> str:
    was = name_of(moved.before.current)
    verb = "back to " if action == "rollback" else ""
    return (
        f"{verb}{show.heading(moved.version.tag)} ({f'{was} is live' if was else 'none is live'})"
    )


def _facts(proposed: Proposed) -> dict[str, Any]:
    return {
        "action": proposed.action,
        "branch": proposed.branch,
        "commit": proposed.commit,
        "base": proposed.base,
        "base_commit": proposed.base_commit,
        "pushed": proposed.is_pushed,
        "url": proposed.url,
        "open": proposed.is_open,
        "opened_with": proposed.opened_with,
        "title": proposed.title,
        "body": str(proposed.body) if proposed.body else None,
        "changes": [
            {
                "model": each.version.model,
                "version": each.version.name,
                "tag": each.version.tag,
                "was": name_of(each.before.current),
                "changed": each.is_change,
                "forced": each.is_forced,
            }
            for each in proposed.moved
        ],
    }
