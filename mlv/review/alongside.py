"""What changes along with a pointer, and changes of what decides who may change it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.domain.dvcconfig import dangers
from mlv.errors import ConfigError
from mlv.review.policy import describe
from mlv.review.report import Finding
from mlv.store import config as configs
from mlv.store.dvcfiles import is_for_dvc, outputs_in
from mlv.store.naming import FOLDER
from mlv.store.objects import REGULAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlv.review.case import Case
    from mlv.review.change import Leaf, Touched

_MOST_NAMED = 5
_DVC, _DVC_CONFIG = ".dvc", ".dvc/config"
_ALONE = "propose it on its own, apart from the registry"
# What decides who may do what, or what runs: a pattern, and what it is.
_KNOWN = (
    (r"(\.github/|\.gitlab/|docs/)?codeowners", "who must approve which files"),
    (r"\.github/(workflows|actions)/.*|\.gitlab-ci\.ya?ml|\.gitlab/.*ya?ml", "what CI runs"),
    (r"\.mlv/.*", "what deploys"),
    (r"\.dvc/(cache|tmp)/.*", "what DVC takes for bytes that it fetched itself"),
    (r"(.*/)?\.dvcignore", "what DVC does not see"),
    (r"(.*/)?\.gitattributes", "how Git reads and writes files"),
)


def check(case: Case, moved: Iterable[str]) -> Iterator[Finding]:
    """Name what is touched outside registry/: all of it blocks where a pointer moves too."""
    blocks = bool(list(moved))
    others = []
    for each in case.change.touched:
        if each.is_in_registry:
            continue
        said = _written(case, each) or _said(case, each)
        if said:
            yield from (finding._replace(blocks=finding.blocks or blocks) for finding in said)
        else:
            others.append(each.path)
    if others and blocks:
        more = len(others) - _MOST_NAMED
        names = ", ".join(others[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        message = f"changes along with the pointer: {names}"
        yield Finding("alongside", others[0], message, _ALONE)


def _said(case: Case, each: Touched) -> list[Finding]:
    path, config = each.path, case.versions.config
    if path == configs.FILE:
        return [_mlv_yaml(case, each)]
    if path.casefold() == _DVC and each.after:
        what = f"{path} is a link or a repository of its own: DVC would read what that holds"
        return [Finding("dvc-config", path, what, "leave it a folder")]
    if re.fullmatch(r"(.*/)?\.dvc/config(\.local)?", path.casefold()):
        return list(_dvc_config(case, each))
    if config.allowed_signers and path == config.allowed_signers:
        return [_signers(case, each)]
    what = next((what for form, what in _KNOWN if re.fullmatch(form, path.casefold())), "")
    if not what:
        return []
    return [_note("alongside", path, f"{path} changes, which says {what}")]


def _written(case: Case, each: Touched) -> list[Finding]:
    """Refuse a file of DVC's that has an output in registry/, or around it."""
    if not is_for_dvc(each.path) or each.after is None:
        return []
    if each.after.mode not in REGULAR:
        what = f"{each.path} is no plain file (mode {each.after.mode}), and DVC goes by it"
        return [Finding("folder", each.path, what, "make it one")]
    found = outputs_in(each.path, _read(case, each.after), FOLDER)
    what = f"{each.path} has DVC write {', '.join(found)}, where what is live lies, and that alone"
    return [Finding("folder", each.path, what, "have it write elsewhere")] if found else []


def _note(rule: str, path: str, message: str) -> Finding:
    return Finding(rule, path, message, _ALONE, blocks=False)


def _mlv_yaml(case: Case, each: Touched) -> Finding:
    path = each.path
    if each.after is None or each.after.mode not in REGULAR:
        message = f"{path} is gone: nothing would say what this registry is"
        return Finding("alongside", path, message, "leave it")
    try:
        after = configs.parse(_read(case, each.after))
    except ConfigError as error:
        return Finding("alongside", path, f"{path} would be broken: {error.message}", error.hint)
    told = describe(case.versions.config, after)
    if each.before is None:
        told = ["is new", *told]
    return _note("alongside", path, f"{path} changes{': ' if told else ''}{'; '.join(told)}")


def _signers(case: Case, each: Touched) -> Finding:
    was, now = (set(_read(case, leaf).split(b"\n")) - {b""} for leaf in (each.before, each.after))
    told = [
        f"{word} {', '.join(sorted(_signer(line) for line in lines))}"
        for word, lines in (("adds", now - was), ("removes", was - now))
        if lines
    ]
    message = f"{each.path}, which says whose signatures count, {' and '.join(told) or 'changes'}"
    return _note("alongside", each.path, message)


def _signer(line: bytes) -> str:
    return line.split(b" ")[0].decode(errors="replace")


def _dvc_config(case: Case, each: Touched) -> Iterator[Finding]:
    path, now = each.path, _read(case, each.after)
    if each.after is None and path == _DVC_CONFIG:
        what = "is gone: nothing would say where the bytes are"
        yield Finding("dvc-config", path, f"{path} {what}", "leave it")
        return
    if each.after and (path.casefold().endswith(".local") or each.after.mode not in REGULAR):
        what = "is each user's own" if path.casefold().endswith(".local") else "is no plain file"
        yield Finding("dvc-config", path, f"{path} {what}: it is never committed", "git rm it")
        return
    known = {danger.text for danger in dangers(_read(case, each.before))}
    for danger in dangers(now):
        if danger.text not in known:
            yield Finding(
                "dvc-config", path, f"{path}:{danger.line}: {danger.key} {danger.why}",
                "each user states such things for a clone alone: dvc remote modify --local",
            )  # fmt: skip
    keys = _keys(_read(case, each.before)) ^ _keys(now)
    names = ", ".join(sorted({key for key, _ in keys})) or "comments"
    message = f"{path} changes, which says where the bytes are: {names}"
    yield _note("alongside", path, message)


def _keys(data: bytes) -> set[tuple[str, str]]:
    """Give the lines of a configuration by key; values may be secrets, and are not shown."""
    lines = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    return {(key.strip(), value.strip()) for key, equals, value in lines if equals}


def _read(case: Case, leaf: Leaf | None) -> bytes:
    found = leaf and case.versions.git.objects.read(leaf.oid)
    return found.data if found else b""
