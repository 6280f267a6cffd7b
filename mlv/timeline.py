"""What happened in the registry, and what was live when."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import history, landing
from mlv.domain import pointer as pointers
from mlv.domain.history import MISSING, READABLE, UNREADABLE, Event, Step
from mlv.domain.pointerlines import follow
from mlv.errors import ConfigError, IntegrityError, RegistryError
from mlv.store import pointerlog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from mlv.domain.landing import Landing, PointerChange
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Tip, Versions


class Placed(NamedTuple):
    """A pointer commit, when it went live, and whether that may have been earlier (`Event`)."""

    landing: Landing
    at: int
    since: int | None


def chain(versions: Versions, tip: Tip, model: str | None) -> list[Placed]:
    """Read the pointer commits of the branch, of all models or one, oldest first."""
    if versions.git.is_shallow():
        raise ConfigError(
            "history was cut off when this repository was cloned: the answer would be wrong",
            hint="git fetch --unshallow",
        )
    newest_first = pointerlog.landings(versions.git, tip.commit, model)
    since = _uncertain(versions, [each for each in newest_first if each.is_merge], model)
    found = newest_first[::-1]
    times = landing.times([each.committed_at for each in found], time.time())
    return [
        Placed(each, at, min(since[each.commit], at) if each.commit in since else None)
        for each, at in zip(found, times, strict=True)
    ]


def _uncertain(versions: Versions, merges: list[Landing], model: str | None) -> dict[str, int]:
    """Find merges that may have turned first-parent round, and the first time they leave open.

    After a `git pull` and a push the branch goes on from the developer's commit, and what had been
    published meanwhile stands on the merged side, as a pull request's commits do. Which it was,
    the graph alone does not say: `landing.looks_turned` and git's own words for such a merge do.
    """
    if not merges:
        return {}
    git, config = versions.git, versions.config
    sides = pointerlog.merged_sides(git, merges, model)
    found = {}
    for merge in merges:
        side = sides[merge.commit]
        if side and (
            landing.names_the_branch(merge, config.branch, config.remote)
            or _looks_turned(versions, merge, side)
        ):
            found[merge.commit] = min(each.committed_at for each in side)
    return found


def _looks_turned(versions: Versions, merge: Landing, side: list[Landing]) -> bool:
    first = pointerlog.commit_at(versions.git, merge.parents[0])
    # On top of the first parent a pull would have moved the branch without a merge.
    return (
        first is not None
        and landing.looks_turned(merge, first, side)
        and not pointerlog.is_built_on(versions.git, side[-1].commit, first.commit)
    )


# History -----------------------------------------------------------------------------------


def events(
    versions: Versions, tip: Tip, model: str | None, notify: Callable[[str], None]
) -> list[Event]:
    """Tell all that happened, oldest first; a version's tag that cannot be read is notified."""
    moves = list(_moves(versions, chain(versions, tip, model)))
    return history.arrange(moves, list(_registrations(versions, model, notify)))


def _moves(versions: Versions, placed: list[Placed]) -> Iterator[Event]:
    blobs = [change.after or "-" for each in placed for change in each.landing.changes]
    contents = versions.git.objects.read_many(blobs)
    known: dict[str, _Known] = {}
    for each in placed:
        for change in each.landing.changes:
            found = next(contents)
            before = known.get(change.model) or _Known(pointers.empty(change.model), b"", READABLE)
            after, steps = _step(before, change, found.data if found else None)
            known[change.model] = after
            for step in steps:
                yield event(versions, step, each)


class _Known(NamedTuple):
    """A model's last readable pointer, its bytes, and how the newest one is."""

    pointer: Pointer
    data: bytes
    state: str


def _step(before: _Known, change: PointerChange, data: bytes | None) -> tuple[_Known, list[Step]]:
    """Read the next pointer of a model and say what happened."""
    model, old = change.model, before.pointer
    plain = follow(old, before.data, data) if data else None
    if plain:
        after, numbers = _Known(plain[0], data or b"", READABLE), plain[1]
        steps = history.steps(old, after.pointer, numbers)
    else:
        after = _read(before, model, data)
        steps = history.steps(old, after.pointer)
    if after.state != before.state:
        steps.append(Step(history.CHANGED, model, None, old.current, before.state, after.state))
    return after, steps


def _read(before: _Known, model: str, data: bytes | None) -> _Known:
    if data is None:
        return before._replace(state=MISSING)
    try:
        return _Known(pointers.parse(data, model), data, READABLE)
    except IntegrityError:
        return before._replace(state=UNREADABLE)


def event(versions: Versions, step: Step, placed: Placed) -> Event:
    """Say who took a step, when and why."""
    found = placed.landing
    return Event(
        step, placed.at, found.author, found.committer, _reason(versions, found), found.commit,
        placed.since,
    )  # fmt: skip


def _reason(versions: Versions, found: Landing) -> str | None:
    """Give the reason in a commit's message; where a merge gives none, that of what it merged."""
    said = history.reason(found.message)
    merged = pointerlog.commit_at(versions.git, found.parents[1]) if found.is_merge else None
    # A forge's merge repeats the subject of what it merged.
    if merged and (said is None or said == merged.subject):
        return history.reason(merged.message)
    return said


def _registrations(
    versions: Versions, model: str | None, notify: Callable[[str], None]
) -> Iterator[Event]:
    for tag, manifest in versions.manifests(model):
        if isinstance(manifest, RegistryError):
            notify(manifest.message)
            continue
        number = tag.version.number
        step = Step(history.REGISTER, tag.version.model, number, None, None, pointers.REGISTERED)
        try:
            at = datetime.fromisoformat(manifest.data["registered_at"]).timestamp()
        except ValueError:  # the 30th of February
            at = 0
        yield Event(step, int(at), manifest.data["registered_by"], None, None, tag.commit)


def last_event(
    versions: Versions, tip: Tip, model: str, number: int, kinds: Collection[str]
) -> Event | None:
    """Find the latest event of certain kinds (`history.KINDS`) that befell a version.

    One ``git log`` of the one pointer; pointers are read from the newest back, up to the event.
    """
    for found in pointerlog.landings(versions.git, tip.commit, model):
        [change] = found.changes
        before, after = (read_pointer(versions, model, b) for b in (change.before, change.after))
        for step in history.steps(before, after) if before and after else ():
            if step.number == number and step.kind in kinds:
                return event(versions, step, Placed(found, found.committed_at, None))
    return None


def read_pointer(versions: Versions, model: str, blob: str | None) -> Pointer | None:
    """Read a pointer by its blob, an empty one for none; None if it cannot be read."""
    if blob is None:
        return pointers.empty(model)
    found = versions.git.objects.read(blob)
    try:
        return pointers.parse(found.data, model) if found else None
    except IntegrityError:
        return None
