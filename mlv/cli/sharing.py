"""push, fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref
from mlv.errors import IntegrityError

if TYPE_CHECKING:
    from mlv.registry import ModelRegistry
    from mlv.sharing.pushing import Pushed


@command(
    click.argument("refs", metavar="[REF]...", nargs=-1, shell_complete=complete_ref),
    click.option("--all", "all_", is_flag=True, help="See to the bytes of published versions too."),
    click.option("--partial", is_flag=True, help="Go without pipeline outputs that nobody has."),
)
def push_command(session: Session, refs: tuple[str, ...], all_: bool, partial: bool) -> None:
    """Publish versions: bytes to the DVC remote, then tags and branch.

    Without REF: every version that the Git remote lacks, and the registry branch.
    """
    registry = session.open()
    pushed = registry.push(*refs, whole=all_, partial=partial)
    if session.as_json:
        show.as_json(
            {
                "remote": registry.config.remote,
                "versions": [version.tag for version in pushed.versions],
                "renumbered": {old.tag: new.tag for old, new in pushed.renumbered},
                "checked": [version.tag for version in pushed.checked],
                "branch": pushed.branch,
                "objects": pushed.objects,
                "bytes": pushed.size,
            }
        )
    elif session.quiet:
        for version in pushed.versions:
            show.line(version.tag)
    else:
        _show(registry, pushed)


def _show(registry: ModelRegistry, pushed: Pushed) -> None:
    from mlv.sharing.renumbering import is_now

    config = registry.config
    mark = click.style("✓", fg="green")
    for old, new in pushed.renumbered:
        show.line(f"{mark} {is_now(old, new)}")
    for version in pushed.versions:
        show.line(f"{mark} {show.heading(version.tag)}")
    if pushed.branch:
        show.line(f"{mark} {config.branch} at {pushed.branch[:10]}")
    if pushed.checked:
        show.line(f"{mark} bytes of {len(pushed.checked)} published version(s)")
    if pushed.objects:
        show.line(f"  {pushed.objects} object(s), {show.size(pushed.size)}, to the DVC remote")
    if not pushed.versions and not pushed.branch and not pushed.objects:
        show.line(f"{config.remote} has everything already: nothing was pushed")


@command(model=False)
def fetch_command(session: Session) -> None:
    """Bring the registry branch and every version's tag; warn of a moved tag."""
    registry = session.open()
    fetched = registry.fetch()
    if session.as_json:
        show.as_json(
            {
                "remote": registry.config.remote,
                "branch": fetched.tip,
                "new": [version.tag for version in fetched.new],
                "moved": [version.tag for version in fetched.moved],
                "taken": [version.tag for version in fetched.taken],
            }
        )
    else:
        for version in fetched.new:
            show.line(
                version.tag if session.quiet else f"{click.style('✓', fg='green')} {version.tag}"
            )
        if not fetched.new and not session.quiet:
            show.line("no new version")
    if fetched.moved:
        click.get_current_context().exit(IntegrityError.exit_code)
