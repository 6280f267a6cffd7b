"""A version is written alike by every Python: Unicode grows, and versions stay."""

from __future__ import annotations

import unicodedata

from mlv.domain import yamltext
from mlv.domain.escaping import code
from mlv.domain.manifest import check_metrics
from mlv.domain.printable import is_printable

# Of Unicode 15.0, of 16.0, and of none yet: Python 3.11 knows 14.0.
NEW = "\N{GRINNING FACE} \U0001fae8 \U0001faea \U0001fbff"


def test_a_sign_that_unicode_got_later_is_one_like_others() -> None:
    assert is_printable(NEW)
    assert code(NEW) == f"`{NEW}`"
    assert yamltext.dump({"window": NEW}) == f'window: "{NEW}"\n'
    assert check_metrics({NEW: 1}) == {NEW: 1}


def test_of_what_this_python_knows_it_says_what_python_says() -> None:
    known = [
        char
        for number in range(0x110000)
        if unicodedata.category(char := chr(number)) != "Cn" and number < 0xE0000
    ]
    assert [char for char in known if is_printable(char) != char.isprintable()] == []
