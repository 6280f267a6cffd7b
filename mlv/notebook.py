"""What a notebook shows: the registry, a version and a comparison, as HTML.

Whatever a repository says is escaped. Colours are the notebook's own, so that it reads in the dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from mlv.domain import figures
from mlv.domain.comparison import DELTA, is_better
from mlv.domain.pointer import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlv.domain.manifest import Manifest

_MOST_VERSIONS = 50
_MOST_METRICS = 8
_JUDGED = {True: "better", False: "worse", None: ""}


class VersionFacts(dict[str, Any]):
    """A version's manifest as `ModelRegistry.get_manifest` gives it."""

    def _repr_html_(self) -> str:
        return version_html(self)


class Comparison(dict[str, dict[str, Any]]):
    """Metrics side by side as `ModelRegistry.compare` gives them."""

    def _repr_html_(self) -> str:
        return comparison_html(self)


def registry_html(title: str, versions: Sequence[tuple[Manifest, str]]) -> str:
    """Show versions with status and metrics, newest first; of many the newest."""
    newest = list(reversed(versions))[:_MOST_VERSIONS]
    metrics = list(dict.fromkeys(name for m, _ in newest for name in m.metrics))[:_MOST_METRICS]
    rows = [
        [
            _marked(manifest.version.tag, status),
            _marked(status, status),
            _text(manifest.data["registered_at"]),
            _text(manifest.data["registered_by"].partition(" <")[0]),
            *[_number(manifest.metrics.get(name)) for name in metrics],
        ]
        for manifest, status in newest
    ]
    more = len(versions) - len(newest)
    left = f"<p>and {more} older ones</p>" if more else ""
    head = ["version", "status", "registered", "by", *metrics]
    return f"<p><b>{_text(title)}</b></p>{_table(head, rows)}{left}"


def version_html(facts: Mapping[str, Any]) -> str:
    """Show one version: what it is, its metrics, and where it came from."""
    lineage = facts["lineage"]
    rows = [
        ["status", facts["status"]],
        ["registered", f"{facts['registered_at']} by {facts['registered_by']}"],
        *[[name, figures.number(value)] for name, value in facts["metrics"].items()],
        *[[key, value] for key, value in facts["metadata"].items()],
        *[[role, f"{a['path']}, {a['size']} bytes"] for role, a in facts["artifacts"].items()],
        ["commit", lineage.get("commit")],
        ["sha256 of the model", facts["model_sha256"]],
    ]
    title = f"{facts['model']}-{facts['version']}"
    shown = [[_text(name), _text(value)] for name, value in rows]
    return f"<p><b>{_text(title)}</b></p>{_table((), shown)}"


def comparison_html(compared: Mapping[str, Mapping[str, Any]]) -> str:
    """Show the metrics of two versions and what lies between them."""
    names = [name for name in compared if name != DELTA]
    left, right = names[0], names[-1]
    rows = []
    for metric, change in compared[DELTA].items():
        judged = _JUDGED[is_better(metric, change)]
        sides = [_number(compared[side].get(metric)) for side in (left, right)]
        delta = "" if change is None else _text(figures.signed(change))
        rows.append([_text(metric), *sides, delta, judged])
    return _table(["metric", left, right, "delta", ""], rows)


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return escape(str(value))


def _marked(text: str, status: str) -> str:
    return f"<b>{_text(text)}</b>" if status == PRODUCTION else _text(text)


def _number(value: float | None) -> str:
    return "" if value is None else _text(figures.number(value))
