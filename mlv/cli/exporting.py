"""export: versions in the form that other tools take."""

from __future__ import annotations

import click

from mlv.cli import show
from mlv.cli.exporting_mlflow import mlflow_command
from mlv.cli.exporting_wandb import wandb_command
from mlv.cli.options import Session, command, ref_argument


@click.group("export")
def export_command() -> None:
    """Show versions in other tools."""


@command(
    ref_argument(),
    click.option("--out", required=True, metavar="DIR", help="The folder to write."),
)
def hf_folder_command(session: Session, ref: str, out: str) -> None:
    """Write a version as a folder for Hugging Face's hub.

    Card, verified artifacts, manifest, requirements and the rules of Git LFS.
    """
    from mlv.bridges import huggingface

    files = huggingface.write_folder(session.open(), ref, session.path(out))
    if session.as_json:
        show.as_json({role: str(path) for role, path in files.items()})
        return
    width = max(map(len, files))
    for role, path in files.items():
        show.line(str(path) if session.quiet else f"{role.ljust(width)}  {path}")


export_command.add_command(hf_folder_command)
export_command.add_command(mlflow_command)
export_command.add_command(wandb_command)
