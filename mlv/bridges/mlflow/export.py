"""Exporting: versions, their bytes, numbers and statuses, shown in MLflow.

What is decided stands in `plan`; here it is done, one step after the other. Killed at any moment,
it is done again from what MLflow then has: a run or a version that is ours says so in its tags,
and a run says there when its files are complete.
"""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.bridges.mlflow import fitting, folder, plan
from mlv.bridges.mlflow.plan import There
from mlv.bridges.mlflow.portrait import FILES, PREFIX, RECORD, WHOLE, Portrait, portrait
from mlv.bridges.mlflow.server import FINISHED, Server, connected
from mlv.errors import InvalidInput, NotFound, ProgramError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlv.bridges.mlflow.plan import Found, Step
    from mlv.registry import ModelRegistry

_ROUNDS = 5  # times that the registry may change while it is exported
_DESCRIPTION = (
    "The versions that bear a tag `mlv.tag` are exported by `mlv export mlflow`: the registry in "
    "Git says what is live, and aliases here follow it."
)


class Order(NamedTuple):
    """What to export where. ``ref`` is one version, else all; ``name`` that of MLflow's model."""

    tracking_uri: str | None = None
    ref: str | None = None
    name: str | None = None
    dry_run: bool = False


class Exported(NamedTuple):
    """What was done for one model, and what MLflow shows of it now.

    ``versions`` have mlv's tag, MLflow's number (None: not yet there), the status and the aliases.
    """

    model: str
    name: str
    uri: str
    steps: tuple[Step, ...]
    versions: tuple[tuple[str, int | None, str, tuple[str, ...]], ...]


def export(
    registry: ModelRegistry, order: Order, did: Callable[[Step], None] = lambda _: None
) -> list[Exported]:
    """Have MLflow show what the registry says, model by model; ``did`` is told of each step.

    Done twice, the second time writes nothing. What of one version stands in the way is raised
    when the others are done.
    """
    with connected(order.tracking_uri) as server:
        return [
            _Export(registry, server, order, model, did).run() for model in _models(registry, order)
        ]


def portraits(registry: ModelRegistry, order: Order) -> dict[str, list[Portrait]]:
    """Draw the versions that are to be seen, by model."""
    found: dict[str, list[Portrait]] = {model: [] for model in _models(registry, order)}
    for manifest, status in registry.versions():
        if manifest.version.model in found:
            found[manifest.version.model].append(portrait(manifest, status))
    return found


def _models(registry: ModelRegistry, order: Order) -> list[str]:
    if order.ref is not None:
        return [registry.resolve(order.ref).model]
    registry.need_known()
    models = [registry.model] if registry.model else registry.models()
    if order.name is not None and len(models) > 1:
        raise InvalidInput(
            f"one name cannot be that of {', '.join(models)}", hint="--model NAME chooses one"
        )
    return models


