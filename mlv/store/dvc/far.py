"""The objects of a DVC remote that somebody else's repository names, and a cache of our own.

What was downloaded was hashed on its way. No lock, database or work tree of DVC's has a part in it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from mlv.domain.dvcconfig import Storage, merged
from mlv.errors import ConfigError, NotFound
from mlv.store.disk import on_disk
from mlv.store.dvc.asking import asking
from mlv.store.dvc.cache import Cache
from mlv.store.hashing import sha256_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlv.store.hashing import Progress

_MODE = 0o444
_OBJECTS = "files/md5"


class Downloader(Protocol):
    """Somewhere objects come from."""

    def download(
        self, md5s: list[str], folder: Path, progress: Progress, arrived: Callable[[str, str], None]
    ) -> None:
        """Bring these objects into a folder, under their md5, and tell md5 and SHA-256 of each.

        One that is not there is left out. Anything else that goes wrong is raised.
        """

    def close(self) -> None:
        """End its connections."""


class Objects:
    """What `store.handout` builds from: a cache in ``folder``, filled from a DVC remote.

    ``open_remote`` is called once objects are missing.
    """

    def __init__(self, folder: Path, open_remote: Callable[[], Downloader], where: str) -> None:
        self._folder = folder
        self._open_remote = open_remote
        self._where = where
        self._remote: Downloader | None = None
        self.cache = OwnCache(folder / _OBJECTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._remote is not None:
            self._remote.close()
            self._remote = None

    def fetch(self, md5s: list[str], name: str, progress: Progress) -> None:
        """Bring objects, of directories also their files; `NotFound` counts what is nowhere."""
        for _ in ("directories' listings and files", "the files that these list"):
            absent = sorted(set(self.cache.missing(md5s, name)))
            if absent:
                self._download(absent, progress)
        absent = self.cache.missing(md5s, name)
        if absent:
            raise NotFound(
                f"{len(absent)} file(s) of {name} are not on the DVC remote {self._where}",
                hint="they were never pushed (mlv push where the version was registered), or were "
                "deleted there",
            )

    def _download(self, md5s: list[str], progress: Progress) -> None:
        self._remote = self._remote or self._open_remote()
        for start in {md5[:2] for md5 in md5s}:
            (self.cache.folder / start).mkdir(parents=True, exist_ok=True)
        with scratch(self._folder / ".scratch") as folder, on_disk(self._folder):

            def arrived(md5: str, sha256: str) -> None:
                self.cache.take(folder / md5, md5, sha256)

            self._remote.download(md5s, folder, progress, arrived)

    def forget(self, md5s: Iterable[str]) -> None:
        """Remove objects from the cache: what they are is not what they should be."""
        every = [*md5s]
        for md5 in [md5 for md5 in every if md5.endswith(".dir") and self.cache.object_path(md5)]:
            try:
                every += [member.md5 for member in self.cache.members(md5, md5)]
            except Exception:  # noqa: BLE001, S112 - a listing that cannot be read lists nothing
                continue
        self.cache.delete(set(every))
        self.cache.known.clear()


class OwnCache(Cache):
    """A cache of ours alone, which knows the SHA-256 of what just came."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, None, _make, lambda _: False)
        self.known: dict[str, tuple[tuple[int, ...], str]] = {}

    def take(self, path: Path, md5: str, sha256: str) -> None:
        """Put a file in whose SHA-256 was taken on its way."""
        path.chmod(_MODE)
        self.known[md5] = _stamp(path), sha256
        path.replace(self._path(self.folder, md5))

    def link(self, source: Path, target: Path) -> None:
        """Make ``target`` a twin of an object: both are read-only, and of this user alone."""
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
            target.chmod(_MODE)

    def sha256(self, md5: str, twin: Path, progress: Progress | None) -> str:
        """Give the SHA-256 of an object's twin; what just came was hashed on its way."""
        stamp, sha256 = self.known.get(md5, ((), ""))
        return sha256 if stamp == _stamp(twin) else sha256_of(twin, progress)


def _make(folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)


def _stamp(path: Path) -> tuple[int, ...]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


# Which remote it is ------------------------------------------------------------------------


def storage_of(committed: bytes, what: str) -> Storage:
    """Say where bytes lie by a repository's ``.dvc/config`` and the user's own configuration.

    ``what`` names the repository in a `ConfigError`.
    """
    theirs, own = _configs(committed, what)
    found = merged(theirs, own)
    if isinstance(found, str):
        raise ConfigError(
            f"{what} does not say where its bytes lie: {found}",
            hint="dvc remote add -d NAME URL there, and commit .dvc/config; or, for this user "
            "alone, dvc remote add --global -d NAME URL",
        )
    return found


def local_config(committed: bytes) -> str:
    """Write the ``config.local`` by which a repository's cache is where its reader has caches.

    Nothing where its ``.dvc/config`` says nothing of caches.
    """
    theirs, own = _configs(committed, "the repository")
    if not theirs.get("cache"):
        return ""
    folder = own.get("cache", {}).get("dir", "cache")
    return f"[cache]\n    dir = {folder}\n    local =\n"


def _configs(committed: bytes, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a repository's ``.dvc/config``, and the reader's own configuration."""
    with asking("read its configuration"):
        from configobj import ConfigObj, ConfigObjError
        from dvc.config import Config

        own: dict[str, Any] = Config(validate=False)
        try:
            text = committed.decode(errors="replace").splitlines()
            theirs = ConfigObj(text, list_values=False, interpolation=False)
        except (ConfigObjError, RecursionError):
            raise ConfigError(f"the .dvc/config of {what} cannot be read") from None
    return _nested(theirs), own


def _nested(config: dict[str, Any]) -> dict[str, Any]:
    """Tell ``['remote "name"']`` apart, as DVC does."""
    nested: dict[str, Any] = {}
    for section, facts in config.items():
        kind, _, name = section.strip("'").partition(" ")
        if not isinstance(facts, dict):
            continue
        if name:
            nested.setdefault(kind.lower(), {})[name.strip().strip('"')] = dict(facts)
        else:
            nested[kind.lower()] = dict(facts)
    return nested


def open_storage(storage: Storage, base: Path | None) -> Downloader:
    """Open the default remote.

    ``base`` is what a relative path is meant from: ``.dvc`` of a repository on this machine.
    """
    from mlv.store.dvc.download import FileSystemRemote, FolderRemote
    from mlv.store.lineage import without_credentials

    url = str(storage.remotes[storage.name]["url"])
    shown = f"{storage.name!r} ({without_credentials(url)})"
    path = url.removeprefix("file://") if url.startswith("file://") else url
    if "://" in path:
        return FileSystemRemote(storage)
    folder = Path(path).expanduser()
    if not folder.is_absolute():
        if base is None:
            raise ConfigError(
                f"the DVC remote {shown} is a relative path, which leads nowhere from here",
                hint="give it an address there; or, for this user alone, "
                f"dvc remote add --global {storage.name} URL",
            )
        folder = Path(os.path.normpath(base / folder))
    return FolderRemote(folder, storage.name)
