"""Numbers as a person reads them."""

from __future__ import annotations

_WIDEST = 10**15
_MANY_TIMES = 1000


def number(value: float | None) -> str:
    """Write a metric: four decimals, or four digits where these say more."""
    if value is None:
        return "-"
    if isinstance(value, int) and abs(value) < _WIDEST:
        return str(value)
    small, large = 0.001, 100_000
    return f"{value:.4f}" if value == 0 or small <= abs(value) < large else f"{value:.4g}"


def signed(change: float) -> str:
    """Write a change of a metric with its sign."""
    return f"{'+' if change > 0 else ''}{number(change)}" if change else "0"


def share(change: float, before: float | None) -> str:
    """Write a change as a part of what was there before; nothing where that was 0."""
    if not before:
        return ""
    part = change / abs(before)
    return f"{part:+.1%}" if abs(part) < _MANY_TIMES else f"{100 * part:+.3g}%"


def size(count: int) -> str:
    """Write a number of bytes."""
    amount, step = float(count), 1000.0
    for unit in ("B", "kB", "MB", "GB"):
        if amount < step:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= step
    return f"{amount:.1f} TB"


def count(number_of: int, thing: str, things: str = "") -> str:
    """Write how many there are: ``1 commit``, ``2 commits``."""
    return f"{number_of} {thing if number_of == 1 else things or f'{thing}s'}"


def duration(seconds: float) -> str:
    """Write seconds with what of them counts: ``0.04 s``, ``12.3 s``, ``310 s``; ``3 s`` if whole.

    What was measured is as wide from nothing to a hundred seconds.
    """
    if seconds >= 1 and seconds == int(seconds):
        return f"{int(seconds)} s"
    digits = 2 if seconds < 10 else 1 if seconds < 100 else 0  # noqa: PLR2004 - as it reads
    return f"{seconds:.{digits}f} s"
