"""An unpublished version whose number somebody else published first takes the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import ConfigError
from mlv.registering.publication import renumber
from mlv.store.versions import AHEAD, DIVERGED, LOCAL_ONLY

if TYPE_CHECKING:
    from mlv.domain.names import Version
    from mlv.sharing.share import Share
    from mlv.store.versions import Versions


def renumber_taken(share: Share, version: Version, theirs: str) -> Version:
    """Register a version anew under the next number; ``theirs`` is the tag of who was faster.

    `ConfigError` if the branch here names it already: it cannot have another number then.
    """
    _refuse_promoted(share.here, version)
    return renumber(share.versions, version, theirs)


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
