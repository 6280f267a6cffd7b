"""Whether a push may go: the registry branch's new tip, and the tags of versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import IntegrityError, NotFound, RegistryError, WorkspaceError
from mlv.store.git import NO_OBJECT
from mlv.store.naming import manifest_path, pointer_path, ref_patterns, version_of
from mlv.store.vanished import check_not_merged
from mlv.store.versions import LOCAL_ONLY, Tip, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlv.domain.names import Version
    from mlv.store.versions import Versions

_WITHOUT = "git push --no-verify goes without this"


class Push(NamedTuple):
    """One line that git tells a pre-push hook; `store.git.NO_OBJECT` is no commit."""

    local_ref: str
    new: str
    remote_ref: str
    old: str


def parse(lines: Iterable[str]) -> Iterator[Push]:
    """Read what git writes to a pre-push hook; what is no such line is passed over."""
    for line in lines:
        words = line.rstrip("\n").split(" ")  # a ref's name may hold what else is a blank
        if len(words) == len(Push._fields) and all(
            re.fullmatch("[0-9a-f]{40}", oid) for oid in words[1::2]
        ):
            yield Push(*words)


def check_branch(versions: Versions) -> None:
    """Hold the registry branch against the remote's as it was last fetched."""
    tip = versions.need_tip()
    check_successor(versions, tip.remote, tip.local or tip.commit)


def check_pushes(versions: Versions, pushes: Iterable[Push]) -> None:
    """Refuse what would do harm to the registry branch; pushes of other refs are let through."""
    for push in pushes:
        if push.remote_ref != versions.local_ref:
            continue
        if push.new == NO_OBJECT:
            raise WorkspaceError(
                f"this would delete {versions.config.branch}, which says what is live",
                hint="name another registry branch in mlv.yaml first",
            )
        check_successor(versions, push.old if push.old != NO_OBJECT else None, push.new)


def check_bytes(versions: Versions, pushes: Iterable[Push]) -> None:
    """Refuse the tag of a version whose bytes the DVC remote does not have."""
    new = [(version, push.new) for push in pushes if (version := _published(versions, push))]
    if not new:
        return
    from mlv.sharing.objects import not_there
    from mlv.store.dvc.repository import open_dvc

    with open_dvc(versions.git.layout) as dvc:
        for version, commit in new:
            try:
                lacking = not_there(dvc, f"{commit}^{{commit}}")
            except RegistryError as error:
                raise type(error)(
                    f"whether the bytes of {version.tag} are on the DVC remote cannot be told: "
                    f"{error.message}",
                    hint=f"{error.hint}; {_WITHOUT}" if error.hint else _WITHOUT,
                ) from error
            if lacking:
                raise NotFound(
                    f"{lacking[0]} of {version.tag} is not on the DVC remote"
                    f"{f' ({len(lacking)} outputs in all)' if len(lacking) > 1 else ''}: "
                    "whoever gets the tag could not get the model",
                    hint=f"mlv push {version.tag} brings bytes and tag; {_WITHOUT}",
                )


def _published(versions: Versions, push: Push) -> Version | None:
    """Name the version that a push would publish: a new tag, whose tree holds its manifest."""
    version = version_of(push.remote_ref) if push.remote_ref.startswith("refs/tags/") else None
    if version is None or push.new == NO_OBJECT or push.old != NO_OBJECT:
        return None
    manifest, pointer = manifest_path(version.model), pointer_path(version.model)
    is_one = versions.blob(push.new, manifest) is not None
    return version if is_one and versions.blob(push.new, pointer) is None else None


def check_successor(versions: Versions, old: str | None, new: str) -> None:
    """Refuse ``new`` as the registry branch's tip where ``old``, if any, is its tip now.

    The first-parent chain of ``new`` must reach ``old``, no registration may have been merged in
    between, and every pointer must be readable.
    """
    if old is not None:
        _check_first_parent(versions, old, new)
    _check_no_registration(versions, old, new)
    tip = Tip(new, new, old, LOCAL_ONLY)
    check_writable(versions, tip)
    for model in versions.models_on(tip):
        versions.pointer(tip, model)
    check_not_merged(versions, tip)


def _check_first_parent(versions: Versions, old: str, new: str) -> None:
    git, config = versions.git, versions.config
    theirs = f"{config.remote}/{config.branch}"
    if git.objects.read(f"{old}^{{commit}}") is None:
        raise WorkspaceError(
            f"{theirs} has moved on to {old[:10]}, which is not here",
            hint=f"git fetch {config.remote}, then git rebase {theirs}",
        )
    if git.is_first_ancestor(old, new):
        return
    raise WorkspaceError(
        f"{new[:10]} is behind {theirs}: what went live since would be forgotten"
        if git.is_ancestor(new, old)
        else f"the first-parent line of {new[:10]} leaves {theirs} out: a merge of it (git pull) "
        "turned the branch round, and mlv history could no longer tell what was live when",
        hint=f"git fetch {config.remote}, then git rebase {theirs}; "
        f"or git reset --keep {theirs} and git merge your work into it",
    )


def _check_no_registration(versions: Versions, old: str | None, new: str) -> None:
    known = [f"--no-merged={old}"] if old else []
    refs = versions.git.refs(f"--merged={new}", *known, *ref_patterns())
    for version in versions.ours(refs):
        raise IntegrityError(
            f"the registration {version.tag} was merged into {new[:10]}: a version is promoted, "
            "never merged",
            hint=f"git reset --keep to the commit before the merge, then mlv promote {version.tag}",
        )
