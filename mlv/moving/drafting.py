"""The one commit that moves pointers: which files it has, and what its message says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.errors import ConfigError, WorkspaceError
from mlv.store import versionfolder, workspace
from mlv.store.naming import FOLDER, POINTER, folder_of
from mlv.store.objects import FILE_MODE, FOLDER_MODE, Entry, TreeWriter
from mlv.store.vanished import check_not_merged
from mlv.store.versions import check_writable
from mlv.trust import check_commit, check_trusted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlv.domain.gate import Verdict
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Tip, Versions

# After these, somebody may load the version.
_MAKES_USE = (pointers.STAGE, pointers.PROMOTE, pointers.ROLLBACK)


class Moved(NamedTuple):
    """What was decided of one version: its model's pointer before and after.

    ``verdict`` is what the gate said of it, where there is one that it has to pass.
    """

    version: Version
    before: Pointer
    after: Pointer
    verdict: Verdict | None = None

    @property
    def is_change(self) -> bool:
        """Whether anything is decided anew."""
        return self.after != self.before

    @property
    def is_forced(self) -> bool:
        """Whether it goes on although the gate is not met."""
        return self.verdict is not None and not self.verdict.passed


class Draft(NamedTuple):
    """A commit that nothing names yet, its tree, and the files of its models' folders.

    ``before`` and ``after`` are blob ids by path from the top, in the parent and in the commit.
    """

    commit: str
    tree: str
    folders: tuple[str, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]

    def move(self, branch: str, old: str | None) -> workspace.Move:
        """Describe the step of the local branch to this commit."""
        return workspace.Move(branch, old, self.commit, self.folders, self.before, self.after)


def draft(
    versions: Versions, tip: Tip, action: str, moved: Sequence[Moved], reason: str | None
) -> Draft:
    """Write the commit on top of ``tip``; nothing but the models' folders differs from it."""
    _check_branch(versions, tip)
    used = [each.version for each in moved if action in _MAKES_USE]
    for version in dict.fromkeys((*used, *filter(None, (_live(each.after) for each in moved)))):
        check_trusted(versions, tip, versions.record(version))
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    folders = _folders(versions, moved)
    for model, new in folders.items():
        folder = folder_of(model)
        old = versions.entries(tip.commit, folder) or []
        _refuse_foreign(versions, folder, old)
        before |= workspace.files_below(old, folder)
        after |= workspace.files_below(new, folder)
    tree = _write_tree(versions, tip.commit, folders)
    commit = versions.git.write_commit(tree, tip.commit, message(action, moved, reason))
    check_commit(versions, tip, commit)
    return Draft(commit, tree, tuple(map(folder_of, folders)), before, after)


def tree_of(versions: Versions, commit: str, moved: Sequence[Moved]) -> str:
    """Give the tree that a draft of this on top of ``commit`` has; nothing is checked."""
    return _write_tree(versions, commit, _folders(versions, moved))


def _folders(versions: Versions, moved: Sequence[Moved]) -> dict[str, list[Entry]]:
    final = {each.version.model: each.after for each in moved}
    return {
        model: [*_live_folder(versions, pointer), _pointer_file(versions, pointer)]
        for model, pointer in final.items()
    }


def _live(pointer: Pointer) -> Version | None:
    return None if pointer.current is None else Version(pointer.model, pointer.current)


def _live_folder(versions: Versions, pointer: Pointer) -> list[Entry]:
    live = _live(pointer)
    return [] if live is None else versionfolder.read(versions, versions.record(live))


def _pointer_file(versions: Versions, pointer: Pointer) -> Entry:
    return Entry(FILE_MODE, POINTER, versions.git.write_blob(pointer.to_bytes()))


# Checks ------------------------------------------------------------------------------------


def _check_branch(versions: Versions, tip: Tip) -> None:
    check_writable(versions, tip)
    check_not_merged(versions, tip)
    branch = versions.config.branch
    if versions.blob(tip.commit, ".dvc/config") is None:
        raise ConfigError(
            f"DVC is not set up on {branch}: checking it out would not give the model",
            hint=f"run mlv init on {branch}, or merge the branch where it was run",
        )


def _refuse_foreign(versions: Versions, folder: str, entries: list[Entry]) -> None:
    """Refuse to delete what somebody committed where only mlv writes."""
    name = versionfolder.foreign_in(entries)
    if name is not None:
        raise WorkspaceError(
            f"{folder}/{name} is committed on {versions.config.branch}, in a folder where only mlv "
            "writes",
            hint=f"git mv {folder}/{name} elsewhere and commit that, then try again",
        )


# The commit --------------------------------------------------------------------------------


def _write_tree(versions: Versions, commit: str, folders: Mapping[str, list[Entry]]) -> str:
    root = versions.entries(commit) or []
    registry = versions.entries(commit, FOLDER) or []
    with TreeWriter(versions.git.layout.folder) as trees:
        for model, entries in folders.items():
            registry = _with(registry, Entry(FOLDER_MODE, model, trees.write(entries)))
        root = _with(root, Entry(FOLDER_MODE, FOLDER, trees.write(registry)))
        return trees.write(root)


def _with(entries: list[Entry], entry: Entry) -> list[Entry]:
    return [*(e for e in entries if e.name != entry.name), entry]


_SUBJECTS = {
    pointers.STAGE: "Stage {now}",
    pointers.PROMOTE: "Promote {now} to production",
    pointers.ROLLBACK: "Roll back to {now}",
    pointers.YANK: "Yank {now}",
    pointers.UNYANK: "Take back the yank of {now}",
    pointers.PURGE: "Purge {now}",
    pointers.IMPORT: "Import {models}",
}


def message(action: str, moved: Sequence[Moved], reason: str | None) -> str:
    """Write the commit's message: subject, reason, trailers for people and hooks."""
    now = ", ".join(each.version.tag for each in moved)
    models = ", ".join(each.version.model for each in moved)
    subject = _SUBJECTS[action].format(now=now, models=models)
    was = [_was(action, each) for each in moved]
    if action in (pointers.PROMOTE, pointers.ROLLBACK) and set(was) != {"none"}:
        subject += f" (was {', '.join(was)})"
    trailers = [f"Mlv-Action: {action}\n"]
    for each, before in zip(moved, was, strict=True):
        trailers.append(f"Mlv-Model: {each.version.model}\n")
        trailers += [f"Mlv-From: {before}\n"] if action in pointers.MOVING else []
        trailers.append(f"Mlv-To: {each.version.name}\n")
        trailers += [f"Mlv-Forced: {each.version.name}\n"] if each.is_forced else []
    because = f"\n\n{reason.strip()}" if reason else ""
    return f"{subject}{because}\n\n{''.join(trailers)}"


def _was(action: str, moved: Moved) -> str:
    before = moved.before
    number = before.staging if action == pointers.STAGE else before.current
    return name_of(number) or "none"
