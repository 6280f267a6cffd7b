"""A version as a folder that Hugging Face's hub takes as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlv.domain import card
from mlv.errors import InvalidInput
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from mlv.registry import ModelRegistry

ATTRIBUTES = ".gitattributes"
# The hub keeps these in Git; all else, and what is larger, goes to LFS.
_TEXT = frozenset({".csv", ".json", ".jsonl", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"})
_LARGEST_IN_GIT = 10_000_000  # bytes
_SUFFIX = re.compile(r"\.[A-Za-z0-9]+", re.ASCII)
_SPECIAL = re.compile(r"([\\*?\[\]!#\"])")
_LFS = "filter=lfs diff=lfs merge=lfs -text"


def write_folder(registry: ModelRegistry, ref: str, out: str | os.PathLike[str]) -> dict[str, Path]:
    """Write a version into a folder; give its files by role, and README.md and .gitattributes.

    Every byte is verified. What is there already must be the same, else it is an `InvalidInput`.
    """
    folder = Path(out).absolute()
    files = registry.artifacts(ref)
    roles = set(registry.record(ref).manifest.artifacts)
    written = {
        card.NAME: registry.card(ref).encode(),
        ATTRIBUTES: attributes(files, roles),
    }
    with on_disk(folder):
        for path, data in ((folder / name, data) for name, data in written.items()):
            if path.is_symlink() or (path.exists() and not _holds(path, data)):
                raise InvalidInput(
                    f"{path} exists, and is something else",
                    hint="move it, or choose another --out",
                )
        placed = registry.copy_out(ref, folder)
        for name, data in written.items():
            beside = folder / f".{name}.part"  # which no later export takes for another card
            beside.write_bytes(data)
            beside.replace(folder / name)
    return {**placed, **{name: folder / name for name in written}}


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def attributes(files: Mapping[str, Path], roles: set[str]) -> bytes:
    """Write ``.gitattributes``: which of the artifacts' files go to Git LFS, by suffix if they can.

    ``files`` are the artifacts and more by role, ``roles`` those of the artifacts.
    """
    patterns: set[str] = set()
    for role in sorted(roles):
        top = files[role]
        for path in _files(top):
            suffix = path.suffix.lower()
            is_large = path.stat().st_size > _LARGEST_IN_GIT
            if _SUFFIX.fullmatch(path.suffix) and suffix not in _TEXT:
                patterns.add(f"*{path.suffix}")
            elif is_large or suffix not in _TEXT:
                patterns.add(_pattern(path.relative_to(top.parent).as_posix()))
    return "".join(f"{pattern} {_LFS}\n" for pattern in sorted(patterns)).encode()


def _files(top: Path) -> Iterator[Path]:
    if top.is_dir():
        yield from (path for path in sorted(top.rglob("*")) if path.is_file())
    else:
        yield top


def _pattern(path: str) -> str:
    """Name one file from the top of the repository; blanks need another way of writing."""
    escaped = _SPECIAL.sub(r"\\\1", path)
    return "/" + re.sub(r"\s", "?", escaped)
