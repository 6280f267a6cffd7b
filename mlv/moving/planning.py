"""From what people ask for to a plan: references become versions, and what is live is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.errors import InvalidInput
from mlv.moving.promotion import Plan, Step

if TYPE_CHECKING:
    from mlv.domain.names import Version
    from mlv.references import References
    from mlv.store.versions import Versions


class Asked(NamedTuple):
    """What was typed: references, models to roll back, what was seen live, and why.

    ``force``: also a version that does not meet the gate.
    """

    action: str
    refs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    reason: str | None = None
    force: bool = False


def plan(versions: Versions, references: References, asked: Asked) -> Plan:
    """Make a plan; every version in it exists, and each model has what was seen live of it."""
    if asked.action == pointers.YANK and not asked.reason:
        raise InvalidInput("a yank needs a reason", hint="say what is wrong with the version")
    if asked.force and asked.action not in pointers.GATED:
        raise InvalidInput(f"{asked.action} passes no gate", hint="there is nothing to force")
    if asked.force and not asked.reason:
        raise InvalidInput(
            "forcing a version past the gate needs a reason",
            hint='--reason "...", or reason="...": it is kept in the commit for good',
        )
    chosen = [references.resolve(ref) for ref in asked.refs]
    for version in chosen:
        versions.record(version)  # it exists, and is what it says
    named: dict[str, int | None] = {version.model: version.number for version in chosen}
    if len(named) < len(chosen):
        raise InvalidInput(
            f"two of {', '.join(asked.refs)} are of one model", hint="name one version of a model"
        )
    for model in asked.models:
        references.need_known(model)
        named.setdefault(model, None)
    if not named and asked.action == pointers.ROLLBACK:
        named = {references.live().model: None}
    seen = _seen(versions, references, asked, named)
    steps = tuple(Step(model, number, seen[model]) for model, number in named.items())
    return Plan(asked.action, steps, asked.reason, asked.force)


def _seen(
    versions: Versions, references: References, asked: Asked, named: dict[str, int | None]
) -> dict[str, int | None]:
    """Give the live version of each model: as the user says it was, else as it is now."""
    seen = {model: references.live(model).pointer.current for model in named}
    only = next(iter(named)) if len(named) == 1 else None
    for ref in asked.seen:
        believed: Version = references.resolve(ref, only)
        if believed.model not in seen:
            raise InvalidInput(
                f"--from {ref}: nothing of {believed.model!r} is to be moved",
                hint="--from names what is live of a model that is moved",
            )
        seen[believed.model] = versions.record(believed).manifest.version.number
    return seen
