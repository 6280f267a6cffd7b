"""Whether everything is set up, and what was left behind: each finding with how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.doctor import leftovers, programs, remotes, repository, signing
from mlv.doctor.checks import PROBLEM, Check, ok, problem
from mlv.errors import ConfigError, RegistryError, StorageError
from mlv.store import config as configs
from mlv.store.disk import on_disk
from mlv.store.git import Git, find
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def diagnose(path: Path, *, fix: bool = False, any_age: bool = False) -> Iterator[Check]:
    """Check the set-up of the repository at ``path``, from the programs to the remotes.

    Nothing is changed but what ``fix`` is allowed to (see `leftovers`), and an object of some
    bytes that is written to the DVC remote and deleted again. `ConfigError` if there is no
    repository.
    """
    layout = find(path)
    git = Git(layout)
    yield from _guarded("programs", lambda: programs.check(layout.folder))
    yield from _guarded("leftovers", lambda: leftovers.check(git, fix=fix, any_age=any_age))
    formats = list(_guarded("repository", lambda: _formats(git)))
    yield from formats
    if any(check.state == PROBLEM for check in formats):
        return
    try:
        versions = Versions(git, configs.read(git))
    except (ConfigError, StorageError) as error:
        yield problem(configs.FILE, error.message, error.hint)
        return
    yield from _guarded("registry", lambda: repository.check(versions, fix=fix))
    yield from _guarded("signatures", lambda: signing.check(versions))
    yield from _guarded("git remote", lambda: remotes.check_git(versions))
    if layout.top is not None:
        yield from _guarded("dvc", lambda: remotes.check_dvc(git))


def _guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Take an error that stops some checks for a problem, and go on with the others."""
    try:
        with on_disk(Path()):
            yield from checks()
    except RegistryError as error:
        yield problem(name, error.message, error.hint)


def _formats(git: Git) -> Iterator[Check]:
    git.check_formats()
    if git.layout.top is None:
        yield ok("repository", f"{git.layout.git_dir} is bare: it reads and promotes")
    else:
        yield ok("repository", f"{git.layout.top}")
