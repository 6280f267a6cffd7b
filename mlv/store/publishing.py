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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.errors import ProgramError, WorkspaceError
from mlv.store import workbytes
from mlv.store.git import JOURNAL, NO_OBJECT, Git, Layout, RefUpdate
from mlv.store.locks import exclusive
from mlv.store.workspace import Checkout, Move, Prepared, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


def local_lock(layout: Layout) -> AbstractContextManager[None]:
    """Hold the lock under which this machine's mlv processes publish, one at a time."""
    return exclusive(layout.common_dir / "mlv" / ".lock")


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
    journal = git.layout.common_dir / JOURNAL
    try:
        for tree in trees:
            prepared.append(Prepared(tree, move))  # noqa: PERF401 - one may fail half-way
        _write_journal(journal, move, prepared)
        for ready in prepared:
            ready.lock()
        git.update_refs([update], reason)
    except BaseException:
        for ready in prepared:
            ready.give_back()
        journal.unlink(missing_ok=True)
        raise
    notes = [note for ready in prepared for note in ready.finish()]
    journal.unlink()
    return notes


def _write_journal(journal: Path, move: Move, prepared: list[Prepared]) -> None:
    document = {
        "move": move._asdict(),
        "trees": [
            {
                "top": str(p.top),
                "git_dir": str(p.tree.layout.git_dir),
                "stamp": p.stamp,
                "artifacts": p.artifacts,
            }
            for p in prepared
        ],
    }
    beside = journal.with_suffix(".new")
    with beside.open("w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(journal)


def recover(git: Git) -> list[str]:
    """Finish or take back what a killed mlv began, under `local_lock`; say which."""
    journal = git.layout.common_dir / JOURNAL
    try:
        document: dict[str, Any] = json.loads(
            journal.read_text(encoding="utf-8", errors="surrogateescape")
        )
    except FileNotFoundError:
        return []
    except ValueError:
        raise WorkspaceError(f"{journal} cannot be read", hint="remove it") from None
    move = Move(**document["move"])
    moved = _has_moved(git, move)
    notes = [
        f"an mlv that was killed while it published is {'finished' if moved else 'taken back'}"
    ]
    for facts in document["trees"]:
        layout = Layout(Path(facts["top"]), Path(facts["git_dir"]), git.layout.common_dir)
        stamp = tuple(facts["stamp"])
        checkout = Checkout(Git(layout), facts["artifacts"])
        tree = Prepared(checkout, move, stamp)
        if not moved:
            tree.give_back()
        elif tree.is_locked_by_us():
            notes += tree.finish()
        else:
            notes += _mend(tree)
    journal.unlink(missing_ok=True)
    return notes


def _has_moved(git: Git, move: Move) -> bool:
    found = git.objects.read(f"refs/heads/{move.branch}^{{commit}}")
    if found is None or found.oid == move.old:
        return False
    return git.ask("merge-base", "--is-ancestor", move.new, found.oid).code == 0


def _mend(tree: Prepared) -> list[str]:
    """Bring a work tree up whose index was written already, or whose lock somebody removed."""
    move, git = tree.move, tree.tree
    shutil.rmtree(tree.aside, ignore_errors=True)
    if read_text(git.layout.git_dir / "HEAD") != f"ref: refs/heads/{move.branch}":
        return []
    listing = git.run("ls-files", "-s", "-z", "--", f":(top,literal){move.folder}")
    if dict(_staged(listing)) == dict(move.before):
        again = Prepared(Checkout(git, tree.artifacts), move)
        again.lock()
        return again.finish()
    return workbytes.settle(git, tree.artifacts, move.after)


def _staged(listing: bytes) -> Iterator[tuple[str, str]]:
    for line in listing.decode(errors="surrogateescape").split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            yield path, facts.split()[1]


def recover_if_allowed(git: Git) -> list[str]:
    """Recover; a reader that may not write leaves it to others."""
    with suppress(OSError, ProgramError), local_lock(git.layout):
        return recover(git)
    return []
