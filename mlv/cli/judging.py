"""review."""

from __future__ import annotations

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.cli.progress import bar
from mlv.errors import GateFailed, InvalidInput
from mlv.registry import ModelRegistry

_FORMATS = ("text", "md", "json")


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
        from mlv.cli.reviewing import text

        for line in text(report):
            show.line(line)
    if not report.passed:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in report.blocking))
        raise GateFailed(f"the review refuses this change: {rules}")
