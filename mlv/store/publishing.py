"""Moving the registry branch, and the work trees that have it checked out, in one step.

The order, each step safe to be killed after:

1. prepare the new index and the new files aside;
2. write a journal, take each ``index.lock`` with the new index in it;
3. compare-and-swap the branch;
4. rename the files into place, then the lock over the index; artifacts that lie in the work tree
   follow; remove the journal.

`recover` finishes or takes back what a journal tells was begun.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from mlv.errors import ChangedMeanwhile, RegistryError, StorageError, WorkspaceError
from mlv.store import workbytes
from mlv.store.git import JOURNAL, NO_OBJECT, Git, Layout, RefUpdate, failed
from mlv.store.halfmerged import put_back
from mlv.store.locks import exclusive
from mlv.store.workspace import (
    NEVER_LOCKED,
    Checkout,
    Move,
    Prepared,
    files_below,
    read_text,
    target_of,
    work_trees,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


def local_lock(layout: Layout) -> AbstractContextManager[None]:
    """Hold the lock under which this machine's mlv processes publish, one at a time."""
    return exclusive(_lock_of(layout))


def _lock_of(layout: Layout) -> Path:
    return layout.common_dir / "mlv" / ".lock"


def publish(git: Git, move: Move, trees: list[Checkout], reason: str) -> list[str]:
    """Move the branch and every work tree that has it checked out; give what the user should know.

    To be called under `local_lock`, after `refuse_edited`. `ChangedMeanwhile` if the branch was
    moved by somebody else; then nothing was changed.
    """
    update = RefUpdate(f"refs/heads/{move.branch}", move.new, move.old or NO_OBJECT)
    if not trees:
        git.update_refs([update], reason)
        return []
    prepared: list[Prepared] = []
    try:
        for tree in trees:
            prepared.append(Prepared(tree, move))  # noqa: PERF401 - one may fail half-way
        _write_journal(git, move, prepared)
        for ready in prepared:
            ready.lock()
        git.update_refs([update], reason)
    except BaseException:
        # An interrupt reaches git as well, which may have been done: look, do not guess.
        recover(git)
        for ready in prepared:
            ready.give_back()
        raise
    try:
        notes = [note for ready in prepared for note in ready.finish()]
    except OSError as error:
        raise StorageError(
            f"{error.filename or git.layout.common_dir}: {error.strerror or error}",
            hint=f"{move.branch} has moved: the next mlv command finishes the files, once it can",
        ) from error
    (git.layout.common_dir / JOURNAL).unlink()
    return notes


def fast_forward(tree: Checkout, move: Move) -> list[str]:
    """Let git take a work tree and its branch along to a descendant; the artifacts follow.

    To be called under `local_lock`. Unlike in `publish`, other files may differ as well.
    """
    git = tree.git
    merging = Prepared(tree, move, NEVER_LOCKED)
    _write_journal(git, move, [merging])
    argv = ("merge", "--ff-only", "--quiet", "--no-autostash", move.new)
    try:
        result = git.ask(*argv)
    except BaseException:
        recover(git)
        raise
    if result.code < 0:  # it was killed
        recover(git)
    elif result.code:  # it looked first, and changed nothing
        (git.layout.common_dir / JOURNAL).unlink()
    if result.code:
        raise failed(("git", *argv), result)
    notes = workbytes.settle(git, tree.artifacts, move.after)
    (git.layout.common_dir / JOURNAL).unlink()
    return notes


