"""gate, review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref, ref_argument
from mlv.cli.progress import bar
from mlv.errors import GateFailed, InvalidInput
from mlv.registry import ModelRegistry

if TYPE_CHECKING:
    from mlv.domain.gate import Verdict

_FORMATS = ("text", "md", "json")


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
        [show.mark(outcome), show.plain(outcome.rule), outcome.kind, show.plain(outcome.message)]
        for outcome in verdict.outcomes
    ]
    if not rows:
        return [*lines, "  no rule applies: mlv.yaml states them (docs/configuration.md)"]
    return [*lines, *show.table(["", "rule", "outcome", "why"], rows, keep=4)]


@command(
    click.argument("span", metavar="[BASE..HEAD]", required=False),
    click.option("--format", "form", type=click.Choice(_FORMATS), help="How to show the report."),
    click.option("--deep", is_flag=True, help="Download, hash and scan what would be loaded too."),
    click.option("--no-remote", is_flag=True, help="Ask neither the Git nor the DVC remote."),
    click.option("--force", is_flag=True, help="Accept what is proposed as forced past the gate."),
    model=False,
)
def review_command(
    session: Session,
    span: str | None,
    form: str | None,
    deep: bool,
    no_remote: bool,
    force: bool,
) -> None:
    """Judge a change to the registry before it is merged; exit 3 if it is refused.

    BASE is the registry branch as it was last fetched, HEAD what is checked out.
    """
    if deep and no_remote:
        raise InvalidInput(
            "--deep asks the DVC remote, and --no-remote forbids it", hint="give one of them"
        )
    report = ModelRegistry.review(
        session.folder, span, remote=not no_remote, deep=deep, force=force,
        progress=None if session.quiet else bar(),
    )  # fmt: skip
    if session.as_json or form == "json":
        show.as_json(report.to_dict())
    elif form == "md":
        from mlv.review.markdown import render

        click.echo(render(report), nl=False)
    elif not session.quiet:
        from mlv.cli.report import text

        for line in text(report):
            show.line(line)
    if not report.passed:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in report.blocking))
        raise GateFailed(f"the review refuses this change: {rules}")
