"""What came out: as a table, as JSON, and in the documentation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from benchmarks.chart import chart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.work import Measured

OURS, FLOOR = "mlv", "floor"
# In the README stands what most people do; docs/performance.md has it all.
_SHOWN = {
    "start of the command line, cold",
    "register 1 MB, cold",
    "register 1 GB, cold",
    "register and publish 100 MB, cold",
    "promote among 1,000, cold",
    "roll back among 1,000, cold",
    "what is live among 1,000, cold",
    "what is live among 1,000, in process",
    "list 1,000, cold",
    "list 10,000, cold",
    "what was live then, of 2,000, cold",
    "reproduce elsewhere 1 GB, cold",
}
_SECTION = re.compile(r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)
_MS = 1000
_MANY = 10


def to_dict(measured: Iterable[Measured], facts: dict[str, Any]) -> dict[str, Any]:
    """Give all that was measured, in seconds and bytes."""
    return {**facts, "rows": [_row(each) for each in measured]}


def _row(measured: Measured) -> dict[str, Any]:
    row = measured.row
    return {
        "group": row.group,
        "work": row.name,
        "versions": row.size.versions,
        "promotions": row.size.promotions,
        "commits": row.size.commits,
        "peers": {
            peer: {
                "median": measured.median(peer),
                "seconds": [cost.seconds for cost in costs],
                "memory": measured.memory(peer),
            }
            for peer, costs in measured.costs.items()
        },
        "failures": measured.failures,
    }


def heading(peers: Sequence[str], *, full: bool = True) -> str:
    """Begin a table: mlv in seconds, its peers as multiples; ``full``: its floor and memory too."""
    cells = ["work", OURS, *peers, *(("mlv / floor", "memory") if full else ())]
    return f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}"


def line(row: dict[str, Any], peers: Sequence[str], *, full: bool = True) -> str:
    """Write a row of the table."""
    found = row["peers"]
    ours = found.get(OURS, {}).get("median")
    cells = [row["work"], _seconds(ours)]
    for peer in peers:
        theirs = found.get(peer, {}).get("median")
        if theirs is not None:
            cells.append(_times(theirs / ours) if ours else _seconds(theirs))
        else:
            cells.append("failed" if peer in row["failures"] else "-")
    if full:
        floor = found.get(FLOOR, {}).get("median")
        cells.append(f"{ours / floor:.2f}" if ours and floor else "-")
        memory = found.get(OURS, {}).get("memory")
        cells.append(f"{memory / 1e6:.0f} MB" if memory else "-")
    return f"| {' | '.join(cells)} |"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= _MANY else f"{ratio:.2g}x"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} s" if value >= 1 / 10 else f"{value * _MS:.1f} ms"


def others(result: dict[str, Any]) -> list[str]:
    """Name the peers that did something, in their order."""
    names = dict.fromkeys(name for row in result["rows"] for name in row["peers"])
    order = [name for name in result["versions"] if name in names]
    return [name for name in order if name not in {OURS, FLOOR}]


def table(result: dict[str, Any], *, full: bool = True) -> str:
    """Write the table."""
    peers = others(result)
    rows = (line(row, peers, full=full) for row in result["rows"])
    return "\n".join([heading(peers, full=full), *rows])


def about(result: dict[str, Any]) -> str:
    """Say where the figures come from."""
    machine, versions = result["machine"], result["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"Medians of {result['rounds']} interleaved rounds on {machine['cores']} cores "
        f"({machine['processor']}, {machine['system']}), load {machine['load']} at the start, "
        f"with Python {machine['python']}, Git {machine['git']}, DVC {machine['dvc']}"
        f"{f', {named}' if named else ''}. A peer's figure is a multiple of mlv's: above 1, mlv is "
        "faster; one that failed was not done in time."
    )


def write_docs(result: dict[str, Any], root: Path) -> None:
    """Put tables and chart into the documents that have a place for them."""
    short = {**result, "rows": [row for row in result["rows"] if row["work"] in _SHOWN]}
    drawing = root / "docs" / "benchmarks.svg"
    drawing.write_text(chart(short), encoding="utf-8")
    picture = "![Seconds that each takes, on a logarithmic scale](docs/benchmarks.svg)"
    floor = "The last but one column is mlv as a multiple of the floor."
    _put(root / "README.md", f"{about(result)}\n\n{table(short, full=False)}\n\n{picture}\n")
    _put(root / "docs" / "performance.md", f"{about(result)} {floor}\n\n{table(result)}\n")


def _put(path: Path, body: str) -> None:
    text = path.read_text(encoding="utf-8")
    match = _SECTION.search(text)
    if match is None:
        raise SystemExit(f"{path} has no place for tables: <!-- benchmarks -->")
    new = f"{text[: match.end(1)]}{body}{text[match.start(2) :]}"
    path.write_text(new, encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read a result that was written before."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found["rows"]
    except (OSError, ValueError, LookupError, TypeError):
        raise SystemExit(f"{path} is no result that --json wrote") from None
    return found
