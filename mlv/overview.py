"""What `mlv status` says: every model, the branch, and what needs attention."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.errors import ConfigError, RegistryError
from mlv.store import versionfolder
from mlv.store.dvcfiles import is_for_dvc, outputs_in
from mlv.store.naming import FOLDER, POINTER, folder_of
from mlv.store.objects import FOLDER_MODE, REGULAR
from mlv.store.vanished import check_not_merged
from mlv.store.versions import DIVERGED
from mlv.trust import problems as trust_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mlv.domain.pointer import Pointer
    from mlv.store.objects import Entry
    from mlv.store.versions import Record, Tip, Versions

_LARGEST = 16 * 1024 * 1024  # bytes of a file by which DVC goes


def overview(versions: Versions, model: str | None) -> dict[str, Any]:
    """Describe the registry; ``problems`` lists errors by message and hint."""
    problems: list[RegistryError] = []
    tip = versions.tip()
    numbers: dict[str, list[int]] = {}
    for tag, manifest in versions.manifests(model):
        if isinstance(manifest, RegistryError):
            problems.append(manifest)
        else:
            numbers.setdefault(tag.version.model, []).append(tag.version.number)
    names = set(numbers) | set(versions.models_on(tip) if tip and not model else ())
    found = {name: _pointer(versions, tip, name, problems) for name in sorted(names)}
    models = [_model(name, found[name], numbers.get(name, [])) for name in found]
    problems += _branch_problems(versions, tip)
    problems += trust_problems(versions, tip, list(found.values()))
    return {
        "branch": versions.config.branch,
        "commit": tip and tip.commit,
        "branch_is": tip.relation if tip else "missing",
        "models": models,
        # One fault may be seen from several sides.
        "problems": list(
            {p.message: {"message": p.message, "hint": p.hint} for p in problems}.values()
        ),
    }


def _pointer(
    versions: Versions, tip: Tip | None, model: str, problems: list[RegistryError]
) -> Pointer:
    if tip is None:
        return pointers.empty(model)
    try:
        pointer = versions.pointer(tip, model)
    except RegistryError as error:
        problems.append(error)
        return pointers.empty(model)
    try:
        check_folder(versions, tip, pointer)
    except RegistryError as error:
        problems.append(error)
    return pointer


def check_folder(versions: Versions, tip: Tip, pointer: Pointer) -> None:
    """Raise if the model's folder on the branch is not the live version's."""
    if pointer.current is None:
        _check_not_for_dvc(versions, tip, [pointer.model])
    else:
        check_is_of(versions, tip, versions.record(Version(pointer.model, pointer.current)))


def check_folders(versions: Versions, tip: Tip, records: Iterable[Record]) -> None:
    """Raise if DVC would bring anything below registry/ that is not live; all that is, is given."""
    known = {record.manifest.version: record for record in records}
    for model in versions.models_on(tip):
        pointer = versions.pointer(tip, model)
        if pointer.current is None:
            check_folder(versions, tip, pointer)
        else:
            check_is_of(versions, tip, known[Version(model, pointer.current)])
    check_beside(versions, tip)
    check_outputs(versions, tip)


def check_is_of(versions: Versions, tip: Tip, live: Record) -> None:
    """Raise if a model's folder on the branch is not that of ``live``."""
    version = live.manifest.version
    expected = {e.name: e.oid for e in versionfolder.read(versions, live)}
    folder = folder_of(version.model)
    found = versions.entries(tip.commit, folder) or []
    actual = {e.name: e.oid for e in found if e.name != POINTER}
    odd = sorted(n for n in expected.keys() | actual.keys() if expected.get(n) != actual.get(n))
    if odd:
        raise ConfigError(
            f"{folder}/{odd[0]} on {versions.config.branch} is not that of {version.tag}, "
            "which is live: it was changed by hand",
            hint=f"git log -p {versions.config.branch} -- {folder}/{odd[0]} shows who; revert it, "
            "or promote or stage a version: that writes the folder anew",
        )


def check_beside(versions: Versions, tip: Tip) -> None:
    """Raise if anything beside the models' folders has DVC bring something into registry/."""
    entries = versions.entries(tip.commit, FOLDER) or []
    _check_not_for_dvc(versions, tip, {e.name for e in entries} - {*versions.models_on(tip)})


