"""The audit: every version against its tag, its files, the branch, the bytes and the remotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.audit import records
from mlv.domain import pointer as pointers
from mlv.domain.findings import Missing, NotHere, Ok, Outcome, Swapped, Unpublished
from mlv.domain.names import Version
from mlv.errors import ConfigError, IntegrityError
from mlv.store import files
from mlv.store.dvc.repository import open_dvc

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.store.dvc.repository import Dvc
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Versions


def verify_all(
    versions: Versions,
    model: str | None,
    progress: ProgressBar,
    *,
    remote: bool = False,
    deep: bool = False,
) -> list[Outcome]:
    """Check every version of one model, or of all, and give at least one outcome of each.

    Nothing is fetched. ``remote`` asks the Git remote for its tags and the DVC remote for
    existence and size of every object; ``deep`` also downloads and hashes those of versions.
    """
    if versions.git.is_shallow():
        raise ConfigError(
            "this clone is shallow: an audit would be of a part of the registry",
            hint="git fetch --unshallow --tags, then try again",
        )
    audit = _Audit(versions, progress)
    with open_dvc(versions.git.layout) as dvc:
        return audit.run(dvc, model, remote=remote or deep, deep=deep)


class _Audit:
    def __init__(self, versions: Versions, progress: ProgressBar) -> None:
        self.versions = versions
        self.progress = progress
        self.found: dict[str, list[Outcome]] = {}

    def run(self, dvc: Dvc, model: str | None, *, remote: bool, deep: bool) -> list[Outcome]:
        tip = self.versions.tip()
        live, of_branch = records.check_branch(self.versions, tip, model)
        policy, untrusted = records.check_policy(self.versions, tip)
        whole, faults = records.check_versions(self.versions, policy, model, live)
        for fault in faults:
            self._add(fault)
        kept = [record for record in whole if not _is_purged(live, record)]
        published = self._compare_tags(whole, model) if remote else None
        states = {record.tag.version.tag: self._hash_here(dvc, record) for record in kept}
        if remote:
            self._ask_remote(dvc, kept, published, deep=deep)
        for record in whole:
            tag = record.tag.version.tag
            if all(isinstance(outcome, Unpublished) for outcome in self.found.get(tag, [])):
                self._add(_summary(tag, states.get(tag)))
        ordered = sorted(self.found, key=lambda tag: Version.from_tag(tag) or Version("", 0))
        return [*of_branch, *untrusted, *(o for tag in ordered for o in self.found[tag])]

    def _add(self, outcome: Outcome) -> None:
        self.found.setdefault(outcome.subject, []).append(outcome)

    def _compare_tags(self, whole: list[Record], model: str | None) -> set[str] | None:
        """Compare tags with the Git remote's; give those it has, None if there is no remote."""
        published, outcomes = records.compare_tags(self.versions, whole, model)
        for outcome in outcomes:
            self._add(outcome)
        return published

    def _hash_here(self, dvc: Dvc, record: Record) -> dict[str, str]:
        """Hash what is here of a version; say of each artifact whether it was."""
        layout, tag, artifacts = (
            self.versions.git.layout,
            record.tag.version.tag,
            record.manifest.artifacts,
        )
        states = {}
        with self.progress(f"hashing {tag}", sum(a.size for a in artifacts.values())) as advance:
            for role in artifacts:
                try:
                    states[role] = files.verify_role(dvc.cache, layout, record, role, advance)
                except IntegrityError as error:
                    self._add(Swapped(tag, error.message, error.hint))
        return states

    def _ask_remote(
        self, dvc: Dvc, kept: list[Record], published: set[str] | None, *, deep: bool
    ) -> None:
        from mlv.audit.stored import Stored

        with Stored(dvc, self.versions.git.layout, self.progress) as stored:
            for record, outcome in stored.check(kept, deep=deep):
                tag = record.tag.version.tag
                is_expected = published is None or tag in published
                if is_expected or not isinstance(outcome, Missing):
                    self._add(outcome)
            asked = [r for r in kept if published is None or r.tag.version.tag in published]
            for outcome in stored.outputs(asked):
                self._add(outcome)


def _is_purged(live: dict[str, Pointer], record: Record) -> bool:
    version = record.tag.version
    pointer = live.get(version.model)
    return pointer is not None and pointer.status_of(version.number) == pointers.PURGED


def _summary(tag: str, states: dict[str, str] | None) -> Outcome:
    if states is None:
        return Ok(tag, "purged: the record is whole")
    text = ", ".join(f"{role} {state}" for role, state in states.items())
    if files.ABSENT in states.values():
        return NotHere(tag, text, "mlv pull brings the bytes; --remote asks the DVC remote")
    return Ok(tag, text)
