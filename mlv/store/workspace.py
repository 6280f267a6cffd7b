"""Work trees that have the registry branch checked out, and what must follow it there.

A commit on a checked-out branch must reach the index and the files too, or the user's next
``git commit`` would undo it. `store.publishing` says in which order.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ChangedMeanwhile, WorkspaceError
from mlv.store import workbytes
from mlv.store.git import NO_OBJECT, Git, Layout
from mlv.store.objects import BLOB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlv.store.objects import Entry

Stamp = tuple[int, int, int]
# In place of a stamp: git itself takes the index's lock.
NEVER_LOCKED: Stamp = (0, 0, 0)
_LOCK_ATTEMPTS, _LOCK_PAUSE = 20, 0.05  # seconds


class Move(NamedTuple):
    """A commit to publish: ``branch`` goes from ``old`` (None: it is created) to ``new``.

    ``before`` and ``after`` are the blob ids of the files of ``folders``, the models', in the two
    commits, by path from the top; only these may differ between the commits where a work tree is
    concerned.
    """

    branch: str
    old: str | None
    new: str
    folders: Sequence[str]
    before: Mapping[str, str]
    after: Mapping[str, str]


class Checkout(NamedTuple):
    """A work tree that has the branch checked out, and the artifacts that lie in it."""

    git: Git
    artifacts: list[str]


def checkouts(git: Git, branch: str) -> list[Git]:
    """Find the work trees that have ``branch`` checked out; refuse one that is rebasing it."""
    layout = git.layout
    ref = target_of(layout.common_dir, f"refs/heads/{branch}")
    found = []
    for top, git_dir in work_trees(git):
        for state in ("rebase-merge", "rebase-apply"):
            if read_text(git_dir / state / "head-name") == ref:
                raise WorkspaceError(
                    f"a rebase of {branch} is under way in {top}",
                    hint="git rebase --continue or --abort first",
                )
        if read_text(git_dir / "HEAD") != f"ref: {ref}":
            continue
        if top.is_dir():
            same = git_dir == layout.git_dir
            found.append(git if same else Git(Layout(top, git_dir, layout.common_dir)))
        elif (git_dir / "locked").exists():
            raise WorkspaceError(
                f"{top} has {branch} checked out and is not there, but locked to come back",
                hint="mount it, or git worktree remove it",
            )
    return found


def target_of(common_dir: Path, ref: str) -> str:
    """Follow a ref that is another name of one (git symbolic-ref)."""
    text = read_text(common_dir / ref)
    return text.removeprefix("ref: ") if text.startswith("ref: ") else ref


def work_trees(git: Git) -> Iterator[tuple[Path, Path]]:
    """Give every work tree's top and Git directory."""
    layout = git.layout
    if _config_of_main(git, "core.bare") != "true":
        yield _main_top(git), layout.common_dir
    linked = layout.common_dir / "worktrees"
    for git_dir in sorted(linked.iterdir()) if linked.is_dir() else []:
        pointed = read_text(git_dir / "gitdir")
        if pointed:
            yield Path(os.path.normpath(git_dir / pointed)).parent, git_dir


def _config_of_main(git: Git, key: str) -> str | None:
    """Look up a setting as the main work tree has it, which may keep it in a file of its own."""
    layout = git.layout
    own = layout.common_dir / "config.worktree"
    if layout.git_dir == layout.common_dir or not own.is_file():
        return git.config(key)
    found = git.ask("config", "--file", str(own), "--get", key)
    return found.stdout.decode().strip() if found.code == 0 else git.config(key)


def _main_top(git: Git) -> Path:
    """Find the main work tree, which a linked one's Git directory does not name."""
    layout = git.layout
    if layout.git_dir == layout.common_dir and layout.top:
        return layout.top
    stated = _config_of_main(git, "core.worktree")
    if stated:
        return Path(os.path.normpath(layout.common_dir / stated))
    if layout.common_dir.name == ".git":
        return layout.common_dir.parent
    raise WorkspaceError(
        f"it cannot be told where the main work tree of {layout.common_dir} is",
        hint="run mlv there, not in a linked work tree",
    )


