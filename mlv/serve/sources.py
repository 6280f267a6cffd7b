"""Where a served model comes from: a clone that is here, or a registry by its URL."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlv.domain.names import Version
from mlv.errors import NotFound

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from mlv.domain.manifest import Manifest
    from mlv.references import Live
    from mlv.registry import ModelRegistry

    AnyPath = str | os.PathLike[str]


class Source(Protocol):
    """One model of one registry. Each method may be called by any thread."""

    @property
    def model(self) -> str:
        """The model's name."""

    def wanted(self) -> Version | None:
        """Read which version is in production, as far as is known here: no network, no wait."""

    def refresh(self) -> None:
        """Ask the network what is live now; `RegistryError` if it does not say."""

    def files(self, version: Version) -> tuple[Manifest, dict[str, Path]]:
        """Give a version's manifest and verified files."""


def source_of(source: AnyPath, model: str | None, notify: Callable[[str], None]) -> Source:
    """Find the source that is meant: a folder in a clone, or an address of Git's.

    A bare repository on this disk is read as one that is far: it has no work tree for DVC.
    """
    folder = Path(source)
    is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    if "://" not in str(source) and folder.is_dir() and not is_bare:
        return LocalSource(source, model, notify)
    return RemoteSource(source, model, notify)


class LocalSource:
    """A clone; its Git remote, if there is one, is where it refreshes from."""

    def __init__(self, path: AnyPath, model: str | None, notify: Callable[[str], None]) -> None:
        from mlv.registry import ModelRegistry

        # Each for one use at a time: a pointer is read while a version is loaded.
        self.model = model or _only_model(ModelRegistry(path, notify=notify))
        self._reader = ModelRegistry(path, self.model, notify=notify)
        self._fetcher = ModelRegistry(path, self.model, notify=notify)
        self._reading, self._fetching = threading.Lock(), threading.Lock()

    def wanted(self) -> Version | None:
        """Read the pointer on the registry branch."""
        with self._reading:
            [live] = self._reader.current()
        return _version(live)

    def refresh(self) -> None:
        """Fetch the registry branch, where there is a Git remote."""
        with self._fetching:
            if self._fetcher.has_remote():
                self._fetcher.follow()

    def files(self, version: Version) -> tuple[Manifest, dict[str, Path]]:
        """Hand the version out, as `ModelRegistry.artifacts` does."""
        with self._fetching:
            files = self._fetcher.artifacts(version.tag)
            return self._fetcher.record(version.tag).manifest, files


class RemoteSource:
    """A registry by its URL, read into the user's cache."""

    def __init__(self, url: AnyPath, model: str | None, notify: Callable[[str], None]) -> None:
        from mlv.pulling import RemoteRegistry

        self._registry = RemoteRegistry(url, model, notify=notify)
        self._registry.catch_up("@production" if model is None else f"{model}@production")
        self.model = self._registry.current().model
        self._registry.model = self.model
        self._reader = RemoteRegistry(url, self.model, offline=True, notify=notify)
        self._reading, self._fetching = threading.Lock(), threading.Lock()

    def wanted(self) -> Version | None:
        """Read the pointer as it was last fetched."""
        with self._reading:
            return _version(self._reader.current())

    def refresh(self) -> None:
        """Ask the remote."""
        with self._fetching:
            self._registry.refresh("@production")

    def files(self, version: Version) -> tuple[Manifest, dict[str, Path]]:
        """Bring what is not here, and hand the version out."""
        with self._fetching:
            files = self._registry.artifacts(version.tag)
            return self._registry.manifest(version.tag), files


def _version(live: Live) -> Version | None:
    current = live.pointer.current
    return None if current is None else Version(live.model, current)


def _only_model(registry: ModelRegistry) -> str:
    names = [live.model for live in registry.current()] or registry.models()
    if len(names) != 1:
        there = f"there are {', '.join(names)}" if names else "there is none yet"
        raise NotFound(f"which model is to be served? {there}", hint="name it: --model NAME")
    return names[0]
