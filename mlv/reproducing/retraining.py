"""A version's training, run once more, and held against what was registered."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.domain.document import is_finite
from mlv.errors import InvalidInput, ProgramError
from mlv.store import process, yamlread
from mlv.store.dvcfiles import stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlv.reproducing.environment import Environment
    from mlv.store.versions import Record, Versions

_LARGEST = 1_000_000  # bytes of a metrics file
# DVC as its own program runs: it imports nothing of the folder it is in, and any Python can.
_DVC = (
    "-c",
    (
        "import sys; del sys.path[0]; import runpy; "
        "runpy.run_module('dvc', run_name='__main__', alter_sys=True)"
    ),
)


class Output(NamedTuple):
    """What a stage wrote: its md5 when the version was registered, and now.

    ``role`` is that of the version's artifact with these bytes, if it is one.
    """

    path: str
    role: str | None
    before: str | None
    after: str | None

    @property
    def is_same(self) -> bool:
        """Whether these are the same bytes."""
        return self.before == self.after


class Retrained(NamedTuple):
    """What came of it; ``before`` and ``after`` are metrics, of those that a stage wrote again."""

    stage: str
    seconds: float
    outputs: tuple[Output, ...]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def is_identical(self) -> bool:
        """Whether every artifact of the version that was made again has the same bytes."""
        made = [output for output in self.outputs if output.role]
        return bool(made) and all(output.is_same for output in made)


def check(record: Record, *, wanted: bool) -> None:
    """Refuse to retrain what no stage of DVC made."""
    if wanted and not record.manifest.data["lineage"].get("stage"):
        tag = record.manifest.version.tag
        raise InvalidInput(
            f"{tag} names no DVC stage that made it: nobody knows what to run again",
            hint="without --retrain it is reproduced byte for byte; register what dvc repro wrote "
            "to have it retrained",
        )


def retrain(
    versions: Versions,
    record: Record,
    top: Path,
    environment: Environment | None,
    show: Callable[[str], None],
) -> Retrained:
    """Run the pipeline that made the version, all of it, in its work tree.

    Nothing is taken from DVC's cache of runs. `ProgramError` if a stage fails.
    """
    stage: dict[str, Any] = record.manifest.data["lineage"]["stage"]
    inside = str(stage.get("folder") or ".")
    folder = top / inside
    _share_cache(versions, top)
    python, programs = _python(environment)
    env = {"PATH": os.pathsep.join((str(programs), process.environment().get("PATH", "")))}
    if environment:
        env["VIRTUAL_ENV"] = str(environment.folder)
    lock = "dvc.lock" if inside == "." else f"{inside}/dvc.lock"
    locked = versions.blob(record.tag.commit, lock) or b""

    def run(*args: str) -> None:
        argv = [python, *_DVC, *args]
        result = process.run_shown(argv, cwd=folder, env=env, show=show)
        if result.code:
            raise _failed(record, argv, result, f"in {folder}: dvc repro --force {stage['name']}")

    # `dvc repro --pull` brings no data that is forced.
    inputs = [path for path in _inputs(locked) if not (folder / path).exists()]
    if inputs:
        run("pull", "--", *inputs)
    start = time.monotonic()
    # The whole pipeline: what evaluates the model comes after the stage that made it.
    run("repro", "--force", "--no-run-cache", "--pull", "--pipeline", stage["name"])
    seconds = time.monotonic() - start
    before = _outputs(locked)
    after = _outputs((folder / "dvc.lock").read_bytes())
    roles = {artifact.md5: role for role, artifact in record.manifest.artifacts.items()}
    outputs = tuple(
        Output(path, roles.get(before.get(path, "")), before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
    )
    now = _metrics(folder, after, record.manifest.metrics)
    then = {name: value for name, value in record.manifest.metrics.items() if name in now}
    return Retrained(stage["name"], seconds, outputs, then, now)


def _share_cache(versions: Versions, top: Path) -> None:
    """Have DVC find here what the repository's own cache has, and who it is at its remote."""
    from mlv.store.dvc.repository import open_dvc

    layout = versions.git.layout
    with open_dvc(layout) as dvc:
        cache = dvc.cache.folder
    theirs = (layout.top or layout.common_dir) / ".dvc" / "config.local"
    ours = top / ".dvc" / "config.local"
    if theirs.is_file() and not ours.exists():
        shutil.copy(theirs, ours)  # with its mode, for it may hold secrets
    base = cache.parent.parent  # files/md5
    argv = [sys.executable, *_DVC, "config", "--local", "cache.dir", str(base)]
    result = process.run(argv, cwd=top)
    if result.code:
        raise ProgramError(
            f"DVC cannot be set up in {top}", hint=result.stderr.strip(), code=result.code
        )


def _python(environment: Environment | None) -> tuple[str, Path]:
    """Give the interpreter that runs DVC, and where the stage's programs come from."""
    own = sys.executable
    if environment is None:
        return own, Path(own).parent
    asked = process.run([str(environment.python), "-c", "import dvc"], cwd=environment.folder)
    return (own if asked.code else str(environment.python)), environment.programs


def _failed(record: Record, argv: list[str], result: process.Result, how: str) -> ProgramError:
    said = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
    last = said[-1].removeprefix("ERROR: ") if said else f"exit code {result.code}"
    return ProgramError(
        f"training {record.manifest.version.tag} again failed: {last}",
        hint=f"{how} shows all of it",
        argv=tuple(argv),
        code=result.code,
        stderr=result.stderr,
    )


def _inputs(lock: bytes) -> list[str]:
    """Name what a pipeline reads and none of its stages writes."""
    return sorted(_locked(lock, "deps").keys() - _outputs(lock).keys())


def _outputs(lock: bytes) -> dict[str, str]:
    return _locked(lock, "outs")


def _locked(lock: bytes, kind: str) -> dict[str, str]:
    found = [each for _, stage in stages(lock) for each in stage[kind]]
    return {str(each["path"]): str(each.get("md5", "")) for each in found if "path" in each}


def _metrics(
    folder: Path, outputs: Mapping[str, str], known: Mapping[str, float]
) -> dict[str, float]:
    every = (number for path in outputs for number in _numbers(folder / path))
    return {name: value for name, value in every if name in known}


def _numbers(path: Path) -> Iterator[tuple[str, float]]:
    """Read the numbers of a metrics file; of any other file there are none."""
    try:
        if path.suffix not in (".json", ".yaml", ".yml") or path.stat().st_size > _LARGEST:
            return
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else yamlread.load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return
    if isinstance(document, dict):
        for name, value in document.items():
            if type(value) in (int, float) and is_finite(value):
                yield str(name), value
