"""Whether what goes live is signed as the base requires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import RegistryError
from mlv.review.case import Looked, looked
from mlv.review.report import Finding
from mlv.store.config import ALL, FILE
from mlv.store.naming import FOLDER, POINTER
from mlv.trust import check_signed, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlv.review.case import Case
    from mlv.store.versions import Record


def check(case: Case, records: Sequence[Record]) -> Looked:
    """Verify the tags of versions; where commits count, also those that move a pointer."""
    policy = case.policy
    if not policy.required:
        return looked((), skipped="the registry asks for none")
    findings = [*_versions(case, records)]
    if policy.required == ALL:
        findings += _commits(case)
    return looked(findings, detail=f"by the signers in {policy.path}")


def _versions(case: Case, records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        try:
            check_version(case.versions, case.policy, record)
        except RegistryError as error:
            yield Finding("signature", record.tag.version.tag, error.message, error.hint)


def _commits(case: Case) -> Iterator[Finding]:
    """A merge that only brings what its sides did is the forge's, and is left out."""
    paths = [f":(top,literal){path}" for path in (FILE, case.policy.path) if path]
    commits = case.versions.git.run(
        "rev-list", "--reverse", case.change.head, f"^{case.change.base}",
        "--", *paths, f":(top,glob){FOLDER}/*/{POINTER}",
    ).decode().split()  # fmt: skip
    for commit in commits:
        try:
            check_signed(case.versions, case.policy, commit)
        except RegistryError as error:
            yield Finding("signature", commit[:10], error.message, error.hint)
