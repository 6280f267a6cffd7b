"""What lies on a DVC remote, looked at and changed behind DVC's back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Storage(Protocol):
    """The objects of one DVC remote, each by its MD5 (a directory's ends in `.dir`)."""

    def objects(self) -> set[str]:
        """Return all that are there."""

    def read(self, md5: str) -> bytes:
        """Return an object's bytes."""

    def write(self, md5: str, data: bytes) -> None:
        """Put other bytes in an object's place."""

    def remove(self, md5: str) -> None:
        """Lose an object."""


def key_of(md5: str) -> str:
    """Return where DVC puts an object."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def md5_of(key: str) -> str:
    """Return the object that DVC puts there."""
    start, rest = key.split("/")[-2:]
    return start + rest


@dataclass(frozen=True)
class FolderStorage:
    """A remote whose server keeps a folder on this disk."""

    folder: Path

    def objects(self) -> set[str]:
        # Less what is on its way: DVC writes beside an object and renames.
        found = (each.as_posix() for each in self.folder.glob("files/md5/??/*"))
        return {md5 for key in found if len(md5 := md5_of(key)) in {32, 36}}

    def read(self, md5: str) -> bytes:
        return (self.folder / key_of(md5)).read_bytes()

    def write(self, md5: str, data: bytes) -> None:
        self.remove(md5)  # it may be read-only
        (self.folder / key_of(md5)).write_bytes(data)

    def remove(self, md5: str) -> None:
        (self.folder / key_of(md5)).unlink()
