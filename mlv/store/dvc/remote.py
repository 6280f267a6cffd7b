"""A DVC remote: what it has, and bringing objects there, here, or away."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mlv.store.dvc.asking import asking, callback
from mlv.store.dvc.connections import bound, hang_up
from mlv.store.dvc.trouble import is_absent, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.base import FileSystem

    from mlv.store.hashing import Progress

# How DVC 2 named the objects of text files, whose line ends it changed before it hashed them.
LEGACY = "md5-dos2unix"
_LISTING = ".dir"


class Place(NamedTuple):
    """Where an object belongs: a remote by name, and how objects are named there."""

    remote: str
    hash_name: str = "md5"


class Remote:
    """One remote's objects. It is asked at each call; no index of DVC's is believed."""

    def __init__(self, repo: Repo, place: Place) -> None:
        self.name = place.remote
        self._repo = repo
        self._hash_name = place.hash_name
        with self._asking("open it"):
            self._odb: HashFileDB = repo.cloud.get_remote_odb(
                self.name, "push", hash_name=place.hash_name
            )

    @property
    def url(self) -> str:
        """Where it is, as the configuration says."""
        return str(self._repo.config["remote"][self.name].get("url"))

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with asking(what, lambda error: told(error, what, self.name, self.url)):
            yield

    @cached_property
    def _fs(self) -> FileSystem:
        bound(self._odb.fs)
        return self._odb.fs

    def close(self) -> None:
        """End its connections; it is not asked again."""
        hang_up(self._odb.fs)

    def sizes(self, md5s: Iterable[str]) -> dict[str, int | None]:
        """Give the size in bytes of each of these objects that is there; None if it is not told.

        An upload that was cut may have left less than the whole: compare. Raises `ProgramError`
        where it cannot be told whether they are there.
        """
        asked = sorted(set(md5s))
        if not asked:
            return {}
        found: dict[str, int | None] = {}
        with self._asking("look for objects"):
            self._fs.fs.invalidate_cache()
            paths = [self._odb.oid_to_path(md5) for md5 in asked]
            answers = self._fs.info(paths, return_exceptions=True)
            for md5, answer in zip(asked, answers, strict=True):
                if isinstance(answer, BaseException):
                    if not is_absent(answer):
                        raise answer
                else:
                    found[md5] = answer.get("size")
        return found

    def push(self, sources: Mapping[str, Path], progress: Progress) -> None:
        """Upload these files under their md5, listings last: a directory there is then whole."""
        files = {md5: path for md5, path in sources.items() if not md5.endswith(_LISTING)}
        listings = {md5: path for md5, path in sources.items() if md5.endswith(_LISTING)}
        for group in (files, listings):
            if group:
                self._upload(group, progress)

    def _upload(self, sources: Mapping[str, Path], progress: Progress) -> None:
        failures: list[BaseException] = []
        with self._asking("store objects"):
            self._odb.add(
                [str(path) for path in sources.values()],
                self._repo.cache.local.fs,
                list(sources),
                check_exists=False,
                verify=False,
                callback=callback(progress),
                on_error=lambda _, error: failures.append(error),
            )
            if failures:
                raise failures[0]

    def fetch(self, md5s: Iterable[str], progress: Progress) -> None:
        """Bring objects into the cache; what is not there stays absent."""
        there = list(self.sizes(md5s))
        if not there:
            return
        failures: list[BaseException] = []
        is_legacy = self._hash_name == LEGACY
        cache = self._repo.cache.legacy if is_legacy else self._repo.cache.local
        with self._asking("fetch objects"):
            # Not DVC's own transfer, which only logs what went wrong.
            cache.add(
                [self._odb.oid_to_path(md5) for md5 in there],
                self._fs,
                there,
                check_exists=False,
                verify=False,
                callback=callback(progress),
                on_error=lambda _, error: failures.append(error),
            )
            if failures:
                raise failures[0]

    def read(self, md5: str) -> bytes | None:
        """Read an object; None if it is not there."""
        with self._asking(f"read {md5}"):
            try:
                with self._fs.open(self._odb.oid_to_path(md5), mode="rb") as file:
                    return bytes(file.read())
            except FileNotFoundError as error:
                if not is_absent(error):
                    raise
                return None

    def download(self, md5: str, target: Path, progress: Progress) -> None:
        """Bring one object, which is there, to a path outside the cache."""
        with self._asking(f"fetch {md5}"):
            path = self._odb.oid_to_path(md5)
            self._fs.get_file(path, str(target), callback=callback(progress))

    def delete(self, md5s: Iterable[str]) -> None:
        """Delete objects, listings last; one that is gone already is no error."""
        for md5 in sorted(md5s, key=lambda md5: (md5.endswith(_LISTING), md5)):
            with self._asking(f"delete {md5}"):
                try:
                    self._fs.remove(self._odb.oid_to_path(md5))
                except FileNotFoundError as error:
                    if not is_absent(error):
                        raise
