"""Whether registry/ holds just what it should at the head of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.names import Version, is_model
from mlv.errors import IntegrityError, RegistryError
from mlv.review.case import of_tag
from mlv.review.report import Finding
from mlv.store import versionfolder
from mlv.store.naming import FOLDER, MANIFEST, POINTER, folder_of
from mlv.store.objects import FILE_MODE, Entry
from mlv.store.versions import Tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlv.review.case import Case
    from mlv.review.change import Touched


def check_folder(case: Case, model: str) -> Iterator[Finding]:
    """Hold a model's folder against the tag of the version that the pointer says is live."""
    versions, head = case.versions, case.change.head
    try:
        pointer = versions.pointer(Tip.at(head), model)
    except IntegrityError:
        return  # said of the pointer already
    tag = ""
    expected: list[Entry] = []
    if pointer.current is not None:
        version = Version(model, pointer.current)
        tag = version.tag
        try:
            expected = versionfolder.read(versions, versions.record(version))
        except RegistryError as error:
            yield of_tag(version, error)
            return
    found = versions.entries(head, folder_of(model)) or []
    yield from _differences(
        folder_of(model), tag, {e.name: e for e in expected}, {e.name: e for e in found}
    )


def _differences(
    folder: str, tag: str, expected: dict[str, Entry], found: dict[str, Entry]
) -> Iterator[Finding]:
    hint = (
        f"a version's files never change: git checkout {tag} -- {folder} restores them"
        if tag
        else f"nothing is live, so {folder} holds {POINTER} alone"
    )
    for name in sorted((expected.keys() | found.keys()) - {POINTER}):
        want, got = expected.get(name), found.get(name)
        if want == got:
            continue
        path = f"{folder}/{name}"
        rule = "manifest" if name == MANIFEST else "folder"
        yield Finding(rule, path, _how(path, tag or "a version", want, got), hint)


def _how(path: str, tag: str, want: Entry | None, got: Entry | None) -> str:
    if want is None:
        return f"{path} is not among the files of {tag}"
    if got is None:
        return f"{path} of {tag} is missing"
    if got.oid == want.oid or got.mode != FILE_MODE:
        return f"{path} is no plain file (mode {got.mode})"
    if path.endswith(".dvc"):
        return f"{path} names other bytes than {tag} registered"
    return f"{path} is not that of {tag}"


def check_elsewhere(case: Case, moved: Iterable[str]) -> Iterator[Finding]:
    """Name what else is touched below registry/, where nothing but mlv writes."""
    known = set(moved)
    for each in case.change.touched:
        if each.model is None and each.is_in_registry:
            if not _is_guard(case, each) and not _is_own_text(each):
                yield _stray(each)
        elif each.model and known and each.model not in known:
            yield Finding(
                "registry", each.path,
                f"{each.path} changes, though no pointer of {each.model!r} moves",
                "leave other models as they are, or change them on their own",
            )  # fmt: skip


def _is_guard(case: Case, each: Touched) -> bool:
    """Whether the file that keeps bytes out of Git is only made what it should be."""
    if each.path != f"{FOLDER}/.gitignore" or each.after is None or each.after.mode != FILE_MODE:
        return False
    found = case.versions.git.objects.read(each.after.oid)
    return found is not None and found.data == versionfolder.GUARD


def _is_own_text(each: Touched) -> bool:
    """Whether it is what people say of a model, which only the next version's card will hold."""
    folder, _, name = each.path.rpartition("/")
    is_named = folder == FOLDER and name.endswith(".md") and is_model(name.removesuffix(".md"))
    return is_named and (each.after is None or each.after.mode == FILE_MODE)


def _stray(each: Touched) -> Finding:
    hint = "only mlv writes there: put it elsewhere"
    if each.path == f"{FOLDER}/.gitignore":
        hint = "it keeps bytes that a checkout leaves behind out of Git: leave it as it is"
    how = "is gone" if each.after is None else "changes" if each.before else "is new"
    return Finding("registry", each.path, f"{each.path} {how}", hint)
