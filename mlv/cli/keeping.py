"""yank, purge."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.moving import show_change
from mlv.cli.options import PUSH, Session, command, ref_argument
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlv.purging import Purge
    from mlv.registry import ModelRegistry

_SHOWN = 3


@command(
    ref_argument(),
    click.option("--reason", help="What is wrong with it; told to whoever asks for it."),
    click.option("--undo", is_flag=True, help="Take a yank back: the version is archived."),
    PUSH,
)
def yank_command(
    session: Session, ref: str, reason: str | None, undo: bool, push: bool | None
) -> None:
    """Withdraw a version: it is never promoted or loaded again.

    Its bytes are kept. What is live is not yanked: put another version live first.
    """
    if not reason and not undo:
        raise InvalidInput("a yank needs a reason", hint=f'mlv yank {ref} --reason "..."')
    registry = session.open()
    action = "unyank" if undo else "yank"
    change = registry.move(action, ref, reason=reason, push=push)
    show_change(session, registry, change, push)


@command(
    click.option("--keep-last", metavar="N", type=click.IntRange(min=0), required=True,
                 help="How many archived versions keep their bytes: the newest."),
    click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask."),
)  # fmt: skip
def purge_command(session: Session, keep_last: int, dry_run: bool, yes: bool) -> None:
    """Delete the bytes of old archived versions, for good.

    They go from the DVC cache and the DVC remote, except what another version, or the tip of a
    branch, a tag or a stash needs. Tags and manifests stay. With a Git remote, that they are
    purged is published there first.
    """
    is_asked = not (yes or dry_run)
    if is_asked and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(
            "bytes are deleted for good, and there is no terminal to ask at",
            hint="--dry-run says what would go, --yes does it",
        )
    registry = session.open()

    def confirm(plan: Purge) -> bool:
        if is_asked:
            _ask(plan)
        return not dry_run

    done = registry.purge(keep_last, confirm)
    if session.as_json:
        show.as_json(_facts(registry, done, dry_run=dry_run))
    elif session.quiet:
        for version in done.versions:
            show.line(version.name)
    elif done.is_empty:
        show.line("nothing to purge")
    else:
        _show(done, dry_run=dry_run)


def _ask(plan: Purge) -> None:
    for line in _lines(plan, future=True):
        click.echo(line, err=True)
    click.confirm("Delete these bytes for good?", abort=True, err=True)


def _show(done: Purge, *, dry_run: bool) -> None:
    for line in _lines(done, future=dry_run):
        show.line(line)
    if done.commit:
        show.line(f"  commit {done.commit[:10]}")


def _lines(purge: Purge, *, future: bool) -> list[str]:
    """Say which versions, how many bytes where, and what stays."""
    sweep, tags = purge.sweep, [version.tag for version in purge.versions]
    earlier = [version.tag for version in sweep.versions if version not in purge.versions]
    lines = []
    if tags:
        lines.append(f"{'to be purged' if future else 'purged'}: {', '.join(tags)}")
    if earlier:
        lines.append(f"purged before, with bytes left: {', '.join(earlier)}")
    verb = "would go" if future else "went"
    lines.append(f"  {_amount(sweep.here.values())} {verb} from {show.plain(purge.cache)}")
    if purge.remote:
        where = f"the DVC remote {purge.remote}"
        lines.append(f"  {_amount(sweep.there.values())} {verb} from {show.plain(where)}")
    if sweep.kept:
        who = list(dict.fromkeys(sweep.kept.values()))
        named = ", ".join(who[:_SHOWN]) + (", ..." if len(who) > _SHOWN else "")
        stay = "stays" if len(sweep.kept) == 1 else "stay"
        lines.append(f"  {_count(len(sweep.kept))} {stay}, needed by {show.plain(named)}")
    return lines


def _amount(sizes: Iterable[int | None]) -> str:
    known = list(sizes)
    return f"{_count(len(known))} ({show.size(sum(size or 0 for size in known))})"


def _count(number: int) -> str:
    return f"{number} object{'' if number == 1 else 's'}"


def _facts(registry: ModelRegistry, done: Purge, *, dry_run: bool) -> dict[str, Any]:
    sweep = done.sweep
    return {
        "dry_run": dry_run,
        "purged": [version.tag for version in done.versions],
        "swept": [version.tag for version in sweep.versions if version not in done.versions],
        "cache": _total(sweep.here.values()),
        "dvc_remote": _total(sweep.there.values()) if done.remote else None,
        "kept": [{"md5": md5, "needed_by": who} for md5, who in sweep.kept.items()],
        "branch": registry.config.branch,
        "commit": done.commit,
    }


def _total(sizes: Iterable[int | None]) -> dict[str, int]:
    known = list(sizes)
    return {"objects": len(known), "bytes": sum(size or 0 for size in known)}
