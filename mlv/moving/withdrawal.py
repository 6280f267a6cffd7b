"""Yanked and purged versions: saying who withdrew them, when and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlv.domain.pointer import PURGE, PURGED, YANK, YANKED
from mlv.errors import StatusError
from mlv.remembering.timeline import last_event

if TYPE_CHECKING:
    from mlv.domain.names import Version
    from mlv.store.versions import Tip, Versions

_BY = {YANKED: YANK, PURGED: PURGE}


def not_handed_out(versions: Versions, version: Version, status: str) -> StatusError:
    """Say that a withdrawn version is not handed out, and why."""
    said = f"{version.tag} is {status}: it is not handed out"
    error = StatusError(said, hint="mlv list shows the others")
    return with_reason(versions, versions.need_tip(), version, status, error)


def with_reason(
    versions: Versions, tip: Tip, version: Version, status: str, error: StatusError
) -> StatusError:
    """Add to an error about a version who withdrew it, if somebody did; one ``git log`` tells."""
    if status not in _BY:
        return error
    event = last_event(versions, tip, version.model, version.number, (_BY[status],))
    if event is None:  # such as in a shallow clone
        return error
    who = event.author.partition(" <")[0]
    when = datetime.fromtimestamp(event.at, UTC)
    why = f": {' '.join(event.reason.split())}" if event.reason else ""
    told = f"{status} by {who} on {when:%Y-%m-%d %H:%MZ}{why}"
    return StatusError(f"{error.message} ({told})", hint=error.hint)
