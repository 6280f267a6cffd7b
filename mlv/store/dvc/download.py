"""Downloading many objects at once, each hashed on its way; no object is asked after first."""

from __future__ import annotations

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mlv.errors import ProgramError, RegistryError
from mlv.store.dvc.asking import asking, callback
from mlv.store.dvc.connections import bound, hang_up
from mlv.store.dvc.parts import Parts
from mlv.store.dvc.trouble import is_absent, told
from mlv.store.hashing import copy_with_sha256, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from mlv.domain.dvcconfig import Storage
    from mlv.store.hashing import Progress

    Arrived = Callable[[str, str], None]

_THREADS = 4
_AT_ONCE = {"s3": 32, "ssh": 64}
_SOME = 16
_SMALL = 1024 * 1024  # bytes; hashing less is sooner done than handed to a thread


def _place(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"


class FolderRemote:
    """A remote that is a folder of this machine."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def download(self, md5s: list[str], folder: Path, progress: Progress, arrived: Arrived) -> None:
        """See `Downloader`."""
        if not self._folder.is_dir():
            raise ProgramError(
                f"the DVC remote {self._name!r} is the folder {self._folder}, which is not here",
                hint="mount it, or see dvc remote list",
            )
        _in_pool(_THREADS, lambda md5: self._copy(md5, folder / md5, progress), md5s, arrived)

    def close(self) -> None:
        """See `Downloader`."""

    def _copy(self, md5: str, target: Path, progress: Progress) -> str | None:
        source = self._folder / _place(md5)
        try:
            if not stat.S_ISREG(source.stat().st_mode):
                return None  # reading from it might never end
            return copy_with_sha256(source, target, progress)
        except (FileNotFoundError, NotADirectoryError):
            return None


class FileSystemRemote:
    """A remote that DVC has a file system for."""

    def __init__(self, storage: Storage) -> None:
        self._name = storage.name
        self._withheld = storage.withheld
        facts = storage.remotes[storage.name]
        self._url = str(facts["url"])
        with asking("open it", lambda error: self._told(error, "open it")):
            from dvc.fs import get_cloud_fs

            kind, config, self._root = get_cloud_fs({"remote": storage.remotes}, name=self._name)
            if not storage.is_own and kind.protocol == "ssh":
                config["agent_forwarding"] = False  # whoever runs that host could use the keys
            self._fs: Any = kind(**config)
            bound(self._fs)
            self._connect()
            self._jobs = int(config.get("jobs") or _AT_ONCE.get(kind.protocol, _SOME))

    def download(self, md5s: list[str], folder: Path, progress: Progress, arrived: Arrived) -> None:
        """See `Downloader`."""
        with asking("fetch objects", lambda error: self._told(error, "fetch objects")):
            run = self._in_tasks if self._fs.fs.async_impl else self._in_threads
            run(md5s, folder, progress, arrived)

    def _told(self, error: Exception, what: str) -> RegistryError:
        """Word an error; also name what the user states and this address was not told."""
        worded = told(error, what, self._name, self._url)
        if self._withheld:
            worded.hint = (
                f"{', '.join(self._withheld)} of your DVC configuration went to no address that "
                f"only the repository names: if it is right, dvc remote modify --global "
                f"{self._name} url URL; {worded.hint}"
            )
        return worded

    def _connect(self) -> None:
        """Make the one client: tasks that find none would each make their own."""
        from fsspec.asyn import sync

        fs = self._fs.fs  # over SSH it connects here
        if hasattr(fs, "set_session"):
            sync(fs.loop, fs.set_session)

    def close(self) -> None:
        """See `Downloader`."""
        hang_up(self._fs)

    def _path(self, md5: str) -> str:
        return str(self._fs.join(self._root, *_place(md5).split("/")))

    def _in_threads(
        self, md5s: list[str], folder: Path, progress: Progress, arrived: Arrived
    ) -> None:
        def bring(md5: str) -> str | None:
            target = folder / md5
            try:
                self._fs.get_file(self._path(md5), str(target), callback=_of_file(progress))
            except FileNotFoundError as error:
                if not is_absent(error):
                    raise
                return None
            return sha256_of(target)

        _in_pool(_SOME, bring, md5s, arrived)

    def _in_tasks(
        self, md5s: list[str], folder: Path, progress: Progress, arrived: Arrived
    ) -> None:
        from fsspec.asyn import sync

        left = iter(md5s)
        fs = self._fs.fs
        s3 = Parts(fs) if self._fs.protocol == "s3" else None

        async def work() -> None:
            for md5 in left:
                try:
                    sha256 = await self._bring(fs, s3, md5, folder / md5, progress)
                except FileNotFoundError as error:
                    if not is_absent(error):
                        raise
                else:
                    arrived(md5, sha256)

        sync(fs.loop, _all, [work() for _ in range(min(self._jobs, len(md5s)))])

    async def _bring(
        self, fs: Any, s3: Parts | None, md5: str, target: Path, progress: Progress
    ) -> str:
        if s3:
            return await s3.bring(self._path(md5), md5, target, progress)
        # fsspec's own name for it
        await fs._get_file(self._path(md5), str(target), callback=_of_file(progress))  # noqa: SLF001
        if _is_small(target):
            return sha256_of(target)
        return await asyncio.to_thread(sha256_of, target)


def _in_pool(
    threads: int, bring: Callable[[str], str | None], md5s: list[str], arrived: Arrived
) -> None:
    """Bring all; the first that fails ends the others."""
    with ThreadPoolExecutor(threads) as pool:
        coming = [(md5, pool.submit(bring, md5)) for md5 in md5s]
        try:
            for md5, each in coming:
                sha256 = each.result()
                if sha256:
                    arrived(md5, sha256)
        finally:
            pool.shutdown(cancel_futures=True)


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= _SMALL


def _of_file(progress: Progress) -> Any:
    return callback(progress).branched("", "")


async def _all(works: list[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
