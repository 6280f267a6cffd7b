"""The audit of what DVC remotes hold: existence and size by query, bytes by download."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Self

from mlv.domain.findings import Incomplete, Missing, Swapped
from mlv.errors import IntegrityError, RegistryError
from mlv.store.dvc.remote import Place
from mlv.store.dvcfiles import read_listing
from mlv.store.git import SCRATCH
from mlv.store.hashing import listing_sha256, md5_of, sha256_of
from mlv.store.naming import folder_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mlv.domain.findings import Outcome
    from mlv.domain.manifest import Artifact
    from mlv.store.dvc.outputs import Output
    from mlv.store.dvc.repository import Dvc
    from mlv.store.dvcfiles import Member
    from mlv.store.git import Layout
    from mlv.store.hashing import Progress, ProgressBar
    from mlv.store.versions import Record

_DIRECTORY = ".dir"
_MOST_NAMED = 3


class _Name(NamedTuple):
    """What a file is called, and of which version it is."""

    tag: str
    path: str


class Stored:
    """The DVC remotes' objects, each asked about once; use as a context manager.

    What is downloaded lies in a scratch folder, one object at a time, and never in the cache.
    """

    def __init__(self, dvc: Dvc, layout: Layout, progress: ProgressBar) -> None:
        self._dvc = dvc
        self._layout = layout
        self._progress = progress
        self._stack = ExitStack()
        self._sizes: dict[tuple[Place, str], int | None] = {}
        self._asked: set[tuple[Place, str]] = set()
        self._listings: dict[tuple[Place, str], list[Member] | IntegrityError] = {}
        self._is_deep = False
        # By MD5 and, since what a file is may be told by its name, by suffix.
        self._sums: dict[tuple[str, str], str] = {}
        # Told of each file that was downloaded: of which version, what it is called, where it lies.
        self.inspect: Callable[[str, str, Path], None] | None = None

    def __enter__(self) -> Self:
        self._folder: Path = self._stack.enter_context(scratch(self._layout.common_dir / SCRATCH))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Versions -----------------------------------------------------------------------------

    def check(self, records: list[Record], *, deep: bool) -> Iterator[tuple[Record, Outcome]]:
        """Check the artifacts of versions on the default remote."""
        place, self._is_deep = Place(self._dvc.remote().name), deep
        self._ask(place, (a.md5 for r in records for a in r.manifest.artifacts.values()))
        for record in records:
            tag = record.tag.version.tag
            for artifact in record.manifest.artifacts.values():
                outcome = self._check(place, artifact, tag)
                if outcome is None and deep:
                    outcome = self._check_bytes(place, artifact, tag)
                if outcome:
                    yield record, outcome

    def _check(self, place: Place, artifact: Artifact, tag: str) -> Outcome | None:
        remote = place.remote
        absent, size = self._lacking(place, artifact.md5)
        if isinstance(absent, IntegrityError):
            return Swapped(tag, f"{artifact.path} on {remote}: {absent.message}", absent.hint)
        if absent:
            what = (
                f"is not on {remote} (object {artifact.md5})"
                if absent == [artifact.md5]
                else f"is not whole on {remote}: {_some(absent)} not there"
            )
            return Missing(
                tag,
                f"{artifact.path} {what}",
                f"mlv push where the bytes are; mlv verify {tag} says whether they are here",
            )
        if size is not None and size != artifact.size:
            return Swapped(
                tag,
                f"{artifact.path} is {size} bytes on {remote}; {artifact.size} were registered",
                "an upload was cut, or somebody changed it: remove that object there, then "
                "mlv push where the bytes are",
            )
        return None

    def _check_bytes(self, place: Place, artifact: Artifact, tag: str) -> Outcome | None:
        with self._progress(f"downloading {artifact.path} of {tag}", artifact.size) as advance:
            if artifact.is_directory:
                members = self._members(place, artifact.md5)
                assert not isinstance(members, IntegrityError)
                sums = []
                for member in members:
                    name = _Name(tag, f"{artifact.path}/{member.path}")
                    sums.append((member.path, self._sha256(place, member.md5, name, advance)))
                found = listing_sha256(sums)
            else:
                found = self._sha256(place, artifact.md5, _Name(tag, artifact.path), advance)
        if found == artifact.sha256:
            return None
        return Swapped(
            tag,
            f"{artifact.path} on {place.remote} is not what was registered: expected SHA-256 "
            f"{artifact.sha256}, found {found}",
            "somebody changed it there: remove that object, then mlv push where the bytes are",
        )

    def _sha256(self, place: Place, md5: str, name: _Name, advance: Progress) -> str:
        key = (md5, PurePosixPath(name.path).suffix.lower() if self.inspect else "")
        if key not in self._sums:
            path = self._download(place, md5, advance)
            self._sums[key] = sha256_of(path)
            if self.inspect:
                self.inspect(*name, path)
            path.unlink()
        return self._sums[key]

    # Pipeline outputs ---------------------------------------------------------------------

    def outputs(self, records: list[Record]) -> Iterator[Outcome]:
        """Name what a plain ``dvc pull`` at each tag would lack besides the version itself."""
        found: dict[str, list[tuple[Output, Place, str]]] = {}
        for record in records:
            tag, folder = record.tag.version.tag, folder_of(record.tag.version.model)
            try:
                found[tag] = [
                    (out, Place(out.remote or self._dvc.remote().name, out.hash_name), out.md5)
                    for out in self._dvc.outputs(record.tag.commit)
                    if out.md5 and not out.path.startswith(f"{folder}/")
                ]
            except RegistryError as error:
                yield Incomplete(tag, error.message, error.hint)
        self._ask_all((place, md5) for outs in found.values() for _, place, md5 in outs)
        for tag, outs in found.items():
            lacking = [out.path for out, place, md5 in outs if self._is_lacking(place, md5)]
            if lacking:
                yield Incomplete(
                    tag,
                    f"dvc pull at {tag} would lack {_some(lacking)}",
                    "dvc push where the pipeline ran",
                )

    def _ask_all(self, objects: Iterable[tuple[Place, str]]) -> None:
        by_place: dict[Place, set[str]] = {}
        for place, md5 in objects:
            by_place.setdefault(place, set()).add(md5)
        for place, md5s in by_place.items():
            self._ask(place, md5s)

    def _is_lacking(self, place: Place, md5: str) -> bool:
        absent, _ = self._lacking(place, md5)
        return isinstance(absent, IntegrityError) or bool(absent)

    # Objects ------------------------------------------------------------------------------

    def _ask(self, place: Place, md5s: Iterable[str]) -> None:
        """Ask about these objects and, of the directories among them, about their files."""
        wanted = {md5 for md5 in md5s if (place, md5) not in self._asked}
        self._query(place, wanted)
        members = set()
        for md5 in wanted:
            if md5.endswith(_DIRECTORY) and (place, md5) in self._sizes:
                listing = self._members(place, md5)
                members |= (
                    set() if isinstance(listing, IntegrityError) else {m.md5 for m in listing}
                )
        self._query(place, {md5 for md5 in members if (place, md5) not in self._asked})

    def _query(self, place: Place, md5s: set[str]) -> None:
        for md5, size in self._dvc.remote(place).sizes(md5s).items():
            self._sizes[place, md5] = size
        self._asked |= {(place, md5) for md5 in md5s}

    def _lacking(self, place: Place, md5: str) -> tuple[list[str] | IntegrityError, int | None]:
        """Name what the remote lacks of an object, and give its size where all of it is told."""
        if (place, md5) not in self._sizes:
            return [md5], None
        if not md5.endswith(_DIRECTORY):
            return [], self._sizes[place, md5]
        members = self._members(place, md5)
        if isinstance(members, IntegrityError):
            return members, None
        absent = [m.path for m in members if (place, m.md5) not in self._sizes]
        sizes = [self._sizes.get((place, m.md5)) for m in members]
        known = [size for size in sizes if size is not None]
        return absent, sum(known) if len(known) == len(sizes) else None

    def _members(self, place: Place, md5: str) -> list[Member] | IntegrityError:
        """Read the remote's listing of a directory, or the cache's where that may stand for it."""
        if (place, md5) not in self._listings:
            path = self._dvc.cache.object_path(md5)
            if path is None or not self._is_twin(path, place, md5):
                path = self._download(place, md5, lambda _: None)
            self._listings[place, md5] = _read_listing(path, md5)
        return self._listings[place, md5]

    def _is_twin(self, path: Path, place: Place, md5: str) -> bool:
        """Whether a listing in the cache is whole, and the remote's looks the same from afar."""
        if self._is_deep or self._sizes[place, md5] not in (None, path.stat().st_size):
            return False
        return _is_named(path, md5)

    def _download(self, place: Place, md5: str, advance: Progress) -> Path:
        target = self._folder / "object"
        target.unlink(missing_ok=True)
        self._dvc.remote(place).download(md5, target, advance)
        return target


def _read_listing(path: Path, md5: str) -> list[Member] | IntegrityError:
    if not _is_named(path, md5):
        return IntegrityError(
            "the listing of its files was changed",
            hint="remove that object there, then mlv push where the bytes are",
        )
    try:
        return read_listing(path.read_bytes(), md5)
    except IntegrityError as error:
        return error


def _is_named(path: Path, md5: str) -> bool:
    return f"{md5_of(path)}{_DIRECTORY}" == md5


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
