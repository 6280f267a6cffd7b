"""A registry with something live, and witnesses of what a user would miss."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mlv import ModelRegistry, RegistryError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Refused = Callable[..., AbstractContextManager[pytest.ExceptionInfo[RegistryError]]]

MODEL = "registry/model"
VERBS = ("register", "stage", "promote", "rollback")
# What DVC keeps for itself.
DVC_OWN = (".dvc/cache", ".dvc/tmp")


def quiet(_: str) -> None:
    """Take a note and let it go."""


@pytest.fixture(scope="session")
def _live_mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    write_model: Callable[..., Path],
) -> Path:
    mould = tmp_path_factory.mktemp("live")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    (repo / "docs").mkdir()
    for name in ("train.py", "evaluate.py", "old.py", "docs/guide.md"):
        (repo / name).write_text(f"{name} as committed\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Train")
    registry = ModelRegistry(repo, notify=quiet)
    for seed in (1, 2):
        registry.register(
            write_model(mould / "model.pkl", seed), write_model(mould / "scaler.pkl", seed + 10)
        )
    registry.register(write_model(mould / "model.bin", 3), None)
    registry.promote("v1")
    registry.promote("v2")
    git(repo, "gc", "--quiet")  # it is copied often
    return mould


@pytest.fixture
def live(_live_mould: Path, tmp_path: Path, git: Git) -> Path:
    """Return a registry in which v2 is live, v1 was, and v3 has files of other names."""
    shutil.copytree(_live_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    git(tmp_path / "repo", "update-index", "--refresh")
    return tmp_path / "repo"


class Act:
    """One of the four verbs on the registry that `live` is, and what it is to bring about."""

    def __init__(self, verb: str, model: Path, mlv: Mlv | None = None) -> None:
        self.verb, self._model, self._mlv = verb, model, mlv

    def __call__(self, folder: Path) -> None:
        """Do it in ``folder`` and see that it is done."""
        if self._mlv:
            self._type(folder)
        else:
            self._call(ModelRegistry(folder, notify=quiet))
        registry = ModelRegistry(folder, notify=quiet)
        version, status = {
            "register": ("v4", "registered"),
            "stage": ("v3", "staging"),
            "promote": ("v3", "production"),
            "rollback": ("v1", "production"),
        }[self.verb]
        assert registry.get_manifest(version)["status"] == status

    def _call(self, registry: ModelRegistry) -> None:
        match self.verb:
            case "register":
                assert registry.register(self._model, None) == "v4"
            case "stage":
                assert registry.stage("v3") == "v3"
            case "promote":
                assert registry.promote("v3") == "v3"
            case "rollback":
                assert registry.rollback() == "v1"

    def _type(self, folder: Path) -> None:
        assert self._mlv
        argv = {
            "register": ("register", str(self._model), "--no-preprocessor"),
            "stage": ("stage", "v3"),
            "promote": ("promote", "v3"),
            "rollback": ("rollback",),
        }[self.verb]
        done = self._mlv(folder, *argv)
        assert done.returncode == 0, done.stderr


@pytest.fixture(params=VERBS)
def act(request: pytest.FixtureRequest, tmp_path: Path, write_model: Callable[..., Path]) -> Act:
    """``act(folder)`` registers, stages, promotes or rolls back through the Python API."""
    return Act(request.param, write_model(tmp_path / "new.pkl", 4))


@pytest.fixture(params=VERBS)
def typed(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    write_model: Callable[..., Path],
    mlv: Mlv,
) -> Act:
    """``typed(folder)`` does what `act` does through the command line."""
    return Act(request.param, write_model(tmp_path / "new.pkl", 4), mlv)


@pytest.fixture(params=VERBS[1:])
def move(request: pytest.FixtureRequest, tmp_path: Path) -> Act:
    """``move(folder)`` does one of the verbs that move the registry branch."""
    return Act(request.param, tmp_path)


# Witnesses ----------------------------------------------------------------------------------


class Work(NamedTuple):
    """What a user has in a work tree, outside what mlv is asked to change."""

    files: dict[str, object]
    staged: list[str]
    status: list[str]
    head: str
    refs: list[str]
    stashes: str
    config: list[bytes]
    git_dir: list[str]


def files_in(top: Path, *leave_out: str) -> dict[str, object]:
    """Give mode, time and contents of all that lies in a folder, by path."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(top):
        inside = Path(folder).relative_to(top)
        folders[:] = [n for n in folders if n != ".git" and str(inside / n) not in leave_out]
        for name in (*folders, *names):
            path = Path(folder) / name
            facts = path.lstat()
            if path.is_symlink():
                found[str(inside / name)] = path.readlink()
            elif stat.S_ISDIR(facts.st_mode):
                found[str(inside / name)] = facts.st_mode
            elif name != ".git":
                contents = facts.st_mode, facts.st_mtime_ns, path.read_bytes()
                found[str(inside / name)] = contents
    return found


