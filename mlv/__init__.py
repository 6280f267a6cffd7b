"""mlv: a model registry that lives in Git and DVC.

>>> from mlv import ModelRegistry
>>> registry = ModelRegistry(".")                                           # doctest: +SKIP
>>> registry.register("model.pkl", preprocessor_path="scaler.pkl")          # doctest: +SKIP
'v1'
"""

from mlv.errors import (
    ChangedMeanwhile,
    ConfigError,
    IntegrityError,
    InvalidInput,
    NoPreviousVersion,
    NotFound,
    ProgramError,
    RegistryError,
    StatusError,
    StorageError,
    WorkspaceError,
)
from mlv.registry import ModelRegistry

__version__ = "0.1.0"

__all__ = [
    "ChangedMeanwhile",
    "ConfigError",
    "IntegrityError",
    "InvalidInput",
    "ModelRegistry",
    "NoPreviousVersion",
    "NotFound",
    "ProgramError",
    "RegistryError",
    "StatusError",
    "StorageError",
    "WorkspaceError",
]
