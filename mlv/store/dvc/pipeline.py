"""What a ``dvc.yaml`` declares about a model: the metrics and parameters beside its stage."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.description import flat
from mlv.domain.document import is_finite, plain
from mlv.domain.manifest import is_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dvc.dvcfile import ProjectFile
    from dvc.output import Output as DvcOutput
    from dvc.repo import Repo
    from dvc.stage import Stage

_LARGEST = 1_000_000  # bytes
_MOST_VALUES = 100_000  # in a file: YAML repeats what it has by aliases, which grow without end
_MOST = 500  # parameters
_BRIEF = 60


class Declared(NamedTuple):
    """Metrics and parameters by dotted name, and what its user should know about them."""

    metrics: Mapping[str, float]
    params: Mapping[str, Any]
    notes: tuple[str, ...] = ()


NOTHING = Declared({}, {})


def declared(repo: Repo, model: str, md5: str) -> Declared:
    """Read what the nearest ``dvc.yaml`` above a model declares.

    ``model`` is its path from the top, ``md5`` that of its bytes. Of a pipeline that made it, the
    stage that did counts and those that went on from these very bytes; of one that made other
    bytes, nothing.
    """
    file, owner = _find(repo, model)
    if file is None:
        return NOTHING
    stages = list(file.stages.values()) if owner else []
    if owner is not None and _md5(_output_at(owner, repo, model)) != md5:
        return NOTHING
    notes: list[str] = []
    family = _family(owner, stages, notes) if owner else []
    others = {out.fs_path for stage in stages if stage not in family for out in stage.outs}
    metrics = [(out.fs_path, _md5(out)) for stage in family for out in stage.outs if out.metric]
    folder = repo.fs.parent(file.path)
    top_level = (repo.fs.normpath(repo.fs.join(folder, each)) for each in file.metrics)
    seen = {path for path, _ in metrics}
    metrics += [(path, None) for path in top_level if path not in others | seen]
    numbers = {
        name: value
        for name, value in _merged(_read_all(repo, metrics, notes)).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_finite(value) and _is_named(name, notes)
    }
    files = [(repo.fs.normpath(repo.fs.join(folder, each)), None) for each in file.params]
    told = [*_params_of(family[1:]), *_read_all(repo, files, notes)]
    params = plain(_merged(told))
    if len(params) > _MOST:
        notes.append(f"dvc.yaml declares {len(params)} parameters: too many to be kept")
        params = {}
    return Declared(numbers, params, tuple(notes))


def _is_named(name: str, notes: list[str]) -> bool:
    if not is_key(name):
        notes.append(f"{name[:_BRIEF]!r} cannot be a metric's name: left out")
    return is_key(name)


def _find(repo: Repo, model: str) -> tuple[ProjectFile | None, Stage | None]:
    """Find the dvc.yaml whose stage writes the model, else the nearest one."""
    from dvc.dvcfile import PROJECT_FILE, ProjectFile

    nearest: ProjectFile | None = None
    parts = model.split("/")[:-1]
    for count in range(len(parts), -1, -1):
        path = repo.fs.join(repo.root_dir, *parts[:count], PROJECT_FILE)
        if not repo.fs.exists(path):
            continue
        file = ProjectFile(repo, path)
        nearest = nearest or file
        for stage in file.stages.values():
            if _output_at(stage, repo, model) is not None:
                return file, stage
    return nearest, None


def _output_at(stage: Stage, repo: Repo, model: str) -> DvcOutput | None:
    path = repo.fs.join(repo.root_dir, *model.split("/"))
    return next((out for out in stage.outs if out.fs_path == path), None)


def _md5(out: DvcOutput | None) -> str | None:
    value = out.hash_info.value if out is not None and out.hash_info else None
    return str(value) if value and out is not None and out.hash_name == "md5" else None


def _family(owner: Stage, stages: list[Stage], notes: list[str]) -> list[Stage]:
    """Give the stage that made a model, and all that went on from what it wrote."""
    family = [owner]
    for _ in stages:
        made = {out.fs_path: _md5(out) for stage in family for out in stage.outs}
        for stage in stages:
            deps = {dep.fs_path: _md5(dep) for dep in stage.deps if dep.fs_path in made}
            if stage in family or not deps:
                continue
            if any(md5 != made[path] for path, md5 in deps.items()):
                note = f"the DVC stage {stage.name!r} has not run on this model: left out"
                if note not in notes:
                    notes.append(note)
                continue
            family.append(stage)
    return family


def _params_of(stages: Iterable[Stage]) -> Iterator[tuple[str, Any]]:
    """Give what the lock says that stages were run with."""
    for stage in stages:
        for dep in stage.params:
            if dep.hash_info and isinstance(dep.hash_info.value, dict):
                yield str(dep.def_path), dep.hash_info.value


def _read_all(
    repo: Repo, paths: Iterable[tuple[str, str | None]], notes: list[str]
) -> Iterator[tuple[str, Any]]:
    """Read files of names with values; one that is not what its stage wrote is told of."""
    from dvc.utils.serialize import PARSERS

    for path, md5 in paths:
        name = repo.fs.relpath(path, repo.root_dir)
        data = _bytes(repo, path, md5)
        if data is None:
            notes.append(f"{name}, which dvc.yaml declares, is not here: left out")
        elif md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
            notes.append(f"{name} is not what its DVC stage last wrote: left out")
        else:
            try:
                values = PARSERS[repo.fs.suffix(path).lower()](data.decode("utf-8-sig"), path)
            except Exception:  # noqa: BLE001 - each format's library raises its own
                notes.append(f"{name}, which dvc.yaml declares, cannot be read: left out")
                continue
            if _are_few(values):
                yield name, values
            else:
                notes.append(f"{name}, which dvc.yaml declares, holds too many values: left out")


def _are_few(values: Any) -> bool:
    """Whether going through all of them ends soon."""
    count, held = 0, [values]
    while held and count <= _MOST_VALUES:
        inner = held.pop()
        if isinstance(inner, dict):
            count += len(inner)
            held += inner.values()
        elif isinstance(inner, list):
            count += len(inner)
    return count <= _MOST_VALUES


def _bytes(repo: Repo, path: str, md5: str | None) -> bytes | None:
    """Read a small file where it lies, else in the cache."""
    fs, found = repo.fs, path
    if not fs.isfile(path):
        fs, found = repo.cache.local.fs, repo.cache.local.oid_to_path(md5) if md5 else ""
        if not found or not fs.isfile(found):
            return None
    with fs.open(found, "rb") as file:
        data: bytes = file.read(_LARGEST + 1)
    # What has an MD5 is held against it; anything else may lead to any file of the user's.
    if len(data) > _LARGEST or not (md5 or _is_inside(repo, path, data)):
        return None
    return data


def _is_inside(repo: Repo, path: str, data: bytes) -> bool:
    """Whether a file lies in the repository, or is a link to its bytes in DVC's cache."""
    real = Path(path).resolve()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    cached = Path(repo.cache.local.oid_to_path(md5))
    return real == cached.resolve() or real.is_relative_to(Path(repo.root_dir).resolve())


def _merged(files: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Give the values of all files by name; one that two files have is told apart by its file."""
    merged: dict[str, Any] = {}
    for file, values in files:
        for name, value in flat(values).items():
            known = merged.setdefault(name, value)
            if known != value:
                merged[f"{file}:{name}"] = value
    return merged
