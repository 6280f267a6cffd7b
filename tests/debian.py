"""A Debian of its own, in a folder: made once, and kept in a cache.

It does not matter what this machine runs, as long as `debootstrap` knows the release. Where
packages come from, apt's own configuration of this machine says.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.processes import program

if TYPE_CHECKING:
    from collections.abc import Mapping

SUITE = "trixie"

# $0 is the folder, $1 the release, $2 the mirror, then come the packages. In a mount namespace, so
# that whatever happens nothing stays mounted.
BUILD = """\
suite=$1 mirror=$2
shift 2
debootstrap --variant=minbase "$suite" "$0" "$mirror"
mount -t proc proc "$0/proc"
printf '#!/bin/sh\\nexit 101\\n' > "$0/usr/sbin/policy-rc.d"
chmod 755 "$0/usr/sbin/policy-rc.d"
apt-config dump Acquire > "$0/etc/apt/apt.conf.d/90machine"
chroot "$0" apt-get update
chroot "$0" apt-get install --yes --no-install-recommends "$@"
chroot "$0" apt-get clean
"""


def cache_of(env: Mapping[str, str]) -> Path:
    """Return the folder for what is made once on a machine."""
    return Path(env.get("XDG_CACHE_HOME") or Path(env["HOME"], ".cache")) / "mlv-tests"


def prepared(
    name: str, env: Mapping[str, str], *packages: str, script: str = "", args: tuple[str, ...] = ()
) -> Path:
    """Return the root of a Debian with ``packages``; the first time this takes a minute or two.

    ``env`` is the machine's own environment: it may say by which proxy the mirror is reached.
    ``script`` is shell that is run last; ``$0`` is the folder, and ``args`` follow.
    """
    for needed in ("apt-config", "debootstrap", "chroot", "unshare", "mount"):
        program(needed, "on Debian or Ubuntu, apt-get install debootstrap")
    if os.geteuid() != 0:
        pytest.fail("a chroot needs root: run these tests as root", pytrace=False)
    words = (SUITE, BUILD, *packages, script, *args)
    recipe = hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
    cache = cache_of(env)
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{name}-{recipe}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _build(root, dict(env), packages, script, args)
    return root


def _build(
    root: Path, env: dict[str, str], packages: tuple[str, ...], script: str, args: tuple[str, ...]
) -> None:
    """Install into a folder beside it, and rename that when all is done."""
    started = root.with_suffix(".new")
    shutil.rmtree(started, ignore_errors=True)
    env |= {
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{env['PATH']}:/usr/sbin:/sbin",
    }
    proxy = _apt(env, "apt-config", "--format", "%v", "dump", "Acquire::http::Proxy")
    if proxy not in ("", "DIRECT"):
        env.setdefault("http_proxy", proxy)
    for text, words in ((BUILD, (SUITE, _mirror(env), *packages)), (script, args)):
        argv = ("unshare", "--mount", "sh", "-ec", text, str(started), *words)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}"[-3000:]
            pytest.fail(f"{started} could not be made:\n{said}", pytrace=False)
    started.rename(root)


def _mirror(env: Mapping[str, str]) -> str:
    """Return where apt has this machine's own release from; the wanted one lies beside it."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    wanted = ("Identifier: Packages", "Component: main", f"Release: {release}")
    found = _apt(env, "apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted)
    if not found:
        pytest.fail(f"apt's sources name no mirror of {release or 'this system'}", pytrace=False)
    return found.splitlines()[0]


def _apt(env: Mapping[str, str], *argv: str) -> str:
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()
