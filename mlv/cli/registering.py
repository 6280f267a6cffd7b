"""register."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import PUSH, Session, command, split_pairs
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.domain.sample import Table
    from mlv.registry import ModelRegistry
    from mlv.store.config import ModelConfig

_LARGEST = 10_000_000  # bytes
_YAML = (".yaml", ".yml")
_FLAT = 'metrics are a flat object: {"roc_auc": 0.99}'


@command(
    click.argument("model_path", required=False, type=click.Path()),
    click.option("--preprocessor", metavar="PATH", help="The fitted preprocessor."),
    click.option("--no-preprocessor", is_flag=True, help="Decline it: it is inside the model."),
    click.option("--metrics", metavar="FILE", help="Metrics as flat JSON or YAML."),
    click.option("--metric", "pairs", multiple=True, metavar="NAME=NUMBER", help="One metric."),
    click.option("--meta", multiple=True, metavar="KEY=VALUE", help="One metadata value."),
    click.option(
        "--artifact", "artifacts", multiple=True, metavar="ROLE=PATH", help="A further artifact."
    ),
    click.option(
        "--sample", metavar="FILE", help="A few input rows; the model's answer is kept with them."
    ),
    click.option("--exp", metavar="NAME", help="The result of that DVC experiment."),
    PUSH,
)
def register_command(
    session: Session,
    model_path: str | None,
    preprocessor: str | None,
    no_preprocessor: bool,
    metrics: str | None,
    pairs: tuple[str, ...],
    meta: tuple[str, ...],
    artifacts: tuple[str, ...],
    sample: str | None,
    exp: str | None,
    push: bool | None,
) -> None:
    """Register a trained model as the next version.

    What mlv.yaml states for the model need not be given.
    """
    registry = session.open()
    stated = registry.stated()
    if preprocessor and no_preprocessor:
        raise InvalidInput("--preprocessor and --no-preprocessor exclude each other")
    sources = {"model": _model_path(session, registry, stated, model_path)}
    given = session.path(preprocessor) if preprocessor else None
    if given is None and not no_preprocessor:
        given = _stated_preprocessor(registry, stated)
    if given is not None:
        sources["preprocessor"] = given
    sources.update({role: registry.path / path for role, path in stated.artifacts.items()})
    further = split_pairs("--artifact", artifacts, "ROLE=PATH")
    for role in further.keys() & {"model", "preprocessor"}:
        raise InvalidInput(f"--artifact {role}=... is not a further artifact")
    sources.update({role: session.path(path) for role, path in further.items()})
    file = session.path(metrics) if metrics else None
    if file is None and stated.metrics and not exp:  # an experiment's own dvc.yaml names its
        file = registry.path / stated.metrics
    numbers = {**(_read_metrics(file) if file else {}), **_numbers(pairs)}
    rows = _sample(session, sample)
    with show.apart():
        registered = registry.register_all(
            sources, numbers, _metadata(meta), sample=rows, experiment=exp, push=push
        )
    is_pushed = registry.config.push if push is None else push
    _show(session, registry, registered.manifest, is_pushed=is_pushed)


def _sample(session: Session, path: str | None) -> Table | None:
    if path is None:
        return None
    from mlv.predicting.fingerprint import read_table

    return read_table(session.path(path))


def _model_path(
    session: Session, registry: ModelRegistry, stated: ModelConfig, given: str | None
) -> Path:
    if given:
        return session.path(given)
    if stated.model:
        return registry.path / stated.model
    raise InvalidInput(
        "which file is the model?",
        hint="mlv register model.pkl --preprocessor scaler.pkl, or state it in mlv.yaml",
    )


def _stated_preprocessor(registry: ModelRegistry, stated: ModelConfig) -> Path | None:
    if stated.preprocessor is None:
        return None
    if not stated.preprocessor:
        raise InvalidInput(
            "the preprocessor is neither given nor declined",
            hint="--preprocessor PATH, or --no-preprocessor if it is inside the model",
        )
    return registry.path / stated.preprocessor


def _numbers(values: Iterable[str]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, text in split_pairs("--metric", values, "NAME=NUMBER").items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise InvalidInput(f"--metric {name}={text!r} is not a number") from None
    return numbers


def _metadata(values: Iterable[str]) -> dict[str, Any]:
    """Read ``--meta``: text, but a number where the key is documented as one."""
    from mlv.domain.manifest import NUMERIC_METADATA

    metadata: dict[str, Any] = {}
    for key, text in split_pairs("--meta", values, "KEY=VALUE").items():
        metadata[key] = text
        if NUMERIC_METADATA.fullmatch(key):
            try:
                metadata[key] = int(text) if text.isdigit() else float(text)
            except ValueError:
                raise InvalidInput(f"--meta {key}={text!r} is not a number") from None
    return metadata


def _read_metrics(path: Path) -> dict[str, Any]:
    import yaml

    from mlv.store import yamlread

    if path.exists() and (not path.is_file() or path.stat().st_size > _LARGEST):
        raise InvalidInput(f"{path} is no metrics file: a pipe, a folder, or huge", hint=_FLAT)
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = yamlread.load(text) if path.suffix in _YAML else json.loads(text)
    except OSError as error:
        raise InvalidInput(
            f"the metrics file {path} cannot be read: {error.strerror}", hint="check the path"
        ) from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidInput(
            f"the metrics file {path} is broken: {str(error).splitlines()[0]}", hint=_FLAT
        ) from None
    if not isinstance(document, dict):
        raise InvalidInput(f"the metrics file {path} holds no names with numbers", hint=_FLAT)
    return document


def _show(
    session: Session, registry: ModelRegistry, manifest: Manifest, *, is_pushed: bool
) -> None:
    version = manifest.version
    if session.as_json:
        show.as_json(manifest.to_dict("registered"))
        return
    if session.quiet:
        show.line(version.name)
        return
    show.line(f"{click.style('✓', fg='green')} registered {show.heading(version.tag)}")
    for artifact in manifest.artifacts.values():
        show.line(f"  {artifact.path}  {show.size(artifact.size)}")
    dirty = manifest.data["lineage"]["dirty"]
    if dirty:
        show.line(
            f"  with {len(dirty)} uncommitted file(s): {show.printable(', '.join(dirty[:5]))}"
        )
    if is_pushed:
        show.line(f"  published on {registry.config.remote}")
    elif registry.has_remote():
        show.line(f"  publish it: mlv push {version.tag}")
