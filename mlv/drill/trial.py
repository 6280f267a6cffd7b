"""Loading a version, and asking it its sample, in a Python of its own.

What crashes there, or hangs, is found and does no harm; its memory is given back.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.figures import count, duration
from mlv.domain.manifest import MODEL, parse
from mlv.domain.names import Version
from mlv.drill.report import LOAD, OVER_BUDGET_CODE, PREDICT, Fault, Step
from mlv.errors import ProgramError, RegistryError
from mlv.store.process import run_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.drill.rehearsal import Terms
    from mlv.store.versions import Record

_ASKED, _PATH, _TOLD = "asked.json", "path.json", "told.jsonl"
_HINT = "other versions of its packages may be installed: compare requirements.txt"
# The modules that can be imported here can be imported there, and none from the folder it runs in.
_CODE = (
    f"import json, pathlib, sys; sys.path[:] = json.loads(pathlib.Path({_PATH!r}).read_bytes()); "
    "from mlv.drill.trial import main; main()"
)


class Tried(NamedTuple):
    """The steps that were taken, and what stopped it, if anything did."""

    steps: tuple[Step, ...]
    fault: Fault | None


def attempt(record: Record, files: Mapping[str, Path], folder: Path, terms: Terms) -> Tried:
    """Load verified files and ask the version its sample, within the budget."""
    seconds = terms.budget
    version = record.manifest.version
    folder.mkdir()
    asked = {
        "model": version.model,
        "number": version.number,
        "files": {role: str(path) for role, path in files.items()},
        "loaders": terms.loaders,
    }
    (folder / _ASKED).write_text(json.dumps(asked), encoding="utf-8")
    (folder / _PATH).write_text(json.dumps([os.path.abspath(p) for p in sys.path]),  # noqa: PTH100
                                encoding="utf-8")  # fmt: skip
    start, ending = time.perf_counter(), ""
    try:
        done = run_within(seconds, [sys.executable, "-P", "-c", _CODE], cwd=folder)
        ending = _ending(done.code)
        words = done.stderr.strip().splitlines()
    except ProgramError:
        if time.perf_counter() - start < seconds:
            raise
        words = []
    steps, fault = _told(folder / _TOLD)
    if fault or len(steps) == len((LOAD, PREDICT)):
        return Tried(tuple(steps), fault)
    return Tried(tuple(steps), _cut_short(version, len(steps), seconds, ending, words))


def _cut_short(
    version: Version, taken: int, seconds: float, ending: str, words: list[str]
) -> Fault:
    """Say of a Python that told nothing of its end how it ended; "" if it had to be ended."""
    step = (LOAD, PREDICT)[taken]
    what = f"loading {version.tag}" if step == LOAD else f"asking {version.tag} its sample"
    if not ending:
        return Fault(
            step,
            f"{what} had not ended after {duration(seconds)}",
            "it may wait for something that is not here: try it by hand, "
            f"mlv verify {version.tag} --predict; or state another --budget",
            OVER_BUDGET_CODE,
        )
    hint = f"its last words: {words[-1]}" if words else "it said nothing"
    if ending == "SIGKILL":
        hint = "the system may have run out of memory"
    return Fault(step, f"{what} ended Python with {ending}", hint, RegistryError.exit_code)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _told(path: Path) -> tuple[list[Step], Fault | None]:
    """Read what the other Python told, as far as it came."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return [], None
    steps: list[Step] = []
    for line in lines:
        try:
            kind, *facts = json.loads(line)
        except ValueError:
            break  # it ended in the middle of it
        if kind == "fault":
            return steps, Fault(*facts)
        steps.append(Step(*facts))
    return steps, None


# In the other Python ------------------------------------------------------------------------


def main() -> None:
    """Do what the folder that this runs in asks for, and tell there what came of it."""
    asked = json.loads(Path(_ASKED).read_bytes())
    step = LOAD
    try:
        start = time.perf_counter()
        predictor = _load(asked)
        model = predictor.loaded.get(MODEL)
        detail = "no loader: left as a file" if isinstance(model, Path) else type(model).__name__
        _tell("step", LOAD, time.perf_counter() - start, detail)
        step = PREDICT
        checked = predictor.check()
        detail = (
            f"{count(checked.rows, 'row')}, {checked.outcome}" if checked.rows else checked.outcome
        )
        _tell("step", PREDICT, checked.seconds, detail)
    except RegistryError as error:
        _tell("fault", step, error.message, error.hint, error.exit_code)
    except BaseException as error:  # noqa: BLE001 - a model may raise anything, SystemExit too
        tag = f"{asked['model']}-v{asked['number']}"
        what = f"loading {tag}" if step == LOAD else f"asking {tag} its sample"
        said = f"{what} raised {type(error).__name__}: {error}"
        _tell("fault", step, said, _HINT, RegistryError.exit_code)


def _load(asked: dict[str, Any]) -> Any:
    from mlv.predicting.loaders import loaders_named
    from mlv.predicting.predictor import Predictor

    files = {role: Path(path) for role, path in asked["files"].items()}
    version = Version(asked["model"], asked["number"])
    manifest = parse(files["manifest"].read_bytes(), version)
    return Predictor.load(manifest, files, loaders_named(asked["loaders"]))


def _tell(*facts: object) -> None:
    with Path(_TOLD).open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")
