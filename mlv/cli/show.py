"""What a person reads: tables, numbers, sizes, colours."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import click

from mlv.domain import figures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from mlv.domain.gate import Outcome

number, size = figures.number, figures.size
LIVE_MARK = "●"
FORCED = "forced past the gate"
STATUS_COLOURS = {
    "production": "green",
    "staging": "yellow",
    "archived": "bright_black",
    "yanked": "red",
    "purged": "bright_black",
}


def printable(text: object) -> str:
    """Make text from a repository harmless to a terminal; line breaks stay."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text
    )


def plain(text: object) -> str:
    """Make text from a repository harmless, and one line."""
    return printable(text).replace("\n", " ")


def line(text: str = "") -> None:
    """Print a line of the answer."""
    click.echo(text)


def lines(texts: Sequence[str]) -> None:
    """Print lines of the answer, at once."""
    if texts:
        click.echo("\n".join(texts))


def apart() -> AbstractContextManager[Any]:
    """Keep what a model prints while it is loaded out of the answer: it goes to standard error."""
    return redirect_stdout(sys.stderr)


def note(text: str) -> None:
    """Tell something besides the answer, on standard error."""
    click.echo(f"{click.style('note:', fg='cyan')} {printable(text)}", err=True)


def as_json(document: object) -> None:
    """Print JSON, in ASCII: the rest may move a terminal's cursor."""
    click.echo(json.dumps(document, indent=2))


def as_json_lines(documents: Sequence[object]) -> None:
    """Print a JSON array of many documents, one a line, in ASCII."""
    rows = ",\n".join(f"  {json.dumps(document)}" for document in documents)
    click.echo(f"[\n{rows}\n]" if rows else "[]")


def cell(value: object) -> str:
    """Write a value into CSV: harmless to a terminal, and no formula to a spreadsheet."""
    value = str(value).lower() if isinstance(value, bool) else value
    text = "" if value is None else plain(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


@cache
def status(name: str, width: int = 0) -> str:
    """Colour a status."""
    return click.style(name.ljust(width), fg=STATUS_COLOURS.get(name))


def time(stamp: str) -> str:
    """Write an RFC 3339 time in UTC to the minute."""
    return f"{stamp[:10]} {stamp[11:16]}Z"


def mark(outcome: Outcome) -> str:
    """Give the sign of what became of a rule of the gate."""
    if outcome.blocks:
        return click.style("✗", fg="red")
    met = outcome.kind == "passed"
    return click.style("✓", fg="green") if met else click.style("-", fg="yellow")


def heading(text: str) -> str:
    """Set a heading off."""
    return click.style(text, bold=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, keep: int) -> list[str]:
    """Lay out rows as lines; the rest is as of `columns`."""
    by_row = list(map(list, zip(*rows, strict=True))) or [[] for _ in headings]
    return columns(headings, by_row, keep=keep)


def columns(headings: Sequence[str], cells: Sequence[list[str]], *, keep: int) -> list[str]:
    """Lay out columns as lines; those past ``keep`` are left out where they do not fit.

    Cells may be coloured, and what is not ours in them was made `plain`. Columns after the first
    ``keep`` hold numbers and are set right.
    """
    laid = [[heading(name), *column] for name, column in zip(headings, cells, strict=True)]
    taken = [_widths(column) for column in laid]
    widths = [max(column) for column in taken]
    import shutil  # for tables alone: it is slow to import

    count, room = len(headings), shutil.get_terminal_size((100, 24)).columns
    while count > keep and sum(widths[:count]) + 2 * count > room:
        count -= 1
    padded = [_pad(laid[at], taken[at], widths[at], right=at >= keep) for at in range(count)]
    lines = ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
    if count < len(headings):
        hidden = ", ".join(headings[count:])
        lines.append(click.style(f"(no room for {hidden}: --json has all)", fg="bright_black"))
    return lines


def _widths(cells: Sequence[str]) -> list[int]:
    """Say how much room each cell takes; colours take none."""
    return [_coloured_width(cell) if "\x1b" in cell else len(cell) for cell in cells]


@lru_cache(maxsize=64)
def _coloured_width(cell: str) -> int:
    return len(click.unstyle(cell))


def _pad(cells: Sequence[str], taken: Sequence[int], width: int, *, right: bool) -> list[str]:
    blanks = [" " * missing for missing in range(width + 1)]
    if right:
        return [blanks[width - room] + cell for cell, room in zip(cells, taken, strict=True)]
    return [cell + blanks[width - room] for cell, room in zip(cells, taken, strict=True)]


def facts(pairs: dict[str, Any]) -> list[str]:
    """Lay out names with values, one a line."""
    width = max(map(len, pairs), default=0)
    return [f"  {plain(name).ljust(width)}  {plain(value)}" for name, value in pairs.items()]
