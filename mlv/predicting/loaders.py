"""Making objects of a version's files: a loader for each kind of file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlv.domain.manifest import MODEL, PREPROCESSOR
from mlv.errors import InvalidInput, RegistryError
from mlv.predicting import packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Loader = Callable[[Path], object]
    Loaders = Mapping[str, Loader]

_LOADED = (MODEL, PREPROCESSOR)


def load_files(files: Mapping[str, Path], loaders: Loaders | None = None) -> dict[str, Any]:
    """Load ``model`` and ``preprocessor`` of verified files; what has no loader stays a Path.

    ``loaders`` are the user's own, by suffix (``.onnx``) or role; with a role's name any further
    artifact is loaded too. The manifest and the requirements are left out.
    """
    own = loaders or {}
    loaded: dict[str, Any] = {PREPROCESSOR: None}
    for role, path in files.items():
        if role in ("manifest", "requirements"):
            continue
        loader = own.get(role)
        if loader is None and role in _LOADED:
            suffix = path.suffix.lower()
            loader = own.get(suffix) or LOADERS.get(suffix)
        loaded[role] = _load(loader, path, files) if loader else path
    return loaded


def _load(loader: Loader, path: Path, files: Mapping[str, Path]) -> object:
    try:
        return loader(path)
    except (RegistryError, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise RegistryError(
            f"{path.name} needs a package that is not installed: {error}",
            hint=packages.hint(files),
        ) from error
    except BaseException as error:
        # What a model raises while it is loaded can be anything, SystemExit too.
        raise RegistryError(
            f"{path.name} is what was registered, but cannot be loaded here: "
            f"{type(error).__name__}: {error}",
            hint=packages.hint(files),
        ) from error


def _need(module: str, package: str, path: Path) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RegistryError(
            f"{path.name} needs {package}, which is not installed", hint=f"pip install {package}"
        ) from error


def _pickle(path: Path) -> object:
    import joblib

    return joblib.load(path)


def _skops(path: Path) -> object:
    """Load what skops trusts by itself; for more, give a loader that says what to trust."""
    return _need("skops.io", "skops", path).load(path)


def _safetensors(path: Path) -> object:
    """Give the arrays by name; making a model of them takes a loader of the user's."""
    return _need("safetensors.numpy", "safetensors", path).load_file(path)


class OnnxModel:
    """An ONNX session that predicts as other models do."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def predict(self, X: Any) -> Any:  # noqa: N803 - as everywhere in this field
        """Give the first output; a model with several inputs takes a mapping of arrays."""
        inputs = self.session.get_inputs()
        given = X if isinstance(X, dict) else {inputs[0].name: X}
        return self.session.run(None, given)[0]


def _onnx(path: Path) -> object:
    runtime = _need("onnxruntime", "onnxruntime", path)
    return OnnxModel(runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]))


LOADERS: dict[str, Loader] = {
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _pickle,
    ".skops": _skops,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
}


def loaders_named(pairs: Iterable[tuple[str, str]]) -> Loaders:
    """Import loaders that are named: pairs of a suffix or role, and ``module:function``."""
    return {key: _named(place) for key, place in pairs}


def _named(place: str) -> Any:
    module, colon, name = place.partition(":")
    if not colon:
        raise InvalidInput(f"the loader {place!r} is not module:function")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(
            f"the loader {place!r} cannot be imported: {error}",
            hint="its folder must be on PYTHONPATH",
        ) from None
    if not callable(found):
        raise InvalidInput(f"the loader {place!r} cannot be called")
    return found
