"""A version's bytes, from the DVC remote that its registry names into the user's own cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.errors import ConfigError, IntegrityError, NotFound
from mlv.pulling.bringing import DVC_CONFIG
from mlv.store import handout
from mlv.store.disk import on_disk
from mlv.store.mirror import shown

if TYPE_CHECKING:
    from mlv.pulling.ahead import Ahead
    from mlv.pulling.bringing import View
    from mlv.store.dvc.far import Downloader, Objects
    from mlv.store.hashing import ProgressBar
    from mlv.store.mirror import Mirror
    from mlv.store.versions import Record


def hand_out(
    mirror: Mirror,
    view: View,
    record: Record,
    cache: Path,
    progress: ProgressBar,
    ahead: Ahead | None,
) -> dict[str, Path]:
    """Give a version's files by role and its manifest, verified, read-only.

    ``ahead`` may have opened the DVC remote; None: the network is not asked.
    """
    artifacts = record.manifest.artifacts.values()
    size = sum(artifact.size for artifact in artifacts)
    tag = record.manifest.version.tag
    opened: list[Objects] = []

    def open_objects() -> Objects:
        opened.append(_objects(mirror, view, record, cache, ahead))
        return opened[-1]

    with progress(f"fetching {tag}", size) as advance, on_disk(cache):
        try:
            return handout.hand_out(mirror.folder, record, open_objects, advance)
        except IntegrityError:
            if not opened:
                raise  # what was handed out before was changed: the message says what to remove
            opened[-1].forget(artifact.md5 for artifact in artifacts)
        if ahead is None:
            raise NotFound(
                f"the bytes of {tag} here are damaged, and this is offline",
                hint="once without --offline (offline=True) brings them anew",
            )
        try:
            return handout.hand_out(mirror.folder, record, open_objects, advance)
        except IntegrityError:
            opened[-1].forget(artifact.md5 for artifact in artifacts)
            raise


def _objects(
    mirror: Mirror, view: View, record: Record, cache: Path, ahead: Ahead | None
) -> Objects:
    from mlv.store.dvc.far import Objects

    tag = record.manifest.version.tag

    def open_remote() -> Downloader:
        if ahead is None:
            raise NotFound(
                f"the bytes of {tag} are not all here, and this is offline",
                hint="once without --offline (offline=True) brings them",
            )
        config = _config(view, record)
        return ahead.take(config) or open_remote_of(mirror, config)

    return Objects(cache, open_remote, f"of {shown(mirror.url)}")


def open_remote_of(mirror: Mirror, config: bytes) -> Downloader:
    """Open the DVC remote that a repository's ``.dvc/config`` and the user's own name."""
    from mlv.store.dvc.far import open_storage, storage_of

    return open_storage(storage_of(config, shown(mirror.url)), _base(mirror.url))


def _config(view: View, record: Record) -> bytes:
    """Read where the bytes lie: on the branch, whose remote may have moved, else at the tag."""
    for commit in (view.tip.commit, record.tag.commit):
        data = view.versions.blob(commit, DVC_CONFIG)
        if data is not None:
            return data
    raise ConfigError(
        f"the registry of {record.manifest.version.tag} has no {DVC_CONFIG}: where its bytes lie "
        "cannot be told",
        hint="dvc remote add -d NAME URL there, and commit .dvc/config",
    )


def _base(url: str) -> Path | None:
    """Say what a relative path of a repository on this machine is meant from."""
    folder = Path(url.removeprefix("file://"))
    return folder / ".dvc" if folder.is_absolute() and folder.is_dir() else None
