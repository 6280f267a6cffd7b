"""A chart as SVG: a line of dots a row, one dot a peer, seconds on a logarithmic scale."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Told apart by those who see no colours too: by shade, and mlv by its size.
COLOURS = {
    "mlv": "#0b6e4f", "dvc + git": "#d1495b", "GTO": "#edae49", "MLflow": "#30638e",
    "MLflow server": "#00a6fb", "folder": "#8d99ae", "floor": "#22223b",
}  # fmt: skip
_LEFT, _WIDTH, _ROW, _TOP = 250, 560, 20, 46
_RIGHT = 30


def chart(result: dict[str, Any]) -> str:
    """Draw the medians of a result."""
    rows = [(row["work"], _medians(row)) for row in result["rows"] if row["peers"]]
    values = [seconds for _, medians in rows for seconds in medians.values()]
    low = math.floor(math.log10(min(values, default=0.1)))
    high = max(math.ceil(math.log10(max(values, default=1))), low + 1)
    height, width = _TOP + _ROW * len(rows) + 12, _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text { font: 11px sans-serif }</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_key(dict.fromkeys(name for _, medians in rows for name in medians)),
        *_scale(low, high, height),
    ]
    for at, (work, medians) in enumerate(rows):
        y = _TOP + _ROW * at + _ROW // 2
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(work)}</text>')
        for name, seconds in medians.items():
            x = _LEFT + _WIDTH * (math.log10(seconds) - low) / (high - low)
            radius, said = (6 if name == "mlv" else 4), escape(f"{work}: {name} {seconds:.3g} s")
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{COLOURS.get(name, "#000000")}" '
                f'fill-opacity="0.85"><title>{said}</title></circle>'
            )
    return "\n".join([*parts, "</svg>", ""])


def _medians(row: dict[str, Any]) -> dict[str, float]:
    found = {name: facts["median"] for name, facts in row["peers"].items()}
    return {name: found[name] for name in COLOURS if found.get(name)}


def _key(names: dict[str, None]) -> Iterator[str]:
    x = _LEFT
    for name, colour in COLOURS.items():
        if name in names:
            yield f'<circle cx="{x}" cy="12" r="5" fill="{colour}"/>'
            yield f'<text x="{x + 9}" y="16">{escape(name)}</text>'
            x += 28 + 7 * len(name)


def _scale(low: int, high: int, height: int) -> Iterator[str]:
    for power in range(low, high + 1):
        x = _LEFT + _WIDTH * (power - low) / (high - low)
        yield f'<path d="M{x:.1f} {_TOP - 6}V{height - 8}" stroke="#dddddd"/>'
        said = f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"
        yield f'<text x="{x:.1f}" y="{_TOP - 10}" text-anchor="middle">{said}</text>'
