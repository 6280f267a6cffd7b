"""DVC: the only file that knows it.

DVC's own configuration decides where the cache is, how files are linked and which remote there
is. Nothing here takes DVC's repository lock.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import os
import shutil
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from mlv.errors import (
    ConfigError,
    InvalidInput,
    NotFound,
    ProgramError,
    RegistryError,
)
from mlv.store.disk import (
    DISK_ERRORS,
    on_disk,
    real_file,
    storage_error,
    sync_folder,
    walk_files,
)
from mlv.store.dvcfiles import Member, is_portable, named_md5, read_listing
from mlv.store.hashing import Digest, copy_hashed, listing_sha256, sha256_of
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dvc.repo import Repo
    from fsspec.callbacks import Callback

    from mlv.store.git import Layout
    from mlv.store.hashing import Progress

_CACHE_MODE = 0o444  # by this DVC knows that an object is whole
_IGNORE_FILE = ".dvcignore"


class Stored(NamedTuple):
    """What was put into the cache; a directory also has its files counted."""

    md5: str
    sha256: str
    size: int
    nfiles: int | None = None


class Survey(NamedTuple):
    """What an artifact is made of: path inside (empty for a file) and real file of each.

    ``size`` is in bytes; ``hidden`` counts the files that ``.dvcignore`` leaves out; ``stamps``
    are path, size and time of a directory's files.
    """

    files: list[tuple[str, Path]]
    size: int
    hidden: int = 0
    stamps: Sequence[tuple[str, int, int]] = ()

    @property
    def is_file(self) -> bool:
        """Whether it is one file, and no directory."""
        return not self.files[0][0]


def is_set_up(layout: Layout) -> bool:
    """Whether DVC was initialised at the repository's top."""
    return layout.top is not None and (layout.top / ".dvc").is_dir()


def open_dvc(layout: Layout) -> Dvc:
    """Open DVC in this work tree."""
    if layout.top is None:
        raise ConfigError(
            f"{layout.git_dir} is a bare repository: DVC needs a work tree",
            hint="clone it, and use the clone",
        )
    if not is_set_up(layout):
        raise ConfigError(
            f"DVC is not set up in {layout.top}",
            hint="mlv init does it (a .dvc below the top of the repository does not count); "
            "if a sparse checkout leaves it out: git sparse-checkout add .dvc",
        )
    return Dvc(layout)


def initialise(top: Path) -> None:
    """Set DVC up at the repository's top; it stages its own files."""
    with _asking("set itself up"):
        from dvc.repo import Repo

        Repo.init(str(top)).close()


