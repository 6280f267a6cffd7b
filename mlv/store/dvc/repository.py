"""DVC in one work tree: opening it, its remotes, and what it thinks of files there."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mlv.errors import ConfigError, IntegrityError, NotFound, ProgramError
from mlv.store import process
from mlv.store.dvc.asking import asking
from mlv.store.dvc.cache import Cache
from mlv.store.dvc.outputs import Output, outputs_of
from mlv.store.dvc.pipeline import NOTHING, Declared, declared
from mlv.store.dvc.remote import Place, Remote
from mlv.store.dvcfiles import named_md5, read_listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from dvc.repo import Repo

    from mlv.store.git import Layout
    from mlv.store.hashing import Progress


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


def _refuse_split_index(layout: Layout) -> None:
    """Refuse an index in two files: libgit2, by which DVC reads it, cannot, and DVC then hangs."""
    if not any(layout.git_dir.glob("sharedindex.*")):
        return
    said = process.run(["git", "rev-parse", "--shared-index-path"], cwd=layout.folder)
    if said.stdout.strip():
        raise ConfigError(
            "the index is split (core.splitIndex), which DVC cannot read",
            hint="git config core.splitIndex false and git update-index --no-split-index",
        )


def _is_intact(data: bytes | None, md5: str) -> bool:
    if data is None:
        return False
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return md5 == f"{found}.dir"


def initialise(top: Path) -> None:
    """Set DVC up at the repository's top; it stages its own files."""
    with asking("set itself up"):
        from dvc.repo import Repo

        Repo.init(str(top)).close()


class Dvc:
    """DVC in one work tree; ``config`` wins over what is configured there."""

    def __init__(self, layout: Layout, config: Mapping[str, Any] | None = None) -> None:
        assert layout.top
        self._layout, self._top = layout, layout.top
        with asking("open the repository"):
            from dvc.repo import Repo

            self._repo: Repo = Repo(str(layout.top), config=config)
            odb = self._repo.cache.local
        sibling = self._main_cache(layout)
        self.cache = Cache(Path(odb.path), sibling, odb.makedirs, self._is_hidden)
        self._remotes: dict[Place, Remote] = {}

    def close(self) -> None:
        """Let go of DVC's databases, and of what is connected to its remotes."""
        while self._remotes:
            self._remotes.popitem()[1].close()
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

    # Remotes ------------------------------------------------------------------------------

    def remote(self, place: Place | None = None) -> Remote:
        """Open a remote: the default one, unless another is named."""
        name = place.remote if place else self.remote_name()
        if name is None:
            raise ConfigError(
                "there is no DVC remote: nobody else can get the bytes",
                hint="dvc remote add -d NAME URL, then try again",
            )
        place = place or Place(name)
        if place not in self._remotes:
            self._remotes[place] = Remote(self._repo, place)
        return self._remotes[place]

    def outputs(self, commit: str) -> list[Output]:
        """Read what a commit's tree has DVC keep, pipeline outputs included."""
        _refuse_split_index(self._layout)
        return outputs_of(self._repo, commit)

    def bring_committed(self, commit: str, path: str, target: Path, progress: Progress) -> bool:
        """Place what DVC keeps at a path of a commit's tree at ``target``; whether it keeps any.

        `NotFound` if no copy of it is left.
        """
        for output in self.outputs(commit):
            if f"{path}/".startswith(f"{output.path}/"):
                from mlv.store.dvc.committed import Keeper

                inside = path[len(output.path) :].strip("/")
                keeper = Keeper(self._repo, output, self.remote, self.remote_name() or "")
                keeper.bring(inside, target, progress)
                return True
        return False

    def declared(self, model: Path, md5: str, commit: str | None = None) -> Declared:
        """Read the metrics and parameters that a ``dvc.yaml`` declares beside a model's stage.

        ``model`` lies in the work tree; with ``commit``, all is read from there.
        """
        if self._top not in model.parents:
            return NOTHING
        path = model.relative_to(self._top).as_posix()
        try:
            with asking("read dvc.yaml"), self._at(commit):
                return declared(self._repo, path, md5)
        except ProgramError as error:  # for dvc itself to report when it is run
            return NOTHING._replace(notes=(f"{error.message}: its metrics are left out",))

    def _at(self, commit: str | None) -> AbstractContextManager[object]:
        return self._repo.switch(commit) if commit else contextlib.nullcontext()

    def fetch(self, md5s: list[str], name: str, progress: Progress) -> None:
        """Bring objects from the DVC remote into the cache, of directories also their files."""
        for _ in ("directories' listings and files", "the files that these list"):
            absent = self.cache.missing(md5s, name)
            if absent:
                self._need_remote(name)
                self.remote().fetch(absent, progress)
        absent = self.cache.missing(md5s, name)
        if absent:
            remote = self.remote()
            raise NotFound(
                f"{len(absent)} file(s) of {name} are neither in the DVC cache nor on the DVC "
                f"remote {remote.name!r} ({remote.url})",
                hint="they were never pushed (mlv push where the version was registered), or were "
                "deleted there",
            )

    def listed(self, md5: str) -> list[str] | None:
        """Name the objects of a directory by its listing, in the cache or on the default remote.

        None if the listing is in neither. `IntegrityError` if it is damaged wherever it is.
        """
        path = self.cache.object_path(md5)
        data = path.read_bytes() if path else None
        if not _is_intact(data, md5) and self.remote_name() is not None:
            data = self.remote().read(md5) or data
        if data is None:
            return None
        if not _is_intact(data, md5):
            raise IntegrityError(
                f"the listing {md5} is damaged: it cannot be told which files the directory has",
                hint="dvc pull brings it back where another copy is; nothing was deleted",
            )
        return [member.md5 for member in read_listing(data, md5)]

    def _need_remote(self, name: str) -> None:
        if self.remote_name() is None:
            raise NotFound(
                f"the bytes of {name} are not in the DVC cache, and there is no DVC remote to ask",
                hint="dvc remote add -d NAME URL, then try again",
            )

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

        with asking(f"hash {path}"):
            odb = self._repo.cache.local
            _, _, found = build(odb, str(path), odb.fs, "md5", dry_run=True)
            md5 = found.hash_info.value if found.hash_info else None
        return md5 is not None and not self.cache.missing([md5], path.name)

    def has_bytes_of(self, dvc_file: Path) -> bool:
        """Whether the cache has all that a ``.dvc`` file in the work tree names."""
        md5 = named_md5(dvc_file.read_bytes())
        return md5 is not None and not self.cache.missing([md5], dvc_file.stem)

    def check_out(self, dvc_files: list[Path]) -> None:
        """Put the bytes of ``.dvc`` files in the work tree, as DVC links them."""
        with asking("check the files out"):
            self._repo.checkout(targets=[str(path) for path in dvc_files], force=True)
