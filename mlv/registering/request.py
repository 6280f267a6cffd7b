"""What the user asks to register, checked as far as it can be without a repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.manifest import check_metadata, check_metrics
from mlv.domain.sample import ROLE as SAMPLE
from mlv.errors import InvalidInput
from mlv.predicting.fingerprint import input_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.domain.sample import Table

    AnyPath = str | os.PathLike[str]


class Past(NamedTuple):
    """What is known of a version that was made elsewhere, and is registered as what it was there.

    ``registered_at`` is as a manifest has it. ``commit`` becomes its parent. ``checksums`` are the
    SHA-256 by role that its bytes must have.
    """

    number: int
    registered_at: str
    registered_by: str
    commit: str
    checksums: Mapping[str, str]


class Experiment(NamedTuple):
    """A DVC experiment: its name, its commit, and where the model would lie in the work tree."""

    name: str
    commit: str
    model: Path | None = None


class Request(NamedTuple):
    """What the user asks to register; ``sources`` are absolute paths by role.

    ``past`` is set of a version that was made elsewhere, ``experiment`` of the result of one.
    """

    model: str
    sources: Mapping[str, Path]
    metrics: Mapping[str, float]
    metadata: Mapping[str, Any]
    sample: Table | None = None
    past: Past | None = None
    experiment: Experiment | None = None

    @classmethod
    def of(
        cls,
        model: str,
        sources: Mapping[str, AnyPath],
        metrics: Mapping[str, float],
        metadata: Mapping[str, Any],
        sample: Any = None,
    ) -> Request:
        """Check paths, metrics, metadata and sample; `InvalidInput` names what is wrong."""
        if SAMPLE in sources:
            raise InvalidInput(
                f"the role {SAMPLE!r} is that of a version's sample",
                hint="give the input as sample=, or on the command line as --sample FILE",
            )
        paths = {role: _absolute(role, path) for role, path in sources.items()}
        given = None if sample is None else input_table(sample)
        return cls(model, paths, check_metrics(metrics), check_metadata(metadata), given)


def sources_of(
    model: AnyPath, preprocessor: AnyPath | None, artifacts: Mapping[str, AnyPath]
) -> dict[str, AnyPath]:
    """Give all paths by role; None declines the preprocessor."""
    sources: dict[str, AnyPath] = {"model": model}
    if preprocessor is not None:
        sources["preprocessor"] = preprocessor
    if not hasattr(artifacts, "items"):
        raise InvalidInput("artifacts must be roles with paths", hint='{"tokenizer": "tok/"}')
    for role, path in artifacts.items():
        if role in ("model", "preprocessor"):
            raise InvalidInput(
                f"{role!r} is not a further artifact", hint=f"give it as {role}_path"
            )
        sources[role] = path
    return sources


def _absolute(role: str, path: AnyPath) -> Path:
    """Resolve all but the last part, which may be a symlink that DVC made."""
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        raise InvalidInput(f"{path!r} is no path of a {role}", hint="give a path")
    found = Path(path)
    if found.name in ("", ".."):
        return found.resolve()
    return found.parent.resolve() / found.name
