"""history, at."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command
from mlv.domain.history import FIELDS
from mlv.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {
    "register": "registered",
    "stage": "staged",
    "promote": "promoted",
    "rollback": "rolled back to",
    "yank": "yanked",
    "unyank": "yank undone",
    "purge": "purged",
    "import": "imported",
    "changed": "changed by hand",
}
_FORCED = ", forced"
_COLOURS = {"promote": "green", "rollback": "yellow", "yank": "red", "changed": "red"}


@command(click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a line of headings."))
def history_command(session: Session, *, as_csv: bool) -> None:
    """Tell what happened, oldest first: who did it, when, and why."""
    if as_csv and session.as_json:
        raise InvalidInput("--json and --csv are two forms", hint="choose one")
    events = session.open().history()
    if session.as_json:
        show.as_json_lines(events)
    elif as_csv:
        click.echo(_csv(events), nl=False)
    elif session.quiet:
        show.lines([f"{event['time']} {event['action']} {_tag(event)}" for event in events])
    elif events:
        rows = [_row(event) for event in events]
        headings = ["time", "what", "version", "was", "by", "commit", "reason"]
        show.lines(show.table(headings, rows, keep=len(headings)))
        _explain(events)
    else:
        show.note("nothing has happened yet: mlv register MODEL --preprocessor FILE begins")


def _tag(event: dict[str, Any]) -> str:
    return f"{event['model']}-{event['version']}" if event["version"] else str(event["model"])


def _row(event: dict[str, Any]) -> list[str]:
    action = event["action"]
    doubt = "?" if event["uncertain_since"] else ""
    return [
        show.time(event["time"]) + doubt,
        _what(action) + (_FORCED if event["forced"] else ""),
        _tag(event),
        event["was"] or "-",
        _people(event),
        event["commit"][:10],
        _why(event),
    ]


@cache
def _what(action: str) -> str:
    return click.style(_WORDS[action], fg=_COLOURS.get(action))


def _people(event: dict[str, Any]) -> str:
    author, committer = event["author"], event["committer"]
    name = _person(author)
    return name if committer in (None, author) else f"{name}, by way of {_person(committer)}"


def _person(text: str) -> str:
    return show.plain(text.partition(" <")[0] or text)


def _why(event: dict[str, Any]) -> str:
    why = show.plain(event["reason"] or "")
    if event["action"] not in ("changed", "import"):
        return why
    change = f"{event['status_before']} to {event['status']}"
    return f"{change}: {why}" if why else change


def _explain(events: Sequence[dict[str, Any]]) -> None:
    doubtful = {e["commit"]: e["uncertain_since"] for e in events if e["uncertain_since"]}
    for commit, since in doubtful.items():
        show.note(
            f"? the merge {commit[:10]} may have turned the branch round: what it brought may have "
            f"been live since {show.time(since)}; git log --graph {commit[:10]} shows it"
        )


def _csv(events: Sequence[dict[str, Any]]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows([[show.cell(value) for value in event.values()] for event in events])
    return text.getvalue()


@command(click.argument("when"))
def at_command(session: Session, when: str) -> None:
    """Say what was live at a moment: '2026-05-01 23:00+02:00'.

    Without a zone it is local time; a date alone means the end of that day.
    """
    found = session.open().at(when)
    if session.as_json:
        show.as_json(found)
        return
    models = [each for each in found["models"] if each["version"]]
    if not session.quiet:
        for text in found["notes"]:
            show.note(text)
    if not models:
        first = f"; {found['notes'][-1]}" if found["notes"] else ""
        raise NotFound(
            f"nothing was live at {found['meaning']}", hint=f"mlv history shows what was{first}"
        )
    if session.quiet:
        for each in models:
            show.line(each["version"] if len(models) == 1 else each["tag"])
        return
    show.line(f"at {found['meaning']}")
    for each in models:
        _show_live(each)
    show.line()
    show.line(f"  get it: {found['get']}")


def _show_live(live: dict[str, Any]) -> None:
    mark = click.style(show.LIVE_MARK, fg="green")
    show.line(f"{mark} {show.heading(live['tag'])}")
    since = live["since"]
    facts = {}
    if live["forced"]:
        facts["gate"] = f"not met: {show.FORCED}"
    if since:
        doubt = " (uncertain)" if since["uncertain_since"] else ""
        facts["since"] = f"{show.time(since['time'])}{doubt}, {_WORDS[since['action']]}"
        facts["by"] = _people(since)
        facts["commit"] = since["commit"][:10]
        facts["reason"] = since["reason"]
    for role, artifact in live["artifacts"].items():
        facts[role] = f"{artifact['path']}  sha256 {artifact['sha256']}"
    for text in show.facts({name: value for name, value in facts.items() if value}):
        show.line(text)
