"""An OpenSSH server of our own: Git over SSH, and DVC over SFTP."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
from contextlib import contextmanager
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
