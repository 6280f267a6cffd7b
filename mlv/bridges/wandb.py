"""Versions as artifacts of Weights & Biases, each logged by a run of its own, also offline."""

from __future__ import annotations

import contextlib
import json
import re
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.errors import ConfigError, InvalidInput, ProgramError, RegistryError
from mlv.store.disk import on_disk
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlv.domain.manifest import Manifest
    from mlv.registry import ModelRegistry

_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_SAID = 300  # characters of what W&B says
_LOGIN = "wandb login, or WANDB_MODE=offline and later wandb sync"
_SETTINGS = "look at the variables WANDB_...: WANDB_MODE is online or offline"
_SHOWN = 5
_LONGEST = 100  # characters of an artifact's name, of the 128 that W&B allows
_CODE = {
    ".c", ".cpp", ".go", ".ipynb", ".java", ".jl", ".py", ".pyx", ".r", ".rmd", ".rs", ".sh",
}  # fmt: skip
# Beside what is handed out, in Git's own directory: what W&B writes for its runs.
_RUNS = ".wandb"


class Exported(NamedTuple):
    """A version that was logged: its artifact, with aliases, and the folder of its run."""

    tag: str
    artifact: str
    digest: str
    aliases: tuple[str, ...]
    datasets: tuple[str, ...]
    run: str
    folder: Path


def export(
    registry: ModelRegistry,
    refs: Iterable[str],
    project: str | None,
    did: Callable[[Exported], None] = lambda _: None,
) -> list[Exported]:
    """Log versions, every byte of which is verified first; where the run goes W&B itself decides.

    ``project`` is the model's name unless one is given. A version is the same run and the same
    artifact each time, so that online nothing is there twice. ``did`` is told of each that was
    logged. What one version lacks is raised when the others are logged; what W&B refuses, at once.
    """
    wandb = _library()
    done, failed = [], {}
    for ref in refs:
        try:
            files = registry.artifacts(ref)
        except RegistryError as error:
            failed[ref] = error
            continue
        done.append(_export(registry, wandb, ref, files, project))
        did(done[-1])
    if failed:
        raise _lacking(failed)
    return done


def _lacking(failed: dict[str, RegistryError]) -> RegistryError:
    first, *others = failed
    wrong = failed[first]
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", ..." if others[_SHOWN:] else "")
        wrong.message = f"{wrong.message}; {shown} could not be exported either"
    return wrong


def _library() -> Any:
    try:
        import wandb
    except ImportError:
        raise ConfigError("wandb is not installed", hint="pip install 'mlv[wandb]'") from None
    return wandb


def _export(
    registry: ModelRegistry, wandb: Any, ref: str, files: dict[str, Path], project: str | None
) -> Exported:
    facts = registry.get_manifest(ref)
    manifest = registry.record(ref).manifest
    tag, model = manifest.version.tag, manifest.version.model
    folder = files["manifest"].parents[2] / _RUNS
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(wandb, project or model)
    try:
        with (
            scratch(folder / ".scratch") as aside,
            _run(
                wandb, id=f"mlv-{tag}", name=tag, resume="allow", job_type="export",
                dir=str(folder), settings=settings, reinit="create_new",
            ) as run,
        ):  # fmt: skip
            _need_on(run, tag)
            datasets = _use_data(run, wandb, manifest, aside)
            artifact = _artifact(wandb, manifest, dict(facts), files)
            # A server takes no v3 of others: it counts so itself. An offline file keeps it.
            aliases = [tag, manifest.version.name, *_status(facts["status"])]
            run.log_artifact(artifact, aliases=aliases)
            run.summary.update(dict(manifest.metrics))
            where, name = run.dir, artifact.name
    except (wandb.Error, TypeError, ValueError) as error:
        is_setting = isinstance(error, ValueError)  # of what is set around us: ours were checked
        raise ProgramError(
            f"W&B did not take {tag}: {_brief(error)}", hint=_SETTINGS if is_setting else _LOGIN
        ) from error
    return Exported(
        tag, name, artifact.digest, tuple(aliases), tuple(datasets), f"mlv-{tag}",
        Path(where).parent,
    )  # fmt: skip


def _settings(wandb: Any, project: str) -> Any:
    try:
        return wandb.Settings(
            project=project, silent=True, console="off", disable_git=True, save_code=False
        )
    except (wandb.Error, ValueError) as error:
        raise InvalidInput(
            f"W&B takes no project {project!r}: {_brief(error)}",
            hint="--project NAME gives another",
        ) from error


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_SAID]


@contextlib.contextmanager
def _run(wandb: Any, **how: Any) -> Iterator[Any]:
    """Log to a run, which failed if anything does; W&B's own ``with`` prints a traceback then."""
    run = wandb.init(**how)
    try:
        yield run
    except BaseException:
        with contextlib.suppress(Exception):  # what went wrong first is what is told
            run.finish(exit_code=1)
        raise
    run.finish()


def _need_on(run: Any, tag: str) -> None:
    if run.disabled:
        raise ConfigError(
            f"W&B is switched off: it would keep nothing of {tag}",
            hint="WANDB_MODE=online or offline, in place of disabled",
        )


def _status(status: str) -> list[str]:
    return [status] if status in ("production", "staging") else []


def _artifact(wandb: Any, manifest: Manifest, facts: dict[str, Any], files: dict[str, Path]) -> Any:
    """Make the artifact of a version; the same files have the same digest."""
    # What changes with time is said by aliases: metadata of one version stay what they are.
    metadata = {name: value for name, value in facts.items() if name != "status"}
    made = wandb.Artifact(manifest.version.model, type="model", metadata=metadata)
    for path in files.values():
        if path.is_dir():
            made.add_dir(str(path), name=path.name, policy="immutable")
        else:
            made.add_file(str(path), name=path.name, policy="immutable")
    return made


def _use_data(run: Any, wandb: Any, manifest: Manifest, aside: Path) -> list[str]:
    """Tell what the version was made from: an artifact for each dependency, by its digest.

    Code is none: the version's commit says which it was.
    """
    stage = manifest.data["lineage"].get("stage") or {}
    names = []
    for path, md5 in sorted((stage.get("deps") or {}).items()):
        if not md5 or PurePosixPath(path).suffix.lower() in _CODE:
            continue
        name = _ODD.sub("-", path).strip("-")[:_LONGEST] or sha256(path.encode()).hexdigest()[:16]
        data = wandb.Artifact(name, type="dataset", metadata={"path": path, "md5": md5})
        note = aside / f"{sha256(path.encode()).hexdigest()}.json"
        note.write_text(json.dumps({"path": path, "md5": md5}) + "\n", encoding="utf-8")
        data.add_file(str(note), name="dvc.json")
        # What `use_artifact` does of a new one; it refuses offline.
        run._log_artifact(data, is_user_created=True, use_after_commit=True)  # noqa: SLF001 - see above
        names.append(name)
    return names