def _check_not_for_dvc(versions: Versions, tip: Tip, names: Collection[str]) -> None:
    """Raise if these, of what lies in registry/, hold anything by which DVC goes."""
    entries = versions.entries(tip.commit, FOLDER) or []
    branch = versions.config.branch
    for path, _ in _for_dvc(versions, FOLDER, [e for e in entries if e.name in names]):
        raise ConfigError(
            f"{path} on {branch} is of no version that is live, and dvc pull goes by it: it "
            "was put there by hand",
            hint=f"git log -p {branch} -- {path} shows who; git rm it, or git mv it elsewhere: "
            f"{FOLDER}/ is mlv's",
        )


def _for_dvc(versions: Versions, folder: str, entries: list[Entry]) -> Iterator[tuple[str, Entry]]:
    """Find the files in a folder's entries, and below, that DVC goes by.

    A few trees that hold each other many times make paths without end. What a file calls its
    outputs depends on how deep it lies, so each tree is looked at once for each depth.
    """
    left = [(posixpath.join(folder, entry.name), entry) for entry in entries]
    seen = set()
    while left:
        path, entry = left.pop()
        place = (entry.oid, path.count("/"))
        if entry.mode == FOLDER_MODE and place not in seen:
            seen.add(place)
            inside = versions.git.objects.read_tree(entry.oid) or []
            left += [(f"{path}/{each.name}", each) for each in inside]
        elif entry.mode != FOLDER_MODE and is_for_dvc(entry.name):
            yield path, entry


def check_outputs(versions: Versions, tip: Tip) -> None:
    """Raise if a file elsewhere has DVC bring anything to registry/, where what is live lies.

    Also at the path of what is live: DVC would bring both, one over the other.
    """
    branch, git = versions.config.branch, versions.git
    entries = versions.entries(tip.commit) or []
    elsewhere = [entry for entry in entries if entry.name.casefold() != FOLDER]
    found = list(_for_dvc(versions, "", elsewhere))
    oids = "".join(f"{entry.oid}\n" for _, entry in found).encode()
    sizes = git.run("cat-file", "--batch-check=%(objectsize)", stdin=oids).split() if found else []
    for (path, entry), size in zip(found, sizes, strict=True):
        is_plain = entry.mode in REGULAR and int(size) <= _LARGEST
        read = git.objects.read(entry.oid) if is_plain else None
        if read is None:
            raise ConfigError(
                f"{path} on {branch} is a link or huge, and dvc pull goes by it",
                hint=f"git log -p {branch} -- {path} shows who put it there",
            )
        for output in outputs_in(path, read.data, FOLDER):
            raise ConfigError(
                f"{path} on {branch} has dvc pull bring {output}, where what is live lies, and "
                "that alone",
                hint=f"have it put elsewhere: {FOLDER}/ is mlv's",
            )


def live_on(versions: Versions, tip: Tip) -> list[Version]:
    """Give the versions that a branch's tip has in production."""
    live = (versions.pointer(tip, model) for model in versions.models_on(tip))
    return [Version(p.model, p.current) for p in live if p.current is not None]


def check_guard(versions: Versions, tip: Tip) -> None:
    """Raise if the file that keeps pulled bytes out of ``git add`` is gone, or says nothing."""
    path = f"{FOLDER}/.gitignore"
    if versions.models_on(tip) and not (versions.blob(tip.commit, path) or b"").strip():
        raise ConfigError(
            f"{path} on {versions.config.branch} is gone or empty: git add would take in the bytes "
            "that a checkout leaves behind",
            hint=f"git log -p {versions.config.branch} -- {path} shows who; revert that commit",
        )


def _branch_problems(versions: Versions, tip: Tip | None) -> Iterator[RegistryError]:
    config = versions.config
    if tip is None:
        yield ConfigError(
            f"the registry branch {config.branch!r} does not exist here",
            hint=f"git fetch {config.remote} {config.branch}",
        )
        return
    for check in (check_not_merged, check_guard, check_beside):
        try:
            check(versions, tip)
        except RegistryError as error:
            yield error
    theirs = f"{config.remote}/{config.branch}"
    if tip.relation == DIVERGED:
        yield ConfigError(
            f"{config.branch} and {theirs} have diverged; the local one counts",
            hint=f"git log --oneline --left-right {config.branch}...{theirs}",
        )


def _model(name: str, pointer: Pointer, numbers: list[int]) -> dict[str, Any]:
    return {
        "model": name,
        "production": name_of(pointer.current),
        "previous": name_of(pointer.previous),
        "staging": name_of(pointer.staging),
        "forced": pointer.current in pointer.forced,
        "latest": name_of(max(numbers, default=None)),
        "versions": len(numbers),
    }
