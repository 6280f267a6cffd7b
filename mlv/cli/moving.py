"""stage, promote, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import PUSH, Session, command, complete_ref
from mlv.domain.names import name_of

if TYPE_CHECKING:
    from mlv.moving.drafting import Moved
    from mlv.moving.promotion import Change
    from mlv.moving.waiting import Served
    from mlv.registry import ModelRegistry

REASON = click.option("--reason", help="Why; kept in the commit for good.")
FROM = click.option(
    "--from", "from_", metavar="REF", multiple=True, shell_complete=complete_ref,
    help="The version you saw live; stop if it is not.",
)  # fmt: skip
FORCE = click.option(
    "--force", is_flag=True, help="Go past the gate; needs --reason, and is recorded for good."
)
WAIT = click.option(
    "--wait", "urls", multiple=True, metavar="URL",
    help="Then wait until this server's /ready says that it has it.",
)  # fmt: skip
WAIT_TIMEOUT = click.option(
    "--wait-timeout", "timeout", default=300.0, show_default=True, metavar="SECONDS",
    type=click.FloatRange(min=0), help="How long to wait.",
)  # fmt: skip
_REFS = click.argument("refs", metavar="REF...", nargs=-1, required=True,
                       shell_complete=complete_ref)  # fmt: skip

_SAID = {
    "yank": "is yanked: nobody gets it any more",
    "unyank": "is archived: its yank is taken back",
}


@command(_REFS, REASON, FORCE, PUSH)
def stage_command(
    session: Session, refs: tuple[str, ...], reason: str | None, force: bool, push: bool | None
) -> None:
    """Put versions in staging, one of each model."""
    registry = session.open()
    change = registry.move("stage", refs, reason=reason, force=force, push=push)
    show_change(session, registry, change, push)


@command(_REFS, REASON, FROM, FORCE, PUSH, WAIT, WAIT_TIMEOUT)
def promote_command(
    session: Session,
    refs: tuple[str, ...],
    reason: str | None,
    from_: tuple[str, ...],
    force: bool,
    push: bool | None,
    urls: tuple[str, ...],
    timeout: float,
) -> None:
    """Put versions live; those that were live are archived.

    Several, of several models, go live in one commit: all or none.
    """
    _check_urls(urls)
    registry = session.open()
    change = registry.move("promote", refs, reason=reason, from_=from_, force=force, push=push)
    show_change(session, registry, change, push)
    _wait(session, change, urls, timeout)


@command(
    click.argument("models", metavar="[MODEL]...", nargs=-1),
    click.option("--to", metavar="REF", multiple=True, shell_complete=complete_ref,
                 help="A version that was live before; else the previous one."),
    REASON,
    FROM,
    PUSH,
    WAIT,
    WAIT_TIMEOUT,
)  # fmt: skip
def rollback_command(
    session: Session,
    models: tuple[str, ...],
    to: tuple[str, ...],
    reason: str | None,
    from_: tuple[str, ...],
    push: bool | None,
    urls: tuple[str, ...],
    timeout: float,
) -> None:
    """Go back to the version that was live before.

    Several models go back in one commit: all or none.
    """
    _check_urls(urls)
    registry = session.open()
    change = registry.move("rollback", to, models=models, reason=reason, from_=from_, push=push)
    show_change(session, registry, change, push)
    _wait(session, change, urls, timeout)


def _check_urls(urls: tuple[str, ...]) -> None:
    """Refuse an address that cannot be asked, before anything moves."""
    if not urls:
        return
    from mlv.store.http import check_url

    for url in urls:
        check_url(url)


def _wait(session: Session, change: Change, urls: tuple[str, ...], timeout: float) -> None:
    if not urls:
        return
    from mlv.moving.waiting import wait_served

    def tell(served: Served) -> None:
        if not session.as_json and not session.quiet:
            tag = served.version.tag
            show.line(f"  {served.url} serves {tag} after {served.seconds:.1f} s")

    wait_served(urls, [moved.version for moved in change.moved], timeout, tell)


def show_change(
    session: Session, registry: ModelRegistry, change: Change, push: bool | None
) -> None:
    """Show what moved: a line a version, and the commit."""
    if session.as_json:
        show.as_json([_facts(change, each) for each in change.moved])
        return
    for each in change.moved:
        if session.quiet:
            show.line(each.version.name if len(change.moved) == 1 else each.version.tag)
        elif each.is_change:
            show.line(_line(change.action, each))
    if change.commit is None or session.quiet:
        return  # said already
    branch, remote = registry.config.branch, registry.config.remote
    is_pushed = registry.config.push if push is None else push
    where = f"{branch}, published on {remote}" if is_pushed else branch
    show.line(f"  commit {change.commit[:10]} on {where}")
    if registry.has_remote() and not is_pushed:
        show.line("  publish it: mlv push")


def _line(action: str, moved: Moved) -> str:
    tag, was = moved.version.tag, moved.before.current
    if action in _SAID:
        return f"{click.style(show.LIVE_MARK, fg='red')} {tag} {_SAID[action]}"
    mark = click.style(show.LIVE_MARK, fg="yellow" if action == "stage" else "green")
    if action == "stage":
        return f"{mark} {tag} is in staging"
    before = f" (was {moved.version.model}-v{was})" if was is not None else ""
    return f"{mark} {tag} is live{before}"


def _facts(change: Change, moved: Moved) -> dict[str, Any]:
    return {
        "action": change.action,
        "model": moved.version.model,
        "version": moved.version.name,
        "tag": moved.version.tag,
        "was": name_of(moved.before.current),
        "changed": moved.is_change,
        "forced": moved.is_forced,
        "commit": change.commit if moved.is_change else None,
    }
