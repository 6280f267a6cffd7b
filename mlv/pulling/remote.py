"""`RemoteRegistry`: one registry by its URL, read without a clone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version
    from mlv.references import Live
    from mlv.store.hashing import ProgressBar

    AnyPath = str | os.PathLike[str]


class RemoteRegistry:
    """The registry at ``url``: an address of Git's, or the path of a repository.

    What is fetched of it is kept in ``cache`` (the user's own, unless one is given), where
    processes share it. ``model`` binds it to one model; bound to none, it takes the only one
    there is. ``offline``: the network is never asked. ``notify`` and ``progress`` are those of
    `ModelRegistry`. Nothing of the repository is run, checked out or taken for configuration.
    Every error is a `RegistryError`.
    """

    def __init__(
        self,
        url: AnyPath,
        model: str | None = None,
        *,
        cache: AnyPath | None = None,
        offline: bool = False,
        notify: Callable[[str], None] | None = None,
        progress: ProgressBar | None = None,
    ) -> None:
        raise NotImplementedError

    def refresh(self) -> None:
        """Ask the remote what is live now; `ProgramError` if it cannot be reached."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Refresh; if the remote cannot be reached, tell how old what is here is, and go on."""
        raise NotImplementedError

    def current(self) -> Live:
        """Give the model's pointer as it was last fetched; only the first time asks the remote."""
        raise NotImplementedError

    def resolve(self, ref: str) -> Version:
        """Find the version that a reference means, by what was last fetched."""
        raise NotImplementedError

    def manifest(self, ref: str) -> Manifest:
        """Give a version's manifest; its tag is fetched unless it is here."""
        raise NotImplementedError

    def artifacts(self, ref: str = "@production") -> dict[str, Path]:
        """Give a version's files by role and its manifest: verified, read-only.

        What is not here is fetched. One that was yanked or purged is refused, and one that is not
        signed as the registry requires.
        """
        raise NotImplementedError

    def copy_out(self, ref: str, target: AnyPath) -> dict[str, Path]:
        """Copy a version's verified files into a folder of the user's, as `ModelRegistry` does."""
        raise NotImplementedError

    def load(
        self,
        ref: str = "@production",
        loaders: Mapping[str, Callable[[Path], object]] | None = None,
    ) -> dict[str, Any]:
        """Load a version, that in production unless one is named; every byte is verified first."""
        raise NotImplementedError
