"""Whether the tags of the versions that a change brings into use are what they were made as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.audit.records import compare
from mlv.domain.names import Version
from mlv.domain.pointer import GATED
from mlv.errors import NotFound, RegistryError
from mlv.review.case import Looked, looked, of_tag
from mlv.review.past import Past
from mlv.review.report import Finding
from mlv.store import versionfolder
from mlv.store.gitremote import PEELED, GitRemote
from mlv.store.naming import (
    FOLDER,
    MANIFEST,
    POINTER,
    REGISTERED_BY_MLV,
    folder_of,
    ref_patterns,
    tag_ref,
)
from mlv.store.objects import COMMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlv.review.case import Case, Move
    from mlv.store.versions import Record


_MOST_NAMED = 20


def read(case: Case, moves: Sequence[Move]) -> tuple[list[Record], list[Finding]]:
    """Read the versions that become live, staged or previous; say which cannot be read.

    Of those that are only listed anew, a tag must be there.
    """
    records, findings = [], []
    for move in moves:
        used = move.used
        for version in used:
            try:
                record = case.versions.record(version)
                versionfolder.read(case.versions, record)
            except RegistryError as error:
                findings.append(of_tag(version, error))
            else:
                records.append(record)
        listed = move.after.status.keys() - move.before.status.keys()
        findings += _unknown(case, [Version(move.model, n) for n in sorted(listed)], used)
    return records, findings


def _unknown(
    case: Case, versions: Sequence[Version], besides: Sequence[Version]
) -> Iterator[Finding]:
    """Name those that cannot be read, until there are many: each one is asked for."""
    named = 0
    for version in versions:
        if version in besides:
            continue
        try:
            case.versions.record(version)
        except RegistryError as error:
            yield of_tag(version, error)
            named += 1
        if named == _MOST_NAMED:
            return


def check(case: Case, moves: Sequence[Move], records: Sequence[Record]) -> Looked:
    """Hold the tags against the Git remote's, and against what was live under their names."""
    findings = list(_against_the_past(case, moves, records))
    if not records:
        return looked(findings)
    if not case.look.remote:
        return looked(findings, skipped="the Git remote was not asked")
    remote = GitRemote(case.versions.git, case.versions.config.remote)
    if not remote.exists:
        return looked(findings, skipped=f"there is no Git remote {remote.name!r} to ask")
    refs = [ref for r in records for ref in _refs(r.tag.version)]
    try:
        there = remote.refs(*refs)
    except RegistryError as error:
        subject = records[0].tag.version.tag
        message = f"the tags cannot be compared: {error.message}"
        findings.append(Finding("tag", subject, message, error.hint))
        return looked(findings, skipped=error.message)
    for record in records:
        findings += [
            Finding("tag", each.subject, each.message, each.hint)
            for each in compare(record.tag, there, remote.name)
        ]
        findings += _lightweight(record.tag.version, there, remote.name)
    cut = "; history is cut off here, and what was live before is not known"
    is_cut = case.versions.git.is_shallow()
    return looked(findings, detail=f"as {remote.name} has them{cut if is_cut else ''}")


def _lightweight(version: Version, there: Mapping[str, str], remote: str) -> Iterator[Finding]:
    """Name a tag that is lightweight on the remote itself; in a clone, CI may have left it so."""
    ref, peeled = _refs(version)
    if ref in there and peeled not in there:
        yield Finding(
            "tag", version.tag,
            f"the tag {version.tag} is lightweight on {remote}: it was made anew",
            "mlv makes annotated ones, which say who registered what: find out who replaced it",
        )  # fmt: skip


def _refs(version: Version) -> tuple[str, str]:
    return tag_ref(version), f"{tag_ref(version)}{PEELED}"


def _against_the_past(
    case: Case, moves: Sequence[Move], records: Sequence[Record]
) -> Iterator[Finding]:
    """A version that was live had its folder on the branch, which says what its tag must be."""
    known = {record.tag.version: record for record in records}
    for move in moves:
        past = Past(case.versions, case.change.base, move.model)
        champion = move.before.current
        if champion is not None and any(verb.action in GATED for verb in move.verbs):
            version = Version(move.model, champion)
            try:
                known.setdefault(version, case.versions.record(version))
            except NotFound:
                continue  # said by the gate, which needs it
            except RegistryError as error:
                yield of_tag(version, error)
        for version, record in known.items():
            lived = past.lived(version.number) if version.model == move.model else []
            if lived and not any(_is_same(case, commit, record) for commit in lived):
                yield Finding(
                    "tag", version.tag,
                    f"the tag {version.tag} is not what was live under its name since "
                    f"{lived[0][:10]}: it was moved",
                    "a version's tag never changes: find out who moved it; "
                    f"git diff {lived[0][:10]} {version.tag} -- {folder_of(version.model)}",
                )  # fmt: skip


def _is_same(case: Case, commit: str, record: Record) -> bool:
    """Whether a version's folder on the branch was what its tag has now."""
    folder = folder_of(record.tag.version.model)
    there, here = (case.versions.entries(c, folder) or [] for c in (commit, record.tag.commit))
    return {e for e in there if e.name != POINTER} == set(here)


# Registrations that were merged ------------------------------------------------------------


def merged(case: Case) -> Iterator[Finding]:
    """Name the registrations that would become ancestors of the registry branch."""
    git, change = case.versions.git, case.change
    refs = git.refs(f"--merged={change.head}", f"--no-merged={change.base}", *ref_patterns())
    named = {refs_commit: v.tag for v in case.versions.ours(refs)
             if (refs_commit := _commit(case, v))}  # fmt: skip
    listed = git.run(
        "log", "--format=%H", "--no-show-signature", f"--grep=^{REGISTERED_BY_MLV}$",
        change.head, f"^{change.base}",
    ).decode().split()  # fmt: skip
    for commit in dict.fromkeys([*named, *(c for c in listed if _is_registration(case, c))]):
        tag = named.get(commit, commit[:10])
        what = "" if commit in named else "the commit "
        yield Finding(
            "ancestor", tag,
            f"the registration {what}{tag} would be merged: a version is promoted, never merged",
            "git reset --keep to the commit before, then mlv propose it",
        )  # fmt: skip


def _commit(case: Case, version: Version) -> str | None:
    found = case.versions.git.objects.read(f"{tag_ref(version)}^{{commit}}")
    return found.oid if found and found.kind == COMMIT else None


def _is_registration(case: Case, commit: str) -> bool:
    """Whether a commit's tree is a version's: a manifest, and no pointer."""
    folders = case.versions.entries(commit, FOLDER) or []
    names = {
        e.name: {f.name for f in case.versions.entries(commit, folder_of(e.name)) or []}
        for e in folders
    }
    return any(MANIFEST in n and POINTER not in n for n in names.values())
