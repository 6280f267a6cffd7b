"""`RemoteRegistry`: one registry by its URL, read without a clone."""

from __future__ import annotations

import contextlib
import logging
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.domain.names import Reference, check_model
from mlv.errors import ConfigError, NotFound, ProgramError
from mlv.pulling import bringing
from mlv.pulling.ahead import Ahead
from mlv.store import usercache
from mlv.store.disk import on_disk
from mlv.store.mirror import Mirror, check_url, shown
from mlv.store.noprogress import no_progress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version
    from mlv.pulling.bringing import View
    from mlv.references import Live
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record

    AnyPath = str | os.PathLike[str]

_LOG = logging.getLogger("mlv")
_SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


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
        self.model = None if model is None else check_model(model)
        self.url = check_url(_absolute(str(url)))
        self.offline = offline
        self.cache = Path(cache).absolute() if cache else usercache.folder()
        self._notify = notify or _LOG.info
        self._progress = progress or no_progress
        thin = Mirror(self.cache, self.url)
        needs_whole = thin.state().is_whole
        self._mirror = Mirror(self.cache, self.url, whole=True) if needs_whole else thin
        self._view: View | None = None
        self._ahead = Ahead()
        # Who refreshes need not ask for any version's files.
        weakref.finalize(self, self._ahead.close)

    def __repr__(self) -> str:
        """Name the registry and the model."""
        return f"RemoteRegistry({shown(self.url)!r}, model={self.model!r})"

    # What is live -------------------------------------------------------------------------

    def refresh(self, ref: str | None = None) -> None:
        """Ask the remote what is live now; `ProgramError` if it cannot be reached.

        With a reference, what else that needs of Git comes with it.
        """
        if self.offline:
            raise ConfigError(
                f"{shown(self.url)} is read offline: nothing is asked there",
                hint="leave --offline (offline=True) out",
            )
        reference = Reference.parse(ref) if ref else None
        with on_disk(self.cache):
            self._mirror = bringing.refresh(
                self._mirror, self._bound(reference), reference, self._ahead
            )
        self._view = None

    def catch_up(self, ref: str | None = None) -> None:
        """Refresh; if the remote cannot be reached, tell how old what is here is, and go on."""
        if self.offline:
            return
        try:
            self.refresh(ref)
        except ProgramError as error:
            age = self._mirror.age()
            if age is None:
                raise
            self._notify(f"{error.message}; going on with what was fetched {_ago(age)} ago")

    def current(self) -> Live:
        """Give the model's pointer as it was last fetched; only the first time asks the remote."""
        return self._seen().references(self.model).live()

    def resolve(self, ref: str) -> Version:
        """Find the version that a reference means, by what was last fetched."""
        return self._seen().references(self.model).resolve(ref)

    def age(self) -> float | None:
        """Seconds since the remote last answered; None if it never did."""
        return self._mirror.age()

    # Versions -----------------------------------------------------------------------------

    def manifest(self, ref: str) -> Manifest:
        """Give a version's manifest; its tag is fetched unless it is here."""
        return self.record(ref).manifest

    def record(self, ref: str) -> Record:
        """Read the version that a reference means, whole and consistent."""
        version = self.resolve(ref)
        view = self._seen()
        if not self.offline:
            bringing.bring_version(self._mirror, view, version)
        elif not bringing.is_here(self._mirror, version):
            raise NotFound(
                f"{version.tag} of {shown(self.url)} was never fetched here, and this is offline",
                hint="once without --offline (offline=True) brings it",
            )
        return view.versions.record(version)

    def artifacts(self, ref: str = "@production") -> dict[str, Path]:
        """Give a version's files by role, its manifest and requirements: verified, read-only.

        What is not here is fetched. One that was yanked or purged is refused, and one that is not
        signed as the registry requires.
        """
        from mlv.pulling import delivery
        from mlv.store import handout, versionfolder

        with contextlib.closing(self._ahead):
            record = self.record(ref)
            view = self._seen()
            view.check(record)
            pins = versionfolder.requirements(view.versions, record)
            ahead = None if self.offline else self._ahead
            files = delivery.hand_out(self._mirror, view, record, self.cache, self._progress, ahead)
        return files | {"requirements": handout.put_beside(files["manifest"], pins)}

    def copy_out(self, ref: str, target: AnyPath) -> dict[str, Path]:
        """Copy a version's verified files into a folder of the user's, as `ModelRegistry` does."""
        from mlv.store import handout

        out = Path(target).absolute()
        with on_disk(out):
            return handout.copy_out(self.artifacts(ref), out)

    def load(
        self,
        ref: str = "@production",
        loaders: Mapping[str, Callable[[Path], object]] | None = None,
    ) -> dict[str, Any]:
        """Load a version, that in production unless one is named; every byte is verified first."""
        from mlv.predicting.loaders import load_files

        return load_files(self.artifacts(ref), loaders)

    def _bound(self, reference: Reference | None) -> str | None:
        return (reference.model if reference else None) or self.model

    def _seen(self) -> View:
        """Read the mirror as it is now; only where nothing was ever fetched ask the remote."""
        if self._mirror.age() is None and not self.offline:
            self.refresh()
        fresh = bringing.view(self._mirror)
        if self._view is None or fresh.tip != self._view.tip:
            self._view = fresh
        return self._view


def _absolute(url: str) -> str:
    """Give a path as seen from everywhere; an address stays one, as git tells them apart."""
    path = Path(url).expanduser()
    before = url.partition("/")[0]
    is_address = "://" in url or (":" in before and not path.exists())
    is_odd = not url.strip() or url.startswith("-") or "::" in url
    return url if is_address or is_odd else str(path.absolute())


def _ago(seconds: float) -> str:
    size, name = next((span for span in _SPANS if seconds >= span[0]), _SPANS[-1])
    count = int(seconds // size)
    return f"{count} {name}{'' if count == 1 else 's'}"
