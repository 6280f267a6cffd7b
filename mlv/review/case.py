"""A change and what it is judged by, as every rule is given it; and what a rule gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import Version
from mlv.errors import NotFound
from mlv.review.report import FAILED, NOT_CHECKED, PASSED, Check, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlv.domain.explaining import Verb
    from mlv.domain.pointer import Pointer
    from mlv.errors import RegistryError
    from mlv.review.change import Change
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Versions
    from mlv.trust import Policy


class Look(NamedTuple):
    """How closely to look.

    ``remote`` asks the Git remote for the tags and the DVC remote for existence and size of every
    object; ``deep`` also downloads, hashes and scans what would be loaded. ``force`` lets a
    version pass that the pointer notes as forced past the gate.
    """

    remote: bool = True
    deep: bool = False
    force: bool = False
    progress: ProgressBar | None = None


class Move(NamedTuple):
    """What becomes of one model's pointer.

    ``action`` is a verb, `REVERT` or `CHANGED`, and ``number`` the version that it is about.
    ``verbs`` are all steps that lead there, oldest first; none are known of a revert.
    """

    model: str
    before: Pointer
    after: Pointer
    action: str
    number: int | None
    verbs: tuple[Verb, ...] = ()

    @property
    def used(self) -> list[Version]:
        """The versions that become live, staged or what a rollback goes back to."""
        before, after = self.before, self.after
        roles = [
            (before.current, after.current),
            (before.staging, after.staging),
            (before.previous, after.previous),
        ]
        numbers = {now for was, now in roles if now is not None and now != was}
        return [Version(self.model, number) for number in sorted(numbers)]


class Case(NamedTuple):
    """The change, the registry as the base states it, and the base's policy."""

    versions: Versions
    change: Change
    policy: Policy
    look: Look


class Looked(NamedTuple):
    """What a rule found; ``skipped`` says why it did not look at all."""

    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    detail: str = ""

    def check(self, name: str) -> Check:
        """Say what became of it in a line."""
        blocking = sum(finding.blocks for finding in self.findings)
        if blocking:
            return Check(name, FAILED, self.skipped or self.findings[0].message)
        return Check(name, NOT_CHECKED if self.skipped else PASSED, self.skipped or self.detail)


def of_tag(version: Version, error: RegistryError) -> Finding:
    """Say what is wrong with a version's tag."""
    message = error.message
    if isinstance(error, NotFound) and version.tag not in message:
        message = f"{version.tag}: {message}"
    return Finding("tag", version.tag, message, error.hint)


def looked(findings: Iterable[Finding], detail: str = "", skipped: str = "") -> Looked:
    """Gather what a rule found."""
    return Looked(tuple(findings), skipped, detail)
