"""What is to be done so that MLflow shows what the registry says: decided here, done elsewhere.

Steps speak of versions by mlv's tag, ``fraud-v3``; of MLflow's numbers only where MLflow has the
version already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.bridges.mlflow.portrait import CHALLENGER, CHAMPION, DIGEST, FILES, PREFIX, TAG, WHOLE
from mlv.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mlv.bridges.mlflow.portrait import Portrait


class Found(NamedTuple):
    """A version that MLflow has, by its own number there."""

    number: int
    tags: Mapping[str, str]
    description: str
    run_id: str

    @property
    def tag(self) -> str | None:
        """Whose it is: mlv's tag, or None of a version that is not mlv's."""
        return self.tags.get(TAG)


class There(NamedTuple):
    """What MLflow has of a model: ``runs`` are the ids of ours by mlv's tag."""

    exists: bool = False
    versions: tuple[Found, ...] = ()
    aliases: Mapping[str, int] = {}
    runs: Mapping[str, tuple[str, ...]] = {}

    def ours(self) -> dict[str, Found]:
        """Give mlv's versions by tag: of two alike, the first that was made counts."""
        found: dict[str, Found] = {}
        for version in sorted(self.versions, key=lambda each: each.number):
            if version.tag is not None:
                found.setdefault(version.tag, version)
        return found


class Step(NamedTuple):
    """One thing to be done. ``action`` is one of those below; ``version`` is mlv's tag."""

    action: str
    version: str
    alias: str = ""
    number: int | None = None
    run_id: str = ""
    tags: Mapping[str, str | None] = {}


CREATE, FILL, DESCRIBE = "create", "fill", "describe"  # a version, its files, its tags
POINT, UNPOINT = "alias", "unalias"
REMOVE, REMOVE_RUN = "remove", "remove run"  # what two exports at once made twice


def plan(
    wanted: Sequence[Portrait], there: There, chosen: Collection[str] | None = None
) -> list[Step]:
    """Say what to do, in this order. ``chosen`` are the tags that may be added; None is all.

    What is there already is kept in step, chosen or not.
    """
    ours = there.ours()
    _check(wanted, ours)
    steps: list[Step] = []
    shown = []
    for each in sorted(wanted, key=lambda portrait: portrait.version):
        tag = each.version.tag
        found = ours.get(tag)
        if found is not None:
            steps += _corrections(each, found)
        elif chosen is None or tag in chosen:
            steps.append(Step(CREATE, tag))
        else:
            continue
        shown.append(each)
    # Last, when no alias leads there any more.
    return steps + _aliases(shown, there, ours) + _removals(there, ours)


def _check(wanted: Sequence[Portrait], ours: Mapping[str, Found]) -> None:
    for each in wanted:
        found = ours.get(each.version.tag)
        if found is not None and found.tags.get(DIGEST) != each.digest:
            raise RegistryError(
                f"version {found.number} in MLflow is another {each.version.tag} than the one here",
                hint="another registry was exported there, or the version was renumbered when it "
                "was published: --name gives another name, or delete that version in MLflow",
            )


def _removals(there: There, ours: Mapping[str, Found]) -> list[Step]:
    """Find what was made twice. Whoever looks keeps the same one: the lowest number."""
    steps = [
        Step(REMOVE, each.tag, number=each.number)
        for each in there.versions
        if each.tag is not None and each.number != ours[each.tag].number
    ]
    for tag, runs in there.runs.items():
        if tag in ours:
            steps += [Step(REMOVE_RUN, tag, run_id=r) for r in runs if r != ours[tag].run_id]
    return steps


def _corrections(each: Portrait, found: Found) -> list[Step]:
    tag, steps = each.version.tag, []
    if found.tags.get(FILES) != WHOLE and not each.is_withdrawn:
        steps.append(Step(FILL, tag, number=found.number, run_id=found.run_id))
    known = {name for name in found.tags if name.startswith(PREFIX)} - {FILES}
    changes: dict[str, str | None] = {
        name: value for name, value in each.tags.items() if found.tags.get(name) != value
    }
    changes |= dict.fromkeys(known - each.tags.keys())
    if changes or found.description != each.description:
        steps.append(Step(DESCRIBE, tag, number=found.number, tags=changes))
    return steps


def _aliases(shown: Sequence[Portrait], there: There, ours: Mapping[str, Found]) -> list[Step]:
    """Lead aliases where they belong, and from ours take those that do not."""
    wanted = {alias: each.version.tag for each in shown for alias in each.aliases}
    steps = []
    for alias, tag in wanted.items():
        found = ours.get(tag)
        if found is None or there.aliases.get(alias) != found.number:
            steps.append(Step(POINT, tag, alias=alias))
    own = {each.number: each for each in there.versions if each.tag is not None}
    for alias, number in there.aliases.items():
        if alias in wanted or number not in own:
            continue
        at = own[number]
        if alias in (CHAMPION, CHALLENGER, at.tag):
            steps.append(Step(UNPOINT, str(at.tag), alias=alias))
    return steps