class _Export:
    """The export of one model."""

    def __init__(
        self,
        registry: ModelRegistry,
        server: Server,
        order: Order,
        model: str,
        did: Callable[[Step], None],
    ) -> None:
        self._registry, self._server, self._order, self._did = registry, server, order, did
        self._model = model
        self._name = fitting.check_name(order.name or model)
        self._experiment = f"{PREFIX}{self._name}"
        self._chosen = None if order.ref is None else {registry.resolve(order.ref).tag}
        self._failed: dict[str, RegistryError] = {}

    def run(self) -> Exported:
        """Take rounds until the registry is as it was when the last of them began."""
        done: list[Step] = []
        wanted, there = self._wanted(), There()
        for _ in range(_ROUNDS):
            there = self._server.there(self._name, self._experiment)
            steps = self._plan(wanted, there)
            if self._order.dry_run:
                return self._exported(steps, wanted, there)
            done += self._take(steps, {each.version.tag: each for each in wanted}, there)
            before, wanted = wanted, self._wanted()
            if wanted == before:
                break
        if self._failed:
            raise next(iter(self._failed.values()))
        after = self._server.there(self._name, self._experiment) if done else there
        return self._exported(done, wanted, after)

    def _wanted(self) -> list[Portrait]:
        return portraits(self._registry, self._order)[self._model]

    def _plan(self, wanted: list[Portrait], there: There) -> list[Step]:
        chosen = self._chosen
        if chosen is not None and not chosen <= {each.version.tag for each in wanted}:
            raise NotFound(f"there is no version {next(iter(chosen))}", hint="mlv list shows them")
        return plan.plan(wanted, there, chosen)

    def _take(self, steps: list[Step], wanted: dict[str, Portrait], there: There) -> Iterator[Step]:
        """Take the steps; what of one version fails is kept, and goes on with the next."""
        if steps and not there.exists:
            self._server.need_model(self._name, self._model_tags(), _DESCRIPTION)
        numbers = {tag: found.number for tag, found in there.ours().items()}
        for step in steps:
            if step.version in self._failed:
                continue
            try:
                self._do(step, wanted.get(step.version), numbers)
            except RegistryError as error:
                self._failed[step.version] = error
                self._server.model(self._name)  # where MLflow itself is away, no other will do
                continue
            self._did(step)
            yield step

    def _model_tags(self) -> dict[str, str]:
        return {f"{PREFIX}model": self._model}

    def _do(self, step: Step, wanted: Portrait | None, numbers: dict[str, int]) -> None:
        server, name = self._server, self._name
        if step.action == plan.REMOVE and step.number is not None:
            server.remove_version(name, step.number)
        elif step.action == plan.REMOVE_RUN:
            server.remove_run(step.run_id)
        elif step.action == plan.POINT:
            server.point(name, step.alias, numbers[step.version])
        elif step.action == plan.UNPOINT:
            server.unpoint(name, step.alias)
        elif wanted is None:
            return
        elif step.action == plan.CREATE:
            numbers[step.version] = self._create(wanted).number
        elif step.action == plan.FILL and step.number is not None:
            self._fill(server.run(step.run_id), wanted)
            server.describe(name, step.number, {FILES: WHOLE}, None)
        elif step.number is not None:
            server.describe(name, step.number, step.tags, wanted.description)

    # One version --------------------------------------------------------------------------

    def _create(self, wanted: Portrait) -> Found:
        """Add a version; another export at the same time finds what this one made, or it his."""
        server, tag = self._server, wanted.version.tag
        try:
            run = self._run_of(wanted)
            files = run.data.tags[FILES]
            found = server.find(self._name, tag)
            if not found:
                source = f"{run.info.artifact_uri}/{folder.FOLDER}"
                server.create_version(
                    self._name, source, run.info.run_id,
                    {**wanted.tags, FILES: files}, wanted.description,
                )  # fmt: skip
                found = server.find(self._name, tag)
        except (NotFound, ProgramError):
            found = server.find(self._name, tag)  # another may have finished it, and swept ours
            if not found:
                raise
        kept = found[0]
        for twin in found[1:]:
            server.remove_version(self._name, twin.number)
        for other in server.runs(self._experiment, tag):
            if other.info.run_id != kept.run_id:
                server.remove_run(other.info.run_id)
        return kept

    def _run_of(self, wanted: Portrait) -> Any:
        """Find or begin a version's run, and see to it that all is in it."""
        server = self._server
        known = server.runs(self._experiment, wanted.version.tag)
        run = min(known, key=lambda each: str(each.info.run_id)) if known else None
        if run is None:
            run = server.start_run(
                self._experiment,
                wanted.version.tag,
                {**wanted.tags, **wanted.run_tags},
                wanted.time,
            )
        expected = RECORD if wanted.is_withdrawn else WHOLE
        if run.data.tags.get(FILES) not in (expected, WHOLE):
            self._fill(run, wanted)
        if run.info.status != FINISHED:
            server.end_run(run.info.run_id, time=wanted.time)
        return server.run(run.info.run_id)

    def _fill(self, run: Any, wanted: Portrait) -> None:
        """Log numbers and upload files; a tag says then that this is done."""
        server, run_id = self._server, run.info.run_id
        server.log(run_id, wanted.metrics, wanted.params, wanted.time)
        with tempfile.TemporaryDirectory(prefix="mlv-mlflow-") as place:
            if wanted.is_withdrawn:
                record = self._registry.record(wanted.version.tag)
                (Path(place) / "manifest.json").write_bytes(record.data)
            else:
                self._upload_artifacts(run_id, wanted, Path(place))
            if any(Path(place).iterdir()):
                server.upload(run_id, Path(place), folder.FOLDER)
        server.tag_run(run_id, FILES, RECORD if wanted.is_withdrawn else WHOLE)

    def _upload_artifacts(self, run_id: str, wanted: Portrait, place: Path) -> None:
        """Upload the verified files, and write into ``place`` what goes beside them."""
        tag = wanted.version.tag
        files = self._registry.artifacts(tag)
        manifest = self._registry.record(tag).manifest
        pins = files["requirements"].read_text(encoding="utf-8") if "requirements" in files else ""
        model = files["model"]
        # Last what may bring files of any name: the model's own win.
        for role in sorted({"manifest", *manifest.artifacts}, key=lambda each: each == "model"):
            path = files[role]
            is_root = path == model and folder.is_mlflow_model(model)
            inner = folder.FOLDER if path.is_file() or is_root else f"{folder.FOLDER}/{path.name}"
            self._server.upload(run_id, path, inner)
        if not folder.is_mlflow_model(model):
            python = manifest.data["lineage"].get("python") or platform.python_version()
            made = folder.Made(run_id, wanted.time, self._server.version, python)
            folder.write(place, model, pins, made)

    def _exported(self, steps: list[Step], wanted: list[Portrait], there: There) -> Exported:
        ours = there.ours()
        by_number: dict[int, list[str]] = {}
        for alias, at in there.aliases.items():
            by_number.setdefault(at, []).append(alias)
        rows = []
        for each in sorted(wanted, key=lambda portrait: portrait.version):
            found = ours.get(each.version.tag)
            number = found.number if found else None
            aliases = tuple(sorted(by_number.get(number, ()))) if number is not None else ()
            rows.append((each.version.tag, number, each.status, aliases))
        return Exported(self._model, self._name, self._server.uri, tuple(steps), tuple(rows))
