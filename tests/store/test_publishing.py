"""Killed at any instant, a promotion leaves the registry as before or as after."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry, RegistryError
from mlv.store import locks
from mlv.store.git import Git as MlvGit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Git = Callable[..., str]
    Follows = Callable[[Path], None]
    Deaths = Callable[..., Iterator["Died"]]
    from tests.conftest import Killer

POINTER = "registry/model/pointer.json"
# From here on something can go wrong; what comes before only makes objects that nothing refers to.
PREPARED = "git checkout-index"
# The branch has moved; of the files some are new and some are old.
BETWEEN_FILES = "model/manifest.json"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims")


class Died:
    """A registry in which a promotion of v3 over v2 came to an end at some step.

    As a context manager it tells, when a check fails, which step that was.
    """

    def __init__(self, repo: Path, git: Git, step: str) -> None:
        self.repo, self.git, self.step = repo, git, step
        self.was_published = self.live() == "v3"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error:
            error.add_note(f"it had died before: {self.step}")

    def live(self) -> str:
        """Say what is live by git alone."""
        found: str = json.loads(self.git(self.repo, "show", f"main:{POINTER}"))["current"]
        return found

    def read_by_mlv(self) -> str | None:
        return ModelRegistry(self.repo, notify=lambda _: None).current_version()

    def promote_again(self) -> None:
        assert ModelRegistry(self.repo, notify=lambda _: None).promote("v3") == "v3"
        assert self.live() == "v3"

    def has_tidied_up(self, top: Path | None = None) -> None:
        """See that a work tree bears no trace of what happened."""
        assert self.git(top or self.repo, "status", "--porcelain", "--untracked-files=all") == ""
        git_dir = self.repo / ".git"
        assert not (git_dir / "index.lock").exists()
        assert not (git_dir / "mlv" / ".journal.json").exists()


@pytest.fixture
def deaths(killer: Killer, tmp_path: Path, git: Git) -> Deaths:
    """``for died in deaths(repo)``: copies in which it died, each a step later than the last."""

    def die(repo: Path, **how: str) -> Iterator[Died]:
        seen = set()
        for at in itertools.count(1):
            copy = tmp_path / f"death-{at}" / "repo"
            shutil.copytree(repo, copy, symlinks=True)
            step = killer(copy, "promote", "v3", at=at, **how)
            if not step:
                break
            died = Died(copy, git, f"{at}. {step}")
            seen.add(died.was_published)
            yield died
            shutil.rmtree(copy.parent)
        assert seen == {False, True}, "died on one side of publication only"

    return die


def test_the_registry_is_as_before_or_as_after(live: Path, deaths: Deaths, git: Git) -> None:
    for died in deaths(live):
        with died:
            before = died.live()
            assert before in ("v2", "v3")
            assert died.read_by_mlv() == died.live() == before
            died.has_tidied_up()
            git(died.repo, "fsck", "--strict", "--no-dangling")


def test_the_same_command_then_succeeds(live: Path, deaths: Deaths, follows: Follows) -> None:
    for died in deaths(live, after=PREPARED):
        with died:
            died.promote_again()
            died.has_tidied_up()
            follows(died.repo)
            assert not (died.repo / ".git" / "mlv-aside").exists()


def test_the_users_next_commit_undoes_nothing(live: Path, deaths: Deaths, git: Git) -> None:
    outcomes = set()
    for died in deaths(live, after=PREPARED):
        with died:
            registry = git(died.repo, "rev-parse", "main:registry")
            mine = died.repo / "mine.py"
            mine.write_text("mine\n")
            is_committed = commit(died.repo)
            assert git(died.repo, "rev-parse", "main:registry") == registry
            if not is_committed:
                mine.unlink()
            died.read_by_mlv()
            died.has_tidied_up()
            assert git(died.repo, "rev-parse", "main:registry") == registry
            outcomes.add((died.was_published, is_committed))
    assert outcomes == {(False, True), (False, False), (True, False), (True, True)}


def commit(repo: Path) -> bool:
    """Commit all as the user would; say whether git let them."""
    message = ("commit", "--quiet", "--message", "Mine")
    codes = [
        subprocess.run(["git", *args], cwd=repo, capture_output=True, check=False).returncode
        for args in (("add", "mine.py"), message)
    ]
    return codes == [0, 0]


def test_the_lock_is_removed_by_hand(live: Path, deaths: Deaths, follows: Follows) -> None:
    """As git tells its user to do who finds one."""
    for died in deaths(live, after=PREPARED):
        with died:
            (died.repo / ".git" / "index.lock").unlink(missing_ok=True)
            died.read_by_mlv()
            died.has_tidied_up()
            assert died.live() == ("v3" if died.was_published else "v2")
            follows(died.repo)
            died.promote_again()


def test_the_lock_is_removed_by_hand_where_the_branch_has_another_name(
    live: Path, deaths: Deaths, git: Git, follows: Follows
) -> None:
    git(live, "branch", "--quiet", "--move", "main", "master")
    git(live, "symbolic-ref", "refs/heads/main", "refs/heads/master")
    for died in deaths(live, after=PREPARED):
        with died:
            (died.repo / ".git" / "index.lock").unlink(missing_ok=True)
            died.read_by_mlv()
            died.has_tidied_up()
            follows(died.repo)


def test_the_lock_is_removed_by_hand_and_the_user_commits(
    live: Path, deaths: Deaths, git: Git, follows: Follows
) -> None:
    """What that commit says then counts: no third state is left in index or files."""
    for died in deaths(live, after=PREPARED):
        with died:
            (died.repo / ".git" / "index.lock").unlink(missing_ok=True)
            (died.repo / "mine.py").write_text("mine\n")
            assert commit(died.repo)
            tip = git(died.repo, "rev-parse", "main")
            assert died.read_by_mlv() == died.live()
            assert git(died.repo, "rev-parse", "main") == tip
            died.has_tidied_up()
            follows(died.repo)
            died.promote_again()


def test_two_work_trees_have_the_branch_checked_out(
    live: Path, deaths: Deaths, git: Git, follows: Follows
) -> None:
    # Inside, with paths that hold in a copy.
    git(live, "worktree", "add", "--quiet", "--force", "twin", "main")
    (live / "twin" / ".git").write_text("gitdir: ../.git/worktrees/twin\n")
    (live / ".git" / "worktrees" / "twin" / "gitdir").write_text("../../../twin/.git\n")
    (live / ".git" / "info" / "exclude").write_text("/twin/\n")
    for died in deaths(live, after=PREPARED):
        with died:
            twin = died.repo / "twin"
            died.read_by_mlv()
            for top in (died.repo, twin):
                died.has_tidied_up(top)
                follows(top)
            assert not (died.repo / ".git" / "worktrees" / "twin" / "index.lock").exists()


def test_a_file_system_without_hard_links(live: Path, deaths: Deaths, follows: Follows) -> None:
    for died in deaths(live, after=PREPARED, impossible="os.link"):
        with died:
            lock = died.repo / ".git" / "index.lock"
            if lock.is_file() and not lock.stat().st_size:
                lock.unlink()  # taken, and nothing in it yet: git itself dies like this
            died.read_by_mlv()
            died.has_tidied_up()
            follows(died.repo)
            died.promote_again()


def test_a_git_directory_on_another_file_system_than_the_work_tree(
    live: Path, deaths: Deaths, follows: Follows
) -> None:
    for died in deaths(live, after=PREPARED, impossible="os.rename /.git/mlv-aside/files"):
        with died:
            died.read_by_mlv()
            died.has_tidied_up()
            follows(died.repo)


def test_the_repository_was_moved_before_the_next_command(
    live: Path, deaths: Deaths, follows: Follows
) -> None:
    """As seen from the host where it died in a container."""
    for died in deaths(live, after=PREPARED):
        with died:
            died.repo = died.repo.rename(died.repo.with_name("moved"))
            died.read_by_mlv()
            died.has_tidied_up()
            follows(died.repo)


def test_recovery_may_be_killed_as_well(
    live: Path, killer: Killer, tmp_path: Path, git: Git, follows: Follows
) -> None:
    at, step = 1, "it began"
    while step:
        repo = tmp_path / f"death-{at}" / "repo"
        shutil.copytree(live, repo, symlinks=True)
        killer(repo, "promote", "v3", at=BETWEEN_FILES)
        step = killer(repo, "promote", "v3", at=at)
        died = Died(repo, git, step)
        with died:
            assert died.was_published
            died.read_by_mlv()
            died.has_tidied_up()
            follows(repo)
        at += 1
    assert at > 5


def test_a_promotion_that_is_interrupted(
    live: Path, deaths: Deaths, git: Git, follows: Follows
) -> None:
    for died in deaths(live, after=PREPARED, how="interrupt"):
        with died:
            registry = git(died.repo, "rev-parse", "main:registry")
            (died.repo / "mine.py").write_text("mine\n")
            if not commit(died.repo):
                (died.repo / "mine.py").unlink()
            assert git(died.repo, "rev-parse", "main:registry") == registry
            died.promote_again()
            died.has_tidied_up()
            follows(died.repo)


def test_an_interrupt_that_comes_when_the_branch_has_moved(
    live: Path, git: Git, follows: Follows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches git as well as mlv, and git may have been done."""
    move = MlvGit.update_refs

    def moved_then_interrupted(*args: object) -> None:
        move(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlvGit, "update_refs", moved_then_interrupted)
        with pytest.raises(KeyboardInterrupt):
            ModelRegistry(live).promote("v3")
    died = Died(live, git, "an interrupt")
    assert died.was_published
    (live / "mine.py").write_text("mine\n")
    if not commit(live):
        (live / "mine.py").unlink()
    assert died.live() == "v3"
    assert died.read_by_mlv() == "v3"
    died.has_tidied_up()
    follows(live)


