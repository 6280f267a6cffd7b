"""Which characters are seen: always the same ones, whichever Python is asked.

`str.isprintable` knows what Unicode had when that Python was made: a version registered by a newer
one would be a forgery to an older one, which writes out of its card what the newer one left alone.
"""

from __future__ import annotations

import re
from functools import cache

# Controls, formats, blanks other than the space, halves, private ones, and what is no character.
# What Unicode has yet to assign counts as seen.
_UNSEEN = (
    "[\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000f0000-\U0010ffff]"
)


def is_printable(text: str) -> bool:
    """Whether each of its characters is seen, or a space."""
    if text.isascii():  # which every Python knows alike, and nearly all that is asked about is
        return text.isprintable()
    return _unseen().search(text) is None


@cache
def _unseen() -> re.Pattern[str]:
    return re.compile(_UNSEEN)
