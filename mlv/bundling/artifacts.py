"""A version's own artifacts, held against the digests of the objects that a bundle has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import IntegrityError
from mlv.store.dvcfiles import read_listing
from mlv.store.hashing import listing_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlv.domain.manifest import Artifact
    from mlv.store.hashing import Digest
    from mlv.store.versions import Record

_LARGEST_LISTING = 256 * 1024 * 1024  # bytes; some million files


def check_address(md5: str, digest: Digest, what: str) -> None:
    """Raise `IntegrityError` unless an object is what its address says; ``what`` is where it is."""
    if digest.md5 != md5.removesuffix(".dir"):
        raise IntegrityError(
            f"the object {md5} in {what} is damaged: its MD5 is {digest.md5}",
            hint="nothing was written. Where another copy is, on a DVC remote for instance, "
            "mlv verify names the version, and mlv pull brings it",
        )


def check_artifacts(
    record: Record, sums: Mapping[str, Digest], places: Mapping[str, Path], what: str
) -> None:
    """Raise `IntegrityError` unless a version's artifacts are there, and what was registered.

    ``sums`` and ``places`` are digest and file of each object by md5; ``what`` is where they are.
    """
    for artifact in record.manifest.artifacts.values():
        name = f"{artifact.path} of {record.manifest.version.tag}"
        found = sums.get(artifact.md5)
        if found is None:
            raise _lacking(name, what)
        if artifact.is_directory:
            sha256, size = _of_directory(artifact, sums, places[artifact.md5], name, what)
        else:
            sha256, size = found.sha256, found.size
        if (sha256, size) != (artifact.sha256, artifact.size):
            raise IntegrityError(
                f"{name} in {what} is not what was registered: expected {artifact.size} bytes with "
                f"SHA-256 {artifact.sha256}, found {size} with {sha256}",
                hint="nothing was written. Find out who changed it before you use any copy",
            )


def _of_directory(
    artifact: Artifact, sums: Mapping[str, Digest], listing: Path, name: str, what: str
) -> tuple[str, int]:
    if listing.stat().st_size > _LARGEST_LISTING:
        raise IntegrityError(f"the listing of {name} is not one of DVC's", hint="it is far too big")
    members = read_listing(listing.read_bytes(), artifact.path)
    if any(member.md5 not in sums for member in members):
        raise _lacking(f"a file of {name}", what)
    files = [(member.path, sums[member.md5]) for member in members]
    sha256 = listing_sha256([(path, digest.sha256) for path, digest in files])
    return sha256, sum(digest.size for _, digest in files)


def _lacking(name: str, what: str) -> IntegrityError:
    return IntegrityError(f"{name} is not in {what}", hint="nothing was written. Bundle it anew")