def read_text(path: Path) -> str:
    """Read a small file of git's; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""


class Prepared:
    """The new index and files of one work tree, aside until the branch has moved."""

    def __init__(self, checkout: Checkout, move: Move, stamp: Stamp | None = None) -> None:
        tree = checkout.git
        assert tree.layout.top
        self.tree, self.move, self.top = tree, move, tree.layout.top
        self.artifacts = checkout.artifacts
        self.index = tree.layout.git_dir / "index"
        self.index_lock = tree.layout.git_dir / "index.lock"
        self.aside = tree.layout.git_dir / "mlv-aside"
        self.stamp = stamp
        if stamp is None:
            try:
                self._prepare()
            except BaseException:
                shutil.rmtree(self.aside, ignore_errors=True)
                raise

    def _prepare(self) -> None:
        shutil.rmtree(self.aside, ignore_errors=True)
        self.aside.mkdir()
        self.base = stamp(self.index)
        if self.base is None:
            raise WorkspaceError(f"{self.top} has no index", hint="git checkout HEAD -- . makes it")
        new = self.aside / "index"
        shutil.copyfile(self.index, new)
        move = self.move
        gone = [path for path in move.before if path not in move.after]
        lines = [f"0 {NO_OBJECT}\t{path}\0" for path in gone]
        lines += [f"100644 {oid}\t{path}\0" for path, oid in move.after.items()]
        env = {"GIT_INDEX_FILE": str(new)}
        self.tree.run("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
        self._stage_files(new)
        self.stamp = stamp(new)

    def _stage_files(self, index: Path) -> None:
        """Let git write the files aside, as its attributes and filters say."""
        paths = set(self.move.after)
        env = {"GIT_INDEX_FILE": str(index)}
        if self.tree.is_on("core.sparsecheckout"):
            hidden = self._outside_sparse(paths)
            listing = "".join(f"{path}\0" for path in hidden).encode()
            self.tree.run(
                "update-index", "-z", "--skip-worktree", "--stdin", stdin=listing, env=env
            )
            paths -= hidden
        listing = "".join(f"{path}\0" for path in sorted(paths)).encode()
        prefix = f"{(self.aside / 'files').as_posix()}/"
        self.tree.run(
            "checkout-index", "-z", "--stdin", f"--prefix={prefix}", stdin=listing, env=env
        )

    def _outside_sparse(self, paths: set[str]) -> set[str]:
        """Ask git which paths the sparse checkout leaves out, in an index of these alone."""
        scratch, empty = self.aside / "sparse-index", self.aside / "sparse-files"
        empty.mkdir()
        env = {"GIT_INDEX_FILE": str(scratch), "GIT_WORK_TREE": str(empty)}
        env["GIT_DIR"] = str(self.tree.layout.git_dir)
        lines = "".join(f"100644 {oid}\t{path}\0" for path, oid in self.move.after.items())
        self.tree.run("update-index", "-z", "--index-info", stdin=lines.encode(), env=env)
        tree = self.tree.line("write-tree", env=env)
        self.tree.run("read-tree", "--reset", "-u", tree, env=env)
        shown = self.tree.run("ls-files", "-t", "-z", env=env).decode().split("\0")
        return paths & {line[2:] for line in shown if line.startswith("S")}

    def lock(self) -> None:
        """Take git's own lock of the index, with the new index already in it.

        An editor's `git status` holds it for moments; a git at work, or dead, for longer.
        """
        for _ in range(_LOCK_ATTEMPTS):
            if self._try_lock():
                break
            time.sleep(_LOCK_PAUSE)
        else:
            raise self._locked()
        if stamp(self.index) != self.base:
            raise ChangedMeanwhile(
                f"the index of {self.top} changed meanwhile", hint="run the command again"
            )

    def _try_lock(self) -> bool:
        try:
            os.link(self.aside / "index", self.index_lock)
        except FileExistsError:
            return False
        except OSError:  # no hard links on this file system
            try:
                descriptor = os.open(self.index_lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            os.close(descriptor)
            (self.aside / "index").replace(self.index_lock)
        return True

    def _locked(self) -> WorkspaceError:
        return WorkspaceError(
            f"another git is at work in {self.top}: {self.index_lock} exists",
            hint="wait for it; if no git runs there, one died: mlv doctor --fix removes the file",
        )

    def is_locked_by_us(self) -> bool:
        """Whether the index's lock is the one that was prepared here."""
        return self.stamp is not None and stamp(self.index_lock) == self.stamp

    def give_back(self) -> None:
        """Take everything back that `lock` and the preparation left."""
        if self.is_locked_by_us():
            self.index_lock.unlink()
        shutil.rmtree(self.aside, ignore_errors=True)

    def finish(self) -> list[str]:
        """Put the files, then the index, then the artifacts in place."""
        files = self.aside / "files"
        for path in self.move.after:
            if (files / path).exists():
                _replace(files / path, self.top / path)
        for path in self.move.before:
            if path not in self.move.after:
                (self.top / path).unlink(missing_ok=True)
        self.index_lock.replace(self.index)
        # So that tools which look at times alone see no change; if it fails, git sees to it.
        shown = [path for path in self.move.after if (self.top / path).is_file()]
        self.tree.ask("add", "--refresh", "--", *(f":(top,literal){path}" for path in shown))
        shutil.rmtree(self.aside, ignore_errors=True)
        return workbytes.settle(self.tree, self.artifacts, self.move.after)


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError:  # the Git directory is on another file system than the work tree
        beside = target.with_name(f".{target.name}.mlv")
        shutil.copyfile(source, beside)
        beside.replace(target)


def stamp(path: Path) -> Stamp | None:
    """Tell a file's identity: another file, or other contents, give another."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def files_below(entries: list[Entry], folder: str) -> dict[str, str]:
    """Give the blob ids of a folder's files by path from the top."""
    return {f"{folder}/{e.name}": e.oid for e in entries if e.kind == BLOB}
