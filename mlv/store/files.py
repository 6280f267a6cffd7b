"""A version's files: handing them out and verifying them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import NotFound
from mlv.store import handout
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.dvc.cache import Cache
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Layout
    from mlv.store.hashing import Progress, ProgressBar
    from mlv.store.versions import Record


OK, ABSENT = "ok", "not here"


def hand_out(
    layout: Layout, record: Record, progress: ProgressBar, requirements: bytes | None = None
) -> dict[str, Path]:
    """Give a version's files by role, its manifest, and its packages if given: verified."""
    size = sum(artifact.size for artifact in record.manifest.artifacts.values())
    tag = record.manifest.version.tag
    with progress(f"verifying {tag}", size) as advance, on_disk(layout.common_dir / "mlv"):
        files = handout.hand_out(layout.common_dir, record, lambda: _open(layout), advance)
        if requirements is not None:
            files["requirements"] = handout.put_beside(files["manifest"], requirements)
        return files


def _open(layout: Layout) -> Dvc:
    from mlv.store.dvc.repository import open_dvc

    return open_dvc(layout)


def verify(layout: Layout, record: Record, progress: ProgressBar, *, fetch: bool) -> dict[str, str]:
    """Hash the bytes of a version wherever they lie here; say which were here."""
    version = record.manifest.version
    folder = handout.folder_of(layout.common_dir, version)
    size = sum(artifact.size for artifact in record.manifest.artifacts.values())
    if fetch and not all((folder / a.path).exists() for a in record.manifest.artifacts.values()):
        hand_out(layout, record, progress)
    with progress(f"hashing {version.tag}", size) as advance, _open(layout) as dvc:
        return {
            role: verify_role(dvc.cache, layout, record, role, advance)
            for role in record.manifest.artifacts
        }


def verify_role(
    cache: Cache, layout: Layout, record: Record, role: str, progress: Progress | None = None
) -> str:
    """Hash one artifact wherever it lies here; `IntegrityError` if it is something else."""
    version, artifact = record.manifest.version, record.manifest.artifacts[role]
    path = handout.folder_of(layout.common_dir, version) / artifact.path
    is_out = path.exists()
    if is_out:
        handout.compare(path, artifact, version, progress)
    is_cached = _verify_cached(cache, record, role, path if is_out else None)
    return OK if is_out or is_cached else ABSENT


def _verify_cached(cache: Cache, record: Record, role: str, hashed: Path | None) -> bool:
    """Hash the cache's objects too, but not a file twice that is linked from there."""
    artifact, version = record.manifest.artifacts[role], record.manifest.version
    try:
        if cache.missing([artifact.md5], version.tag):
            return False
    except NotFound:
        return False
    listing = cache.object_path(artifact.md5)
    if listing is None:
        return False
    if not artifact.is_directory:
        if hashed is None or not hashed.samefile(listing):
            handout.compare(listing, artifact, version)
        return True
    handout.check_members(cache, artifact, version)
    return True
