"""The door to MLflow: its client, what of it is used here, and its refusals told plainly."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.bridges.mlflow.plan import Found, There
from mlv.bridges.mlflow.portrait import TAG
from mlv.errors import ConfigError, NotFound, ProgramError
from mlv.store.lineage import without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PAGE = 1000
_SHOWN = 5
_LINES, _LONGEST = 4, 1000  # of what a failed download says; characters of what anything does
# In later lines storage is named by addresses that anybody may use who reads them.
_SECRET = re.compile(r"(?<=://)[^/\s@]+@|(?<=\?)[^\s'\"]+")
_MOST_PARAMS, _MOST_METRICS = 100, 1000  # in one request
_INVALID = "INVALID_PARAMETER_VALUE"
_EXISTS, _ABSENT = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
FINISHED = "FINISHED"


def need() -> Any:
    """Import MLflow, or say how it comes here."""
    if find_spec("mlflow") is None:
        raise ConfigError("MLflow is not installed here", hint="pip install 'mlv[mlflow]'")
    import mlflow

    return mlflow


@contextmanager
def connected(tracking_uri: str | None = None) -> Iterator[Server]:
    """Speak with the MLflow at an address; without one, with that which MLflow itself would take.

    MLflow 2 looks where artifacts go in a setting of the process: it is set, and set back after.
    """
    mlflow = need()
    if tracking_uri is None:
        yield Server(mlflow, mlflow.get_tracking_uri())
        return
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else ""
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield Server(mlflow, tracking_uri)
    finally:
        mlflow.set_tracking_uri(before)


class Server:
    """One MLflow. Every method asks it; `ProgramError` tells what it says to that."""

    def __init__(self, mlflow: Any, uri: str) -> None:
        self._given = uri.rstrip("/") or uri  # as MLflow writes it
        self.uri = without_credentials(uri) or "an address that is none"
        self.version = str(mlflow.__version__)
        # ValueError of an address that is none, ImportError of a database's missing driver.
        self._refusals = (mlflow.exceptions.MlflowException, OSError, ValueError, ImportError)
        try:
            with self._told():
                self._client = mlflow.MlflowClient(uri)
        except ProgramError as error:
            cause = error.__cause__
            if isinstance(cause, (ValueError, ImportError)) or _code(cause) == _INVALID:
                raise ConfigError(error.message, hint="is that MLflow's address?") from error
            raise

    @contextmanager
    def _told(self, *, unless: str = "", lines: int = 1) -> Iterator[None]:
        """Tell what MLflow says in an error of ours, its first ``lines``.

        ``unless`` is what is no error here.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of stages, and of a file store
                yield
        except self._refusals as error:
            code = _code(error)
            if unless and code == unless:
                return
            said = _first(str(error).replace(self._given, self.uri), lines)
            absent = code in (_ABSENT, "NOT_FOUND")
            kind = NotFound if absent else ProgramError
            raise kind(
                f"MLflow at {self.uri}: {said.removeprefix(f'{code}: ')}",
                hint="" if absent else "does it run, and may you do this there?",
            ) from error

    # Reading ------------------------------------------------------------------------------

    def there(self, name: str, experiment: str) -> There:
        """Read what it has of a registered model, and which runs are ours."""
        model = self.model(name)
        if model is None:
            return There(exists=False, runs=self._runs(experiment))
        found = tuple(_found(each) for each in self.versions(name))
        aliases = {alias: int(number) for alias, number in (model.aliases or {}).items()}
        return There(exists=True, versions=found, aliases=aliases, runs=self._runs(experiment))

    def model(self, name: str) -> Any:
        """Read a registered model; None if there is none of this name."""
        with self._told(unless=_ABSENT):
            return self._client.get_registered_model(name)
        return None

    def known_model(self, name: str) -> Any:
        """Read a registered model; `NotFound` names some that there are."""
        model = self.model(name)
        if model is None:
            with self._told():
                found = self._client.search_registered_models(max_results=_SHOWN)
            names = ", ".join(each.name for each in found)
            raise NotFound(
                f"MLflow at {self.uri} has no model {name!r}",
                hint=f"there are {names}" if names else "it has none: is it the right MLflow?",
            )
        return model

    def versions(self, name: str, tag: str = "") -> list[Any]:
        """Read the versions of a model, or those that bear mlv's ``tag``; aliases are not told."""
        query = f"name = '{name}'" + (f" and tags.`{TAG}` = '{tag}'" if tag else "")
        return self._all(self._client.search_model_versions, filter_string=query)

    def find(self, name: str, tag: str) -> list[Found]:
        """Find what of one of mlv's versions there is, the first that was made first."""
        return sorted(
            (_found(each) for each in self.versions(name, tag)), key=lambda each: each.number
        )

    def runs(self, experiment: str, tag: str) -> list[Any]:
        """Find the runs of one of mlv's versions."""
        known = self._experiment(experiment)
        if known is None:
            return []
        return self._all(
            self._client.search_runs,
            experiment_ids=[known],
            filter_string=f"tags.`{TAG}` = '{tag}'",
        )

    def _runs(self, experiment: str) -> dict[str, tuple[str, ...]]:
        known = self._experiment(experiment)
        found: dict[str, tuple[str, ...]] = {}
        if known is None:
            return found
        every = self._all(
            self._client.search_runs, experiment_ids=[known], filter_string=f"tags.`{TAG}` LIKE '%'"
        )
        for run in every:
            tag = run.data.tags[TAG]
            found[tag] = (*found.get(tag, ()), run.info.run_id)
        return found

    def run(self, run_id: str) -> Any:
        """Read one run."""
        with self._told():
            return self._client.get_run(run_id)

    def artifacts(self, run_id: str) -> list[str]:
        """Name what lies at the top of a run's artifacts."""
        with self._told():
            return [str(each.path) for each in self._client.list_artifacts(run_id)]

    def download(self, uri: str, folder: Path) -> Path:
        """Download what an address names into a folder, and say where it lies."""
        from mlflow.artifacts import download_artifacts

        folder.mkdir(parents=True)
        with self._told(lines=_LINES):  # the first says only that something failed
            return Path(download_artifacts(uri, dst_path=str(folder)))

    def _experiment(self, name: str) -> str | None:
        with self._told():
            found = self._client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise ConfigError(
                f"the experiment {name!r} was deleted in MLflow, which keeps its name",
                hint="restore it, or have it removed for good: mlflow gc",
            )
        return None if found is None else str(found.experiment_id)

    def _all(self, ask: Callable[..., Any], **how: Any) -> list[Any]:
        found: list[Any] = []
        token = None
        with self._told():
            while True:
                page = ask(max_results=_PAGE, page_token=token, **how)
                found += page
                token = page.token
                if not token:
                    return found

    # Writing ------------------------------------------------------------------------------

    def need_experiment(self, name: str) -> str:
        """Give the id of an experiment, which is made if there is none."""
        known = self._experiment(name)
        if known is None:
            with self._told(unless=_EXISTS):
                return str(self._client.create_experiment(name))
            known = self._experiment(name)  # somebody else was faster
        return str(known)

    def need_model(self, name: str, tags: Mapping[str, str], description: str) -> None:
        """Make a registered model if there is none; one that is there is left as it is."""
        with self._told(unless=_EXISTS):
            self._client.create_registered_model(name, dict(tags), description)

    def start_run(
        self, experiment: str, name: str, tags: Mapping[str, str], time: int | None = None
    ) -> Any:
        """Begin a run, of a moment in milliseconds or of now."""
        known = self.need_experiment(experiment)
        with self._told():
            return self._client.create_run(known, time, dict(tags), name)

    def log(self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str],
            time: int, tags: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """Log metrics, parameters and tags; the same ones twice are there once."""
        from mlflow.entities import Metric, Param, RunTag

        numbers = [Metric(name, value, time, 0) for name, value in metrics.items()]
        settings = [Param(name, value) for name, value in params.items()]
        notes = [RunTag(name, value) for name, value in (tags or {}).items()]
        with self._told():
            for start in range(0, len(numbers), _MOST_METRICS):
                self._client.log_batch(run_id, metrics=numbers[start : start + _MOST_METRICS])
            for start in range(0, len(settings), _MOST_PARAMS):
                self._client.log_batch(run_id, params=settings[start : start + _MOST_PARAMS])
            for start in range(0, len(notes), _MOST_PARAMS):
                self._client.log_batch(run_id, tags=notes[start : start + _MOST_PARAMS])

    def tag_run(self, run_id: str, name: str, value: str) -> None:
        """Tag a run."""
        try:
            with self._told():
                self._client.set_tag(run_id, name, value)
        except ProgramError:
            # Of two that set the same new tag at once, the servers of MLflow 3 refuse one.
            if self.run(run_id).data.tags.get(name) != value:
                raise

    def upload(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Upload a file, or what is in a folder, into a folder of the run's artifacts."""
        with self._told():
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), folder)
            else:
                self._client.log_artifact(run_id, str(path), folder)

    def end_run(self, run_id: str, status: str = FINISHED, time: int | None = None) -> None:
        """End a run; where it can be looked at, MLflow 2 prints unasked."""
        with self._told(), redirect_stdout(io.StringIO()):
            self._client.set_terminated(run_id, status, time)

    def remove_run(self, run_id: str) -> None:
        """Delete a run, as MLflow does: it can be restored."""
        with self._told(unless=_ABSENT):
            self._client.delete_run(run_id)

    def create_version(
        self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str = ""
    ) -> int:
        """Make a version of a registered model; give MLflow's number of it."""
        with self._told():
            made = self._client.create_model_version(
                name, source, run_id, dict(tags), None, description or None,
                await_creation_for=0,
            )  # fmt: skip
        return int(made.version)

    def describe(
        self, name: str, number: int, tags: Mapping[str, str | None], description: str | None
    ) -> None:
        """Set a version's tags, or with None remove them, and its description if one is given."""
        with self._told():
            for tag, value in tags.items():
                if value is None:
                    self._client.delete_model_version_tag(name, str(number), tag)
                else:
                    self._client.set_model_version_tag(name, str(number), tag, value)
            if description is not None:
                self._client.update_model_version(name, str(number), description)

    def remove_version(self, name: str, number: int) -> None:
        """Delete a version."""
        with self._told(unless=_ABSENT):
            self._client.delete_model_version(name, str(number))

    def point(self, name: str, alias: str, number: int) -> None:
        """Lead an alias to a version."""
        try:
            with self._told():
                self._client.set_registered_model_alias(name, alias, str(number))
        except ProgramError:
            # Of two that make the same alias at once, the servers of MLflow 3 refuse one.
            model = self.model(name)
            if model is None or str(model.aliases.get(alias)) != str(number):
                raise

    def unpoint(self, name: str, alias: str) -> None:
        """Take an alias away."""
        with self._told(unless=_ABSENT):
            self._client.delete_registered_model_alias(name, alias)

    def has_stages(self, name: str, number: int) -> bool:
        """Whether this MLflow tells a version's stage; where there are none it says nothing."""
        with self._told():
            version = self._client.get_model_version(name, str(number))
        has_verb = hasattr(self._client, "transition_model_version_stage")
        return has_verb and bool(getattr(version, "current_stage", None))

    def move_stage(self, name: str, number: int, stage: str, *, alone: bool) -> None:
        """Move a version to one of MLflow's stages; ``alone`` archives who was there."""
        with self._told():
            self._client.transition_model_version_stage(
                name, str(number), stage, archive_existing_versions=alone
            )


def _first(text: str, count: int) -> str:
    """Give the first lines of what MLflow says, on one line, without what is secret in them."""
    said = [line for each in text.splitlines() if (line := " ".join(each.split()))]
    told = [f"{line.strip('# ')}:" if line.startswith("###") else line for line in said[:count]]
    return _SECRET.sub("...", " ".join(told))[:_LONGEST]


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "error_code", ""))


def _found(version: Any) -> Found:
    tags = {str(name): str(value) for name, value in version.tags.items()}
    return Found(int(version.version), tags, version.description or "", version.run_id or "")
