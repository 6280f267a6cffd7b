"""What the gate says of a version: by the policy of a commit, against what is live there.

The policy is the mlv.yaml of that commit, which is the registry branch's tip, and never that of
the work tree or of a branch that proposes something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.domain.names import Version
from mlv.domain.pointer import STAGING
from mlv.domain.rules import OPEN, Gate
from mlv.errors import GateFailed, NotFound
from mlv.store import config as configs
from mlv.store.naming import manifest_path
from mlv.store.trainingdata import trained_on
from mlv.store.versions import Tip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlv.domain.gate import Side, Verdict
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Record, Versions

_TOLD = 3


def gate_at(versions: Versions, commit: str, model: str) -> Gate:
    """Read a model's gate from a commit's mlv.yaml; `ConfigError` if that is wrong."""
    config = configs.read_at(versions, commit)
    return OPEN if config is None else config.of(model).gate


def verdict(
    versions: Versions,
    commit: str,
    version: Version,
    against: Version | None = None,
    *,
    to_stage: bool = False,
) -> Verdict:
    """Judge a version against what is live at a commit of the registry branch, or ``against`` one.

    ``to_stage``: it is to be staged, which needs no staging before.
    """
    from mlv.domain.gate import judge

    gate = gate_at(versions, commit, version.model)
    pointer = versions.pointer(Tip.at(commit), version.model)
    if against is None and pointer.current is not None:
        against = Version(version.model, pointer.current)
    challenger = _side(versions, versions.record(version), pointer, with_data=gate.same_data)
    champion = against and _champion(versions, commit, against, pointer, with_data=gate.same_data)
    return judge(gate, challenger, champion, to_stage=to_stage)


def _side(versions: Versions, record: Record, pointer: Pointer, *, with_data: bool) -> Side:
    """Give what the gate looks at of a version; its data only ``with_data``, for one ``git``."""
    from mlv.domain.gate import Side

    manifest = record.manifest
    number = manifest.version.number
    is_staged, is_live = pointer.status_of(number) == STAGING, number == pointer.current
    metadata: Mapping[str, Any] = manifest.data["metadata"]
    data = trained_on(versions, record) if with_data else None
    return Side(manifest.version, manifest.metrics, metadata, data, is_staged, is_live)


def _champion(
    versions: Versions, commit: str, version: Version, pointer: Pointer, *, with_data: bool
) -> Side:
    """Read what is live from its tag; where that is not here, from the branch, which has it too."""
    try:
        return _side(versions, versions.record(version), pointer, with_data=with_data)
    except NotFound:
        path = manifest_path(version.model)
        data = versions.blob(commit, path) if version.number == pointer.current else None
        if data is None:
            raise
    from mlv.domain import manifest
    from mlv.domain.gate import Side

    found = manifest.parse(data, version)
    return Side(version, found.metrics, found.data["metadata"], None, is_live=True)


def check(verdicts: Sequence[Verdict]) -> None:
    """Raise `GateFailed` if a version does not meet the gate; it names the first of the rules."""
    failed = tuple(each for each in verdicts if not each.passed)
    if not failed:
        return
    tags = " ".join(each.challenger.tag for each in failed)
    raise GateFailed(
        "; ".join(map(summary, failed)),
        hint=f"mlv gate {tags.split()[0]} shows every rule; "
        '--force --reason "..." goes on all the same, which is recorded for good',
        verdicts=failed,
    )


def summary(verdict: Verdict) -> str:
    """Say in a line what keeps a version from passing."""
    blocking = verdict.blocking
    told = [f"{each.message} ({each.rule})" for each in blocking[:_TOLD]]
    more = [f"{len(blocking) - _TOLD} more"] if len(blocking) > _TOLD else []
    return f"{verdict.challenger.tag} does not meet the gate: {', and '.join([*told, *more])}"
