"""A machine that has Python, Git and mlv, and nothing else: a Debian in a folder, without network.

Python packages come from a folder of wheels in it, made once: where those come from, pip's own
configuration of this machine says.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from tests import debian

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).parents[2]
EXTRAS = ("demo", "serve", "mlflow")
# curl asks what is served; the machine that serves has no use for it.
PACKAGES = ("curl", "git", "python3", "python3-venv")
ADA = 1000

# $0 is the folder; what follows is what wheels are wanted of. Its programs are run with this
# machine's /etc, so that pip finds the packages as it finds them here. As in the images `python`
# there is a pip that may install beside Python; Debian's own may not.
WHEELS = """\
mkdir "$0/wheels"
python=$(cd "$0/usr/bin" && readlink python3)
scratch=$(mktemp -d)
mount --bind "$0/usr" /usr
ln -s /usr/bin/python3 /usr/local/bin/python
rm "/usr/lib/$python/EXTERNALLY-MANAGED"
"/usr/bin/$python" -m venv --upgrade-deps "$scratch/env"
mkdir -p "/usr/local/lib/$python/dist-packages"
cp -r "$scratch/env/lib/$python/site-packages"/pip* "/usr/local/lib/$python/dist-packages"
rm -r "$scratch"
"/usr/bin/$python" -m pip wheel --quiet --wheel-dir "$0/wheels" pip "$@"
"""

# Without network there is the loopback interface, and it is down.
UP = """\
import fcntl, socket, struct
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
"""

# $0 is the root, $1 a Python of this machine, $2 what that runs first, $3 who runs what follows,
# $4 what may be written to: folders of this machine, and where they are there; nothing: all. All
# of it ends with the namespaces.
ENTER = """\
"$1" -c "$2"
who=$3 writable=$4
shift 4
if [ "$writable" ]; then
    mount --bind "$0" "$0"
    for pair in $writable; do mount --bind "${pair%%:*}" "$0${pair#*:}"; done
    mount -o remount,bind,ro "$0"
fi
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot --userspec="$who" "$0" setpriv --pdeathsig KILL "$@"
"""

ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "COLUMNS": "100",
    "DVC_NO_ANALYTICS": "1",
    # There is no index to ask.
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "/wheels",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}


def wanted() -> tuple[str, ...]:
    """Say what mlv needs, with the extras that are used there, as `pyproject.toml` has it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = list(project["dependencies"])
    for extra in EXTRAS:
        listed += project["optional-dependencies"][extra]
    return tuple(sorted(each for each in listed if Requirement(each).name != "mlv"))


@dataclass(frozen=True)
class Root:
    """A root of one's own to run programs in."""

    folder: Path

    @classmethod
    def copied(cls, to: Path, wheel: Path, env: Mapping[str, str]) -> Root:
        """Copy the one in the cache, and put mlv's wheel among its wheels."""
        made = debian.prepared("fresh", env, *PACKAGES, script=WHEELS, args=wanted())
        subprocess.run(("cp", "-a", "--reflink=auto", str(made), str(to)), check=True)
        shutil.copy(wheel, to / "wheels")
        return cls(to)

    def argv(
        self,
        *argv: str,
        user: int = 0,
        network: bool = False,
        writable: Mapping[str, Path] | None = None,
    ) -> list[str]:
        """Say how a program is run in it; what that starts ends with it.

        ``network``: with this machine's own. ``writable``: nothing is, but for these folders, which
        are mounted there.
        """
        apart = ("--mount", "--pid", "--fork", "--kill-child", *(() if network else ("--net",)))
        pairs = " ".join(f"{folder}:{there}" for there, folder in (writable or {}).items())
        first = (sys.executable, "" if network else UP, f"{user}:{user}", pairs)
        return ["unshare", *apart, "sh", "-ec", ENTER, str(self.folder), *first, *argv]

    def run(
        self,
        *argv: str,
        user: int = 0,
        network: bool = False,
        writable: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a program to its end; give what it says, and fail with that if it fails."""
        done = subprocess.run(
            self.argv(*argv, user=user, network=network, writable=writable),
            env={**ENV, "HOME": "/root", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{argv}:\n{done.stdout}"
        return done.stdout
