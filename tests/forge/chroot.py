"""A Debian of its own, in a folder, with Pagure in it: made once, and kept in a cache.

Pagure is packaged by Debian alone, and not by every release: so that it does not matter what this
machine runs, as long as `debootstrap` knows it. Where packages come from, apt's own configuration
of this machine says.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.servers.processes import program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUITE = "trixie"

# $0 is the folder, $1 the release, $2 the mirror. In a mount namespace, so that whatever happens
# nothing stays mounted.
BUILD = """\
debootstrap --variant=minbase "$1" "$0" "$2"
mount -t proc proc "$0/proc"
printf '#!/bin/sh\\nexit 101\\n' > "$0/usr/sbin/policy-rc.d"
chmod 755 "$0/usr/sbin/policy-rc.d"
apt-config dump Acquire > "$0/etc/apt/apt.conf.d/90machine"
chroot "$0" apt-get update
chroot "$0" apt-get install --yes --no-install-recommends pagure redis-server
chroot "$0" apt-get clean
"""


def prepared(cache: Path, env: Mapping[str, str]) -> Path:
    """Return the root of a Debian with Pagure; the first time this takes a minute or two.

    ``env`` is the machine's own environment: it may say by which proxy the mirror is reached.
    """
    for needed in ("debootstrap", "chroot", "unshare", "mount"):
        program(needed, "on Debian or Ubuntu, apt-get install debootstrap")
    if os.geteuid() != 0:
        pytest.fail("a chroot needs root: run these tests as root", pytrace=False)
    recipe = hashlib.sha256(f"{SUITE} {BUILD}".encode()).hexdigest()[:12]
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"pagure-{recipe}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            build(root, dict(env))
    return root


def build(root: Path, env: dict[str, str]) -> None:
    """Install Debian and Pagure into a folder beside it, and rename that when all is done."""
    started = root.with_suffix(".new")
    shutil.rmtree(started, ignore_errors=True)
    env |= {
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{env['PATH']}:/usr/sbin:/sbin",
    }
    if proxy := apt(env, "apt-config", "--format", "%v", "dump", "Acquire::http::Proxy"):
        env.setdefault("http_proxy", proxy)
    argv = ("unshare", "--mount", "sh", "-ec", BUILD, str(started), SUITE, mirror(env))
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"[-3000:]
        pytest.fail(f"Pagure could not be installed into {started}:\n{said}", pytrace=False)
    started.rename(root)


def mirror(env: Mapping[str, str]) -> str:
    """Return where apt has this machine's own release from; the wanted one lies beside it."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    wanted = ("Identifier: Packages", "Component: main", f"Release: {release}")
    found = apt(env, "apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted)
    if not found:
        pytest.fail(f"apt's sources name no mirror of {release or 'this system'}", pytrace=False)
    return found.splitlines()[0]


def apt(env: Mapping[str, str], *argv: str) -> str:
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()
