"""What a report tells of the two versions of a proposal, read out of Git by a few processes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.domain.names import Version
from mlv.errors import RegistryError
from mlv.review.report import Between, Commit, Proposal, Side
from mlv.store.naming import folder_of
from mlv.store.pointerlog import commit_at
from mlv.store.trainingdata import trained_on
from mlv.store.versionfolder import REQUIREMENTS

if TYPE_CHECKING:
    from mlv.domain.gate import Verdict
    from mlv.domain.manifest import Manifest
    from mlv.domain.pointer import Pointer
    from mlv.domain.rules import Gate
    from mlv.store.versions import Record, Versions

RECENT = 10
_MOST_PINS = 5_000


def proposal(
    versions: Versions,
    action: str,
    before: Pointer,
    after: Pointer,
    number: int | None,
    *,
    verdict: Verdict | None,
    gate: Gate,
) -> Proposal:
    """Collect what is to be told of a step of a pointer; ``number`` is the version it is about.

    A version that cannot be read is left out: why it cannot is for the judgement to say.
    """
    live = _side(versions, before.model, before.current)
    proposed = live if number == before.current else _side(versions, before.model, number)
    return Proposal(
        before.model,
        action,
        before,
        after,
        live,
        proposed,
        verdict,
        gate,
        recent=recent(versions, live, proposed),
        forced=number in after.forced,
        between=between(versions, live, proposed),
    )


def _side(versions: Versions, model: str, number: int | None) -> Side | None:
    if number is None:
        return None
    try:
        return side(versions, versions.record(Version(model, number)))
    except RegistryError:
        return None


def side(versions: Versions, record: Record) -> Side:
    """Read what a report tells of one version."""
    return Side(
        record.manifest,
        data=trained_on(versions, record),
        packages=packages(versions, record),
        commit=_trained_from(versions, record.manifest),
    )


def packages(versions: Versions, record: Record) -> dict[str, str]:
    """Read the pins in the version's ``requirements.txt``, by package."""
    path = f"{folder_of(record.manifest.version.model)}/{REQUIREMENTS}"
    text = (versions.blob(record.tag.commit, path) or b"").decode(errors="replace")
    pins = (line.partition("==") for line in text.splitlines()[:_MOST_PINS])
    return {name.strip(): pin.strip() for name, is_pin, pin in pins if is_pin}


def _trained_from(versions: Versions, manifest: Manifest) -> Commit | None:
    oid = _commit_of(manifest)
    found = commit_at(versions.git, oid) if oid else None
    if found is None:
        return None
    subject = next(iter(found.message.strip().splitlines()), "")
    return Commit(oid, subject, found.author.partition(" <")[0])


def _commit_of(manifest: Manifest) -> str:
    """Give the commit that a manifest names, if it is the full name of one."""
    oid = manifest.data["lineage"].get("commit") or ""
    return oid if re.fullmatch("[0-9a-f]{40}", oid) else ""


def between(versions: Versions, live: Side | None, proposed: Side | None) -> Between | None:
    """Count the commits between the two that the sides were trained from.

    None where one is not here, or where a shallow clone has not all that lies between.
    """
    if not (live and live.commit and proposed and proposed.commit) or versions.git.is_shallow():
        return None
    if live.commit.oid == proposed.commit.oid:
        return Between(0, 0)
    sides = f"{live.commit.oid}...{proposed.commit.oid}"
    result = versions.git.ask("rev-list", "--left-right", "--count", sides)
    counts = result.stdout.split()
    return None if result.code else Between(ahead=int(counts[1]), behind=int(counts[0]))


def recent(versions: Versions, *sides: Side | None) -> tuple[Manifest, ...]:
    """Give the last versions of the model, and the sides' own, oldest first."""
    known = {side.manifest.version: side.manifest for side in sides if side}
    if not known:
        return ()
    model = next(iter(known)).model
    for version in versions.names(model)[-RECENT:]:
        manifest = None if version in known else _manifest(versions, version)
        if manifest:
            known[version] = manifest
    return tuple(known[version] for version in sorted(known))


def _manifest(versions: Versions, version: Version) -> Manifest | None:
    try:
        tag = versions.find(version)
        return versions.manifest_of(tag) if tag else None
    except RegistryError:
        return None
