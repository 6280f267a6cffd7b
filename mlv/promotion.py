"""Staging, promoting and rolling back: one commit that moves the pointer."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version
from mlv.errors import ChangedMeanwhile, ConfigError, InvalidInput, WorkspaceError
from mlv.store import publishing, versionfolder, workbytes, workspace
from mlv.store.objects import BLOB, FILE_MODE, FOLDER_MODE, Entry, TreeWriter
from mlv.store.versions import BEHIND, FOLDER, check_writable, folder_of

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Tip, Versions

_ATTEMPTS = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Change(NamedTuple):
    """What was decided: the pointer before and after, and the version it was about.

    ``commit`` is None where nothing had to change.
    """

    action: str
    version: Version
    before: Pointer
    after: Pointer
    commit: str | None
    notes: tuple[str, ...] = ()


class Plan(NamedTuple):
    """What the user asks for; ``seen`` is the live version that the user last saw."""

    action: str
    model: str
    number: int | None
    seen: int | None
    reason: str | None = None


def carry_out(versions: Versions, plan: Plan) -> Change:
    """Read, decide and publish, again from the start as long as somebody else is faster."""
    _check_reason(plan.reason)
    with publishing.local_lock(versions.git.layout):
        notes = publishing.recover(versions.git)
        for attempt in range(_ATTEMPTS):
            tip = versions.need_tip()
            before = versions.pointer(tip, plan.model)
            _check_still(versions, tip, plan, before)
            try:
                change = _attempt(versions, plan, tip, before)
            except ChangedMeanwhile:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.01 * attempt)
            else:
                return change._replace(notes=(*notes, *change.notes))
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _attempt(versions: Versions, plan: Plan, tip: Tip, before: Pointer) -> Change:
    after, number = pointers.decide(before, plan.action, plan.number)
    version = Version(plan.model, number)
    if after == before:
        return Change(plan.action, version, before, after, None)
    _check_branch(versions, tip)
    folder = folder_of(plan.model)
    live = Version(plan.model, after.current) if after.current is not None else None
    entries = versionfolder.read(versions, versions.record(live)) if live else []
    old = versions.entries(tip.commit, folder) or []
    _refuse_foreign(versions, folder, old)
    before_files, after_files = (workspace.files_below(e, folder) for e in (old, entries))
    trees = _trees(versions, tip, folder, before_files, after_files)
    pointer = versions.git.write_blob(after.to_bytes())
    after_files[f"{folder}/pointer.json"] = pointer
    entries = [*entries, Entry(FILE_MODE, "pointer.json", pointer)]
    commit = _write(versions, tip, plan.model, entries, _message(plan, before, after))
    move = workspace.Move(
        versions.config.branch, tip.local, commit, folder, before_files, after_files
    )
    notes = publishing.publish(versions.git, move, trees, f"mlv: {plan.action} {version.tag}")
    versions.remember_not_merged(commit)
    return Change(plan.action, version, before, after, commit, tuple(notes))


# Checks ------------------------------------------------------------------------------------


def _check_still(versions: Versions, tip: Tip, plan: Plan, pointer: Pointer) -> None:
    """Stop if production moved since the user looked."""
    if pointer.current == plan.seen or plan.action == pointers.STAGE:
        return
    was = "nothing" if plan.seen is None else Version(plan.model, plan.seen).tag
    now = "nothing" if pointer.current is None else Version(plan.model, pointer.current).tag
    path = f"{folder_of(plan.model)}/pointer.json"
    who = versions.git.line("log", "-1", "--format=%an, %ar: %s", tip.commit, "--", path)
    raise ChangedMeanwhile(
        f"{now} is live, not {was}: production moved meanwhile ({who})",
        hint="look at mlv status, then decide again; --from says what you saw",
    )


def _check_reason(reason: str | None) -> None:
    is_text = reason is None or not any("\ud800" <= char <= "\udfff" for char in reason)
    if reason is not None and (not is_text or not reason.strip() or _CONTROL.search(reason)):
        raise InvalidInput(
            "the reason is empty or holds control characters", hint="say why in plain text"
        )


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


def _trees(
    versions: Versions, tip: Tip, folder: str, before: dict[str, str], after: dict[str, str]
) -> list[workspace.Checkout]:
    """Find the work trees to bring along; refuse if one is not ready for it."""
    branch, remote = versions.config.branch, versions.config.remote
    trees = workspace.checkouts(versions.git, branch)
    if trees and tip.relation == BEHIND:
        raise WorkspaceError(
            f"{branch} is behind {remote}/{branch}, which says what is live",
            hint=f"git pull --ff-only {remote} {branch} in the work tree that has it checked out",
        )
    for tree in trees:
        workspace.refuse_unmerged(tree)
        workspace.refuse_edited(tree, folder, before, {*after, f"{folder}/pointer.json"})
    return [workspace.Checkout(tree, workbytes.find(tree, before, after)) for tree in trees]


# The commit --------------------------------------------------------------------------------


def _write(versions: Versions, tip: Tip, model: str, entries: list[Entry], message: str) -> str:
    """Write the commit: nothing but the model's folder differs from the tip."""
    git = versions.git
    root = versions.entries(tip.commit) or []
    registry = versions.entries(tip.commit, FOLDER) or []
    with TreeWriter(git.layout.folder) as trees:
        registry = _with(registry, Entry(FOLDER_MODE, model, trees.write(entries)))
        root = _with(root, Entry(FOLDER_MODE, FOLDER, trees.write(registry)))
        tree = trees.write(root)
    return git.write_commit(tree, tip.commit, message)


def _with(entries: list[Entry], entry: Entry) -> list[Entry]:
    return [*(e for e in entries if e.name != entry.name), entry]


def _message(plan: Plan, before: Pointer, after: Pointer) -> str:
    model = plan.model
    if plan.action == pointers.STAGE:
        was, now = before.staging, after.staging
        subject = f"Stage {model}-{_name(now)}"
    else:
        was, now = before.current, after.current
        verb = "Promote {} to production" if plan.action == pointers.PROMOTE else "Roll back to {}"
        subject = verb.format(f"{model}-{_name(now)}")
        subject += f" (was {_name(was)})" if was is not None else ""
    reason = f"\n\n{plan.reason.strip()}" if plan.reason else ""
    trailers = {
        "Mlv-Action": plan.action,
        "Mlv-Model": model,
        "Mlv-From": _name(was),
        "Mlv-To": _name(now),
    }
    return f"{subject}{reason}\n\n" + "".join(f"{k}: {v}\n" for k, v in trailers.items())


def _name(number: int | None) -> str:
    return "none" if number is None else f"v{number}"
