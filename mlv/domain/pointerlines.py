"""Reading a pointer by the lines in which it differs from the one before it.

A pointer may list thousands of versions, and a history has thousands of pointers: read each in
full, and a long history takes minutes. This reads only what plainly is as mlv writes it, and
leaves the rest to `pointer.parse`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.domain.pointer import PRODUCTION, STAGING, STATUSES, Pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEAD = re.compile(
    rb'\{\n  "model": "([a-z0-9_-]+)",\n  "current": (null|"v[1-9][0-9]{0,8}"),\n'
    rb'  "previous": (null|"v[1-9][0-9]{0,8}"),\n'
    rb'(?:  "forced": \[\n((?:    "v[1-9][0-9]{0,8}",\n)*    "v[1-9][0-9]{0,8}")\n  \],\n)?'
    rb'  "status": \{\n'
)
_LINE = re.compile(rb'    "v([1-9][0-9]{0,8})": "([a-z]+)"')
_TAIL = b"\n  }\n}\n"
_BETWEEN = b",\n"


def follow(before: Pointer, old: bytes, new: bytes) -> tuple[Pointer, set[int]] | None:
    """Read ``new``, knowing that ``before`` was read from ``old``.

    Gives the pointer and the versions whose status may differ; None where that is not plain.
    """
    known, head = _HEAD.match(old), _HEAD.match(new)
    if not known or not head or not old.endswith(_TAIL) or not new.endswith(_TAIL):
        return None
    then, now = old[known.end() : -len(_TAIL)], new[head.end() : -len(_TAIL)]
    start, end = _same(then, now)
    gone, come = _statuses(then[start : len(then) - end]), _statuses(now[start : len(now) - end])
    if gone is None or come is None:
        return None
    status = dict(before.status)
    for number in gone:
        del status[number]
    status.update(come)
    current, previous = _number(head[2]), _number(head[3])
    forced = [int(name.strip(b' "v')) for name in (head[4] or b"").split(_BETWEEN) if name]
    after = Pointer(before.model, current, previous, status, frozenset(forced))
    whole = len(status) == now.count(b"\n") + 1 and head[1].decode() == before.model
    whole = whole and len(after.forced) == len(forced) and after.forced <= status.keys()
    return (after, {*gone, *come}) if whole and _is_legal(before, after, come) else None


def _same(a: bytes, b: bytes) -> tuple[int, int]:
    """Count the bytes of whole lines that two texts share at their beginnings and ends."""
    shorter = min(len(a), len(b))
    alike = _most(shorter, lambda start, end: a[start:end] == b[start:end])
    start = a.rfind(_BETWEEN, 0, alike) + len(_BETWEEN)
    start = 0 if start < len(_BETWEEN) else start
    last, late = len(a), len(b)
    alike = _most(
        shorter - start,
        lambda start, end: a[last - end : last - start] == b[late - end : late - start],
    )
    at = a.find(_BETWEEN, last - alike)
    return start, last - at if at >= 0 else 0


def _most(limit: int, is_alike: Callable[[int, int], bool]) -> int:
    """Find up to where two texts are alike, by halves."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if is_alike(low, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _statuses(text: bytes) -> dict[int, str] | None:
    """Read lines of statuses; None if one is not as mlv writes it."""
    found: dict[int, str] = {}
    for line in text.split(_BETWEEN) if text else ():
        match = _LINE.fullmatch(line)
        status = match[2].decode() if match else ""
        if not match or status not in STATUSES[1:]:
            return None
        found[int(match[1])] = status
    return found


def _number(text: bytes) -> int | None:
    return None if text == b"null" else int(text[2:-1])


def _is_legal(before: Pointer, after: Pointer, come: Mapping[int, str]) -> bool:
    """Whether a pointer is one that `pointer.parse` takes, given that the one before it is."""
    current, previous = after.current, after.previous
    live = {n for n, status in come.items() if status == PRODUCTION}
    live |= {n for n in (before.current, current) if n and after.status.get(n) == PRODUCTION}
    staged = {n for n, status in come.items() if status == STAGING}
    if staged and before.staging and after.status.get(before.staging) == STAGING:
        staged.add(before.staging)
    fits = previous is None or previous != current is not None
    return live == ({current} - {None}) and len(staged) <= 1 and fits
