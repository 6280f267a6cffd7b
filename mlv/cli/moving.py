"""gate, stage, promote, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import PUSH, Session, command, complete_ref, ref_argument
from mlv.domain.names import name_of
from mlv.errors import GateFailed

if TYPE_CHECKING:
    from mlv.domain.gate import Outcome, Verdict
    from mlv.moving.drafting import Moved
    from mlv.moving.promotion import Change
    from mlv.registry import ModelRegistry

REASON = click.option("--reason", help="Why; kept in the commit for good.")
FROM = click.option(
    "--from", "from_", metavar="REF", multiple=True, shell_complete=complete_ref,
    help="The version you saw live; stop if it is not.",
)  # fmt: skip
FORCE = click.option(
    "--force", is_flag=True, help="Go past the gate; needs --reason, and is recorded for good."
)
_REFS = click.argument("refs", metavar="REF...", nargs=-1, required=True,
                       shell_complete=complete_ref)  # fmt: skip

_SAID = {
    "yank": "is yanked: nobody gets it any more",
    "unyank": "is archived: its yank is taken back",
}


@command(
    ref_argument(),
    click.option("--against", metavar="REF", shell_complete=complete_ref,
                 help="Another version of the model; else the live one."),
)  # fmt: skip
def gate_command(session: Session, ref: str, against: str | None) -> None:
    """Judge a version by the gate, rule by rule, and change nothing.

    The gate is that of mlv.yaml on the registry branch. Exits with 3 if it is not met.
    """
    verdict = session.open().gate(ref, against)
    if session.as_json:
        show.as_json(verdict.to_dict())
    elif session.quiet:
        show.line("passed" if verdict.passed else "failed")
    else:
        show.lines(_judgement(verdict))
    if not verdict.passed:
        click.get_current_context().exit(GateFailed.exit_code)


def _judgement(verdict: Verdict) -> list[str]:
    champion = verdict.champion
    against = f"held against {champion.tag}" if champion else "nothing is live"
    colour, word = ("green", "passes") if verdict.passed else ("red", "does not pass")
    tag = verdict.challenger.tag
    lines = [f"{show.heading(tag)} {click.style(word, fg=colour)} the gate ({against})"]
    rows = [
        [_mark(outcome), show.plain(outcome.rule), outcome.kind, show.plain(outcome.message)]
        for outcome in verdict.outcomes
    ]
    if not rows:
        return [*lines, "  no rule applies: mlv.yaml states them (docs/configuration.md)"]
    return [*lines, *show.table(["", "rule", "outcome", "why"], rows, keep=4)]


def _mark(outcome: Outcome) -> str:
    if outcome.blocks:
        return click.style("✗", fg="red")
    return click.style("✓", fg="green") if outcome.kind == "passed" else "-"


@command(_REFS, REASON, FORCE, PUSH)
def stage_command(
    session: Session, refs: tuple[str, ...], reason: str | None, force: bool, push: bool | None
) -> None:
    """Put versions in staging, one of each model."""
    registry = session.open()
    change = registry.move("stage", refs, reason=reason, force=force, push=push)
    show_change(session, registry, change, push)


@command(_REFS, REASON, FROM, FORCE, PUSH)
def promote_command(
    session: Session,
    refs: tuple[str, ...],
    reason: str | None,
    from_: tuple[str, ...],
    force: bool,
    push: bool | None,
) -> None:
    """Put versions live; those that were live are archived.

    Several, of several models, go live in one commit: all or none.
    """
    registry = session.open()
    change = registry.move("promote", refs, reason=reason, from_=from_, force=force, push=push)
    show_change(session, registry, change, push)


@command(
    click.argument("models", metavar="[MODEL]...", nargs=-1),
    click.option("--to", metavar="REF", multiple=True, shell_complete=complete_ref,
                 help="A version that was live before; else the previous one."),
    REASON,
    FROM,
    PUSH,
)  # fmt: skip
def rollback_command(
    session: Session,
    models: tuple[str, ...],
    to: tuple[str, ...],
    reason: str | None,
    from_: tuple[str, ...],
    push: bool | None,
) -> None:
    """Go back to the version that was live before.

    Several models go back in one commit: all or none.
    """
    registry = session.open()
    change = registry.move("rollback", to, models=models, reason=reason, from_=from_, push=push)
    show_change(session, registry, change, push)


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
