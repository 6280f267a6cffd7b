"""export mlflow."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, ref_argument
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from mlv.bridges.mlflow.export import Exported
    from mlv.bridges.mlflow.plan import Step

# What a person or a pipeline that waits wants of MLflow's client, unless the environment says
# otherwise: to hear within seconds that the server is away, and of nothing but our own output.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
TRACKING_URI = click.option(
    "--tracking-uri", envvar="MLFLOW_TRACKING_URI", metavar="URI", help="Where MLflow is."
)


@command(
    ref_argument(required=False),
    click.option("--all", "all_", is_flag=True, help="All versions: so it is without REF."),
    TRACKING_URI,
    click.option("--name", metavar="NAME", help="The model's name in MLflow, if it is another."),
    click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing."),
    click.option("--follow", is_flag=True, help="Go on, and export whatever changes."),
    click.option(
        "--watch",
        default=30.0,
        show_default=True,
        type=click.FloatRange(min=0.1),
        metavar="SECONDS",
        help="With --follow: how often to look.",
    ),
)
def mlflow_command(
    session: Session,
    ref: str | None,
    all_: bool,
    tracking_uri: str | None,
    name: str | None,
    dry_run: bool,
    follow: bool,
    watch: float,
) -> None:
    """Show versions in MLflow, and keep in step what it shows.

    Versions with files, metrics, parameters, tags and lineage; the alias champion leads to what is
    in production, challenger to what is in staging. Done again, only what changed is written.
    """
    if ref and all_:
        raise InvalidInput("REF is one version, and --all is all of them", hint="leave one out")
    if follow and dry_run:
        raise InvalidInput("--follow writes, and --dry-run does not", hint="leave one out")
    uri = need_uri(tracking_uri)
    use_defaults()
    from mlv.bridges.mlflow import export
    from mlv.bridges.mlflow.export import Order
    from mlv.bridges.mlflow.follow import follow as go_on

    order = Order(uri, ref, name, dry_run)
    registry = session.open()
    if not follow:
        _show(session, export(registry, order), dry_run=dry_run)
        return
    go_on(
        registry,
        order,
        watch=watch,
        told=lambda done: _show_line(session, done),
        notify=show.note,
    )


def need_uri(given: str | None) -> str:
    """Give MLflow's address, or say how it is given: never that of MLflow's own default folder."""
    if not given:
        raise InvalidInput(
            "which MLflow?", hint="--tracking-uri http://host:5000, or MLFLOW_TRACKING_URI"
        )
    return given


def use_defaults() -> None:
    """Give MLflow's client what the environment does not say."""
    for variable, value in _DEFAULTS.items():
        os.environ.setdefault(variable, value)


def _show(session: Session, done: list[Exported], *, dry_run: bool) -> None:
    if session.as_json:
        show.as_json({"dry_run": dry_run, "models": [_facts(each) for each in done]})
        return
    for each in done:
        if session.quiet:
            show.lines([_told(step) for step in each.steps])
            continue
        mark = "would: " if dry_run else f"{click.style('✓', fg='green')} "
        show.lines([f"{mark}{_told(step)}" for step in each.steps])
        if not each.steps:
            show.line(f"MLflow shows all of {each.model} already: nothing was written")
        rows = [_row(*row) for row in each.versions]
        show.lines(show.table(["version", "in MLflow", "status", "aliases"], rows, keep=4))


def _show_line(session: Session, done: list[Exported]) -> None:
    """Show what following did, each time in as few lines as it takes."""
    if session.as_json:
        show.line(json.dumps({"dry_run": False, "models": [_facts(each) for each in done]}))
    else:
        show.lines([_told(step) for each in done for step in each.steps])


def _row(
    tag: str, number: int | None, status: str, aliases: tuple[str, ...]
) -> tuple[str, str, str, str]:
    return (tag, "-" if number is None else str(number), show.status(status), " ".join(aliases))


def _told(step: Step) -> str:
    """Say in a few words what a step does."""
    said = {
        "create": f"{step.version} added",
        "fill": f"files of {step.version} added",
        "describe": f"tags of {step.version} brought up to date",
        "alias": f"alias {step.alias} leads to {step.version}",
        "unalias": f"alias {step.alias} taken from {step.version}",
        "remove": f"version {step.number} removed, which was {step.version} twice",
        "remove run": f"a run removed, which was {step.version} twice",
    }
    return said[step.action]


def _facts(done: Exported) -> dict[str, Any]:
    return {
        "model": done.model,
        "name": done.name,
        "tracking_uri": done.uri,
        "steps": [
            {"action": step.action, "version": step.version, "alias": step.alias or None}
            for step in done.steps
        ],
        "versions": [
            {"version": tag, "mlflow_version": number, "status": status, "aliases": [*aliases]}
            for tag, number, status, aliases in done.versions
        ],
    }
