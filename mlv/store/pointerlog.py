"""The commits by which pointers changed on the registry branch, as git finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.landing import Landing, PointerChange
from mlv.domain.names import is_model
from mlv.store.git import NO_OBJECT
from mlv.store.naming import FOLDER, POINTER, pointer_path
from mlv.store.objects import COMMIT, REGULAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlv.store.git import Git

NOT_A_FILE = "not a file"
_FORM = ("%H", "%P", "%an <%ae>", "%cn <%ce>", "%ct", "%B")
_LOG = (
    "log", "--diff-merges=first-parent", "--raw", "-z", "--no-abbrev", "--no-renames", "--root",
    "--no-show-signature", "--no-notes", "--encoding=UTF-8", f"--format={'%x00'.join(_FORM)}",
)  # fmt: skip
_LONGEST_SIDE = 200  # commits; a proposal has one or a few


def landings(git: Git, tip: str, model: str | None = None) -> list[Landing]:
    """Read the pointer commits on a branch's first-parent chain, newest first."""
    return begin_landings(git, tip, model)()


def begin_landings(git: Git, tip: str, model: str | None = None) -> Callable[[], list[Landing]]:
    """Begin to read them, and give what waits for them."""
    wait = git.begin(*_LOG, "--first-parent", tip, "--", _path(model))
    return lambda: list(_parse(wait()))


def merged_sides(
    git: Git, merges: Sequence[Landing], model: str | None = None
) -> dict[str, list[Landing]]:
    """Find the pointer commits that merges of one first-parent chain brought, newest first.

    ``merges`` are in the order of the chain, oldest first. Of each side the first-parent chain
    counts.
    """
    if not merges:
        return {}
    wanted = "".join(f"{merge.parents[1]}\n" for merge in merges).encode()
    data = git.run(*_LOG, "--no-walk=unsorted", "--stdin", "--", _path(model), stdin=wanted)
    merged = {landing.commit: landing for landing in _parse(data)}
    # Most merges bring what one commit did, and nothing else: a pull request.
    sides = {}
    for merge in merges:
        found = merged.get(merge.parents[1])
        if found and found.changes == merge.changes:
            sides[merge.commit] = [found]
    others = [merge for merge in merges if merge.commit not in sides]
    return {**sides, **_walked_sides(git, others, merges[-1].commit, model)}


def _walked_sides(
    git: Git, merges: Sequence[Landing], newest: str, model: str | None
) -> dict[str, list[Landing]]:
    if not merges:
        return {}
    # With --parents git names, as parents, the nearest of the commits that it shows.
    data = git.run(*_LOG, "--full-history", "--parents", newest, "--", _path(model))
    known = {landing.commit: landing for landing in _parse(data, keep_all=True)}
    chain = set(_first_parents(known, newest))
    sides: dict[str, list[Landing]] = {}
    for merge in merges:
        side = sides[merge.commit] = []
        for parent in known[merge.commit].parents[1:]:
            for commit in _first_parents(known, parent):
                if commit in chain:
                    break
                side += [known[commit]] if known[commit].changes else []
    return sides


def _first_parents(known: dict[str, Landing], start: str) -> Iterator[str]:
    commit = start
    while commit in known:
        yield commit
        commit = next(iter(known[commit].parents), "")


def is_built_on(git: Git, start: str, base: str) -> bool:
    """Whether ``base`` is among the nearest commits on the first-parent chain of ``start``."""
    commit = start
    for _ in range(_LONGEST_SIDE):
        if commit == base:
            return True
        found = commit_at(git, commit)
        if found is None or not found.parents:
            return False
        commit = found.parents[0]
    return False


def commit_at(git: Git, oid: str) -> Landing | None:
    """Read one commit, without what it changed; None if there is no such."""
    found = git.objects.read(oid)
    if found is None or found.kind != COMMIT:
        return None
    head, _, message = found.data.decode(errors="replace").partition("\n\n")
    lines = [line.partition(" ")[::2] for line in head.split("\n")]
    people = {key: value.rsplit(" ", 2) for key, value in lines if key in ("author", "committer")}
    author, committer = (people.get(key, [""]) for key in ("author", "committer"))
    parents = tuple(value for key, value in lines if key == "parent")
    return Landing(oid, parents, author[0], committer[0], _seconds(committer[1:2]), message, ())


def _seconds(words: Sequence[str]) -> int:
    return int(words[0]) if words and words[0].isdigit() else 0


def _path(model: str | None) -> str:
    # Git finds a folder much faster than a pattern; what else changed there is passed over.
    path = FOLDER if model is None else pointer_path(model)
    return f":(top,literal){path}"


def _parse(data: bytes, *, keep_all: bool = False) -> Iterator[Landing]:
    """Cut the output into commits: their fields, then ``:modes blobs letter`` and path in turn."""
    fields = data.decode(errors="replace").split("\0")
    at, end = 0, len(fields) - 1  # the last NUL ends, and separates nothing
    while at < end:
        commit, parents, author, committer, seconds, message = fields[at : at + len(_FORM)]
        at += len(_FORM)
        changes = []
        while at < end and fields[at].lstrip("\n").startswith(":"):
            change = _change(fields[at].lstrip("\n"), fields[at + 1])
            changes += [change] if change else []
            at += 2
        if changes or keep_all:
            yield Landing(
                commit, tuple(parents.split()), author, committer,
                _seconds([seconds]), message, tuple(changes),
            )  # fmt: skip


def _change(facts: str, path: str) -> PointerChange | None:
    if not path.endswith(f"/{POINTER}"):
        return None
    _, model, *rest = path.split("/")
    if rest != [POINTER] or not is_model(model):
        return None
    mode_before, mode_after, before, after, _ = facts[1:].split(" ")
    return PointerChange(model, _blob(mode_before, before), _blob(mode_after, after))


def _blob(mode: str, oid: str) -> str | None:
    if oid == NO_OBJECT:
        return None
    return oid if mode in REGULAR else NOT_A_FILE
