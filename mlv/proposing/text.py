"""What a pull request says: its title, and the report of what it proposes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import history
from mlv.domain.escaping import prose
from mlv.errors import RegistryError
from mlv.review import Look, review
from mlv.review.markdown import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.sharing.share import Share

_CUT = "\n\n*The rest did not fit: `mlv review` shows it.*\n"
_FENCE = "```"


class Text(NamedTuple):
    """A title, a body in Markdown, and what whoever proposes should know of it."""

    title: str
    body: str
    notes: tuple[str, ...] = ()


def cut(text: str, longest: int, len_of: Callable[[str], int] = len) -> str:
    """Cut Markdown that is too long at the end of a line, and close what that leaves open."""
    if len_of(text) <= longest:
        return text
    lines = text.splitlines(keepends=True)
    room, kept = longest - len_of(_CUT) - 200, []
    for line in lines:
        room -= len_of(line)
        if room < 0:
            break
        kept.append(line)
    head = "".join(kept).rstrip("\n")
    if head.count(_FENCE) % 2:
        head += f"\n{_FENCE}"
    opened = head.count("<details>") - head.count("</details>")
    return head + "\n\n</details>" * min(max(opened, 0), 10) + _CUT


def text_of(share: Share, base: str, commit: str, message: str, *, is_published: bool) -> Text:
    """Write a pull request's text: the reason, and what a review says of the commit on ``base``.

    What is not published yet is not looked for on the remotes.
    """
    subject, reason = message.partition("\n")[0], history.reason(message)
    quoted = [f"> {prose(line)}\n" for line in (reason or "").splitlines() if line.strip()]
    look = Look(remote=is_published, progress=share.progress)
    try:
        report = review(share.versions, base, commit, look)
    except RegistryError as error:
        said = f"the report could not be written: {error.message}"
        body = f"{subject}\n\n*{prose(said)}*\n"
        return Text(subject, "\n".join([*quoted, body]), (said,))
    is_forced = "\nMlv-Forced: " in message  # which was said when it was decided
    news = [each for each in report.blocking if not (is_forced and each.rule == "gate")]
    notes = [f"the review refuses it as it is: {each.message}" for each in news[:1]]
    return Text(subject, "\n".join([*quoted, render(report)]), tuple(notes))


def keep(common_dir: Path, name: str, body: str) -> Path | None:
    """Keep a body where a person finds it; None if the disk refuses, for it is pushed by then."""
    path = common_dir / "mlv" / "proposals" / f"{name}.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{uuid.uuid4().hex}")
        beside.write_text(body, encoding="utf-8", errors="replace")
        beside.replace(path)
    except OSError:
        return None
    return path