class Dvc:
    """DVC in one work tree."""

    def __init__(self, layout: Layout) -> None:
        assert layout.top
        self._top = layout.top
        with _asking("open the repository"):
            from dvc.repo import Repo

            self._repo: Repo = Repo(str(layout.top))
            odb = self._repo.cache.local
            self._cache = Path(odb.path)
            self._makedirs = odb.makedirs
        self._sibling = self._main_cache(layout)

    def close(self) -> None:
        """Let go of DVC's databases."""
        self._repo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _main_cache(self, layout: Layout) -> Path | None:
        """Give the main work tree's cache where this is a linked one with a cache of its own.

        Bytes must outlive a linked work tree, so they are kept in both.
        """
        if layout.git_dir == layout.common_dir or "dir" in self._repo.config["cache"]:
            return None
        main = layout.common_dir.parent / ".dvc"
        return main / "cache" / "files" / "md5" if main.is_dir() else None

    # Putting in ---------------------------------------------------------------------------

    def survey(self, source: Path, target: Path) -> Survey:
        """Look through an artifact that DVC will see at ``target``; refuse what cannot be kept.

        What ``.dvcignore`` hides there is left out.
        """
        with on_disk(source):
            if not source.is_dir():
                path = real_file(source, [self._cache])
                return Survey([("", path)], path.stat().st_size)
            files: list[tuple[str, Path]] = []
            stamps: list[tuple[str, int, int]] = []
            size = hidden = 0
            for inside, path in walk_files(source, self._cache):
                if inside.rpartition("/")[2] == _IGNORE_FILE:
                    raise InvalidInput(
                        f"{path} would hide files from DVC", hint="leave it out of the artifact"
                    )
                if not is_portable(inside):
                    raise InvalidInput(
                        f"{str(path)!r} cannot be kept on every system",
                        hint="rename it: no backslash, no control character",
                    )
                if self._is_hidden(target / inside):
                    hidden += 1
                else:
                    facts = path.stat()
                    files.append((inside, path))
                    stamps.append((inside, facts.st_size, facts.st_mtime_ns))
                    size += facts.st_size
        if not files:
            but = " that .dvcignore lets through" if hidden else ""
            raise InvalidInput(
                f"{source} holds no file{but}", hint="an artifact has at least one file"
            )
        return Survey(files, size, hidden, stamps)

    def put(self, source: Path, target: Path, survey: Survey, progress: Progress) -> Stored:
        """Copy an artifact into the cache, durably, under its md5.

        `InvalidInput` if it is not, in the end, what was surveyed.
        """
        changed = InvalidInput(
            f"{source} changed while it was being registered",
            hint="wait until training has finished writing it",
        )
        try:
            stored = self._put_all(survey, progress)
            is_same = survey.is_file or self.survey(source, target).stamps == survey.stamps
        except FileNotFoundError:
            raise changed from None
        if not is_same:
            raise changed
        return stored

    def _put_all(self, survey: Survey, progress: Progress) -> Stored:
        members, sums, size = [], [], 0
        with self._scratch() as folder:
            for inside, path in survey.files:
                digest = self._put(path, folder, progress)
                members.append(Member(inside, digest.md5))
                sums.append((inside, digest.sha256))
                size += digest.size
            if survey.is_file:
                stored = Stored(members[0].md5, sums[0][1], size)
            else:
                md5 = self._put_listing(members, folder)
                stored = Stored(md5, listing_sha256(sums), size, len(members))
            for parent in {self._path(self._cache, m.md5).parent for m in members}:
                sync_folder(parent)
            sync_folder(self._path(self._cache, stored.md5).parent)
        return stored

    def _put(self, source: Path, scratch: Path, progress: Progress) -> Digest:
        copy = scratch / uuid.uuid4().hex
        digest = copy_hashed(source, copy, progress)
        self._install(copy, digest)
        return digest

    def _put_listing(self, members: list[Member], scratch: Path) -> str:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        tree = Tree()  # type: ignore[no-untyped-call]
        for member in members:
            tree.add(tuple(member.path.split("/")), None, HashInfo("md5", member.md5))
        source, copy = scratch / "listing", scratch / "listing-copy"
        source.write_bytes(tree.as_bytes())
        digest = copy_hashed(source, copy, lambda _: None)
        self._install(copy, digest._replace(md5=f"{digest.md5}.dir"))
        return f"{digest.md5}.dir"

    def _install(self, copy: Path, digest: Digest) -> None:
        """Rename a whole copy to where the cache keeps it, in place of what may lie there.

        An object that lies there already may be damaged, and DVC would not notice.
        """
        target = self._path(self._cache, digest.md5)
        copy.chmod(_CACHE_MODE)
        self._makedirs(str(target.parent))
        try:
            copy.replace(target)
        except PermissionError:  # a shared cache, and the object is somebody else's
            if not target.is_file() or sha256_of(target) != digest.sha256:
                raise
        if self._sibling:
            _link_or_copy(target, self._path(self._sibling, digest.md5))

    def _scratch(self) -> AbstractContextManager[Path]:
        """Make a folder on the cache's file system."""
        return scratch(self._cache.parent.parent / "mlv-partial")

    # Taking out ---------------------------------------------------------------------------

    def object_path(self, md5: str) -> Path | None:
        """Find an object in the cache."""
        for cache in filter(None, (self._cache, self._sibling)):
            path = self._path(cache, md5)
            if path.is_file():
                return path
        return None

    def members(self, md5: str, name: str) -> list[Member]:
        """Read the files of a directory whose listing is in the cache."""
        path = self.object_path(md5)
        if path is None:
            raise NotFound(f"the listing of {name} is not in the DVC cache")
        with on_disk(path):
            return read_listing(path.read_bytes(), name)

    def missing(self, md5s: Iterable[str], name: str) -> list[str]:
        """Name the objects that are not in the cache, of directories also their files."""
        absent = []
        for md5 in md5s:
            if self.object_path(md5) is None:
                absent.append(md5)
            elif md5.endswith(".dir"):
                absent += [m.md5 for m in self.members(md5, name) if not self.object_path(m.md5)]
        return absent

    def fetch(self, md5s: list[str], name: str, progress: Progress) -> None:
        """Bring objects from the DVC remote into the cache, of directories also their files."""
        for _ in ("directories' listings and files", "the files that these list"):
            absent = self.missing(md5s, name)
            if absent:
                self._transfer(absent, name, progress)
        absent = self.missing(md5s, name)
        if absent:
            remote = self.remote_name()
            raise NotFound(
                f"{len(absent)} file(s) of {name} are not in the DVC cache, and the DVC remote "
                f"{remote!r} ({self._repo.config['remote'][remote].get('url')}) did not give them",
                hint="it cannot be reached (dvc status --cloud tells), or they were never pushed: "
                "dvc push --all-tags where the version was registered",
            )

    def _transfer(self, md5s: list[str], name: str, progress: Progress) -> None:
        remote = self.remote_name()
        if remote is None:
            raise NotFound(
                f"the bytes of {name} are not in the DVC cache, and there is no DVC remote to ask",
                hint="dvc remote add -d NAME URL, then try again",
            )
        with _asking(f"fetch {name} from the remote {remote!r}"):
            from dvc_data.hashfile.hash_info import HashInfo
            from dvc_data.hashfile.transfer import transfer

            odb = self._repo.cloud.get_remote_odb(remote, "fetch")
            wanted = [HashInfo("md5", md5) for md5 in md5s]
            transfer(odb, self._repo.cache.local, wanted, callback=_callback(progress))

    # What DVC thinks ----------------------------------------------------------------------

    def remote_name(self) -> str | None:
        """The default DVC remote's name."""
        name = self._repo.config["core"].get("remote")
        return str(name) if name else None

    def remote_objection(self, committed: bytes) -> str | None:
        """Say what a new machine, which sees only the committed configuration, would lack."""
        name = self.remote_name()
        if name is None:
            return "no DVC remote is set up: the bytes are on this machine only (dvc remote add -d)"
        from configobj import ConfigObj, ConfigObjError

        try:
            seen = ConfigObj(committed.decode(errors="replace").splitlines())
        except ConfigObjError:
            return "the committed .dvc/config cannot be read"
        remotes = {section.strip("'"): facts for section, facts in seen.items()}
        remote = remotes.get(f'remote "{name}"')
        if remotes.get("core", {}).get("remote") != name or remote is None:
            return (
                f"the DVC remote {name!r} is not in the committed .dvc/config: a new machine "
                "will not find the bytes (dvc remote add -d, without --local, and commit)"
            )
        url = str(remote.get("url", ""))
        if "://" not in url and not Path(url).is_absolute():
            return (
                f"the DVC remote {name!r} is a relative path, which dvc push --all-tags looks for "
                f"elsewhere: give it an absolute one (dvc remote modify {name} url PATH)"
            )
        return None

    def check_remote(self) -> None:
        """Refuse a remote on which objects have no address by hash."""
        name = self.remote_name()
        config = self._repo.config["remote"].get(name, {}) if name else {}
        if config.get("version_aware") or config.get("worktree"):
            raise ConfigError(
                f"the DVC remote {name!r} is version_aware: a version cannot be addressed there",
                hint=f"dvc remote modify {name} version_aware false, or use another remote",
            )

    def hidden(self, artifacts: Iterable[Path]) -> Path | None:
        """Find an artifact, its ``.dvc`` file, or a folder above, that DVC would not see.

        ``dvc pull`` would say "up to date", and bring nothing.
        """
        outs = list(artifacts)
        files = [path.with_name(f"{path.name}.dvc") for path in outs]
        folders = {
            folder for path in files for folder in path.parents if self._top in folder.parents
        }
        for folder in sorted(folders):
            is_hidden = self._repo.dvcignore.is_ignored_dir(str(folder))
            if is_hidden or self._repo.scm.is_ignored(f"{folder}{os.sep}"):
                return folder
        for path in files:
            if self._is_hidden(path) or self._repo.scm.is_ignored(str(path)):
                return path
        for path in outs:  # Git ignores these, as it should
            if self._is_hidden(path) or self._repo.dvcignore.is_ignored_dir(str(path)):
                return path
        return None

    def _is_hidden(self, path: Path) -> bool:
        return bool(self._repo.dvcignore.is_ignored_file(str(path)))

    # Bytes in the work tree ---------------------------------------------------------------

    def is_replaceable(self, path: Path) -> bool:
        """Whether what lies at ``path`` is in the cache too, so that nothing is lost with it."""
        from dvc_data.hashfile.build import build

        with _asking(f"hash {path}"):
            odb = self._repo.cache.local
            _, _, found = build(odb, str(path), odb.fs, "md5", dry_run=True)
            md5 = found.hash_info.value if found.hash_info else None
        return md5 is not None and not self.missing([md5], path.name)

    def has_bytes_of(self, dvc_file: Path) -> bool:
        """Whether the cache has all that a ``.dvc`` file in the work tree names."""
        md5 = named_md5(dvc_file.read_bytes())
        return md5 is not None and not self.missing([md5], dvc_file.stem)

    def check_out(self, dvc_files: list[Path]) -> None:
        """Put the bytes of ``.dvc`` files in the work tree, as DVC links them."""
        with _asking("check the files out"):
            self._repo.checkout(targets=[str(path) for path in dvc_files], force=True)

    @staticmethod
    def _path(cache: Path, md5: str) -> Path:
        return cache / md5[:2] / md5[2:]


