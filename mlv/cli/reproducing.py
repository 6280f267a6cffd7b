"""reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, ref_argument
from mlv.domain import figures
from mlv.domain.comparison import delta
from mlv.errors import GateFailed

if TYPE_CHECKING:
    from mlv.reproducing import Reproduced
    from mlv.reproducing.retraining import Retrained


@command(
    ref_argument(),
    click.option("--dir", "folder_", metavar="DIR", help="Where; else beside the repository."),
    click.option("--env", is_flag=True, help="Also make .venv there, of its packages."),
    click.option("--retrain", is_flag=True, help="Also run its training again, and compare."),
    click.option("--python", metavar="PYTHON", help="The interpreter of --env."),
)
def reproduce_command(
    session: Session,
    ref: str,
    folder_: str | None,
    env: bool,
    retrain: bool,
    python: str | None,
) -> None:
    """Bring a version back in a work tree of its own.

    --retrain runs what the version's own dvc.yaml says; exit 3 if it does not come out the same.
    """
    registry = session.open()
    done = registry.reproduce(
        ref,
        session.path(folder_) if folder_ else None,
        env=env,
        retrain=retrain,
        python=python,
        show=_silent if session.quiet else _show_line,
    )
    if session.as_json:
        show.as_json(_facts(done))
    elif session.quiet:
        show.line(str(done.folder))
    else:
        _tell(done)
    if done.retrained and not done.retrained.is_identical:
        click.get_current_context().exit(GateFailed.exit_code)


def _silent(_: str) -> None:
    pass


def _show_line(text: str) -> None:
    click.echo(click.style(f"  | {show.printable(text.expandtabs())}", dim=True), err=True)


def _tell(done: Reproduced) -> None:
    show.line(f"{click.style('✓', fg='green')} {show.heading(done.version.tag)} in {done.folder}")
    for role, path in done.files.items():
        show.line(f"  {role}  {path.relative_to(done.folder).as_posix()}")
    if done.environment:
        made = done.environment
        show.line(f"  .venv  Python {made.version}, {made.packages} packages")
        for note in made.notes:
            show.note(note)
    if done.retrained:
        _tell_retrained(done.retrained)


def _tell_retrained(done: Retrained) -> None:
    took = f"stage {show.plain(done.stage)} in {done.seconds:.1f} s"
    if done.is_identical:
        show.line(f"{click.style('✓', fg='green')} retrained, bit-identical: {took}")
    else:
        show.line(f"{click.style('✗', fg='red')} retrained, and something else came out: {took}")
    rows = [
        [show.plain(each.path), each.role or "", "same" if each.is_same else "differs"]
        for each in done.outputs
    ]
    for text in show.table(["output", "artifact", ""], rows, keep=3):
        show.line(text)
    changes = delta(done.before, done.after)
    rows = [
        [
            show.plain(name),
            show.number(done.before.get(name)),
            show.number(done.after.get(name)),
            "same" if not change else figures.signed(change),
        ]
        for name, change in changes.items()
    ]
    if rows:
        for text in show.table(["metric", "registered", "retrained", "delta"], rows, keep=1):
            show.line(text)


def _facts(done: Reproduced) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "tag": done.version.tag,
        "folder": str(done.folder),
        "commit": done.commit,
        "files": {role: str(path) for role, path in done.files.items()},
        "environment": None,
        "retrained": None,
    }
    if done.environment:
        made = done.environment
        facts["environment"] = {
            "folder": str(made.folder),
            "python": made.version,
            "packages": made.packages,
            "notes": list(made.notes),
        }
    if done.retrained:
        again = done.retrained
        facts["retrained"] = {
            "identical": again.is_identical,
            "stage": again.stage,
            "seconds": round(again.seconds, 3),
            "outputs": [
                {"path": each.path, "role": each.role, "before": each.before, "after": each.after}
                for each in again.outputs
            ],
            "metrics": {
                name: {"before": again.before.get(name), "after": value}
                for name, value in again.after.items()
            },
        }
    return facts
