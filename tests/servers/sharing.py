"""What a team shares: a Git repository and a DVC remote, each behind a real server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.storage import Storage


class GitServer(Protocol):
    """A server of Git repositories."""

    @property
    def port(self) -> int: ...

    def git_url(self, bare: Path, port: int | None = None) -> str: ...

    def git_config(self, who: str, home: Path, url: str) -> dict[str, str]: ...


class DvcServer(Protocol):
    """A server of DVC remotes."""

    @property
    def port(self) -> int: ...

    def remote(self, place: Path, port: int | None = None) -> dict[str, str]: ...

    def credentials(self, who: str) -> dict[str, str]: ...

    def storage(self, place: Path) -> Storage: ...


def dvc_config(remote: dict[str, str], *, default: bool = False) -> str:
    """Write a DVC configuration with one remote, ``storage``."""
    lines = ["[core]", "    remote = storage"] if default else []
    lines += ["['remote \"storage\"']", *(f"    {key} = {value}" for key, value in remote.items())]
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Shared:
    """A registry's Git repository, empty of versions, and its DVC remote.

    `bare` is the Git repository on this disk, for hooks and for looking at; `storage` is what
    lies on the DVC remote.
    """

    folder: Path
    bare: Path
    storage: Storage
    git_server: GitServer
    dvc_server: DvcServer
    git: Callable[..., str]

    def url(self, port: int | None = None) -> str:
        """Return the Git repository's URL, through a proxy if its port is given."""
        return self.git_server.git_url(self.bare, port)

    def clone(
        self,
        name: str,
        *,
        git_as: str = "writer",
        dvc_as: str = "writer",
        git_port: int | None = None,
        dvc_port: int | None = None,
    ) -> Path:
        """Return a new clone, configured for Git and DVC as a member of the team has it.

        ``git_as`` and ``dvc_as`` say whose credentials it bears: those of a `writer`, a `reader`,
        or a `stranger`, whose are wrong. With a port it goes through the proxy there.
        """
        home = self.folder / f"{name}-home"
        home.mkdir()
        url = self.url(git_port)
        config = {
            **self.git_server.git_config(git_as, home, url),
            "remote.origin.tagOpt": "--tags",
            "user.name": name.title(),
            "user.email": f"{name}@example.com",
        }
        options = [part for item in config.items() for part in ("--config", "=".join(item))]
        self.git(self.folder, "clone", "--quiet", *options, url, name)
        clone = self.folder / name
        self.credentials(clone, dvc_as, port=dvc_port)
        return clone

    def credentials(self, clone: Path, who: str, *, port: int | None = None) -> None:
        """Give a clone somebody's credentials for the DVC remote."""
        local = self.dvc_server.credentials(who)
        if port is not None:
            local |= self.dvc_server.remote(self.folder / "storage", port)
        (clone / ".dvc" / "config.local").write_text(dvc_config(local))
