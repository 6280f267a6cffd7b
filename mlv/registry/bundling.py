"""A registry in one file, for a machine that no network leads to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlv.errors import ConfigError, InvalidInput
from mlv.registry.opened import Opened, log
from mlv.store.config import FILE, is_set_up
from mlv.store.disk import on_disk
from mlv.store.git import Git, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.bundling.packing import Bundled
    from mlv.bundling.unpacking import Unbundled
    from mlv.domain.names import Version
    from mlv.registry.opened import AnyPath
    from mlv.store.hashing import ProgressBar


class Bundles(Opened):
    """The verbs that write a bundle, and take one in."""

    def bundle(self, *refs: str, file: AnyPath, partial: bool = False) -> Bundled:
        """Write versions to one file: their bytes, their tags, and the registry branch.

        All is checked before it is written. ``partial`` goes without pipeline outputs that nobody
        has.
        """
        from mlv.bundling import packing

        if not refs:
            raise InvalidInput("which version?", hint="mlv bundle fraud@production FILE")
        tip = self._versions.need_tip()
        self._warn(tip)
        named = [self.resolve(ref) for ref in refs]
        self._tell_unpublished(named)
        request = packing.Request(named, Path(file).absolute(), partial)
        with on_disk(self.path):
            return packing.bundle(self._versions, request, self._notify, self._progress)

    def _tell_unpublished(self, named: list[Version]) -> None:
        """Tell of versions whose numbers may still become another's."""
        kept = self._versions.kept_ids() if self.has_remote() else {}
        for version in named:
            if version in kept:
                self._notify(
                    f"{version.tag} may not be published: mlv push {version.tag} first, or "
                    "somebody else may take its number"
                )

    @classmethod
    def unbundle(
        cls,
        file: AnyPath,
        path: AnyPath = ".",
        *,
        branch: bool = True,
        dry_run: bool = False,
        notify: Callable[[str], None] | None = None,
        progress: ProgressBar | None = None,
    ) -> Unbundled:
        """Bring what a bundle holds into the clone in ``path``, or make one in an empty folder.

        Everything is verified first; what is here is never overwritten. The registry branch comes
        along where it only goes on from the one here; without ``branch`` it stays. ``dry_run``
        verifies, says what would come, and changes nothing.
        """
        from mlv.bundling import founding, joining
        from mlv.bundling.unpacking import Order
        from mlv.store.noprogress import no_progress

        # As it was typed: a folder that is to be made cannot be gone through yet.
        source = Path(os.path.normpath(Path(file).absolute()))
        folder, order = Path(path), Order(branch, dry_run)
        if not _is_in_git(folder):
            tell, show = notify or log, progress or no_progress
            made = founding.found(folder.absolute(), source, order, tell, show)
            if made is not None:
                return made
        _need_set_up(folder)
        here = cls(folder, notify=notify, progress=progress)
        with on_disk(here.path):
            founding.sweep(here.path)
            return joining.join(here._versions, source, order, here._notify, here._progress)


def _is_in_git(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        find(folder)
    except ConfigError:
        return False
    return True


def _need_set_up(folder: Path) -> None:
    """Refuse another repository; setting it up would begin a history that is not the bundle's."""
    git = Git(find(folder))
    if not is_set_up(git):
        raise ConfigError(
            f"{git.layout.folder} is a Git repository, and no model registry: it has no {FILE}",
            hint="a bundle makes a registry of an empty folder, without git init: -C DIR names "
            "one; in a clone of the registry, check out the branch that has it",
        )
