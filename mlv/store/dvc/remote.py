"""A DVC remote: what it has, and bringing objects there, here, or away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.store.dvc.asking import asking, callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

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
        with asking(f"open the DVC remote {self.name!r}"):
            self._odb: HashFileDB = repo.cloud.get_remote_odb(
                self.name, "push", hash_name=place.hash_name
            )

    @property
    def url(self) -> str:
        """Where it is, as the configuration says."""
        return str(self._repo.config["remote"][self.name].get("url"))

    def sizes(self, md5s: Iterable[str]) -> dict[str, int | None]:
        """Give the size in bytes of each of these objects that is there; None if it is not told.

        An upload that was cut may have left less than the whole: compare.
        """
        asked = sorted(set(md5s))
        if not asked:
            return {}
        with asking(f"ask the DVC remote {self.name!r} ({self.url})"):
            fs = self._odb.fs
            fs.fs.invalidate_cache()
            paths = [self._odb.oid_to_path(md5) for md5 in asked]
            answers = fs.info(paths, return_exceptions=True)
            found: dict[str, int | None] = {}
            for md5, answer in zip(asked, answers, strict=True):
                if isinstance(answer, FileNotFoundError | NotADirectoryError):
                    continue
                if isinstance(answer, BaseException):
                    raise answer
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
        with asking(f"push to the remote {self.name!r} ({self.url})"):
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
        with asking(f"fetch from the remote {self.name!r} ({self.url})"):
            from dvc_data.hashfile.hash_info import HashInfo
            from dvc_data.hashfile.transfer import transfer

            wanted = [HashInfo(self._hash_name, md5) for md5 in md5s]
            is_legacy = self._hash_name == LEGACY
            cache = self._repo.cache.legacy if is_legacy else self._repo.cache.local
            transfer(self._odb, cache, wanted, callback=callback(progress))

    def read(self, md5: str) -> bytes | None:
        """Read an object; None if it is not there."""
        with asking(f"read {md5} on the remote {self.name!r} ({self.url})"):
            try:
                with self._odb.fs.open(self._odb.oid_to_path(md5), mode="rb") as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def download(self, md5: str, target: Path, progress: Progress) -> None:
        """Bring one object, which is there, to a path outside the cache."""
        with asking(f"fetch from the remote {self.name!r} ({self.url})"):
            self._odb.fs.get_file(
                self._odb.oid_to_path(md5), str(target), callback=callback(progress)
            )

    def delete(self, md5s: Iterable[str]) -> None:
        """Delete objects, listings last; one that is gone already is no error."""
        for md5 in sorted(md5s, key=lambda md5: (md5.endswith(_LISTING), md5)):
            with asking(f"take {md5} off the remote {self.name!r} ({self.url})"):
                try:
                    self._odb.delete(md5)
                except FileNotFoundError:
                    continue
