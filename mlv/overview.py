"""What `mlv status` says: every model, the branch, and what needs attention."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, name_of
from mlv.errors import ConfigError, RegistryError
from mlv.store import versionfolder
from mlv.store.naming import FOLDER, POINTER, folder_of
from mlv.store.vanished import check_not_merged
from mlv.store.versions import DIVERGED
from mlv.trust import problems as trust_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Record, Tip, Versions


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
    if pointer.current is not None:
        check_is_of(versions, tip, versions.record(Version(pointer.model, pointer.current)))


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
    for check in (partial(check_not_merged, versions), partial(check_guard, versions)):
        try:
            check(tip)
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
