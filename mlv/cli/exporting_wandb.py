"""export wandb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref
from mlv.domain.pointer import is_withdrawn
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from mlv.bridges.wandb import Exported


@command(
    click.argument("refs", metavar="[REF]...", nargs=-1, shell_complete=complete_ref),
    click.option("--all", "all_", is_flag=True, help="Every version that is handed out."),
    click.option("--project", metavar="NAME", help="W&B's project; else the model's name."),
)
def wandb_command(session: Session, refs: tuple[str, ...], all_: bool, project: str | None) -> None:
    """Log versions as artifacts of Weights & Biases, also offline.

    Files, manifest, metrics, the data they were trained on, and aliases:
    fraud-v3, production.
    """
    from mlv.bridges import wandb

    registry = session.open()
    if refs and all_:
        raise InvalidInput("REF names versions, and --all is all of them", hint="leave one out")
    if all_:
        versions = registry.versions()
        refs = tuple(m.version.tag for m, status in versions if not is_withdrawn(status))
    if not refs:
        raise click.UsageError("Name a version, or say --all.")
    done = wandb.export(
        registry, dict.fromkeys(refs), project, did=lambda each: _show(session, each)
    )
    if session.as_json:
        show.as_json([{**each._asdict(), "folder": str(each.folder)} for each in done])


def _show(session: Session, done: Exported) -> None:
    if session.as_json:
        return
    if session.quiet:
        show.line(done.tag)
    else:
        show.line(f"{done.tag}  {show.plain(done.artifact)} ({', '.join(done.aliases)})")
