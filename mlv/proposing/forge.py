"""Which forge a Git remote is, and where on it a pull request is opened by hand. No I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from mlv.store.config import AZURE, BITBUCKET, BITBUCKET_SERVER, GITEA, GITHUB, GITLAB, PAGURE

if TYPE_CHECKING:
    from collections.abc import Callable

_SCP_STYLE = re.compile(r"(?:[^@/]*@)?(?P<host>[^/:@\[\]]{2,}):(?!//|:)(?P<path>.+)")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_SSH = ("ssh", "git+ssh", "ssh+git", "git")
# Where a forge takes SSH on another name, it shows its pages on this one.
_PAGES_OF = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
    "vs-ssh.visualstudio.com": "dev.azure.com",
}
_KNOWN = {
    "bitbucket.org": BITBUCKET,
    "codeberg.org": GITEA,
    "dev.azure.com": AZURE,
    "src.fedoraproject.org": PAGURE,
}
# A word in a host's name: `gitlab.example.com`.
_WORDS = {
    "github": GITHUB,
    "ghe": GITHUB,
    "gitlab": GITLAB,
    "gitea": GITEA,
    "forgejo": GITEA,
    "pagure": PAGURE,
    "bitbucket": BITBUCKET_SERVER,
    "visualstudio": AZURE,
}


class Address(NamedTuple):
    """Where a remote is: its host as pages have it (with a port), and a path without ``.git``.

    ``is_ssh``: the host may be a name that only the user's SSH configuration knows.
    """

    scheme: str
    host: str
    path: str
    is_ssh: bool


class Forge(NamedTuple):
    """A repository on a forge; ``kind`` is "" where that is not known."""

    kind: str
    host: str
    path: str
    page: str

    def compare_url(self, branch: str, base: str) -> str | None:
        """Say where a person opens a pull request of ``branch`` into ``base``."""
        make = _PAGES.get(self.kind)
        return make(self.page, branch, base) if make else None


def address_of(url: str) -> Address | None:
    """Read a remote's URL; None for a path, or what else is on no host. Passwords are dropped."""
    if "://" not in url:
        match = _SCP_STYLE.fullmatch(url)
        return _address("https", match["host"], match["path"], is_ssh=True) if match else None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme in _SSH:
        return _address("https", host, parts.path, is_ssh=True)
    if parts.scheme not in ("http", "https"):
        return None
    is_usual = port in (None, {"http": 80, "https": 443}[parts.scheme])
    return _address(parts.scheme, host, parts.path, "" if is_usual else f":{port}", is_ssh=False)


def _address(scheme: str, host: str, path: str, port: str = "", *, is_ssh: bool) -> Address | None:
    name = host.lower()
    clean = unquote(path).strip("/").removesuffix(".git").strip("/")
    if not _HOST.fullmatch(name) or not clean or not clean.isprintable():
        return None
    return Address(scheme, f"{_PAGES_OF.get(name, name)}{port}", clean, is_ssh)


def forge_of(address: Address, stated: str = "") -> Forge:
    """Tell the forge by what is stated, else by the host's name, else by the path."""
    kind = stated or _kind(address)
    path = _path(kind, address)
    page = f"{address.scheme}://{address.host}/{quote(path, safe='/~')}"
    return Forge(kind, address.host, path, page)


def _kind(address: Address) -> str:
    host = address.host.partition(":")[0]
    if host in _KNOWN:
        return _KNOWN[host]
    words = re.split(r"[.-]", host)
    found = next((kind for word, kind in _WORDS.items() if word in words), "")
    if not found and "_git" in address.path.split("/"):
        return AZURE
    if not found and not address.is_ssh and address.path.startswith("scm/"):
        return BITBUCKET_SERVER
    return found


def _path(kind: str, address: Address) -> str:
    """Give the path of a repository's page, which is not always the one that is cloned."""
    parts = address.path.split("/")
    if kind == BITBUCKET_SERVER:
        owner, name = parts[-2:] if len(parts) > 1 else ("", parts[0])
        folder = f"users/{owner[1:]}" if owner.startswith("~") else f"projects/{owner.upper()}"
        return f"{folder}/repos/{name}"
    match parts:
        case ["v3", organisation, project, name] if kind == AZURE and address.is_ssh:
            return f"{organisation}/{project}/_git/{name}"
    if kind == PAGURE and parts[0] == "forks":
        return "/".join(("fork", *parts[1:]))
    return address.path


def _github(page: str, branch: str, base: str) -> str:
    return f"{page}/compare/{quote(base)}...{quote(branch)}?expand=1"


def _gitlab(page: str, branch: str, base: str) -> str:
    query = {"merge_request[source_branch]": branch, "merge_request[target_branch]": base}
    return f"{page}/-/merge_requests/new?{urlencode(query)}"


def _gitea(page: str, branch: str, base: str) -> str:
    return f"{page}/compare/{quote(base)}...{quote(branch)}"


def _bitbucket(page: str, branch: str, base: str) -> str:
    return f"{page}/pull-requests/new?{urlencode({'source': branch, 'dest': base})}"


def _bitbucket_server(page: str, branch: str, base: str) -> str:
    refs = {"sourceBranch": f"refs/heads/{branch}", "targetBranch": f"refs/heads/{base}"}
    return f"{page}/pull-requests?create&{urlencode(refs)}"


def _azure(page: str, branch: str, base: str) -> str:
    return f"{page}/pullrequestcreate?{urlencode({'sourceRef': branch, 'targetRef': base})}"


def _pagure(page: str, branch: str, base: str) -> str:
    return f"{page}/diff/{quote(base)}..{quote(branch)}"


_PAGES: dict[str, Callable[[str, str, str], str]] = {
    GITHUB: _github,
    GITLAB: _gitlab,
    GITEA: _gitea,
    BITBUCKET: _bitbucket,
    BITBUCKET_SERVER: _bitbucket_server,
    AZURE: _azure,
    PAGURE: _pagure,
}
