"""Reading a registered model of MLflow's, to be brought in.

A version comes with its run's metrics and parameters, its tags and aliases, its date and its bytes.
What is live is the one that ``champion`` or ``production`` leads to, else the newest in the stage
Production; so with ``challenger`` or ``staging``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.bridges.mlflow import fitting
from mlv.bridges.mlflow.portrait import CHALLENGER, CHAMPION
from mlv.bridges.mlflow.server import connected
from mlv.domain import arriving
from mlv.domain import pointer as pointers
from mlv.domain.manifest import MODEL, PREPROCESSOR
from mlv.errors import NotFound, ProgramError
from mlv.importing.incoming import IncomingModel, IncomingVersion, Notes, person

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from mlv.bridges.mlflow.server import Server

_LIVE, _TRIED = (CHAMPION, "production"), (CHALLENGER, "staging")
_KIND = "mlflow"
_SHOWN = 5
_STAGES = {"Production": _LIVE, "Staging": _TRIED}


def read(name: str, tracking_uri: str | None = None, skip: Collection[int] = ()) -> IncomingModel:
    """Read a registered model; its bytes are downloaded only when a version comes in.

    ``skip`` are numbers of versions that stay out.
    """
    fitting.check_name(name)
    with connected(tracking_uri) as server:
        named = server.known_model(name).aliases or {}
        aliases = {alias: int(number) for alias, number in named.items()}
        found = sorted(server.versions(name), key=lambda each: int(each.version))
        _check_skipped(name, skip, [int(each.version) for each in found])
        notes = Notes()
        current, staging = _at(found, aliases, "Production"), _at(found, aliases, "Staging")
        read_in = [
            _version(server, tracking_uri, each, aliases, _status(each, current, staging), notes)
            for each in found
            if int(each.version) not in skip
        ]
    return IncomingModel(f"MLflow's model {name}", tuple(read_in), current, None, notes.all)


def _check_skipped(name: str, skip: Collection[int], known: list[int]) -> None:
    for number in skip:
        if number not in known:
            shown = ", ".join(map(str, known[-_SHOWN:]))
            raise NotFound(
                f"MLflow's model {name} has no version {number} that could be skipped",
                hint=f"--skip takes MLflow's numbers, the newest are {shown}" if known else "",
            )


def _at(found: Iterable[Any], aliases: Mapping[str, int], stage: str) -> int | None:
    for alias in _STAGES[stage]:
        if alias in aliases:
            return aliases[alias]
    numbers = [int(v.version) for v in found if getattr(v, "current_stage", None) == stage]
    return max(numbers, default=None)


def _status(version: Any, current: int | None, staging: int | None) -> str:
    number = int(version.version)
    if number == current:
        return pointers.PRODUCTION
    if number == staging:
        return pointers.STAGING
    is_old = getattr(version, "current_stage", None) in ("Archived", "Production")
    return pointers.ARCHIVED if is_old else pointers.REGISTERED


def _version(
    server: Server,
    tracking_uri: str | None,
    version: Any,
    aliases: Mapping[str, int],
    status: str,
    notes: Notes,
) -> IncomingVersion:
    number = int(version.version)
    run = _run(server, version.run_id, f"v{number}", notes)
    metrics = arriving.tidy_metrics(run.data.metrics if run else {})
    if metrics.rest:
        names = ", ".join(metrics.rest)
        notes.add(f"no finite number, and kept in the metadata: {names}", f"v{number}")
    tags = {str(k): str(v) for k, v in version.tags.items()}
    named = sorted(alias for alias, at in aliases.items() if at == number)
    commit = (run.data.tags if run else {}).get("mlflow.source.git.commit")
    remarks = {
        "run_id": version.run_id or None,
        "git_commit": commit or None,
        "tags": tags or None,
        "aliases": named or None,
        "description": version.description or None,
        "source": version.source,
        "params": dict(run.data.params) if run and run.data.params else None,
        "metrics": metrics.rest or None,
    }
    beside = _beside(server, version.run_id if run else "")
    roles = {MODEL: None, **({PREPROCESSOR: None} if beside else {})}
    origin = {"from": _KIND, "version": f"{version.name}/{number}"}
    return IncomingVersion(
        number=number,
        registered_at=arriving.moment(version.creation_timestamp / 1000).text,
        checksums=roles,
        bring=_bringer(tracking_uri, version, beside),
        origin=origin,
        status=status,
        registered_by=person((run.data.tags if run else {}).get("mlflow.user", "")),
        metrics=metrics.kept,
        remarks=arriving.tidy_metadata({k: v for k, v in remarks.items() if v is not None}).kept,
        commit=commit,
        roles_change=True,  # anybody may log to its run, also when the version is long made
    )


def _run(server: Server, run_id: str, name: str, notes: Notes) -> Any:
    """Read the run that a version comes from; None if it names none, or it was removed for good."""
    try:
        return server.run(run_id) if run_id else None
    except NotFound:
        notes.add("its run is gone there, and metrics and parameters with it", name)
        return None


def _beside(server: Server, run_id: str) -> str:
    """Name the run's artifact that is a preprocessor by its name; "" if there is none."""
    for path in server.artifacts(run_id) if run_id else ():
        if path.partition("/")[0].partition(".")[0] == PREPROCESSOR:
            return path
    return ""


def _bringer(
    tracking_uri: str | None, version: Any, beside: str
) -> Callable[[Path], Mapping[str, Path]]:
    def bring(folder: Path) -> Mapping[str, Path]:
        with connected(tracking_uri) as server:
            try:
                return _download(server, version, beside, folder)
            except (NotFound, ProgramError) as error:
                hint = f"--skip {version.version} leaves it out, if its files are gone"
                raise type(error)(error.message, hint=hint) from error

    return bring


def _download(server: Server, version: Any, beside: str, folder: Path) -> Mapping[str, Path]:
    model = server.download(f"models:/{version.name}/{version.version}", folder / MODEL)
    # MLflow's client writes this beside what it downloads.
    (model / "registered_model_meta").unlink(missing_ok=True)
    if not any(model.iterdir()):  # MLflow 3 does not mind
        raise NotFound(f"MLflow at {server.uri} has no file of it")
    if not beside:
        return {MODEL: model}
    place = server.download(f"runs:/{version.run_id}/{beside}", folder / "beside")
    return {MODEL: model, PREPROCESSOR: place}
