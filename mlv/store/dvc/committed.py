"""The bytes that DVC keeps of a path in a commit's tree, verified by the address that Git has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.errors import IntegrityError, NotFound
from mlv.store.dvc.asking import asking
from mlv.store.dvc.cache import link
from mlv.store.dvc.remote import LEGACY, Place
from mlv.store.dvcfiles import read_listing
from mlv.store.hashing import md5_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dvc.repo import Repo

    from mlv.store.dvc.outputs import Output
    from mlv.store.dvc.remote import Remote
    from mlv.store.hashing import Progress

_LISTING = ".dir"


class Keeper:
    """Where an output's objects are: in the cache, else on its remote, by DVC's way of naming."""

    def __init__(
        self, repo: Repo, output: Output, remote: Callable[[Place | None], Remote], default: str
    ) -> None:
        is_legacy = output.hash_name == LEGACY
        self._odb: Any = repo.cache.legacy if is_legacy else repo.cache.local
        self._remote, self._output = remote, output
        self._place = Place(output.remote or default, output.hash_name)

    def bring(self, inside: str, target: Path, progress: Progress) -> None:
        """Place the output, or what lies ``inside`` of it, at ``target``, which is not there.

        `NotFound` if no copy is left, `IntegrityError` if one is not what Git says.
        """
        md5 = self._output.md5
        if md5 is None:
            raise self._nowhere()
        [path] = self._objects([md5], progress)
        if not md5.endswith(_LISTING):
            if inside:
                raise self._nowhere()
            link(path, target)
            return
        members = read_listing(path.read_bytes(), self._output.path)
        wanted = {
            member.path[len(inside) :].lstrip("/"): member.md5
            for member in members
            if f"{member.path}/".startswith(f"{inside}/" if inside else "")
        }
        if not wanted:
            raise self._nowhere()
        found = self._objects(list(wanted.values()), progress)
        for place, source in zip(wanted, found, strict=True):
            out = target / place if place else target
            out.parent.mkdir(parents=True, exist_ok=True)
            link(source, out)

    def _objects(self, md5s: list[str], progress: Progress) -> list[Path]:
        paths = [self._path(md5) for md5 in md5s]
        absent = [m for m, path in zip(md5s, paths, strict=True) if not path.is_file()]
        if absent:
            self._remote(self._place).fetch(absent, progress)
        for md5, path in zip(md5s, paths, strict=True):
            if not path.is_file():
                raise self._nowhere()
            if self._md5(path) != md5.removesuffix(_LISTING):
                raise IntegrityError(
                    f"{self._output.path}: the object {md5} is damaged: its bytes are others",
                    hint=f"remove {path} if it is; dvc fetch brings another copy",
                )
        return paths

    def _path(self, md5: str) -> Path:
        return Path(self._odb.oid_to_path(md5))

    def _md5(self, path: Path) -> str:
        if self._output.hash_name != LEGACY or path.name.endswith(_LISTING):
            return md5_of(path)
        from dvc_data.hashfile.hash import file_md5

        with asking(f"hash {path}"):
            return str(file_md5(str(path), self._odb.fs, name=LEGACY))

    def _nowhere(self) -> NotFound:
        return NotFound(
            f"{self._output.path} is neither in the DVC cache nor on the DVC remote",
            hint="dvc fetch where it still is, then dvc push there",
        )
