"""mlv: a model registry that lives in Git and DVC.

>>> from mlv import ModelRegistry
>>> registry = ModelRegistry(".")                                           # doctest: +SKIP
>>> registry.register("model.pkl", preprocessor_path="scaler.pkl")          # doctest: +SKIP
'v1'
"""

from typing import TYPE_CHECKING, Any

from mlv.errors import (
    ChangedMeanwhile,
    ConfigError,
    GateFailed,
    IntegrityError,
    InvalidInput,
    NoPreviousVersion,
    NotFound,
    PredictionDiffers,
    ProgramError,
    RefusedByRemote,
    RegistryError,
    StatusError,
    StorageError,
    WorkspaceError,
)

if TYPE_CHECKING:
    from mlv.pulling import load
    from mlv.registry import ModelRegistry
    from mlv.serve import LiveModel

__version__ = "0.1.0"

__all__ = [
    "ChangedMeanwhile",
    "ConfigError",
    "GateFailed",
    "IntegrityError",
    "InvalidInput",
    "LiveModel",
    "ModelRegistry",
    "NoPreviousVersion",
    "NotFound",
    "PredictionDiffers",
    "ProgramError",
    "RefusedByRemote",
    "RegistryError",
    "StatusError",
    "StorageError",
    "WorkspaceError",
    "load",
]

_LATER = {"LiveModel": "mlv.serve", "ModelRegistry": "mlv.registry", "load": "mlv.pulling"}


def __getattr__(name: str) -> Any:
    """Import what needs more when it is first asked for: the command line begins without it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
