"""Whether each pointer moves as the domain's verbs would move it, from what is live at the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import pointer as pointers
from mlv.domain.explaining import Verb, explain
from mlv.domain.names import Version, name_of
from mlv.domain.pointer import PRODUCTION, Pointer, is_withdrawn
from mlv.errors import ConfigError, IntegrityError, RegistryError
from mlv.review.case import Move
from mlv.review.past import Past
from mlv.review.report import CHANGED, REVERT, Finding
from mlv.store.naming import folder_of, pointer_path
from mlv.store.objects import FILE_MODE
from mlv.store.vanished import took_back
from mlv.store.versions import Tip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlv.review.case import Case

_MOST_NAMED = 10


def judge(case: Case, model: str) -> tuple[Move | None, list[Finding]]:
    """Say what a change does to a model's pointer (None: nothing), and what is wrong with it."""
    path = pointer_path(model)
    touched = next((each for each in case.change.touched if each.path == path), None)
    findings = _stale(case, model)
    is_stale = bool(findings)
    if touched is None:
        return None, findings
    if touched.after is not None and touched.after.mode != FILE_MODE:
        what = f"{path} is no regular file"
        return None, [*findings, Finding("pointer", path, what, "only mlv writes it")]
    past = Past(case.versions, case.change.base, model)
    try:
        before = _before(case, past, model)
        after = _after(case, model, before)
    except IntegrityError as error:
        is_gone = touched.after is None
        hint = f"{_anew(model)}: a pointer is never edited, nor merged by hand"
        rule, told = ("history", error.hint) if is_gone else ("pointer", hint)
        return None, [*findings, Finding(rule, path, error.message, told)]
    findings += _written(case, after)
    # What is stale is judged by where it started: that it is stale is said once.
    start = _start(case, model, before) if is_stale else before
    if start == after:
        return None, findings
    move = _explained(case, past, start, after)
    withdrawn = _withdrawn(before, move)
    findings += withdrawn
    if move.action == CHANGED and not withdrawn:
        findings += _illegal(start, after)
    return move._replace(before=before), findings


def _anew(model: str) -> str:
    return f"start from the registry branch as it is: mlv propose makes the change to {model!r}"


def _stale(case: Case, model: str) -> list[Finding]:
    versions, change, folder = case.versions, case.change, folder_of(model)
    live, seen = (versions.git.objects.read(f"{c}:{folder}") for c in (change.base, change.start))
    if (live and live.oid) == (seen and seen.oid):
        return []
    where = f"{versions.config.branch} ({change.base[:10]})"
    message = f"{folder} changed on {where} since this started at {change.start[:10]}"
    hint = f"git rebase onto {versions.config.branch}, or mlv propose it again"
    return [Finding("stale", folder, message, hint)]


# The two pointers --------------------------------------------------------------------------


def _before(case: Case, past: Past, model: str) -> Pointer:
    """Read what is live at the base; where that is broken, what it was when it last was whole."""
    try:
        return case.versions.pointer(Tip.at(case.change.base), model)
    except IntegrityError:
        whole = next((state.pointer for state in past.states if state.pointer.status), None)
        if whole is None:
            raise
        return whole


def _start(case: Case, model: str, before: Pointer) -> Pointer:
    try:
        return case.versions.pointer(Tip.at(case.change.start), model)
    except IntegrityError:
        return before


def _after(case: Case, model: str, before: Pointer) -> Pointer:
    """Read the proposed pointer; none at all is right where the first step is taken back."""
    versions, head, path = case.versions, case.change.head, pointer_path(model)
    data = versions.blob(head, path)
    if data is not None:
        return pointers.parse(data, model)
    if took_back(versions, head, before) and versions.entries(head, folder_of(model)) is None:
        return pointers.empty(model)
    raise IntegrityError(
        f"{path} is gone, and with it what was live when",
        hint="it is never removed. Was a version's tag merged? A version is promoted, never merged",
    )


def _written(case: Case, after: Pointer) -> list[Finding]:
    """Refuse what reads otherwise than it looks in a diff: escapes, lines out of order, blanks."""
    path = pointer_path(after.model)
    data = case.versions.blob(case.change.head, path)
    if data is None or data == after.to_bytes():
        return []
    hint = f"{_anew(after.model)}: only mlv writes a pointer"
    return [Finding("pointer", path, f"{path} is not written as mlv writes it", hint)]


