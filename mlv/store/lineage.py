"""Where a version came from: what is captured at registration without being asked."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from mlv.store.git import Git

OURS = "mlv"
# What `capture` tells of the machine at hand, which of a version made elsewhere says nothing.
ELSEWHERE: dict[str, Any] = {"branch": None, "python": None, "platform": None}
_DASHES = re.compile(r"[-_.]+")
_NAME, _VERSION = (re.compile(rf"^{key}:(.*)$", re.MULTILINE) for key in ("Name", "Version"))
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


class Packages(NamedTuple):
    """The installed Python packages.

    ``pins`` is a ``requirements.txt``; ``local`` are the names of those that no index has:
    installed from a folder or an address.
    """

    pins: bytes
    local: tuple[str, ...]


def packages() -> Packages:
    """Pin the installed Python packages, less mlv itself, which no version needs."""
    pins: dict[str, str] = {}
    local: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name, version = _stated(distribution)
        key = _DASHES.sub("-", name).lower() if name else OURS
        # Of two on the path, Python imports the first.
        if key == OURS or key in pins or key in local:
            continue
        if _is_local(distribution):
            local[key] = name
        else:
            pins[key] = f"{name}=={version}\n"
    text = "".join(pins[key] for key in sorted(pins))
    return Packages(text.encode(), tuple(local[key] for key in sorted(local)))


def _stated(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """Read name and version, without the description that Python's own parser goes through."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    headers = text.partition("\n\n")[0]
    name, version = (pattern.search(headers) for pattern in (_NAME, _VERSION))
    return name[1].strip() if name else "", version[1].strip() if version else ""


def _is_local(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it was installed from a folder or an address, which pip notes.

    conda notes there where it built a package, which is on its index all the same.
    """
    by = (distribution.read_text("INSTALLER") or "").strip()
    return by != "conda" and distribution.read_text("direct_url.json") is not None
