"""The sample of a version that is being registered: asked of the bytes that were just stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.manifest import Artifact
from mlv.domain.sample import PATH, ROLE
from mlv.predicting import fingerprint
from mlv.store import handout
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.names import Version
    from mlv.domain.sample import Table
    from mlv.store.dvc.cache import Cache


def store_sample(
    cache: Cache, artifacts: Mapping[str, Artifact], given: Table, version: Version
) -> Artifact:
    """Load what is stored, ask it the sample, and store input and answer beside it.

    ``version`` is the one that will most likely be made, for messages.
    """
    with scratch(cache.scratch_folder) as folder:
        files = {role: folder / artifact.path for role, artifact in artifacts.items()}
        for role, artifact in artifacts.items():
            handout.bring(cache, artifact, version, files[role])
        sample = fingerprint.make(files, given)
        path = folder / PATH
        path.write_bytes(sample.to_bytes())
        stored = cache.put(path, path, cache.survey(path, path), lambda _: None)
    return Artifact(ROLE, PATH, stored.size, stored.md5, stored.sha256)
