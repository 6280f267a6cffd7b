"""import store, import gto, import mlflow: bringing in what other registries have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.exporting_mlflow import TRACKING_URI, need_uri, use_defaults
from mlv.cli.options import PUSH, Session, command, split_pairs
from mlv.domain.names import check_model, name_of
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.importing.incoming import IncomingModel
    from mlv.importing.planning import Planned
    from mlv.registry import ModelRegistry
    from mlv.registry.importing import BroughtIn

INTO_EXISTING = click.option(
    "--into-existing", is_flag=True,
    help="Add to a model that has other versions: numbers go on from its highest.",
)  # fmt: skip
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would come in; change nothing.")


@command(
    click.argument("folder_path", metavar="DIR", type=click.Path()), INTO_EXISTING, DRY_RUN, PUSH
)
def store_command(
    session: Session, folder_path: str, into_existing: bool, dry_run: bool, push: bool | None
) -> None:
    """Bring in a registry that is a folder: v1/, v2/, ... and active_version.json.

    Every version comes in with its number, date and status; checksums are checked.
    """
    from mlv.bridges import filestore

    incoming = filestore.read(session.path(folder_path))
    done = bring_in(
        session, session.open(), incoming, into_existing=into_existing, dry_run=dry_run, push=push
    )
    if session.as_json:
        show.as_json(done)


_GTO_MODEL = click.option(
    "-m", "--model", "models", metavar="NAME[=MODEL]", multiple=True,
    help="One of GTO's artifacts, and what it is called here; else all.",
)  # fmt: skip
_STAGE = click.option(
    "--stage", "stages", metavar="NAME=STATUS", multiple=True,
    help="What a stage means: production, staging or registered.",
)  # fmt: skip
_PATH = click.option(
    "--path", "paths", metavar="NAME=PATH", multiple=True,
    help="Where an artifact lies, if no dvc.yaml or artifacts.yaml says so.",
)  # fmt: skip
_SKIP = click.option(
    "--skip", metavar="NAME@VERSION", multiple=True, help="Leave a version out; repeatable."
)


@command(_GTO_MODEL, _STAGE, _PATH, _SKIP, INTO_EXISTING, DRY_RUN, PUSH, model=False)
def gto_command(
    session: Session,
    models: tuple[str, ...],
    stages: tuple[str, ...],
    paths: tuple[str, ...],
    skip: tuple[str, ...],
    into_existing: bool,
    dry_run: bool,
    push: bool | None,
) -> None:
    """Bring in what GTO's tags in this repository register: fraud@v1.2.3, fraud#prod.

    Versions are numbered in the order of their registration. The tags stay.
    """
    from mlv.bridges import gto

    called = {name: model for name, _, model in (each.partition("=") for each in models)}
    statuses = split_pairs("--stage", stages, "NAME=STATUS")
    for stage, status in statuses.items():
        if status not in gto.STATUSES:
            known = ", ".join(gto.STATUSES)
            raise InvalidInput(f"--stage {stage}={status}: {status!r} is none of {known}")
    wanted = gto.Wanted(list(called), statuses, split_pairs("--path", paths, "NAME=PATH"), skip)
    registry = session.open()
    with gto.reading(registry.path, wanted, show.note) as found:
        names = {each.name: called.get(each.name) or each.model for each in found}
        _refuse_one_twice(names)
        facts = [
            bring_in(
                session, session._replace(model=check_model(names[each.name])).open(),
                each.incoming, into_existing=into_existing, dry_run=dry_run, push=push,
            )
            for each in found
        ]  # fmt: skip
    if session.as_json:
        show.as_json(facts)


def _refuse_one_twice(names: dict[str, str]) -> None:
    for name, model in names.items():
        same = [other for other, called in names.items() if called == model and other != name]
        if same:
            raise InvalidInput(
                f"{name} and {same[0]} would both be the model {model!r}",
                hint=f"--model {name}=... says what it is called here",
            )


@command(
    click.option("--name", required=True, metavar="NAME", help="The model's name in MLflow."),
    TRACKING_URI,
    click.option(
        "--skip",
        metavar="NUMBER",
        type=click.IntRange(min=1),
        multiple=True,
        help="Leave a version out; repeatable.",
    ),
    INTO_EXISTING,
    DRY_RUN,
    PUSH,
)
def mlflow_command(
    session: Session,
    name: str,
    tracking_uri: str | None,
    skip: tuple[int, ...],
    into_existing: bool,
    dry_run: bool,
    push: bool | None,
) -> None:
    """Bring in a registered model of MLflow's.

    Every version comes in with its number, date, metrics, parameters, tags, aliases and bytes.
    """
    uri = need_uri(tracking_uri)
    use_defaults()
    from mlv.bridges.mlflow.incoming import read

    incoming = read(name, uri, skip)
    done = bring_in(
        session, session.open(), incoming, into_existing=into_existing, dry_run=dry_run, push=push
    )
    if session.as_json:
        show.as_json(done)


def bring_in(
    session: Session,
    registry: ModelRegistry,
    incoming: IncomingModel,
    *,
    into_existing: bool,
    dry_run: bool,
    push: bool | None,
) -> dict[str, Any]:
    """Bring a model in and show it as it comes; give what ``--json`` prints of it."""
    is_shown = not session.as_json and not session.quiet

    def tell(each: Planned) -> None:
        if is_shown:
            show.line(f"{click.style('✓', fg='green')} {_line(each)}")

    done = registry.bring_in(
        incoming, into_existing=into_existing, dry_run=dry_run, push=push, tell=tell
    )
    if is_shown:
        _show(registry, done)
    elif session.quiet:
        for each in done.plan.new:
            show.line(each.version.tag)
    return _facts(done)


def _line(each: Planned) -> str:
    time, was = show.time(each.incoming.registered_at), each.incoming.origin["version"]
    name = f"  ({show.plain(was)})" if was != each.version.name else ""
    return f"{show.heading(each.version.tag)}  {time}{name}"


def _show(registry: ModelRegistry, done: BroughtIn) -> None:
    plan, change = done.plan, done.change
    known = [each for each in plan.versions if each.is_here]
    if known:
        show.line(f"  {len(known)} version(s) of {len(plan.versions)} came in before")
    if change is None:
        for each in plan.new:
            show.line(f"  {_line(each)}  {done.pointer.status_of(each.version.number)}")
        show.line(f"  {len(plan.new)} version(s) would come in; {_live(done.pointer)}")
        return
    if change.commit is None:
        show.line("  what is live stays as it is")
    else:
        show.line(f"  {_live(done.pointer)}")
        branch, remote = registry.config.branch, registry.config.remote
        where = f"{branch}, published on {remote}" if done.is_pushed else branch
        show.line(f"  commit {change.commit[:10]} on {where}")
    if registry.has_remote() and not done.is_published:
        show.line("  publish it: mlv push")


def _live(pointer: Pointer) -> str:
    if pointer.current is None:
        return "nothing is live"
    before = f", previous {name_of(pointer.previous)}" if pointer.previous else ""
    return f"{pointer.model}-{name_of(pointer.current)} is live{before}"


def _facts(done: BroughtIn) -> dict[str, Any]:
    plan, change, pointer = done.plan, done.change, done.pointer
    return {
        "model": plan.model,
        "source": plan.incoming.source,
        "dry_run": change is None,
        "versions": [_version_facts(pointer, each) for each in plan.versions],
        "production": name_of(pointer.current),
        "previous": name_of(pointer.previous),
        "staging": name_of(pointer.staging),
        "notes": list(done.notes),
        "commit": change and change.commit,
        "pushed": done.is_pushed,
    }


def _version_facts(pointer: Pointer, each: Planned) -> dict[str, Any]:
    incoming = each.incoming
    return {
        "version": each.version.name,
        "tag": each.version.tag,
        "origin": dict(incoming.origin),
        "registered_at": incoming.registered_at,
        "status": pointer.status_of(each.version.number),
        "new": not each.is_here,
    }


@click.group("import")
def import_command() -> None:
    """Bring in what another registry has: versions, numbers, dates, statuses."""


import_command.add_command(store_command)
import_command.add_command(gto_command)
import_command.add_command(mlflow_command)
