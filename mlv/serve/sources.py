"""Where a served model comes from: a clone that is here, or a registry by its URL."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
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


def source_of(
    source: AnyPath, model: str | None, notify: Callable[[str], None], *, fetch: bool = True
) -> Source:
    """Find the source that is meant: a folder in a clone, or an address of Git's.

    A bare repository is read as if from far away, for it has no DVC cache. Without ``fetch`` what
    was fetched before is enough.
    """
    path = Path(source)
    is_bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if "://" not in str(source) and path.is_dir() and not is_bare:
        return LocalSource(source, model, notify, fetch=fetch)
    return RemoteSource(source, model, notify, fetch=fetch)


class LocalSource:
    """A clone; its Git remote, if there is one, is where it refreshes from."""

    def __init__(
        self, path: AnyPath, model: str | None, notify: Callable[[str], None], *, fetch: bool = True
    ) -> None:
        from mlv.registry import ModelRegistry

        # Each for one use at a time: neither a download nor a remote that is silent holds up a
        # look at the pointer.
        self.model = model or _only_model(ModelRegistry(path, notify=notify), fetch=fetch)
        self._reader = ModelRegistry(path, self.model, notify=notify)
        self._fetcher = ModelRegistry(path, self.model, notify=notify)
        self._loader = ModelRegistry(path, self.model, notify=notify)
        # Who is told that branches diverged may ask back.
        self._reading, self._fetching, self._loading = (threading.RLock() for _ in range(3))

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
        with self._loading:
            files = self._loader.artifacts(version.tag)
            return self._loader.record(version.tag).manifest, files


class RemoteSource:
    """A registry by its URL, read into the user's cache."""

    def __init__(
        self, url: AnyPath, model: str | None, notify: Callable[[str], None], *, fetch: bool = True
    ) -> None:
        from mlv.pulling import RemoteRegistry

        self._open = partial(RemoteRegistry, url, notify=notify)
        self._registry = self._open(model)
        if fetch:
            with contextlib.suppress(NotFound):  # nothing is live, as `wanted` will say
                self._registry.catch_up(f"{model or ''}@production")
        self.model = self._registry.current().model
        self._registry.model = self.model
        self._reader = self._open(self.model, offline=True)
        self._reading, self._fetching = threading.Lock(), threading.Lock()

    def wanted(self) -> Version | None:
        """Read the pointer as it was last fetched."""
        with self._reading:
            return _version(self._reader.current())

    def refresh(self) -> None:
        """Ask the remote."""
        with self._fetching:
            # Anew, for what was fetched may have been deleted, or have to be whole from now on.
            self._registry = self._open(self.model)
            with contextlib.suppress(NotFound):
                self._registry.refresh(f"{self.model}@production")
        reader = self._open(self.model, offline=True)
        with self._reading:
            self._reader = reader

    def files(self, version: Version) -> tuple[Manifest, dict[str, Path]]:
        """Bring what is not here, and hand the version out."""
        with self._fetching:
            files = self._registry.artifacts(version.tag)
            return self._registry.manifest(version.tag), files


def _version(live: Live) -> Version | None:
    current = live.pointer.current
    return None if current is None else Version(live.model, current)


def _only_model(registry: ModelRegistry, *, fetch: bool) -> str:
    if fetch and not registry.models() and registry.has_remote():
        registry.follow()  # a clone of before the first version
    names = [live.model for live in registry.current()] or registry.models()
    if len(names) != 1:
        there = f"there are {', '.join(names)}" if names else "there is none yet"
        raise NotFound(f"which model is to be served? {there}", hint="name it: --model NAME")
    return names[0]
