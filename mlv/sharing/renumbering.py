"""An unpublished version whose number somebody else published first takes the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain import manifest as manifests
from mlv.domain.arriving import is_same
from mlv.errors import ConfigError, RegistryError
from mlv.registering.publication import give_way, renumber
from mlv.store.naming import manifest_path
from mlv.store.versions import AHEAD, DIVERGED, LOCAL_ONLY

if TYPE_CHECKING:
    from mlv.domain.names import Version
    from mlv.sharing.share import Share
    from mlv.store.versions import Versions


def renumber_taken(share: Share, version: Version, theirs: str) -> Version:
    """Register a version anew under the next number; ``theirs`` is the tag of who was faster.

    Where both are the same version of another registry, theirs stays, under its number.
    `ConfigError` if the branch here names it already: it cannot have another number then.
    """
    _refuse_promoted(share.here, version)
    if _came_in_there(share.versions, version, theirs):
        give_way(share.versions, version, theirs)
        return version
    return renumber(share.versions, version, theirs)


def _came_in_there(versions: Versions, version: Version, theirs: str) -> bool:
    commit = versions.git.line("rev-parse", f"{theirs}^{{commit}}")
    data = versions.blob(commit, manifest_path(version.model))
    if data is None:
        return False
    try:
        there = manifests.parse(data, version)
    except RegistryError:
        return False
    return is_same(versions.record(version).manifest, there)


def _refuse_promoted(here: Versions, version: Version) -> None:
    tip = here.tip()
    if tip is None or tip.relation not in (AHEAD, DIVERGED, LOCAL_ONLY):
        return
    if version.number not in here.pointer(tip, version.model).status:
        return
    branch, remote = here.config.branch, here.config.remote
    raise ConfigError(
        f"{version.tag} was staged or promoted here before it was published, and somebody else "
        f"published another {version.tag}",
        hint=f"take the commits on {branch} back that name it (git reset --keep "
        f"{remote}/{branch} on {branch}), then mlv push, then promote it under its new number",
    )
