"""Whether the bytes of what goes live are on the DVC remote that the base names."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from mlv.audit.stored import Stored
from mlv.errors import ConfigError, RegistryError
from mlv.review.case import Looked, looked
from mlv.review.report import Finding
from mlv.store.dvc.apart import open_apart
from mlv.store.git import SCRATCH
from mlv.store.noprogress import no_progress
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlv.review.case import Case
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.versions import Record

_CONFIG, _LOCAL = ".dvc/config", ".dvc/config.local"


def check(
    case: Case, records: Sequence[Record], inspect: Callable[[str, str, Path], None] | None = None
) -> Looked:
    """Ask for every object's existence and size; ``deep`` also downloads and hashes each.

    ``inspect`` is given the version, the name and the place of each downloaded file.
    """
    if not records:
        return looked((), detail="no version comes into use")
    if not case.look.remote:
        return looked((), skipped="the DVC remote was not asked")
    git, progress = case.versions.git, case.look.progress or no_progress
    try:
        with _dvc(case) as dvc, Stored(dvc, git.layout, progress) as stored:
            stored.inspect = inspect
            found = list(stored.check(list(records), deep=case.look.deep))
            where = f"on {dvc.remote().name}"
    except RegistryError as error:
        finding = Finding("bytes", _CONFIG, f"the bytes cannot be asked for: {error.message}",
                          error.hint)  # fmt: skip
        return looked([finding], skipped=error.message)
    findings = [Finding("bytes", o.subject, o.message, o.hint) for _, o in found]
    how = "downloaded and hashed" if case.look.deep else "there, and of the right size"
    return looked(findings, detail=f"{how}, {where}")


@contextlib.contextmanager
def _dvc(case: Case) -> Iterator[Dvc]:
    """Open DVC by the base's configuration and the user's own, never by the proposal's."""
    layout = case.versions.git.layout
    committed = case.versions.blob(case.change.base, _CONFIG)
    if committed is None:
        raise ConfigError(
            f"DVC is not set up at {case.change.base[:10]}: it has no {_CONFIG}",
            hint="mlv init there sets it up",
        )
    with (
        scratch(layout.common_dir / SCRATCH) as folder,
        open_apart(folder, layout.folder, committed, _own(case), partial(_file, case)) as dvc,
    ):
        yield dvc


def _file(case: Case, path: str) -> bytes | None:
    """Read a file that a configuration names (Amazon's may run commands) as the base has it."""
    data = case.versions.blob(case.change.base, path)
    if data is not None:
        return data
    git = case.versions.git
    names = [f"{commit}:{path}" for commit in ("HEAD", case.change.head)]
    if any(git.objects.read(name) for name in names):
        raise ConfigError(
            f"the configuration of DVC names {path}, which is not on {case.versions.config.branch}",
            hint="propose it on its own first",
        )
    return None


def _own(case: Case) -> bytes:
    """Read what the user configured for this clone; a file that Git tracks is somebody else's."""
    git = case.versions.git
    folder = git.layout.folder / ".dvc"
    path = folder / "config.local"
    if git.layout.top is None or folder.is_symlink() or not path.is_file():
        return b""
    if any(_is_tracked(git, commit) for commit in ("HEAD", case.change.head)):
        return b""
    listed = git.run("ls-files", "-z", "--", f":(top,icase){_LOCAL}")
    return b"" if listed else path.read_bytes()


def _is_tracked(git: Git, commit: str) -> bool:
    """Whether a commit has such a file, in whatever capitals; or has put a link in its way."""
    if git.objects.read(f"{commit}^{{commit}}") is None:
        return False
    listed = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).decode(
        errors="surrogateescape"
    )
    return any(path.casefold() in (_LOCAL, ".dvc") for path in listed.split("\0"))
