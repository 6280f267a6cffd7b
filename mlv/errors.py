"""Every way in which mlv says no.

    RegistryError            1  the base of them all
    |-- InvalidInput         2  what was typed or passed in cannot be used
    |-- ConfigError          1  mlv.yaml is wrong, or the repository is not set up
    |-- WorkspaceError       1  the work tree is in a state that mlv will not write into
    |-- StatusError          1  a status rule forbids the step
    |   `-- NoPreviousVersion
    |-- ProgramError         1  git or DVC failed; carries what was run and what it said
    |-- RefusedByRemote      1  a rule of the Git remote says no: a protected branch, a hook
    |-- StorageError         1  the file system refused: full, read-only, unreadable
    |-- GateFailed           3  a rule of the gate is not met; carries the verdicts
    |-- IntegrityError       4  bytes, a manifest or a pointer are not what was registered
    |   `-- PredictionDiffers   the bytes are, and yet the model answers something else here
    |-- ChangedMeanwhile     5  somebody else was faster; nothing was overwritten
    `-- NotFound             6  no such model, version or bytes

The number is the exit code of the command line.
"""

from __future__ import annotations

from typing import Any


class RegistryError(Exception):
    """What is wrong and where (``message``), and what to do about it (``hint``)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Give message and hint in one text, so that a bare traceback helps as well."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidInput(RegistryError):
    """What was typed or passed in cannot be used; nothing was changed."""

    exit_code = 2


class ConfigError(RegistryError):
    """mlv.yaml is wrong, or the repository is not set up for mlv."""


class WorkspaceError(RegistryError):
    """The work tree or index is in a state that mlv will not write into."""


class StatusError(RegistryError):
    """The statuses of the versions forbid this step."""


class NoPreviousVersion(StatusError):
    """There is nothing to roll back to without naming it."""


class ProgramError(RegistryError):
    """A program that mlv asked failed: its arguments, its exit code and what it said."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        argv: tuple[str, ...] = (),
        code: int | None = None,
        stderr: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.argv = argv
        self.code = code
        self.stderr = stderr


class RefusedByRemote(RegistryError):
    """A rule of the Git remote refuses a push; ``refs`` are those it named."""

    def __init__(self, message: str, *, hint: str = "", refs: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.refs = refs


class StorageError(RegistryError):
    """The file system refused: it is full, read-only, or a file cannot be read."""


class GateFailed(RegistryError):
    """A version does not meet the gate; ``verdicts`` are `domain.gate.Verdict`."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", verdicts: tuple[Any, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.verdicts = verdicts


class IntegrityError(RegistryError):
    """Something is not what was registered."""

    exit_code = 4


class PredictionDiffers(IntegrityError):
    """A version does not answer its sample here as it did when it was registered."""


class ChangedMeanwhile(RegistryError):
    """Somebody else changed the registry first; nothing was overwritten."""

    exit_code = 5


class NotFound(RegistryError):
    """There is no such model, version, or no copy of its bytes."""

    exit_code = 6
