"""A loaded version: the preprocessor, then the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain import sample as samples
from mlv.domain.manifest import MODEL, PREPROCESSOR
from mlv.errors import IntegrityError, PredictionDiffers, RegistryError
from mlv.predicting import packages
from mlv.predicting.loaders import load_files
from mlv.predicting.tables import from_table, to_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest
    from mlv.domain.sample import Differences, Sample
    from mlv.predicting.loaders import Loaders

SAME, NO_SAMPLE = "same", "no sample"


class Checked(NamedTuple):
    """What came of asking a version its sample: `SAME` or `NO_SAMPLE`; rows and seconds."""

    outcome: str
    rows: int = 0
    seconds: float = 0.0


class Predictor:
    """One version's model and preprocessor, and its sample if it has one."""

    def __init__(
        self, manifest: Manifest, files: Mapping[str, Path], loaded: Mapping[str, Any]
    ) -> None:
        self.manifest = manifest
        self.version = manifest.version
        self.files = dict(files)
        self.loaded = dict(loaded)
        self.sample = read_sample(manifest, files)

    @classmethod
    def load(
        cls, manifest: Manifest, files: Mapping[str, Path], loaders: Loaders | None = None
    ) -> Predictor:
        """Load verified files; `RegistryError` says why they cannot be loaded here."""
        return cls(manifest, files, load_files(files, loaders))

    def predict(self, X: Any) -> Any:  # noqa: N803 - as everywhere in this field
        """Give the model's answer to what the preprocessor makes of ``X``.

        Whatever these raise is raised.
        """
        return predict(self.loaded, X)

    def check(self) -> Checked:
        """Ask the version its sample; `PredictionDiffers` if it answers something else here."""
        if self.sample is None:
            return Checked(NO_SAMPLE)
        start = time.perf_counter()
        tag = self.version.tag
        try:
            answer = to_table(self.predict(from_table(self.sample.input)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # What a model raises can be anything, SystemExit too.
            raise PredictionDiffers(
                f"{tag} cannot answer its sample here: {type(error).__name__}: {error}",
                hint=packages.hint(self.files),
            ) from error
        seconds = time.perf_counter() - start
        found = samples.differences(self.sample, answer)
        if found:
            raise PredictionDiffers(_told(tag, self.sample, found), hint=packages.hint(self.files))
        return Checked(SAME, self.sample.input.rows, seconds)


def read_sample(manifest: Manifest, files: Mapping[str, Path]) -> Sample | None:
    """Read a version's sample; None if it has none."""
    artifact = manifest.artifacts.get(samples.ROLE)
    if artifact is None or artifact.path != samples.PATH or artifact.is_directory:
        return None
    if artifact.size > samples.MOST_BYTES:
        raise IntegrityError(
            f"the sample of {manifest.version.tag} has {artifact.size} bytes, of "
            f"{samples.MOST_BYTES} at most: mlv did not write it",
            hint=f"git log {manifest.version.tag} shows who made it",
        )
    return samples.parse(files[samples.ROLE].read_bytes(), manifest.version.tag)


def predict(loaded: Mapping[str, Any], X: Any) -> Any:  # noqa: N803 - as everywhere in this field
    """Run ``preprocessor`` and ``model``: what has no method of that name is called."""
    preprocessor = loaded.get(PREPROCESSOR)
    if preprocessor is not None:
        X = _method(preprocessor, "transform", PREPROCESSOR)(X)  # noqa: N806
    return _method(loaded[MODEL], "predict", MODEL)(X)


def _method(thing: Any, name: str, role: str) -> Any:
    method = getattr(thing, name, None) or (thing if callable(thing) else None)
    if method is None:
        raise RegistryError(
            f"the {role} is a {type(thing).__name__}, which has no {name} and cannot be called",
            hint="give a loader that makes of the file what can: loaders={'.suffix': load}",
        )
    return method


def _told(tag: str, sample: Sample, found: Differences) -> str:
    if found.shapes:
        expected, answered = found.shapes
        return f"{tag} answers its sample with {answered}, not {expected}"
    said = (
        f"{tag} does not answer its sample as when it was registered: {found.differing} of "
        f"{found.values} values differ, the first in {found.where}: "
        f"{found.found!r} instead of {found.expected!r}"
    )
    if found.largest is None:
        return said
    return (
        f"{said}; by {found.largest:.3g} at most "
        f"(tolerance {sample.relative:g} of the value, or {sample.absolute:g})"
    )