def test_a_file_that_cannot_be_written_when_the_branch_has_moved(
    live: Path, git: Git, follows: Follows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is published is told as that, and what is missing follows when it can."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if live / "registry" in target.parents and target.name == "manifest.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(RegistryError, match=r"manifest\.json") as refused:
            ModelRegistry(live).promote("v3")
    assert refused.value.hint
    assert "nothing was" not in str(refused.value)
    died = Died(live, git, "a refusal")
    assert died.was_published
    assert died.read_by_mlv() == "v3"
    died.has_tidied_up()
    follows(live)


def test_a_reader_reads_while_another_git_holds_the_index_of_an_unfinished_promotion(
    live: Path, killer: Killer, git: Git
) -> None:
    killer(live, "promote", "v3", at=BETWEEN_FILES)
    lock = live / ".git" / "index.lock"
    lock.unlink()
    lock.write_bytes(b"another git's")
    died = Died(live, git, "of files")
    assert died.read_by_mlv() == "v3"
    lock.unlink()
    assert died.read_by_mlv() == "v3"
    died.has_tidied_up()


def test_a_reader_waits_for_no_promotion_and_does_not_take_it_for_dead(
    live: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that go into place may take minutes, under the lock and with a journal."""
    killer(live, "promote", "v3", at=BETWEEN_FILES)
    monkeypatch.setattr(locks, "_PATIENCE", 0.5)
    hold = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mlv.store.locks import exclusive\n"
        "with exclusive(Path('.git/mlv/.lock')):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-P", "-c", hold]
    notes: list[str] = []
    with subprocess.Popen(argv, cwd=live, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        assert ModelRegistry(live, notify=notes.append).current_version() == "v3"
        other.communicate("")
    assert notes == []
