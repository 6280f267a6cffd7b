"""Text from a repository in Markdown: whatever it says, it stays text.

Forges look for mentions, issues and emoji in the rendered text, so that no entity keeps them out;
only code does. A code span ends at a backtick, a table's cell at a bar, and a line may begin
anything: none of these is left in what is not ours. What cannot be seen is written out.
"""

from __future__ import annotations

import re
from unicodedata import category

from mlv.domain.printable import is_printable

LONGEST = 120
LONGEST_PROSE = 600
_MOST_MARKS = 2  # on one letter; heaps of them cover the lines above and below
_MARKS = ("Mn", "Me")
# Letters and signs that show as nothing, although Python finds them printable.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_REPLACED = str.maketrans({"`": "'", "|": "\N{BROKEN BAR}"})
# Words that nothing is made of: letters alone, in a sentence's punctuation. A word that may be a
# commit's id is none.
_WORD = re.compile(r"[(\"']*(?:[A-Za-z]+(?:'[a-z])?|[a-z]+(?:-[a-z]+)+)[)\"',;:.?!]*")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,}")
_AROUND = re.compile(r"([(\"']*)(.*?)([)\"',;:.]*)", re.DOTALL)


def shown(text: object, longest: int = LONGEST) -> str:
    """Make text one line in which everything is seen; too long a one is cut."""
    words = " ".join(_seen(str(text)[: 4 * longest]).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def code(text: object, longest: int = LONGEST) -> str:
    """Write text as a code span, which may stand in a table's cell."""
    inner = shown(text, longest).translate(_REPLACED)
    if not inner:
        return "(empty)"
    # Some take a backslash before the end for an escape.
    return f"`{inner} `" if inner.endswith("\\") else f"`{inner}`"


def prose(text: str, longest: int = LONGEST_PROSE) -> str:
    """Write a sentence that may hold anybody's text: what is more than a word becomes code."""
    said: list[str] = []
    held: list[str] = []  # words of one code span
    for word in shown(text, longest).split():
        before, inner, after = _parts(word)
        if held and (before or not inner):
            said.append(code(" ".join(held), longest))
            held = []
        if not inner:
            said.append(word)
            continue
        held.append(inner)
        if before or after:
            said.append(f"{before}{code(' '.join(held), longest)}{after}")
            held = []
    return " ".join([*said, *([code(" ".join(held), longest)] if held else [])])


def preformatted(text: object, longest: int = LONGEST) -> str:
    """Make text fit for a line of a fenced block, where no line begins with a forge's command."""
    inner = shown(text, longest).translate(_REPLACED)
    return f"{_written_out('/')}{inner[1:]}" if inner.startswith("/") else inner


def _parts(word: str) -> tuple[str, str, str]:
    """Split a word into what is to be code and the punctuation around it; a plain one has none."""
    if _WORD.fullmatch(word) and not _COMMIT.search(word):
        return word, "", ""
    found = _AROUND.fullmatch(word)
    return (found[1], found[2], found[3]) if found and found[2] else ("", word, "")


def _seen(text: str) -> str:
    """Write out what no one sees, and what covers other lines; line ends become blanks."""
    if text.isascii() and text.isprintable():
        return text
    seen: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if category(char) in _MARKS else 0
        is_odd = not is_printable(char) or _UNSEEN.match(char) or marks > _MOST_MARKS
        seen.append(" " if char in "\r\n\t" else _written_out(char) if is_odd else char)
    return "".join(seen)


def _written_out(char: str) -> str:
    digits = f"{ord(char):02x}"
    return f"\\u{digits:0>4}" if digits[2:] else f"\\x{digits}"
