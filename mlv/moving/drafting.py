"""The one commit that moves pointers: which files it has, and what its message says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.errors import ConfigError, WorkspaceError
from mlv.store import versionfolder, workspace
from mlv.store.objects import BLOB, FILE_MODE, FOLDER_MODE, Entry, TreeWriter
from mlv.store.versions import FOLDER, check_writable, folder_of
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
    """A commit that nothing names yet, and the files of its models' folders.

    ``before`` and ``after`` are blob ids by path from the top, in the parent and in the commit.
    """

    commit: str
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
    for each in moved if action in _MAKES_USE else ():
        check_trusted(versions, tip, versions.record(each.version))
    final = {each.version.model: each.after for each in moved}
    folders: dict[str, list[Entry]] = {}
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for model, pointer in final.items():
        folder = folder_of(model)
        old = versions.entries(tip.commit, folder) or []
        _refuse_foreign(versions, folder, old)
        new = [*_live_folder(versions, tip, pointer), _pointer_file(versions, pointer)]
        before |= workspace.files_below(old, folder)
        after |= workspace.files_below(new, folder)
        folders[model] = new
    commit = _write(versions, tip, folders, message(action, moved, reason))
    check_commit(versions, tip, commit)
    return Draft(commit, tuple(map(folder_of, final)), before, after)


def _live_folder(versions: Versions, tip: Tip, pointer: Pointer) -> list[Entry]:
    if pointer.current is None:
        return []
    live = versions.record(Version(pointer.model, pointer.current))
    check_trusted(versions, tip, live)
    return versionfolder.read(versions, live)


def _pointer_file(versions: Versions, pointer: Pointer) -> Entry:
    return Entry(FILE_MODE, "pointer.json", versions.git.write_blob(pointer.to_bytes()))


# Checks ------------------------------------------------------------------------------------


def _check_branch(versions: Versions, tip: Tip) -> None:
    check_writable(versions, tip)
    versions.check_not_merged(tip)
    branch = versions.config.branch
    if versions.blob(tip.commit, ".dvc/config") is None:
        raise ConfigError(
            f"DVC is not set up on {branch}: checking it out would not give the model",
            hint=f"run mlv init on {branch}, or merge the branch where it was run",
        )


def _refuse_foreign(versions: Versions, folder: str, entries: list[Entry]) -> None:
    """Refuse to delete what somebody committed where only mlv writes."""
    for entry in entries:
        if entry.kind != BLOB or not versionfolder.may_hold(entry.name):
            raise WorkspaceError(
                f"{folder}/{entry.name} is committed on {versions.config.branch}, in a folder "
                "where only mlv writes",
                hint=f"git mv {folder}/{entry.name} elsewhere and commit that, then try again",
            )


# The commit --------------------------------------------------------------------------------


def _write(versions: Versions, tip: Tip, folders: Mapping[str, list[Entry]], text: str) -> str:
    git = versions.git
    root = versions.entries(tip.commit) or []
    registry = versions.entries(tip.commit, FOLDER) or []
    with TreeWriter(git.layout.folder) as trees:
        for model, entries in folders.items():
            registry = _with(registry, Entry(FOLDER_MODE, model, trees.write(entries)))
        root = _with(root, Entry(FOLDER_MODE, FOLDER, trees.write(registry)))
        tree = trees.write(root)
    return git.write_commit(tree, tip.commit, text)


def _with(entries: list[Entry], entry: Entry) -> list[Entry]:
    return [*(e for e in entries if e.name != entry.name), entry]


_SUBJECTS = {
    pointers.STAGE: "Stage {now}",
    pointers.PROMOTE: "Promote {now} to production",
    pointers.ROLLBACK: "Roll back to {now}",
    pointers.YANK: "Yank {now}",
    pointers.UNYANK: "Take back the yank of {now}",
    pointers.PURGE: "Purge {now}",
}


def message(action: str, moved: Sequence[Moved], reason: str | None) -> str:
    """Write the commit's message: subject, reason, trailers for people and hooks."""
    now = ", ".join(each.version.tag for each in moved)
    subject = _SUBJECTS[action].format(now=now)
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
