"""What another registry has: the versions of one model, as a reader of that registry gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlv.domain.arriving import IMPORTED, Said
from mlv.domain.manifest import MODEL, check_metadata, check_metrics
from mlv.domain.names import Version, check_role
from mlv.domain.pointer import STATUSES
from mlv.errors import InvalidInput, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlv.domain.manifest import Manifest

_SHOWN = 3
_LONGEST_NAME = 100  # characters of a person's name and address, on one line


@dataclass(frozen=True)
class IncomingVersion:
    """One version of another registry.

    ``checksums`` has every role with the SHA-256 that is stated of it (of a folder, of its
    listing as in a manifest), or None where none is. ``bring`` gives the files and folders by
    role; what has to be downloaded for that may lie in the empty folder that it is handed.
    ``origin`` says which version (``version``) of which registry (``from``) it is, and nothing
    that may change there; ``remarks`` is what else is kept of it. ``registered_at`` is as in a
    manifest; ``registered_by`` is empty where it is not known; ``commit`` is the one it was trained
    from. ``roles_change`` where what is beside the model may come and go there later.
    """

    number: int
    registered_at: str
    checksums: Mapping[str, str | None]
    bring: Callable[[Path], Mapping[str, Path]]
    origin: Mapping[str, str]
    status: str = "registered"
    registered_by: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    remarks: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    roles_change: bool = False

    @property
    def name(self) -> str:
        """How it is called here: ``v3``."""
        return f"v{self.number}"

    @property
    def all_metadata(self) -> dict[str, Any]:
        """Its metadata, and where it came from."""
        told = {**self.remarks, **self.origin}
        if IMPORTED in self.metadata:
            told["before"] = self.metadata[IMPORTED]  # it is not the first registry it is in
        return {**self.metadata, IMPORTED: told}

    def check(self) -> None:
        """Refuse what no manifest could hold; `InvalidInput` names version and reason."""
        try:
            check_metrics(self.metrics)
            check_metadata(self.metadata)
            for role in self.checksums:
                check_role(role)
        except RegistryError as error:
            raise named(self, error) from error
        if MODEL not in self.checksums:
            raise InvalidInput(f"{self.name} has no model", hint="a version is of a model")
        if self.status not in STATUSES:
            raise InvalidInput(
                f"{self.name} is said to be {self.status!r}",
                hint=f"a status is one of {', '.join(STATUSES)}",
            )
        if Version.from_tag(f"x-{self.name}") is None:
            raise InvalidInput(f"{self.name} is no version's name", hint="numbers start at 1")

    def is_in(self, manifest: Manifest) -> bool:
        """Whether a version here is this one: by where it came from, its date and its bytes."""
        told = manifest.data["metadata"].get(IMPORTED)
        if not isinstance(told, dict) or {k: told.get(k) for k in self.origin} != self.origin:
            return False
        sums = {role: artifact.sha256 for role, artifact in manifest.artifacts.items()}
        return (
            self.registered_at == manifest.data["registered_at"]
            and (self.roles_change or sums.keys() == self.checksums.keys())
            and all(stated in (None, sums.get(role)) for role, stated in self.checksums.items())
        )


@dataclass(frozen=True)
class IncomingModel:
    """The versions of one model, what is live, and what a person should know of it.

    ``source`` names the registry in messages: ``the store models/``.
    """

    source: str
    versions: tuple[IncomingVersion, ...]
    current: int | None = None
    previous: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> Said:
        """What it says of statuses."""
        return Said({v.number: v.status for v in self.versions}, self.current, self.previous)

    def check(self) -> None:
        """Refuse what cannot come in, before anything does."""
        if not self.versions:
            raise InvalidInput(f"{self.source} has no version", hint="is it the right place?")
        numbers = [version.number for version in self.versions]
        for number in numbers:
            if numbers.count(number) > 1:
                raise InvalidInput(
                    f"{self.source} has two versions v{number}", hint="take one of them away"
                )
        for version in self.versions:
            version.check()


class Notes:
    """Collects what a person should know; what befalls many versions is said once."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def add(self, text: str, name: str = "") -> None:
        """Note something, of the version ``name`` if it is about one."""
        self._texts.setdefault(one_line(text), []).append(one_line(name))

    @property
    def all(self) -> tuple[str, ...]:
        """All notes, a line each."""
        return tuple(_told(text, names) for text, names in self._texts.items())


def one_line(text: str) -> str:
    """Have a name from elsewhere, which may have lines of its own, look like nothing of ours."""
    return " ".join(text.splitlines())


def _told(text: str, names: list[str]) -> str:
    named = [name for name in names if name]
    shown = ", ".join(named[:_SHOWN])
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{shown}{more}: {text}" if named else text


def person(text: str) -> str:
    """Give who registered a version as a manifest has it: one line that a list has room for."""
    name = " ".join(text.encode(errors="replace").decode().split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def named(version: IncomingVersion, error: RegistryError) -> RegistryError:
    """Say of an error which version it befell."""
    return type(error)(f"{version.name} cannot come in: {error.message}", hint=error.hint)