def link(source: Path, target: Path) -> None:
    """Make ``target`` a read-only twin of a cache object: reflink, hard link or copy.

    A hard link only where the object belongs to this user: its owner can change it.
    """
    from dvc_objects.fs import system

    with contextlib.suppress(OSError, NotImplementedError):
        system.reflink(str(source), str(target))  # type: ignore[no-untyped-call]
        target.chmod(_CACHE_MODE)
        return
    target.unlink(missing_ok=True)
    facts = source.stat()
    is_own = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    if is_own and stat.S_IMODE(facts.st_mode) == _CACHE_MODE:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    target.chmod(_CACHE_MODE)


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    beside = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    link(source, beside)
    beside.replace(target)


def _callback(progress: Progress) -> Callback:
    from fsspec.callbacks import Callback

    class OfFile(Callback):  # type: ignore[misc]
        value: int

        """Tell the bytes of one file's transfer, whichever thread runs it."""

        def relative_update(self, inc: int = 1) -> None:
            progress(inc)

        def absolute_update(self, value: int) -> None:
            progress(value - int(self.value))
            self.value = value

    class OfAll(Callback):  # type: ignore[misc]
        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Callback:  # noqa: ARG002
            return OfFile()

    return OfAll()


_IS_ASKED = contextvars.ContextVar("_IS_ASKED", default=False)


def _speaks(_: logging.LogRecord) -> bool:
    return not _IS_ASKED.get()


@functools.cache
def _mute() -> None:
    """Keep DVC from logging where we ask it, in this thread alone."""
    import dvc  # noqa: F401 - importing it sets its loggers up

    for name in ("dvc", "dvc_data", "dvc_objects"):
        for handler in logging.getLogger(name).handlers or [logging.NullHandler()]:
            handler.addFilter(_speaks)
            logging.getLogger(name).addHandler(handler)


@contextlib.contextmanager
def _asking(what: str) -> Iterator[None]:
    """Ask DVC for something: quietly, and with whatever it raises told in one line.

    Its remotes' libraries raise all kinds of exceptions, so every kind is caught.
    """
    _mute()
    token = _IS_ASKED.set(True)
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise storage_error(error) from error
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ProgramError(
            f"DVC could not {what}: {said[0]}", hint=" ".join(said[1:3]) or "try it with dvc itself"
        ) from error
    finally:
        _IS_ASKED.reset(token)
