"""What was live at a moment."""

from __future__ import annotations

import re
import time
from datetime import date, datetime
from datetime import time as clock
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import history, landing, manifest
from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.errors import IntegrityError, InvalidInput
from mlv.remembering import timeline
from mlv.store.naming import folder_of, manifest_path, pointer_path

if TYPE_CHECKING:
    from mlv.domain.history import Event
    from mlv.domain.manifest import Manifest
    from mlv.domain.pointer import Pointer
    from mlv.remembering.timeline import Placed
    from mlv.store.versions import Tip, Versions

_FORMS = "'2026-05-01 23:00+02:00', '2026-05-01T21:00:00Z', or 2026-05-01 for the end of that day"


class When(NamedTuple):
    """A moment, in seconds since 1970, and how it was understood."""

    seconds: float
    meaning: str


class LiveThen(NamedTuple):
    """One model as it was: its pointer, the event that put the version live, its manifest.

    The last two are None where nothing was live.
    """

    pointer: Pointer
    event: Event | None
    manifest: Manifest | None


class Moment(NamedTuple):
    """What was live at a moment; ``commit`` is None before the first pointer."""

    when: When
    commit: str | None
    models: tuple[LiveThen, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give it to a reader, with times in UTC."""
        return {
            "time": history.timestamp(self.when.seconds),
            "meaning": self.when.meaning,
            "commit": self.commit,
            "get": self.commit and f"git checkout {self.commit} && dvc pull",
            "notes": list(self.notes),
            "models": [_facts(each) for each in self.models],
        }


def _facts(live: LiveThen) -> dict[str, Any]:
    pointer, number = live.pointer, live.pointer.current

    artifacts = live.manifest.artifacts if live.manifest else {}
    return {
        "model": pointer.model,
        "version": name_of(number),
        "tag": None if number is None else Version(pointer.model, number).tag,
        "previous": name_of(pointer.previous),
        "staging": name_of(pointer.staging),
        "forced": number in pointer.forced,
        "since": live.event and live.event.to_dict(),
        "artifacts": {role: artifact.to_dict() for role, artifact in artifacts.items()},
    }


def parse_when(when: str | date) -> When:
    """Read a moment: RFC 3339 and its relatives; what names no zone is local time.

    A date alone means the end of that day, so that what happened on it counts.
    """
    try:
        moment = _read(when) if isinstance(when, str) else when
        if not isinstance(moment, datetime):
            moment = datetime.combine(moment, clock.max)
            note = ", the end of that day, local time"
        else:
            note = "" if moment.tzinfo else f", local time{_oddity(moment)}"
        zoned = moment if moment.tzinfo else moment.astimezone()
        seconds = zoned.timestamp()
    except (ValueError, OverflowError, OSError, TypeError):
        raise InvalidInput(f"{when!r} is not a time", hint=f"write {_FORMS}") from None
    return When(seconds, zoned.isoformat(" ", "seconds").replace("+00:00", "Z") + note)


def _oddity(local: datetime) -> str:
    """Say what the hour is in which clocks are changed: it comes twice, or not at all."""
    first, second = (local.replace(fold=fold).astimezone() for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return ""
    is_twice = first.replace(tzinfo=None) == second.replace(tzinfo=None)
    return ", which came twice: the first is meant" if is_twice else ", which the clocks left out"


def _read(text: str) -> date:
    plain = re.sub(r"\s+(?=[+-]\d\d|Z$)", "", text.strip().upper())
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", plain, re.ASCII):
        return date.fromisoformat(plain)
    if "T" not in plain and " " not in plain:
        raise ValueError
    return datetime.fromisoformat(plain)


def at(versions: Versions, tip: Tip, when: When, model: str | None) -> Moment:
    """Say what was live: of one model, or of each that had something live."""
    placed = timeline.begin_chain(versions, tip, model)()
    index = landing.standing([each.at for each in placed], when.seconds)
    notes = list(_notes(placed, when))
    if index is None:
        return Moment(when, None, (), tuple(notes))
    upto = placed[: index + 1]
    models: dict[str, int] = {}
    for number, each in enumerate(upto):
        models.update((change.model, number) for change in each.landing.changes)
    found = [_live_then(versions, upto[: last + 1], name) for name, last in sorted(models.items())]
    kept = tuple(each for each in found if model or each.pointer.current is not None)
    return Moment(when, upto[-1].landing.commit, kept, tuple(notes))


def _notes(placed: list[Placed], when: When) -> list[str]:
    notes = []
    if when.seconds > time.time():
        notes.append("that is still to come: this is what is live now")
    if placed and when.seconds < placed[0].at:
        notes.append(
            f"the first version went live or was staged at {history.timestamp(placed[0].at)}"
        )
    notes += [
        f"uncertain: the merge {each.landing.commit[:10]} of {history.timestamp(each.at)} brought "
        f"changes that may have been live since {history.timestamp(each.since)} "
        "(mlv history shows them)"
        for each in placed
        if each.since is not None and each.since <= when.seconds < each.at
    ]
    return notes


def _live_then(versions: Versions, placed: list[Placed], model: str) -> LiveThen:
    """Read one model at the last of these commits, and who put live what was."""
    last = placed[-1].landing
    pointer = _pointer(versions, placed[-1], model)
    if pointer.current is None:
        return LiveThen(pointer, None, None)
    data = versions.blob(last.commit, manifest_path(model))
    version = Version(model, pointer.current)
    try:
        found = manifest.parse(data or b"", version)
    except IntegrityError as error:
        raise IntegrityError(
            f"at {last.commit[:10]}, {folder_of(model)} is not the folder of {version.tag}, which "
            f"was live: it was changed by hand ({error.message})",
            hint=f"git show {last.commit[:10]} says who; {version.tag} is the version itself",
        ) from None
    return LiveThen(pointer, _put_live(versions, placed, pointer), found)


def _pointer(versions: Versions, placed: Placed, model: str) -> Pointer:
    change = next(c for c in placed.landing.changes if c.model == model)
    pointer = timeline.read_pointer(versions, model, change.after) if change.after else None
    if pointer is None and not change.after:
        before = timeline.read_pointer(versions, model, change.before)
        if before and timeline.took_back(versions, placed, before):
            return pointers.empty(model)
    if pointer is None:
        raise IntegrityError(
            f"what was live of {model!r} then cannot be said: {pointer_path(model)} was "
            f"{'unreadable' if change.after else 'missing'} from {history.timestamp(placed.at)} on",
            hint=f"git show {placed.landing.commit[:10]} says who changed it; "
            f"mlv history --model {model} shows what was before and after",
        )
    return pointer


def _put_live(versions: Versions, placed: list[Placed], pointer: Pointer) -> Event | None:
    """Find the event that put live what is live in ``pointer``, from the newest commit back."""
    for each in reversed(placed):
        for change in each.landing.changes:
            if change.model != pointer.model:
                continue
            before = timeline.read_pointer(versions, change.model, change.before)
            after = timeline.read_pointer(versions, change.model, change.after)
            if not before or not after or before.current == pointer.current:
                continue
            for step in history.steps(before, after):
                if step.number == pointer.current:
                    return timeline.event(versions, step, each)
    return None
