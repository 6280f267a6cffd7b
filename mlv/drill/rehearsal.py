"""A rollback but for the rollback: what it would go back to, and whether that can be used here.

Nothing of the repository is written to. What is downloaded lies in a temporary folder.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.figures import count
from mlv.drill import fetching, trial
from mlv.drill.report import DOWNLOAD, REMOTE, ROLLBACK, VERIFY, Drill, Drilled, Fault, Step
from mlv.errors import InvalidInput, NotFound, RegistryError
from mlv.moving.promotion import Plan, decide
from mlv.moving.promotion import Step as Planned
from mlv.store import handout, versionfolder
from mlv.store.scratch import temporary
from mlv.trust import check_trusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.domain.names import Version
    from mlv.references import References
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tip, Versions


class Terms(NamedTuple):
    """What a drill is held against, and who watches it; ``budget`` is in seconds a model.

    ``loaders`` are the user's own, as `predicting.loaders.loaders_named` takes them.
    """

    budget: float
    progress: ProgressBar
    loaders: tuple[tuple[str, str], ...] = ()


def drill(versions: Versions, references: References, models: Sequence[str], terms: Terms) -> Drill:
    """Rehearse the rollback of these models, or of every one that has something live.

    What stops one model does not stop the next. `NotFound` if there is no such model, or nothing
    is live at all.
    """
    if not 0 < terms.budget < math.inf:
        raise InvalidInput(
            f"a budget of {terms.budget} seconds cannot be met", hint="--budget 300: five minutes"
        )
    tip = versions.need_tip()
    named = dict.fromkeys(models or filter(None, [references.model]))
    for model in named:
        references.need_known(model)
    chosen = list(named) or [m for m in versions.models_on(tip) if _may_be_live(versions, tip, m)]
    if not chosen:
        raise NotFound("nothing is live", hint="mlv promote REF puts a version live")
    return Drill(tuple(_rehearse(versions, tip, model, terms) for model in chosen), terms.budget)


def _may_be_live(versions: Versions, tip: Tip, model: str) -> bool:
    try:
        return versions.pointer(tip, model).current is not None
    except RegistryError:
        return True  # which the drill of it says


class _Course:
    """How far a drill came: the steps taken, and the one it is at."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.at = ROLLBACK
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._start

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Take a step; what is put into the list tells what was found."""
        told: list[str] = []
        self.at, start = name, time.perf_counter()
        yield told
        self.steps.append(Step(name, time.perf_counter() - start, ", ".join(told)))


def _rehearse(versions: Versions, tip: Tip, model: str, terms: Terms) -> Drilled:
    course = _Course()
    live: int | None = None
    back_to: Version | None = None
    fault: Fault | None = None
    try:
        with course.step(ROLLBACK) as told:
            live = versions.pointer(tip, model).current
            back_to = _go_back(versions, tip, model, live)
            record = _usable(versions, tip, back_to)
            told.append(back_to.tag)
        fault = _use(versions, tip, record, course, terms)
    except RegistryError as error:
        fault = Fault(course.at, error.message, error.hint, error.exit_code)
    return Drilled(model, live, back_to, tuple(course.steps), course.seconds, terms.budget, fault)


def _go_back(versions: Versions, tip: Tip, model: str, live: int | None) -> Version:
    """Decide a rollback as `mlv rollback` does, and say to which version it leads."""
    plan = Plan(pointers.ROLLBACK, (Planned(model, None, live),))
    return decide(versions, tip, plan)[0].version


def _usable(versions: Versions, tip: Tip, version: Version) -> Record:
    """Read the version; whole, and signed as the registry requires."""
    record = versions.record(version)
    check_trusted(versions, tip, record)
    versionfolder.read(versions, record)
    return record


def _use(
    versions: Versions, tip: Tip, record: Record, course: _Course, terms: Terms
) -> Fault | None:
    """Bring a version's bytes down from nothing, and try it."""
    with temporary("mlv-drill-") as folder, contextlib.ExitStack() as stack:
        with course.step(REMOTE) as told:
            opened = fetching.source(versions, tip, folder, terms.progress)
            source = stack.enter_context(opened)
            told.append(source.look(record))
        with course.step(DOWNLOAD) as told:
            told.append(source.download(record))
        with course.step(VERIFY) as told:
            files = source.verified(record)
            pins = versionfolder.requirements(versions, record)
            files["requirements"] = handout.put_beside(files["manifest"], pins)
            told.append(count(len(record.manifest.artifacts), "artifact"))
        tried = trial.attempt(record, files, folder / "trial", terms)
        course.steps += tried.steps
        return tried.fault
