"""Does what a Dockerfile says to a root: enough of it for those that `mlv init` writes.

Docker itself needs a daemon, and images from a network. What it would run is run here as it
would: each line by /bin/sh, as the user and with the variables that hold there.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tests.fresh.root import ENV

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.fresh.root import Root

_MOUNT = re.compile(r"--mount=(\S+)\s*")


def instructions(text: str) -> list[tuple[str, str]]:
    """Split a Dockerfile into what to do and with what: comments gone, lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [
        (name, rest.strip())
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


@dataclass
class Image:
    """A root as a Dockerfile leaves it, with what a container of it is started with."""

    root: Root
    env: dict[str, str] = field(default_factory=dict)
    user: int = 0
    entrypoint: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def build(self, text: str, args: Mapping[str, str], secrets: Mapping[str, Path]) -> None:
        """Do what a Dockerfile says; ``secrets`` are files by the ids that it knows them by."""
        known: dict[str, str] = {}  # ARG
        for name, rest in instructions(text):
            match name:
                case "FROM" | "EXPOSE":
                    pass
                case "ARG":
                    key, _, default = rest.partition("=")
                    known[key] = args.get(key, default.strip('"'))
                case "ENV":
                    for word in rest.split():
                        key, _, value = word.partition("=")
                        self.env[key] = _filled(value, {**known, **self.env})
                case "USER":
                    self.user = int(rest)
                case "RUN":
                    self._run(rest, known, secrets)
                case "HEALTHCHECK":
                    self.health = json.loads(rest.partition("CMD ")[2])
                case "ENTRYPOINT":
                    self.entrypoint = json.loads(rest)
                case _:
                    raise AssertionError(f"{name} {rest}: not known here")

    def _run(self, line: str, known: Mapping[str, str], secrets: Mapping[str, Path]) -> None:
        mounts = [dict(p.partition("=")[::2] for p in m.split(",")) for m in _MOUNT.findall(line)]
        script = _MOUNT.sub("", line)
        with self._mounted(mounts, secrets):
            env = {**ENV, "HOME": "/root", **known, **self.env}
            self.root.run("/bin/sh", "-c", script, user=self.user, network=True, env=env)

    @contextmanager
    def _mounted(self, mounts: list[dict[str, str]], secrets: Mapping[str, Path]) -> Iterator[None]:
        """Let secrets be there while the block lasts, as Docker does for one line."""
        put = []
        for mount in mounts:
            assert mount["type"] == "secret"
            target = self.root.folder / PurePosixPath(mount["target"]).relative_to("/")
            shutil.copy(secrets[mount["id"]], target)
            target.chmod(0o400)
            shutil.chown(target, int(mount["uid"]))
            put.append(target)
        yield
        for target in put:
            target.unlink()


def _filled(value: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: known[name[1]], value)
