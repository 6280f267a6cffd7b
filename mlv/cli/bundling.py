"""bundle, unbundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, complete_ref
from mlv.domain.names import Reference
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.bundling.packing import Bundled
    from mlv.bundling.unpacking import Unbundled


@command(
    click.argument(
        "words", metavar="REF... FILE", nargs=-1, required=True, shell_complete=complete_ref
    ),
    click.option("--partial", is_flag=True, help="Go without pipeline outputs that nobody has."),
)
def bundle_command(session: Session, words: tuple[str, ...], partial: bool) -> None:
    """Write versions to one file, for a machine without network.

    Their bytes, tags and checksums, and the registry branch: what is live.
    """
    refs, file = _refs_and_file(words)
    done = session.open().bundle(*refs, file=_path(session, file), partial=partial)
    if session.as_json:
        show.as_json(
            {
                "file": str(done.path),
                "size": done.size,
                "sha256": done.sha256,
                "versions": [version.tag for version in done.versions],
                "branch": done.branch,
                "commit": done.commit,
                "objects": done.objects,
                "lacking": list(done.lacking),
            }
        )
    elif session.quiet:
        show.line(str(done.path))
    else:
        _show_bundled(done)


def _refs_and_file(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    *refs, file = words
    try:
        Reference.parse(file)
    except InvalidInput:
        if refs:
            return tuple(refs), file
        raise click.UsageError("Name the versions, and then the file.") from None
    raise InvalidInput(
        f"{file!r} is a version, and the file comes last",
        hint=f"mlv bundle {' '.join(words)} FILE; a file of that name is ./{file}",
    )


def _path(session: Session, file: str) -> Path:
    """Find the file; a pipe is none, for a bundle is there whole or not at all."""
    if file == "-":
        raise InvalidInput(
            "a bundle is a file, and '-' is none", hint="name one; a file of that name is ./-"
        )
    return session.path(file)


def _show_bundled(done: Bundled) -> None:
    mark = click.style("✓", fg="green")
    for version in done.versions:
        show.line(f"{mark} {show.heading(version.tag)}")
    show.line(f"{mark} {show.plain(done.branch)} at {done.commit[:10]}")
    show.line(f"  {done.objects} object(s), in {show.plain(done.path)} ({show.size(done.size)})")
    show.line(f"  SHA-256 {done.sha256}")


@command(
    click.argument("file", metavar="FILE"),
    click.option(
        "--dry-run", is_flag=True, help="Verify all, say what would come, change nothing."
    ),
    click.option(
        "--branch/--no-branch", default=True, help="Bring the registry branch along (or do not)."
    ),
    model=False,
)
def unbundle_command(session: Session, file: str, dry_run: bool, branch: bool) -> None:
    """Bring what a bundle holds here, into a clone or an empty folder.

    All of it is verified before any of it is here, and nothing is overwritten.
    """
    how: dict[str, Any] = {"notify": show.note}
    if session.quiet:
        how = {"notify": lambda _: None}
    else:
        from mlv.cli.progress import bar

        how["progress"] = bar()
    from mlv.registry import ModelRegistry

    done = ModelRegistry.unbundle(
        _path(session, file), session.folder, branch=branch, dry_run=dry_run, **how
    )
    if session.as_json:
        show.as_json(
            {
                "path": str(done.path),
                "new": done.is_new,
                "versions": [version.tag for version in done.versions],
                "known": [version.tag for version in done.known],
                "branch": done.branch,
                "commit": done.commit,
                "objects": done.objects,
                "bytes": done.size,
                "lacking": list(done.lacking),
                "dry_run": dry_run,
            }
        )
    elif session.quiet:
        show.lines([version.tag for version in done.versions])
    else:
        _show_unbundled(done, dry_run=dry_run)


def _show_unbundled(done: Unbundled, *, dry_run: bool) -> None:
    mark = "-" if dry_run else click.style("✓", fg="green")
    if done.is_new:
        show.line(f"{mark} registry in {show.plain(done.path)}")
    for version in done.versions:
        show.line(f"{mark} {show.heading(version.tag)}")
    for version in done.known:
        show.line(f"  {version.tag} was here")
    if done.commit:
        show.line(f"{mark} {show.plain(done.branch)} at {done.commit[:10]}")
    show.line(f"  {done.objects} object(s), {show.size(done.size)}, to the DVC cache")
    for path in done.lacking:
        show.line(f"  without {show.plain(path)}: it was not bundled")
    if dry_run:
        show.line("  all of it is whole; nothing was changed")
