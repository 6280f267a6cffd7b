"""Where a version came from: what is captured at registration without being asked."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from mlv.store.git import Git

_DASHES = re.compile(r"[-_.]+")
_SCP_STYLE = re.compile(r"(?:(?P<user>[^@/:]+)(?::[^@/]*)?@)?(?P<rest>[^/:]+:(?!//).*)")


def capture(git: Git, commit: str, dirty: list[str], remote: str) -> dict[str, Any]:
    """Describe the commit, branch and environment that a version is registered from."""
    url = git.config(f"remote.{remote}.url")
    head = (git.layout.git_dir / "HEAD").read_bytes().decode(errors="replace").strip()
    return {
        "commit": commit,
        "branch": head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else None,
        "dirty": dirty,
        "remote": without_credentials(url) if url else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def without_credentials(url: str) -> str | None:
    """Give a remote's URL without passwords and tokens; the user name of SSH stays.

    >>> without_credentials("https://user:token@git.example/team/repo.git")
    'https://git.example/team/repo.git'
    """
    if "://" not in url:
        match = _SCP_STYLE.fullmatch(url)
        return f"{match['user']}@{match['rest']}" if match and match["user"] else url
    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # no URL: what in it is a password cannot be told
    host = parts.netloc.rpartition("@")[2]
    user = parts.username if parts.scheme.endswith("ssh") else None
    return urlunsplit((parts.scheme, f"{user}@{host}" if user else host, parts.path, "", ""))


def packages() -> bytes:
    """Give the installed Python packages as a pinned ``requirements.txt``."""
    pins: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            # Of two on the path, Python imports the first.
            pins.setdefault(_DASHES.sub("-", name).lower(), f"{name}=={distribution.version}\n")
    return "".join(pins[name] for name in sorted(pins)).encode()
