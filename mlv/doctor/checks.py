"""What a check of the set-up says: fine, to be known, or to be mended."""

from __future__ import annotations

from typing import NamedTuple

OK, NOTE, PROBLEM, FIXED = "ok", "note", "problem", "fixed"


class Check(NamedTuple):
    """One line of the doctor's: what was looked at, how it is, and how to mend it.

    ``state`` is "ok", "note" (nothing wrong, but good to know), "problem" or "fixed".
    """

    name: str
    state: str
    message: str
    mend: str = ""


def ok(name: str, message: str) -> Check:
    """Say that it is as it should be."""
    return Check(name, OK, message)


def note(name: str, message: str, mend: str = "") -> Check:
    """Say what is no fault, and good to know."""
    return Check(name, NOTE, message, mend)


def problem(name: str, message: str, mend: str) -> Check:
    """Say what is wrong and how to mend it."""
    return Check(name, PROBLEM, message, mend)


def fixed(name: str, message: str) -> Check:
    """Say what was wrong and is mended now."""
    return Check(name, FIXED, message)
