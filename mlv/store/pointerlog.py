"""The commits by which pointers changed on the registry branch, as `git log` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import is_model
from mlv.store.git import NO_OBJECT
from mlv.store.versions import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.store.git import Git

_FORM = ("%H", "%P", "%an <%ae>", "%cn <%ce>", "%at", "%ct", "%B")
_REGULAR = ("100644", "100755")
NOT_A_FILE = "not a file"


class PointerChange(NamedTuple):
    """What a commit did to one model's pointer: the blobs before and after, None for none."""

    model: str
    before: str | None
    after: str | None


class Landing(NamedTuple):
    """A commit on the branch's first-parent chain that changed pointers.

    Times are seconds since 1970, by the clocks of author and committer.
    """

    commit: str
    parents: tuple[str, ...]
    author: str
    committer: str
    authored_at: int
    committed_at: int
    message: str
    changes: tuple[PointerChange, ...]


def landings(git: Git, tip: str, model: str | None = None) -> list[Landing]:
    """Read the pointer commits of a branch, of all models or one, newest first."""
    path = f":(top,glob){FOLDER}/*/pointer.json"
    if model is not None:
        path = f":(top,literal){FOLDER}/{model}/pointer.json"
    data = git.run(
        "log", "--first-parent", "--diff-merges=first-parent", "--raw", "-z", "--no-abbrev",
        "--no-renames", "--root", "--no-show-signature", "--no-notes", "--encoding=UTF-8",
        f"--format={'%x00'.join(_FORM)}", tip, "--", path,
    )  # fmt: skip
    return list(_parse(data.decode(errors="replace").split("\0")))


def _parse(fields: list[str]) -> Iterator[Landing]:
    """Cut the output into commits: their fields, then ``:modes blobs letter`` and path in turn."""
    at, end = 0, len(fields) - 1  # the last NUL ends, and separates nothing
    while at < end:
        commit, parents, author, committer, authored, committed, message = (
            fields[at : at + len(_FORM)]
        )  # fmt: skip
        at += len(_FORM)
        changes = []
        while at < end and fields[at].lstrip("\n").startswith(":"):
            change = _change(fields[at].lstrip("\n"), fields[at + 1])
            changes += [change] if change else []
            at += 2
        if changes:
            yield Landing(
                commit, tuple(parents.split()), author, committer,
                int(authored or 0), int(committed or 0), message, tuple(changes),
            )  # fmt: skip


def _change(facts: str, path: str) -> PointerChange | None:
    model = path.split("/")[1]
    if not is_model(model):
        return None
    mode_before, mode_after, before, after, _ = facts[1:].split(" ")
    return PointerChange(model, _blob(mode_before, before), _blob(mode_after, after))


def _blob(mode: str, oid: str) -> str | None:
    if oid == NO_OBJECT:
        return None
    return oid if mode in _REGULAR else NOT_A_FILE
