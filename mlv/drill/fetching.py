"""A version's bytes, from the DVC remote into an empty cache."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from mlv.audit.stored import Stored
from mlv.domain.figures import count, size
from mlv.domain.findings import Missing
from mlv.errors import ConfigError, IntegrityError, NotFound, StorageError
from mlv.store.dvc.apart import open_apart
from mlv.store.git import Layout
from mlv.store.handout import MANIFEST, bring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.store.dvc.repository import Dvc
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tip, Versions

_CONFIG, _LOCAL = ".dvc/config", ".dvc/config.local"


@contextlib.contextmanager
def source(versions: Versions, tip: Tip, folder: Path, progress: ProgressBar) -> Iterator[Source]:
    """Open DVC in ``folder`` as this clone configures it, with a cache that has nothing."""
    layout = versions.git.layout
    committed = _read(layout, _CONFIG) or versions.blob(tip.commit, _CONFIG)
    if committed is None:
        raise ConfigError(f"DVC is not set up in {layout.folder}", hint="mlv init there sets it up")
    apart = folder / "dvc"
    apart.mkdir()
    local = _read(layout, _LOCAL) or b""
    with open_apart(apart, layout.folder, committed, local, lambda _: None) as dvc:
        yield Source(dvc, folder, progress)


class Source:
    """The DVC remote of a repository, seen from an empty folder."""

    def __init__(self, dvc: Dvc, folder: Path, progress: ProgressBar) -> None:
        self._dvc = dvc
        self._folder = folder
        self._progress = progress

    def look(self, record: Record) -> str:
        """Ask the remote whether it has every object, of the right size; say what was found."""
        remote, artifacts = self._dvc.remote(), record.manifest.artifacts.values()
        with Stored(self._dvc, _outside(self._folder), self._progress) as stored:
            found = [outcome for _, outcome in stored.check([record], deep=False)]
        if found:
            kind = NotFound if all(isinstance(each, Missing) for each in found) else IntegrityError
            said = "; ".join(each.message for each in found)
            raise kind(f"{record.manifest.version.tag}: {said}", hint=found[0].hint)
        files = sum(artifact.nfiles or 1 for artifact in artifacts)
        total = sum(artifact.size for artifact in artifacts)
        return f"{count(files, 'file')} on {remote.name}, {size(total)}"

    def download(self, record: Record) -> str:
        """Bring every object; say how much that is."""
        version, artifacts = record.manifest.version, record.manifest.artifacts.values()
        total = sum(artifact.size for artifact in artifacts)
        free = shutil.disk_usage(self._folder).free
        if total > free:
            raise StorageError(
                f"{version.tag} takes {size(total)}, and {self._folder.parent} has {size(free)}",
                hint="TMPDIR=FOLDER names a folder that has more",
            )
        with self._progress(f"downloading {version.tag}", total) as advance:
            self._dvc.fetch([artifact.md5 for artifact in artifacts], version.tag, advance)
        return size(total)

    def verified(self, record: Record) -> dict[str, Path]:
        """Give the files by role, every one of which was hashed, and the manifest."""
        version = record.manifest.version
        files = self._folder / version.tag
        total = sum(artifact.size for artifact in record.manifest.artifacts.values())
        files.mkdir()
        with self._progress(f"verifying {version.tag}", total) as advance:
            for artifact in record.manifest.artifacts.values():
                try:
                    bring(self._dvc.cache, artifact, version, files / artifact.path, advance)
                except IntegrityError as error:
                    raise self._damaged(error) from error
        (files / MANIFEST).write_bytes(record.data)
        found = {role: files / a.path for role, a in record.manifest.artifacts.items()}
        return {**found, "manifest": files / MANIFEST}

    def _damaged(self, error: IntegrityError) -> IntegrityError:
        return IntegrityError(
            f"{error.message}, on the DVC remote {self._dvc.remote().name!r}",
            hint="somebody changed it there: remove that object, then mlv push where the bytes are",
        )


def _outside(folder: Path) -> Layout:
    """Give a place for half-made things outside the repository."""
    return Layout(folder, folder, folder)


def _read(layout: Layout, path: str) -> bytes | None:
    if layout.top is None:
        return None
    file = layout.top / path
    return file.read_bytes() if file.is_file() else None
