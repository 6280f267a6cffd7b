"""What a model's pointer was before, on the first-parent history of the base."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.pointer import Pointer, is_withdrawn
from mlv.errors import RegistryError
from mlv.store import pointerlog

if TYPE_CHECKING:
    from mlv.store.versions import Versions


class State(NamedTuple):
    """What the pointer was from a commit on."""

    commit: str
    pointer: Pointer


class Past:
    """The states of one model's pointer, as a commit's first parents tell them."""

    def __init__(self, versions: Versions, commit: str, model: str) -> None:
        self._versions = versions
        self._commit = commit
        self._model = model

    @cached_property
    def states(self) -> list[State]:
        """Every state that can be read, newest first."""
        found = []
        for landing in pointerlog.landings(self._versions.git, self._commit, self._model):
            for change in landing.changes:
                pointer = self._read(change.after)
                found += [State(landing.commit, pointer)] if pointer else []
        return found

    def _read(self, oid: str | None) -> Pointer | None:
        if oid is None:
            return pointers.empty(self._model)
        found = None if oid == pointerlog.NOT_A_FILE else self._versions.git.objects.read(oid)
        try:
            return pointers.parse(found.data, self._model) if found else None
        except RegistryError:
            return None

    def lived(self, number: int) -> list[str]:
        """Name the commits from which on a version was live, newest first."""
        return [state.commit for state in self.states if state.pointer.current == number]

    def is_return(self, before: Pointer, after: Pointer) -> bool:
        """Whether ``after`` takes steps of the past back, as ``git revert`` does.

        It is a state that the pointer had, but for what was withdrawn since; and it puts nothing
        live that came live later than what is.
        """
        known = [*self.states, State("", pointers.empty(self._model))]
        was = any(_since(state.pointer, before) == after for state in known)
        return was and not self._is_forward(before, after)

    def _is_forward(self, before: Pointer, after: Pointer) -> bool:
        if after.current in (None, before.current):
            return False
        order = [state.pointer.current for state in reversed(self.states)]
        return before.current not in order or order.index(after.current) > order.index(
            before.current
        )


def _since(earlier: Pointer, now: Pointer) -> Pointer:
    """Give an earlier pointer, with what was withdrawn since."""
    withdrawn = {n: status for n, status in now.status.items() if is_withdrawn(status)}
    return earlier._replace(status={**earlier.status, **withdrawn})
