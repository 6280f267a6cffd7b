"""pull, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, ref_argument
from mlv.errors import IntegrityError, InvalidInput

if TYPE_CHECKING:
    from mlv.registry import ModelRegistry


@command(
    ref_argument(),
    click.option("--out", metavar="DIR", help="Copy the files there, writable."),
)
def pull_command(session: Session, ref: str, out: str | None) -> None:
    """Fetch and verify a version's files, and say where they are."""
    registry = session.open()
    files = registry.copy_out(ref, session.path(out)) if out else registry.artifacts(ref)
    if session.as_json:
        show.as_json({role: str(path) for role, path in files.items()})
        return
    width = max(map(len, files))
    for role, path in files.items():
        show.line(str(path) if session.quiet else f"{role.ljust(width)}  {_short(path)}")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@command(
    ref_argument(required=False),
    click.option("--all", "all_", is_flag=True, help="Every version whose bytes are here."),
)
def verify_command(session: Session, ref: str | None, all_: bool) -> None:
    """Hash a version's bytes anew; exit 4 if they are not what was registered."""
    if bool(ref) == all_:
        raise InvalidInput("give one reference, or --all", hint="mlv verify fraud-v3")
    registry = session.open()
    refs = [tag.version.tag for tag, _ in registry.every()] if all_ else [ref or ""]
    reports = [_report(registry, each, fetch=not all_) for each in refs]
    if session.as_json:
        show.as_json(reports)
    elif not session.quiet:
        for report in reports:
            _print(report)
    failed = [report for report in reports if report["error"]]
    if failed and len(refs) > 1:
        raise IntegrityError(
            f"{len(failed)} of {len(refs)} versions are not what was registered",
            hint="each is named above",
        )
    if failed:
        click.get_current_context().exit(IntegrityError.exit_code)


def _report(registry: ModelRegistry, ref: str, *, fetch: bool) -> dict[str, Any]:
    tag = registry.resolve(ref).tag
    try:
        return {"tag": tag, "artifacts": registry.verify(ref, fetch=fetch), "error": None}
    except IntegrityError as error:
        return {"tag": tag, "artifacts": {}, "error": error.message, "hint": error.hint}


def _print(report: dict[str, Any]) -> None:
    if report["error"]:
        show.line(
            f"{click.style('✗', fg='red')} {report['tag']}  {show.printable(report['error'])}"
        )
        show.line(f"  {show.printable(report['hint'])}")
        return
    states = ", ".join(f"{role} {state}" for role, state in report["artifacts"].items())
    all_here = "not here" not in report["artifacts"].values()
    mark = click.style("✓", fg="green") if all_here else "-"
    show.line(f"{mark} {report['tag']}  {states}")