def entries_of(listing: str) -> list[str]:
    return [line for line in listing.split("\0") if line and f"\t{MODEL}/" not in line]


@pytest.fixture(scope="session")
def work(git: Git) -> Callable[[Path], Work]:
    """``work(top)`` remembers a user's work tree, index, refs and configuration."""

    def remember(top: Path) -> Work:
        git_dir = top / git(top, "rev-parse", "--git-dir")
        common = top / git(top, "rev-parse", "--git-common-dir")
        configs = [common / "config", common / "config.worktree", git_dir / "config.worktree"]
        refs = git(top, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        moved = ("refs/heads/main ", "refs/tags/model-v", "refs/mlv/")
        head = (git_dir / "HEAD").read_text()
        return Work(
            files_in(top, MODEL, *DVC_OWN),
            entries_of(git(top, "ls-files", "-s", "-v", "-z")),
            git(top, "status", "--porcelain", "-z", "--untracked-files=all").split("\0"),
            head,
            [line for line in refs if not line.startswith(moved)],
            git(top, "stash", "list"),
            [path.read_bytes() for path in configs if path.is_file()],
            sorted({path.name for path in git_dir.iterdir()} - {"mlv"}),
        )

    return remember


@pytest.fixture
def untouched(work: Callable[[Path], Work]) -> Callable[..., AbstractContextManager[None]]:
    """``with untouched(top):`` the user's work is afterwards as it was before."""

    @contextlib.contextmanager
    def watch(*tops: Path) -> Iterator[None]:
        before = [work(top) for top in tops]
        yield
        for top, was in zip(tops, before, strict=True):
            now = work(top)
            for field in Work._fields:
                assert getattr(now, field) == getattr(was, field), f"{field} of {top.name}"

    return watch


@pytest.fixture
def refused(git: Git, work: Callable[[Path], Work]) -> Refused:
    """``with refused(top, Error, "words"):`` an error with a hint, and nothing has changed.

    Nothing: no ref, no byte of the index, no file; nothing of mlv's is left behind.
    """

    def everything(top: Path) -> tuple[object, ...]:
        git_dir = top / git(top, "rev-parse", "--git-dir")
        common = top / git(top, "rev-parse", "--git-common-dir")
        index = (git_dir / "index").read_bytes()
        journals = list(common.glob("mlv/.journal*"))
        refs = git(top, "for-each-ref")
        return index, refs, journals, files_in(top, *DVC_OWN), work(top)

    @contextlib.contextmanager
    def watch(
        top: Path, kind: type[RegistryError], words: str, *others: Path
    ) -> Iterator[pytest.ExceptionInfo[RegistryError]]:
        tops = (top, *others)
        for each in tops:
            git(each, "status")  # may bring the index up to date
        before = [everything(each) for each in tops]
        with pytest.raises(kind, match=words) as caught:
            yield caught
        assert caught.value.hint
        assert [everything(each) for each in tops] == before

    return watch


@pytest.fixture(scope="session")
def follows(git: Git) -> Callable[[Path], None]:
    """``follows(top)``: index and files of the model's folder are those of the commit."""

    def check(top: Path) -> None:
        assert git(top, "status", "--porcelain", "--untracked-files=all", "--", MODEL) == ""
        committed = [
            line.replace(" blob ", " ", 1)
            for line in git(top, "ls-tree", "-r", "HEAD", "--", f"{MODEL}/").splitlines()
        ]
        staged = git(top, "ls-files", "-s", "--", f"{MODEL}/").splitlines()
        assert committed == [line.replace(" 0\t", "\t", 1) for line in staged]
        assert committed
        paths = "".join(line.split("\t")[1] + "\n" for line in committed)
        on_disk = git(top, "hash-object", "--stdin-paths", input=paths).split()
        assert on_disk == [line.split()[1] for line in committed]

    return check
