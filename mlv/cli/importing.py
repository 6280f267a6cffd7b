"""import store, import gto: bringing in what other registries have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import PUSH, Session, command
from mlv.domain.names import name_of

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.importing.incoming import IncomingModel
    from mlv.importing.planning import Planned
    from mlv.registry import ModelRegistry
    from mlv.registry.importing import BroughtIn

INTO_EXISTING = click.option(
    "--into-existing", is_flag=True,
    help="Add to a model that has other versions: numbers go on from its highest.",
)  # fmt: skip
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would come in; change nothing.")


@command(
    click.argument("folder_path", metavar="DIR", type=click.Path()), INTO_EXISTING, DRY_RUN, PUSH
)
def store_command(
    session: Session, folder_path: str, into_existing: bool, dry_run: bool, push: bool | None
) -> None:
    """Bring in a registry that is a folder: v1/, v2/, ... and active_version.json.

    Every version comes in with its number, date and status; checksums are checked.
    """
    from mlv.bridges import filestore

    incoming = filestore.read(session.path(folder_path))
    done = bring_in(
        session, session.open(), incoming, into_existing=into_existing, dry_run=dry_run, push=push
    )
    if session.as_json:
        show.as_json(done)


def bring_in(
    session: Session,
    registry: ModelRegistry,
    incoming: IncomingModel,
    *,
    into_existing: bool,
    dry_run: bool,
    push: bool | None,
) -> dict[str, Any]:
    """Bring a model in and show it as it comes; give what ``--json`` prints of it."""
    is_shown = not session.as_json and not session.quiet

    def tell(each: Planned) -> None:
        if is_shown:
            show.line(f"{click.style('✓', fg='green')} {_line(each)}")

    done = registry.bring_in(
        incoming, into_existing=into_existing, dry_run=dry_run, push=push, tell=tell
    )
    if is_shown:
        _show(registry, done)
    elif session.quiet:
        for each in done.plan.new:
            show.line(each.version.tag)
    return _facts(done)


def _line(each: Planned) -> str:
    time, was = show.time(each.incoming.registered_at), each.incoming.origin["version"]
    name = f"  ({show.plain(was)})" if was != each.version.name else ""
    return f"{show.heading(each.version.tag)}  {time}{name}"


def _show(registry: ModelRegistry, done: BroughtIn) -> None:
    plan, change = done.plan, done.change
    known = [each for each in plan.versions if each.is_here]
    if known:
        show.line(f"  {len(known)} version(s) of {len(plan.versions)} came in before")
    if change is None:
        for each in plan.new:
            show.line(f"  {_line(each)}  {done.pointer.status_of(each.version.number)}")
        show.line(f"  {len(plan.new)} version(s) would come in; {_live(done.pointer)}")
        return
    if change.commit is None:
        show.line("  what is live stays as it is")
    else:
        show.line(f"  {_live(done.pointer)}")
        branch, remote = registry.config.branch, registry.config.remote
        where = f"{branch}, published on {remote}" if done.is_pushed else branch
        show.line(f"  commit {change.commit[:10]} on {where}")
    if registry.has_remote() and not done.is_pushed:
        show.line("  publish it: mlv push")


def _live(pointer: Pointer) -> str:
    if pointer.current is None:
        return "nothing is live"
    before = f", previous {name_of(pointer.previous)}" if pointer.previous else ""
    return f"{pointer.model}-{name_of(pointer.current)} is live{before}"


def _facts(done: BroughtIn) -> dict[str, Any]:
    plan, change, pointer = done.plan, done.change, done.pointer
    return {
        "model": plan.model,
        "source": plan.incoming.source,
        "dry_run": change is None,
        "versions": [_version_facts(pointer, each) for each in plan.versions],
        "production": name_of(pointer.current),
        "previous": name_of(pointer.previous),
        "staging": name_of(pointer.staging),
        "notes": list(plan.notes),
        "commit": change and change.commit,
        "pushed": done.is_pushed,
    }


def _version_facts(pointer: Pointer, each: Planned) -> dict[str, Any]:
    incoming = each.incoming
    return {
        "version": each.version.name,
        "tag": each.version.tag,
        "origin": dict(incoming.origin),
        "registered_at": incoming.registered_at,
        "status": pointer.status_of(each.version.number),
        "new": not each.is_here,
    }


@click.group("import")
def import_command() -> None:
    """Bring in what another registry has: versions, numbers, dates, statuses."""


import_command.add_command(store_command)
