"""What the gate says of a version: by the policy of a commit, against what is live there.

The policy is the mlv.yaml of that commit, which is the registry branch's tip, and never that of
the work tree or of a branch that proposes something.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.names import Version
from mlv.domain.pointer import STAGING
from mlv.domain.rules import OPEN, Gate
from mlv.errors import GateFailed, NotFound
from mlv.store import config as configs
from mlv.store.versions import FOLDER, Tip, manifest_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlv.domain.gate import Side, Verdict
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Record, Versions

_TOLD = 3
_BLOB = "blob"


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
    challenger = side(versions, versions.record(version), pointer, with_data=gate.same_data)
    champion = against and _champion(versions, commit, against, pointer, with_data=gate.same_data)
    return judge(gate, challenger, champion, to_stage=to_stage)


def _champion(
    versions: Versions, commit: str, version: Version, pointer: Pointer, *, with_data: bool
) -> Side:
    """Read what is live from its tag; where that is not here, from the branch, which has it too."""
    try:
        return side(versions, versions.record(version), pointer, with_data=with_data)
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


# What the gate looks at --------------------------------------------------------------------


def side(versions: Versions, record: Record, pointer: Pointer, *, with_data: bool = True) -> Side:
    """Give what the gate looks at of a version; its data only ``with_data``, for one ``git``."""
    from mlv.domain.gate import Side

    manifest = record.manifest
    number = manifest.version.number
    is_staged, is_live = pointer.status_of(number) == STAGING, number == pointer.current
    metadata: Mapping[str, Any] = manifest.data["metadata"]
    data = trained_on(versions, record) if with_data else None
    return Side(manifest.version, manifest.metrics, metadata, data, is_staged, is_live)


def trained_on(versions: Versions, record: Record) -> Mapping[str, str] | None:
    """Say what a version was trained on, hash by path; None if that is not known.

    The data among its stage's dependencies, else what ``.dvc`` files name, else ``data_window``.
    """
    files = list(_files(versions, record.tag.commit))
    window = record.manifest.data["metadata"].get("data_window")
    stated = {} if window in (None, "") else {"data_window": str(window)}
    return _dependencies(record, files) or _tracked(versions, record, files) or stated or None


class _File(NamedTuple):
    path: str
    oid: str


def _files(versions: Versions, commit: str) -> Iterator[_File]:
    listed = versions.git.run("ls-tree", "-r", "-z", "--full-tree", commit)
    for line in listed.decode(errors="surrogateescape").split("\0"):
        facts, tab, path = line.partition("\t")
        if tab and facts.split()[1] == _BLOB:
            yield _File(path, facts.split()[2])


def _dependencies(record: Record, files: Sequence[_File]) -> dict[str, str]:
    """Give the stage's dependencies but those that Git holds, which are code."""
    stage = record.manifest.data["lineage"].get("stage") or {}
    dependencies = stage.get("deps")
    if not isinstance(dependencies, dict):
        return {}
    in_git = {file.path for file in files}
    of_data = [path for path in in_git if path.endswith(".dvc")]
    code = [path for path in in_git if not path.endswith((".dvc", ".gitignore"))]
    in_git |= {folder for path in code for folder in _above(path)}
    in_git -= {folder for path in of_data for folder in _above(path)}
    named = {_place(stage.get("folder"), path): md5 for path, md5 in dependencies.items()}
    unknown = f"not known of {record.manifest.version.tag}"
    return {path: str(md5 or unknown) for path, md5 in named.items() if path not in in_git}


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _place(folder: object, path: str) -> str:
    """Say where a dependency lies, seen from the top; one at a URL lies where it says."""
    is_url = "://" in path
    return path if is_url or not isinstance(folder, str) else posixpath.normpath(f"{folder}/{path}")


def _tracked(versions: Versions, record: Record, files: Sequence[_File]) -> dict[str, str]:
    """Give what ``.dvc`` files of the version's tree name, but the version's own artifacts."""
    from mlv.store.dvcfiles import named_md5

    ours = {artifact.md5 for artifact in record.manifest.artifacts.values()}
    wanted = [
        file
        for file in files
        if file.path.endswith(".dvc") and not file.path.startswith(f"{FOLDER}/")
    ]
    found = versions.git.objects.read_many([file.oid for file in wanted])
    named = {
        file.path.removesuffix(".dvc"): (each and named_md5(each.data)) or file.oid
        for file, each in zip(wanted, found, strict=True)
    }
    return {path: md5 for path, md5 in named.items() if md5 not in ours}
