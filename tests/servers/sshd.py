"""An OpenSSH server of our own: Git over SSH, and DVC over SFTP."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.servers.processes import LOOPBACK, free_port, program, running
from tests.servers.storage import FolderStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
LoginGraceTime 30
MaxStartups 500
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
"""

# What a reader's key may do over Git: take, and not give.
READ_ONLY_GIT = """\
#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
git-upload-pack\\ *) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
esac
echo "this key may only read" >&2
exit 1
"""


@dataclass(frozen=True)
class Sshd:
    """A running server; ``folder`` holds its keys."""

    folder: Path
    port: int
    user: str

    def key(self, name: str) -> Path:
        """Return a private key: `writer`, `reader` (Git), `sftp-reader` (DVC) or `stranger`."""
        return self.folder / name

    def git_url(self, bare: Path, port: int | None = None) -> str:
        return f"ssh://{self.user}@{LOOPBACK}:{port or self.port}{quote(str(bare))}"

    def git_config(self, who: str, home: Path, url: str) -> dict[str, str]:
        """Return what a clone must be configured with; ``who`` is writer, reader or stranger."""
        del home, url
        ssh = (
            *("ssh", "-F", "/dev/null", "-i", str(self.key(who))),
            *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"),
        )
        return {"core.sshCommand": shlex.join(ssh)}

    def storage(self, place: Path) -> FolderStorage:
        place.mkdir()
        return FolderStorage(place)

    def remote(self, place: Path, port: int | None = None) -> dict[str, str]:
        """Return the DVC remote's options that everybody shares."""
        return {"url": f"ssh://{self.user}@{LOOPBACK}:{port or self.port}{place}"}

    def credentials(self, who: str) -> dict[str, str]:
        """Return the DVC remote's options that are for ``.dvc/config.local``."""
        return {"keyfile": str(self.key("sftp-reader" if who == "reader" else who))}


def make_keys(folder: Path) -> None:
    """Write the server's key, those of its users, and who may do what."""
    public = {}
    for name in ("host", "writer", "reader", "sftp-reader", "stranger"):
        keygen = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
        subprocess.run(keygen, cwd=folder, check=True)
        public[name] = (folder / f"{name}.pub").read_text()
    script = folder / "read-only-git"
    script.write_text(READ_ONLY_GIT)
    script.chmod(0o755)
    (folder / "authorized").write_text(
        f"restrict {public['writer']}"
        f'restrict,command="{script}" {public["reader"]}'
        f'restrict,command="internal-sftp -R" {public["sftp-reader"]}'
    )
    # Whatever the port: a client may come through a proxy.
    (folder / "known_hosts").write_text(f"[{LOOPBACK}]:* {public['host']}")


def greets(port: int) -> bool:
    """Say whether an SSH server answers there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


@contextmanager
def serving(folder: Path) -> Iterator[Sshd]:
    """Run a server while the block lasts."""
    sshd = program("sshd", "apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    make_keys(folder)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder))
    known = subprocess.run((sshd, "-T", "-f", config), capture_output=True, text=True, check=True)
    if "persourcepenalties" in known.stdout:
        # All users of the tests come from one address, and some are refused on purpose.
        config.write_text(f"{config.read_text()}PerSourcePenalties no\n")
    argv = [sshd, "-D", "-e", "-f", str(config)]
    with running(argv, folder, answers=lambda: greets(port)):
        yield Sshd(folder, port, getpass.getuser())


SMALL_DISK = """\
mount -t tmpfs -o size=4m,mode=755 tmpfs "$0"
if test -d "$0-seed"; then cp -a "$0-seed/." "$0"; fi
exec "$@"
"""


@dataclass(frozen=True)
class SmallDisk:
    """A disk of 4 MB, and the SSH server that sees it at ``folder``, where nobody else does."""

    port: int
    inside: Path

    def fill(self) -> None:
        """Leave no room on it."""
        with (self.inside / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def free(self) -> None:
        """Make room again."""
        (self.inside / "filler").unlink()


@contextmanager
def on_small_disk(server: Sshd, folder: Path) -> Iterator[SmallDisk]:
    """Run a server with the same keys, for which a small disk is mounted at ``folder``.

    What lies in ``folder`` with ``-seed`` at its end is copied onto it. The mount is in a namespace
    of the server's own, so that it ends with it.
    """
    sshd, port = program("sshd", "apt-get install openssh-server"), free_port()
    config = server.folder / f"sshd_config_{port}"
    text = (server.folder / "sshd_config").read_text()
    config.write_text(text.replace(f"Port {server.port}\n", f"Port {port}\n"))
    own = ["unshare", "--mount", "sh", "-e", "-c", SMALL_DISK, str(folder)]
    home = server.folder / str(port)
    home.mkdir()
    argv = [*own, sshd, "-D", "-e", "-f", str(config)]
    with running(argv, home, answers=lambda: greets(port)) as pid:
        yield SmallDisk(port, Path(f"/proc/{pid}/root{folder}"))
