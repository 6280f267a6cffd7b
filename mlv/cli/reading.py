"""list, show, compare, status, current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlv.cli import show
from mlv.cli.options import Session, command, ref_argument
from mlv.domain import figures
from mlv.domain.comparison import DELTA, is_better
from mlv.domain.names import name_of
from mlv.domain.pointer import PRODUCTION
from mlv.errors import IntegrityError, NotFound
from mlv.store.versions import AHEAD, DIVERGED

if TYPE_CHECKING:
    from mlv.domain.manifest import Manifest
    from mlv.references import Live
    from mlv.registry import ModelRegistry

_METRIC_COLUMNS = 6
_PLAIN_LINEAGE = ("commit", "branch", "experiment", "remote", "python", "platform")


@command(
    click.option(
        "--limit", type=int, metavar="N", help="Only N: the latest, or the first by --sort."
    ),
    click.option("--status", multiple=True, metavar="STATUS", help="Only these; may be repeated."),
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Only what meets 'roc_auc>0.95'; may be repeated.",
    ),
    click.option("--sort", metavar="KEY", help="By a metric, number or date; -KEY: largest first."),
)
def list_command(
    session: Session,
    *,
    limit: int | None,
    status: tuple[str, ...],
    where: tuple[str, ...],
    sort: str | None,
) -> None:
    """List versions, with status and metrics."""
    registry = session.open()
    versions = registry.versions(limit=limit, status=status, where=where, sort=sort)
    if session.as_json:
        show.as_json_lines([manifest.to_dict(status) for manifest, status in versions])
        return
    several = len({manifest.version.model for manifest, _ in versions}) > 1
    if session.quiet:
        show.lines([m.version.tag if several else m.version.name for m, _ in versions])
        return
    if not versions:
        show.note("no version is like that" if status or where else _why_none(registry))
        return
    show.lines(_table(versions, _asked(where, sort)))


def _asked(where: tuple[str, ...], sort: str | None) -> list[str]:
    if not where and sort is None:
        return []
    from mlv.domain import selection

    keys = selection.parse(where=where, sort=sort).keys
    return [key.name for key in keys if key.source == selection.METRICS]


def _why_none(registry: ModelRegistry) -> str:
    known = sum(len(live.pointer.status) for live in registry.current())
    if known:
        return f"{known} versions are known, but no tag is here: git fetch --tags brings them"
    return "no version yet: mlv register MODEL --preprocessor FILE makes the first"


def _table(versions: list[tuple[Manifest, str]], asked: list[str]) -> list[str]:
    """Lay versions out, the metrics that were asked about before the others."""
    manifests, statuses = zip(*versions, strict=True)
    stated = dict.fromkeys(name for m in manifests for name in m.metrics)
    first = [name for name in asked if name in stated]
    metrics = list(dict.fromkeys([*first, *stated]))[:_METRIC_COLUMNS]
    live = click.style(show.LIVE_MARK, fg="green")
    columns = {
        "": [live if status == PRODUCTION else " " for status in statuses],
        "version": [
            show.heading(m.version.tag) if status == PRODUCTION else m.version.tag
            for m, status in versions
        ],
        "status": [show.status(status) for status in statuses],
        "registered": [show.time(m.data["registered_at"]) for m in manifests],
        "by": [show.plain(m.data["registered_by"].partition(" <")[0]) for m in manifests],
    }
    numbers = [[show.number(m.metrics.get(name)) for m in manifests] for name in metrics]
    headings = [*columns, *map(show.plain, metrics)]
    return show.columns(headings, [*columns.values(), *numbers], keep=len(columns))


@command(ref_argument())
def show_command(session: Session, ref: str) -> None:
    """Show one version: metrics, artifacts, where it came from."""
    registry = session.open()
    manifest = registry.get_manifest(ref)
    tag = f"{manifest['model']}-{manifest['version']}"
    if session.as_json:
        show.as_json(manifest)
    elif session.quiet:
        show.line(tag)
    else:
        for text in _description(tag, manifest):
            show.line(text)


def _description(tag: str, manifest: dict[str, Any]) -> list[str]:
    lines = [f"{show.heading(tag)}  {show.status(manifest['status'])}"]
    lines += show.facts(
        {
            "registered": f"{show.time(manifest['registered_at'])} by {manifest['registered_by']}",
        }
    )
    if manifest["metrics"]:
        lines += ["", show.heading("metrics")]
        lines += show.facts({k: show.number(v) for k, v in manifest["metrics"].items()})
    if manifest["metadata"]:
        lines += ["", show.heading("metadata"), *show.facts(manifest["metadata"])]
    lines += ["", show.heading("artifacts")]
    artifacts = manifest["artifacts"]
    lines += show.facts(
        {
            role: f"{a['path']}  {show.size(a['size'])}"
            + (f" in {a['nfiles']} files" if "nfiles" in a else "")
            + f"  sha256 {a['sha256'][:16]}…"
            for role, a in artifacts.items()
        }
    )
    if "preprocessor" not in artifacts:
        lines += show.facts({"preprocessor": "none: it is inside the model"})
    lines += ["", show.heading("lineage"), *show.facts(_lineage(manifest["lineage"]))]
    lines += ["", f"  get it anywhere: git checkout {tag} && dvc pull"]
    return lines


def _lineage(lineage: dict[str, Any]) -> dict[str, Any]:
    facts = {key: lineage.get(key) for key in _PLAIN_LINEAGE}
    dirty = lineage.get("dirty") or []
    facts["uncommitted"] = ", ".join(map(str, dirty)) if dirty else "nothing"
    stage = lineage.get("stage") or {}
    if stage:
        facts["stage"] = f"{stage.get('name')}: {stage.get('cmd')}"
        facts.update({f"dep {path}": md5 for path, md5 in (stage.get("deps") or {}).items()})
        facts.update({f"params {path}": p for path, p in (stage.get("params") or {}).items()})
    return {key: value for key, value in facts.items() if value is not None}


@command(ref_argument("a"), ref_argument("b"))
def compare_command(session: Session, a: str, b: str) -> None:
    """Compare the metrics of two versions."""
    registry = session.open()
    result = registry.compare(a, b)
    if session.as_json:
        show.as_json(result)
        return
    changes = result.pop(DELTA)
    names = list(result)
    left, right = names[0], names[-1]  # the same where a version is held against itself
    if session.quiet:
        for name, change in changes.items():
            show.line(f"{show.plain(name)} {'-' if change is None else f'{change:+.6g}'}")
        return
    if not changes:
        show.note("neither version has metrics")
        return
    rows, goals = [], registry.goals(a)
    for name, change in changes.items():
        before, after = result[left].get(name), result[right].get(name)
        rows.append(
            [
                show.plain(name),
                show.number(before),
                show.number(after),
                *_change(before, change, is_better(name, change, goals.get(name))),
            ]
        )
    for text in show.table(["metric", left, right, "delta", "per cent", ""], rows, keep=1):
        show.line(text)


def _change(before: float | None, change: float | None, better: bool | None) -> list[str]:
    if change is None:
        return ["-", "", "only one side"]
    judged = {True: ("green", "better"), False: ("red", "worse"), None: (None, "same")}
    colour, word = judged[better]
    text, share = figures.signed(change), figures.share(change, before)
    return [click.style(text, fg=colour), share, click.style(word, fg=colour)]


@command()
def current_command(session: Session) -> None:
    """Say which version is live."""
    registry = session.open()
    live = registry.current()
    if session.as_json:
        show.as_json([_live_facts(each) for each in live])
        return
    named = [each for each in live if each.pointer.current is not None]
    if not named:
        registry.need_known()
        raise NotFound("nothing is live", hint="mlv promote REF puts a version live")
    for each in named:
        name = f"v{each.pointer.current}"
        tag = f"{each.model}-{name}"
        if session.quiet:
            show.line(name if len(named) == 1 else tag)
        else:
            mark = click.style(show.LIVE_MARK, fg="green")
            show.line(f"{mark} {tag}{_details(each)}")


def _details(live: Live) -> str:
    pointer = live.pointer
    words = [show.FORCED] if pointer.current in pointer.forced else []
    if pointer.previous is not None:
        words.append(f"previous v{pointer.previous}")
    if pointer.staging is not None:
        words.append(f"staging v{pointer.staging}")
    if live.tip.relation in (AHEAD, DIVERGED):
        words.append(f"this branch is {live.tip.relation}: maybe not published yet")
    return f"  ({', '.join(words)})" if words else ""


def _live_facts(live: Live) -> dict[str, Any]:
    pointer = live.pointer
    return {
        "model": live.model,
        "version": name_of(pointer.current),
        "tag": None if pointer.current is None else f"{live.model}-v{pointer.current}",
        "previous": name_of(pointer.previous),
        "staging": name_of(pointer.staging),
        "forced": pointer.current in pointer.forced,
        "commit": live.tip.commit,
        "branch_is": live.tip.relation,
    }


@command()
def status_command(session: Session) -> None:
    """Show every model, what is live, and what needs attention."""
    report = session.open().status()
    if session.as_json:
        show.as_json(report)
    else:
        for model in report["models"]:
            show.line(_model_line(model, quiet=session.quiet))
        if not session.quiet:
            _surroundings(report)
    if report["problems"]:
        click.get_current_context().exit(IntegrityError.exit_code)


def _model_line(model: dict[str, Any], *, quiet: bool) -> str:
    live = model["production"]
    if quiet:
        return f"{model['model']} {live or '-'}"
    mark = click.style(show.LIVE_MARK, fg="green") if live else " "
    text = f"{mark} {show.heading(model['model'])}  {live + ' is live' if live else 'nothing live'}"
    text += f", {show.FORCED}" if model["forced"] else ""
    for key in ("previous", "staging", "latest"):
        if model[key]:
            text += f", {key} {model[key]}"
    count = model["versions"]
    return f"{text} ({count} version{'' if count == 1 else 's'})"


def _surroundings(report: dict[str, Any]) -> None:
    if not report["models"]:
        show.line("no version yet: mlv register MODEL --preprocessor FILE makes the first")
    show.line()
    show.line(f"registry branch {report['branch']} at {(report['commit'] or '-')[:10]}, "
              f"{report['branch_is']}")  # fmt: skip
    for problem in report["problems"]:
        show.line(f"{click.style('problem:', fg='red')} {show.printable(problem['message'])}")
        show.line(f"  {show.printable(problem['hint'])}")