# The way between them ----------------------------------------------------------------------


def _explained(case: Case, past: Past, before: Pointer, after: Pointer) -> Move:
    verbs: Sequence[Verb] | None = explain(before, after)
    if verbs is None and past.is_return(before, after):
        return Move(before.model, before, after, REVERT, after.current)
    if verbs is None:
        verbs = _walk(case, past, before, after)
    if not verbs:
        if case.versions.git.is_shallow():
            raise ConfigError(
                f"history is cut off here: whether {before.model!r} goes back to what it was "
                "cannot be told",
                hint="git fetch --unshallow brings the rest (actions/checkout: fetch-depth: 0)",
            )
        return Move(before.model, before, after, CHANGED, after.current)
    known = [verb for verb in verbs if verb.action in pointers.MOVING or verb.action == REVERT]
    told = (known or verbs)[-1]
    return Move(before.model, before, after, told.action, told.number, tuple(verbs))


def _walk(case: Case, past: Past, before: Pointer, after: Pointer) -> Sequence[Verb] | None:
    """Follow the proposal's own commits, each of which may take a step."""
    git, change, path = case.versions.git, case.change, pointer_path(before.model)
    commits = git.run(
        "rev-list", "--reverse", "--topo-order", "--no-merges", change.head, f"^{change.base}",
        "--", f":(top,literal){path}",
    ).decode().split()  # fmt: skip
    at, verbs = before, list[Verb]()
    for commit in commits:
        try:
            was, now = (_read(case, spec, before.model) for spec in (f"{commit}^", commit))
        except RegistryError:
            return None
        found = explain(was, now) if was == at else None
        if found is None and was == at and past.is_return(was, now):
            found = (Verb(REVERT, now.current or 0),)
        if found is None:
            return None
        verbs += found
        at = now
    return verbs if at == after else None


def _read(case: Case, commit: str, model: str) -> Pointer:
    data = case.versions.blob(commit, pointer_path(model))
    return pointers.empty(model) if data is None else pointers.parse(data, model)


# What is wrong with it ---------------------------------------------------------------------


def _withdrawn(before: Pointer, move: Move) -> list[Finding]:
    found = []
    for number, was in sorted(before.status.items()):
        now = move.after.status_of(number)
        is_unyank = now == pointers.ARCHIVED and Verb(pointers.UNYANK, number) in move.verbs
        if not is_withdrawn(was) or now == was or is_unyank:
            continue
        tag = Version(before.model, number).tag
        goes = {PRODUCTION: "would go live", pointers.STAGING: "would be staged"}
        hint = "choose another version"
        if was == pointers.YANKED:
            hint += "; a yank is taken back on its own, and before: mlv yank --undo"
        what = goes.get(now, f"would be {now}")
        found.append(Finding("withdrawn", tag, f"{tag} is {was}, and {what}", hint))
    return found


def _illegal(before: Pointer, after: Pointer) -> list[Finding]:
    """Say which status changed how, where no verb makes such a pointer."""
    path, told = pointer_path(before.model), []
    if before.current != after.current:
        told.append(f"current {_name(before.current)} -> {_name(after.current)}")
    if before.previous != after.previous:
        told.append(f"previous {_name(before.previous)} -> {_name(after.previous)}")
    for number in sorted(before.status.keys() | after.status.keys(), reverse=True):
        was, now = before.status_of(number), after.status_of(number)
        told += [f"v{number} {was} -> {now}"] if was != now else []
    for number in sorted(before.forced ^ after.forced, reverse=True):
        told.append(f"v{number} {'no longer' if number in before.forced else 'is'} forced")
    gone = sorted(before.status.keys() - after.status.keys())
    were_live = [n for n in gone if before.status[n] != pointers.STAGING]
    hint = _anew(before.model)
    found = [Finding("pointer", path, f"no step of mlv moves it so: {_listed(told)}", hint)]
    if were_live:
        names = _listed([f"v{n}" for n in were_live])
        message = f"{names} would be forgotten: the pointer lists every version that was live"
        found.append(Finding("history", path, message, hint))
    return found


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _MOST_NAMED
    return ", ".join(parts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _name(number: int | None) -> str:
    return name_of(number) or "nothing"
