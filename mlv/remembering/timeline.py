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
from mlv.store import pointerlog, vanished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from mlv.domain.landing import Landing, PointerChange
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Tip, Versions


class Placed(NamedTuple):
    """A pointer commit, when it went live, and since when at the earliest (`Event.since`).

    ``side`` are the pointer commits that it merged, newest first.
    """

    landing: Landing
    at: int
    since: int | None = None
    side: Sequence[Landing] = ()


def begin_chain(versions: Versions, tip: Tip, model: str | None) -> Callable[[], list[Placed]]:
    """Begin to read the pointer commits of the branch, of all models or one, oldest first."""
    if versions.git.is_shallow():
        raise ConfigError(
            "history was cut off when this repository was cloned: the answer would be wrong",
            hint="git fetch --unshallow",
        )
    wait = pointerlog.begin_landings(versions.git, tip.commit, model)
    return lambda: _place(versions, wait()[::-1], model)


def _place(versions: Versions, found: list[Landing], model: str | None) -> list[Placed]:
    sides = pointerlog.merged_sides(versions.git, [each for each in found if each.is_merge], model)
    times = landing.times([each.committed_at for each in found], time.time())
    placed = []
    for each, at in zip(found, times, strict=True):
        side = sides.get(each.commit, [])
        since = min(side[-1].committed_at, at) if _is_uncertain(versions, each, side) else None
        placed.append(Placed(each, at, since, side))
    return placed


def _is_uncertain(versions: Versions, merge: Landing, side: Sequence[Landing]) -> bool:
    """Whether a merge may have turned first-parent round, so that its side was live before.

    After a `git pull` and a push the branch goes on from the developer's commit, and what had been
    published meanwhile stands on the merged side, as a pull request's commits do. Which it was,
    the graph alone does not say: `landing.looks_turned` and git's own words for such a merge do.
    """
    config = versions.config
    return bool(side) and (
        landing.names_the_branch(merge, config.branch, config.remote)
        or _looks_turned(versions, merge, side)
    )


def _looks_turned(versions: Versions, merge: Landing, side: Sequence[Landing]) -> bool:
    git, first = versions.git, merge.parents[0]
    # On top of the first parent a pull would have moved the branch without a merge.
    return landing.looks_turned(
        merge, side, lambda: pointerlog.commit_at(git, first) or merge
    ) and not pointerlog.is_built_on(git, side[-1].commit, first)


# History -----------------------------------------------------------------------------------


def events(
    versions: Versions, tip: Tip, model: str | None, notify: Callable[[str], None]
) -> list[Event]:
    """Tell all that happened, oldest first; a version's tag that cannot be read is notified."""
    wait = begin_chain(versions, tip, model)
    registrations = list(_registrations(versions, model, notify))
    return history.arrange(list(_moves(versions, wait())), registrations)


def _moves(versions: Versions, placed: list[Placed]) -> Iterator[Event]:
    blobs = [change.after or "-" for each in placed for change in each.landing.changes]
    contents = versions.git.objects.read_many(blobs)
    known: dict[str, _Known] = {}
    for each in placed:
        for change in each.landing.changes:
            found = next(contents)
            before = known.get(change.model) or _Known(pointers.empty(change.model), b"", READABLE)
            if found is None and took_back(versions, each, before.pointer, before.state):
                after, steps = _taken_back(before)
            else:
                after, steps = _step(before, change, found.data if found else None)
            known[change.model] = after
            for step in steps:
                yield event(versions, step, each)


class _Known(NamedTuple):
    """A model's last readable pointer, its bytes, and how the newest one is."""

    pointer: Pointer
    data: bytes
    state: str


def took_back(versions: Versions, placed: Placed, before: Pointer, state: str = READABLE) -> bool:
    """Whether a commit without a model's pointer reverts its first step: nothing was live then."""
    return state == READABLE and vanished.took_back(versions, placed.landing.commit, before)


def _taken_back(before: _Known) -> tuple[_Known, list[Step]]:
    none = pointers.empty(before.pointer.model)
    return _Known(none, b"", READABLE), history.steps(before.pointer, none)


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
    """Say who took a step, when and why: of a merge, who made what it merged, and who merged."""
    found = placed.landing
    author, committer, reason = found.author, found.committer, history.reason(found.message)
    merged = _merged(versions, placed, step.model)
    if merged:
        author, committer = merged.author, author
        if reason is None or reason == merged.subject:  # as a forge writes it
            reason = history.reason(merged.message)
    return Event(step, placed.at, author, committer, reason, found.commit, placed.since)


def _merged(versions: Versions, placed: Placed, model: str) -> Landing | None:
    """Find the commit on the merged side that moved the model's pointer."""
    for each in placed.side:
        if any(change.model == model for change in each.changes):
            return each
    found = placed.landing
    is_told = placed.side or not found.is_merge
    return None if is_told else pointerlog.commit_at(versions.git, found.parents[1])


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
                return event(versions, step, Placed(found, found.committed_at))
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
