"""Text from a repository: what it becomes in a code span, in a sentence and in a fenced block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlv.domain.escaping import code, preformatted, prose, shown
from mlv.domain.printable import is_printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roc_auc", "`roc_auc`"),
        ("Use `scaler` | drop", "`Use 'scaler' ¦ drop`"),
        ("C:\\models\\", "`C:\\models\\ `"),
        ("two\nlines\tand  blanks", "`two lines and blanks`"),
        ("", "(empty)"),
        (" \n ", "(empty)"),
        ("x" * 200, f"`{'x' * 119}…`"),
    ],
)
def test_a_code_span_holds_any_text(text: str, expected: str) -> None:
    assert code(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpj\u202eexe", "gpj\\u202eexe"),
        ("a\u200bb", "a\\u200bb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("ab\u3164", "ab\\u3164"),
        ("\ud800", "\\ud800"),
        ("e\u0301\u0302\u0303", "e\u0301\u0302\\u0303"),
        ("Zoë, 模型, מודל", "Zoë, 模型, מודל"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is not signed (by anybody): sign it", "it is not signed (by anybody): sign it"),
        ("latency_ms is 60, above 50", "`latency_ms` is `60`, above `50`"),
        ("run mlv stage fraud-v3 --push", "run mlv stage `fraud-v3 --push`"),
        ("the file 'a b.pkl'", "the file 'a `b.pkl`'"),
        ("ask @ada or #12", "ask `@ada` or `#12`"),
        ("of deadbeef", "of `deadbeef`"),
        ("read-only", "read-only"),
        ("...", "`...`"),
    ],
)
def test_a_sentence_keeps_its_plain_words(text: str, expected: str) -> None:
    assert prose(text) == expected


def test_a_line_of_a_block_is_no_command_of_a_forge() -> None:
    assert preformatted("/merge") == "\\x2fmerge"


@given(st.text())
def test_a_span_has_one_beginning_and_one_end(text: str) -> None:
    span = code(text)
    assert span == "(empty)" or (span[0], span[-1], span.count("`")) == ("`", "`", 2)
    assert "|" not in span
    assert is_printable(span)


@given(st.text(st.characters(max_codepoint=127)))
def test_in_ascii_a_short_way_says_the_same_of_what_is_seen(text: str) -> None:
    assert is_printable(text) == is_printable(f"{text}ä")


@given(st.text())
def test_a_sentence_without_its_code_is_letters_and_punctuation(text: str) -> None:
    outside = prose(text).split("`")[::2]
    assert set("".join(outside)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ()\"',;:.?!-"
    )