def _write_journal(git: Git, move: Move, prepared: list[Prepared]) -> None:
    """Write down what is about to happen, with no path that a moved repository makes wrong."""
    common, journal = git.layout.common_dir, git.layout.common_dir / JOURNAL
    trees = [
        {
            "git_dir": os.path.relpath(ready.tree.layout.git_dir, common),
            "stamp": ready.stamp,
            "artifacts": ready.artifacts,
        }
        for ready in prepared
    ]
    beside = journal.with_suffix(".new")
    with beside.open("w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump({"move": move._asdict(), "trees": trees}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(journal)


def recover(git: Git) -> list[str]:
    """Finish or take back what a killed mlv began, under `local_lock`; say which."""
    common, journal = git.layout.common_dir, git.layout.common_dir / JOURNAL
    try:
        document: dict[str, Any] = json.loads(
            journal.read_text(encoding="utf-8", errors="surrogateescape")
        )
        move = Move(**document["move"])
        begun = {tree["git_dir"]: tree for tree in document["trees"]}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise WorkspaceError(
            f"{journal} cannot be read", hint="look at git status, then remove that file"
        ) from None
    moved = _has_moved(git, move)
    done = "finished" if moved else "taken back"
    notes = [f"an mlv that was killed while it published is {done}"]
    for top, git_dir in work_trees(git):
        facts = begun.get(os.path.relpath(git_dir, common))
        if facts and top.is_dir():
            checkout = Checkout(Git(Layout(top, git_dir, common)), facts["artifacts"])
            notes += _settle(Prepared(checkout, move, tuple(facts["stamp"])), moved=moved)
    journal.unlink(missing_ok=True)
    return notes


def _settle(tree: Prepared, *, moved: bool) -> list[str]:
    if not moved:
        tree.give_back()
        if tree.stamp == NEVER_LOCKED:
            _undo_merge(tree)
        return []
    return tree.finish() if tree.is_locked_by_us() else _mend(tree)


def _undo_merge(tree: Prepared) -> None:
    """Take back what a git left in index and files that died before it moved the branch."""
    move, git = tree.move, tree.tree
    if not move.old or not _is_on_branch(tree):
        return
    if _staged(tree) == dict(move.after):
        git.ask("read-tree", "-m", "-u", move.new, move.old)
    put_back(git, move.old, move.new)


def _has_moved(git: Git, move: Move) -> bool:
    found = git.objects.read(f"refs/heads/{move.branch}^{{commit}}")
    if found is None or found.oid == move.old:
        return False
    return git.is_ancestor(move.new, found.oid)


def _mend(tree: Prepared) -> list[str]:
    """Bring a work tree up whose index was written already, or whose lock somebody removed.

    What the branch says now counts: a commit made in between may have put the old files back.
    """
    move, git = tree.move, tree.tree
    shutil.rmtree(tree.aside, ignore_errors=True)
    if not _is_on_branch(tree):
        return []
    staged = _staged(tree)
    target: dict[str, str] = {}
    for folder in move.folders:
        entries = git.objects.read_tree(f"refs/heads/{move.branch}:{folder}") or []
        target |= files_below(entries, folder)
    if staged in (dict(move.before), target) and staged != dict(move.after):
        every = {**move.before, **move.after}
        again = Prepared(Checkout(git, tree.artifacts), move._replace(before=every, after=target))
        again.lock()
        notes = again.finish()
    else:
        notes = workbytes.settle(git, tree.artifacts, target)
    if target != dict(move.after):
        folders = ", ".join(move.folders)
        notes.append(f"a commit made meanwhile put {folders} back: decide again what is live")
    return notes


def _is_on_branch(tree: Prepared) -> bool:
    layout = tree.tree.layout
    ref = target_of(layout.common_dir, f"refs/heads/{tree.move.branch}")
    return read_text(layout.git_dir / "HEAD") == f"ref: {ref}"


def _staged(tree: Prepared) -> dict[str, str]:
    """Give the blob ids of the models' files in the index, by path."""
    folders = (f":(top,literal){folder}" for folder in tree.move.folders)
    listing = tree.tree.run("ls-files", "-s", "-z", "--", *folders)
    lines = filter(None, listing.decode(errors="surrogateescape").split("\0"))
    pairs = (line.partition("\t") for line in lines)
    return {path: facts.split()[1] for facts, _, path in pairs}


def recover_if_allowed(git: Git) -> list[str]:
    """Recover; a reader that may not leaves it to others and says so.

    If another mlv holds the lock it is publishing, not dead.
    """
    try:
        with exclusive(_lock_of(git.layout), patience=0):
            return recover(git)
    except ChangedMeanwhile:
        return []
    except (OSError, RegistryError) as error:
        return [f"an mlv was killed while it published, and that cannot be mended now: {error}"]
