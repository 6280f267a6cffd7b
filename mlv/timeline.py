"""What happened on the registry branch, and what was live when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import history
from mlv.domain import pointer as pointers
from mlv.domain.history import Event, Step
from mlv.errors import IntegrityError
from mlv.store import pointerlog

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlv.domain.pointer import Pointer
    from mlv.store.pointerlog import Landing, PointerChange
    from mlv.store.versions import Tip, Versions


def last_event(
    versions: Versions, tip: Tip, model: str, number: int, kinds: Collection[str]
) -> Event | None:
    """Find the latest event of certain kinds (`history.KINDS`) that befell a version.

    One ``git log`` of the one pointer; pointers are read from the newest back, up to the event.
    """
    reader = _Pointers(versions)
    for landing in pointerlog.landings(versions.git, tip.commit, model):
        for change in landing.changes:
            for step in reader.steps(change):
                if step.number == number and step.kind in kinds:
                    return _event(versions, step, landing)
    return None


def _event(versions: Versions, step: Step, landing: Landing) -> Event:
    return Event(
        step=step,
        at=landing.committed_at,
        author=landing.author,
        committer=landing.committer,
        reason=_reason(versions, landing),
        commit=landing.commit,
    )


def _reason(versions: Versions, landing: Landing) -> str | None:
    """Give the reason in a commit's message; where a merge gives none, that of what it merged."""
    said = history.reason(landing.message)
    if len(landing.parents) < 2:  # noqa: PLR2004 - a merge has two
        return said
    merged = versions.git.objects.read(landing.parents[1])
    message = merged.data.decode(errors="replace").partition("\n\n")[2] if merged else ""
    # A forge's merge repeats the subject of what it merged.
    repeats = said is not None and said == message.partition("\n")[0]
    return history.reason(message) if said is None or repeats else said


class _Pointers:
    """Reads the pointers that commits name, each once."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._known: dict[tuple[str, str | None], Pointer | None] = {}

    def read(self, model: str, blob: str | None) -> Pointer | None:
        """Read a pointer by its blob; None if it cannot be read."""
        key = (model, blob)
        if key not in self._known:
            self._known[key] = self._read(model, blob)
        return self._known[key]

    def _read(self, model: str, blob: str | None) -> Pointer | None:
        if blob is None:
            return pointers.empty(model)
        found = self._versions.git.objects.read(blob)
        try:
            return pointers.parse(found.data, model) if found else None
        except IntegrityError:
            return None

    def steps(self, change: PointerChange) -> list[Step]:
        """Say what one commit did to one model; what cannot be read was changed by hand."""
        before, after = (self.read(change.model, b) for b in (change.before, change.after))
        if before is None or after is None or change.after is None:
            was = before.current if before else None
            return [Step(history.CHANGED, change.model, None, was)]
        return history.steps(before, after)
