"""A registry by its URL: what is live there and any version's files, with no clone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.domain.names import ALIASES
from mlv.pulling.remote import RemoteRegistry

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlv.store.hashing import ProgressBar

__all__ = ["RemoteRegistry", "load"]


def load(
    url: str | os.PathLike[str],
    model: str | None = None,
    version: str = "production",
    loaders: Mapping[str, Callable[[Path], object]] | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    offline: bool = False,
    notify: Callable[[str], None] | None = None,
    progress: ProgressBar | None = None,
) -> dict[str, Any]:
    """Load a version from the registry at a URL, or at a path; every byte is verified first.

    ``version`` is ``production``, ``staging``, ``latest``, ``v3`` or ``fraud-v3``. What was
    fetched before is not fetched again; a registry that cannot be reached is read as it was last
    fetched, with a note. Gives what `ModelRegistry.load` does.
    """
    registry = RemoteRegistry(
        url, model, cache=cache, offline=offline, notify=notify, progress=progress
    )
    ref = f"@{version}" if version in ALIASES else version
    registry.catch_up(ref)
    return registry.load(ref, loaders)
