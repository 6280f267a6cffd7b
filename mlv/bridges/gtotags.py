"""What GTO's tags say: versions, and the stages that they are in. No I/O.

The forms are those of GTO 1.10: ``fraud@v1.2.3`` registers a version at a commit, and
``fraud@v1.2.3!`` takes that back; ``fraud#prod`` puts what is registered at a commit in a stage,
and ``fraud#prod!`` takes it out; ``fraud@deprecated`` gives the artifact up. Any may end in a
counter, ``#2``. Of an artifact in a folder, ``models=fraud`` stands for ``models:fraud``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_NUMBER = r"(?:0|[1-9][0-9]*)"
_SEMVER = (
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PART}(?:\.{_PART})*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_TAG = re.compile(
    rf"(?P<artifact>(?:[a-zA-Z0-9_./-]+=)?{_WORD})"
    rf"(?:(?:\#(?P<stage>{_WORD})|@(?P<version>v{_SEMVER}))(?P<cancel>!?)"
    r"|@(?P<deprecated>deprecated)|@created)(?:\#(?P<counter>[0-9]{1,9}))?",
    re.ASCII,
)
_LONGEST = 500  # characters: git itself takes fewer


class Tag(NamedTuple):
    """One annotated tag: its name, the commit, when and by whom it was made, and why."""

    name: str
    commit: str
    at: int
    by: str
    message: str


class _Read(NamedTuple):
    """A tag's name, taken apart; ``is_taken_back`` of one that ends in ``!``."""

    artifact: str
    version: str | None
    stage: str | None
    is_taken_back: bool
    is_deprecated: bool
    counter: int


class Registered(NamedTuple):
    """A version: its ``semver`` with its v, or None where a commit was only put in a stage.

    ``is_withdrawn``: its registration was taken back. ``stages`` are those that it ever was in.
    """

    semver: str | None
    tag: Tag
    is_withdrawn: bool
    stages: tuple[str, ...]


class Assigned(NamedTuple):
    """A commit that was put in a stage; not ``is_now`` if it was taken out again."""

    stage: str
    commit: str
    at: int
    is_now: bool


class Artifact(NamedTuple):
    """An artifact: its versions in the order of their registration, and its stages' history."""

    name: str
    versions: tuple[Registered, ...]
    assigned: tuple[Assigned, ...]
    is_deprecated: bool


def read_all(tags: Iterable[Tag]) -> dict[str, Artifact]:
    """Give every artifact by name; a tag that is none of GTO's is passed over."""
    found: dict[str, list[tuple[_Read, Tag]]] = {}
    for tag in tags:
        read = _read(tag.name)
        if read:
            found.setdefault(read.artifact, []).append((read, tag))
    return {name: _artifact(name, _in_order(events)) for name, events in sorted(found.items())}


def _read(name: str) -> _Read | None:
    match = _TAG.fullmatch(name) if len(name) <= _LONGEST else None
    if match is None:
        return None
    return _Read(
        match["artifact"].replace("=", ":"),
        match["version"],
        match["stage"],
        bool(match["cancel"]),
        bool(match["deprecated"]),
        int(match["counter"] or 0),
    )


def _in_order(events: list[tuple[_Read, Tag]]) -> list[tuple[_Read, Tag]]:
    """Sort by time; of one second, registrations first, by version, then by GTO's counter."""

    def key(event: tuple[_Read, Tag]) -> tuple[object, ...]:
        read, tag = event
        order = _precedence(read.version), read.counter, read.is_taken_back, tag.name
        return tag.at, read.version is None, *order

    return sorted(events, key=key)


def _precedence(semver: str | None) -> tuple[object, ...]:
    """Order versions as semver.org does: numbers by value, a pre-release before its release."""
    core, _, rest = (semver or "v0.0.0").removeprefix("v").partition("+")[0].partition("-")
    parts = [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in rest.split(".")]
    return (*map(int, core.split(".")), not rest, tuple(parts))


def _artifact(name: str, events: list[tuple[_Read, Tag]]) -> Artifact:
    registered: dict[str, Tag] = {}
    withdrawn: dict[str, bool] = {}
    staged: list[tuple[_Read, Tag]] = []
    for read, tag in events:
        if read.version:
            if not read.is_taken_back:
                registered.setdefault(read.version, tag)
            withdrawn[read.version] = read.is_taken_back
        elif read.stage:
            staged.append((read, tag))
    known = {tag.commit for tag in registered.values()}
    for read, tag in staged:  # of a commit that has no version the stage is all there is
        if tag.commit not in known and not read.is_taken_back:
            registered[tag.commit] = tag
            known.add(tag.commit)
    assigned = _assigned(staged)
    versions = [
        Registered(
            None if key == tag.commit else key,
            tag,
            withdrawn.get(key, False),
            tuple(dict.fromkeys(each.stage for each in assigned if each.commit == tag.commit)),
        )
        for key, tag in registered.items()
    ]
    in_order = sorted(versions, key=lambda each: (each.tag.at, _precedence(each.semver)))
    is_over = bool(events) and events[-1][0].is_deprecated
    return Artifact(name, tuple(in_order), tuple(assigned), is_over)


def _assigned(staged: list[tuple[_Read, Tag]]) -> list[Assigned]:
    """Tell a stage's commits in the order in which they came into it, each with its last time."""
    last: dict[tuple[str, str], Assigned] = {}
    for read, tag in staged:
        key = (read.stage or "", tag.commit)
        before = last.pop(key, None)
        at = before.at if read.is_taken_back and before else tag.at
        last[key] = Assigned(key[0], tag.commit, at, not read.is_taken_back)
    return sorted(last.values(), key=lambda each: each.at)
