"""What an import would do: which version gets which number, and what the pointer becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.arriving import Settled, join, not_coming_in, renumbered, settle
from mlv.domain.manifest import Manifest
from mlv.domain.names import Version
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlv.domain.pointer import Pointer
    from mlv.importing.incoming import IncomingModel, IncomingVersion
    from mlv.store.versions import Tip, Versions

_SHOWN = 5


class Planned(NamedTuple):
    """A version that comes in, the version it is or will be here, and whether it is here."""

    incoming: IncomingVersion
    version: Version
    is_here: bool


class Plan(NamedTuple):
    """All versions of an import, by their numbers there, and what the pointer becomes.

    ``is_alone``: the model has no versions but these.
    """

    model: str
    incoming: IncomingModel
    versions: tuple[Planned, ...]
    before: Pointer
    settled: Settled
    is_alone: bool

    @property
    def new(self) -> tuple[Planned, ...]:
        """Those that are not here."""
        return tuple(each for each in self.versions if not each.is_here)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        now = datetime.now(UTC).isoformat()
        early = [each for each in self.versions if each.incoming.registered_at[:19] > now[:19]]
        told = [f"{each.incoming.name} is dated in the future: its date is kept" for each in early]
        return (*self.incoming.notes, *told, *self.settled.notes)


def plan(
    versions: Versions, tip: Tip, model: str, incoming: IncomingModel, *, into_existing: bool
) -> Plan:
    """Number the versions; `InvalidInput` if the model has others and that was not asked for.

    They keep their numbers. In a model that has versions of its own numbers only go up: unless
    all are free and above its highest, they are numbered on from that, in their order.
    """
    incoming.check()
    pointer = versions.pointer(tip, model)
    taken = {version.number for version in versions.names(model)} | set(pointer.status)
    here = _here(versions, model, incoming)
    foreign = sorted(taken - {version.number for version in here.values()})
    if foreign and not into_existing:
        raise _not_its_own(model, incoming, foreign)
    in_order = sorted(incoming.versions, key=lambda each: each.number)
    highest = max(taken, default=0)
    new = [each.number for each in in_order if each.number not in here]
    are_free = not foreign and not taken.intersection(new)
    keep = not new or new[0] > highest or are_free
    start = highest + 1
    numbers = dict(zip(new, new if keep else range(start, start + len(new)), strict=True))
    planned = [
        Planned(each, here[each.number], is_here=True)
        if each.number in here
        else Planned(each, Version(model, numbers[each.number]), is_here=False)
        for each in in_order
    ]
    settled = decide(pointer, incoming, planned, is_alone=not foreign)
    return Plan(model, incoming, tuple(planned), pointer, settled, is_alone=not foreign)


def decide(
    pointer: Pointer, incoming: IncomingModel, planned: Sequence[Planned], *, is_alone: bool
) -> Settled:
    """Say what the pointer becomes: the first one of a model, or one whose live version stays."""
    numbers = {each.incoming.number: each.version.number for each in planned}
    said = incoming.said
    there, absent = renumbered(said, numbers)
    is_first = is_alone and not pointer.status
    if is_first and said.current is not None and there.current is None:
        raise not_coming_in(said.current)
    settled = settle(pointer.model, there) if is_first else join(pointer, there)
    return settled._replace(notes=(*settled.notes, *absent))


def _here(versions: Versions, model: str, incoming: IncomingModel) -> Mapping[int, Version]:
    """Find the versions that came in before, by their numbers there."""
    found: dict[int, Version] = {}
    for tag, manifest in versions.manifests(model):
        if not isinstance(manifest, Manifest):
            continue
        for each in incoming.versions:
            if each.number not in found and each.is_in(manifest):
                found[each.number] = tag.version
                break
    return found


def _not_its_own(model: str, incoming: IncomingModel, foreign: list[int]) -> InvalidInput:
    shown = ", ".join(f"v{n}" for n in foreign[:_SHOWN]) + (", ..." if foreign[_SHOWN:] else "")
    return InvalidInput(
        f"{model!r} has versions that are not those of {incoming.source}: {shown}",
        hint="--model NAME brings them in as another model; --into-existing adds them to this one, "
        "numbered on from its highest, and leaves alone what is live",
    )
