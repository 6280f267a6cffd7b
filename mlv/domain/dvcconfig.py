"""Configurations of DVC that others wrote: what nobody may commit, and what is honoured of them.

What nobody may commit, commands that DVC runs and secrets, is looked for line by line, and not as
DVC would understand it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Danger(NamedTuple):
    """A line that is dangerous; ``text`` is that line, less its blanks, with its section."""

    line: int
    key: str
    why: str
    text: str


_RUNS = "would run a command"
_ASKS = "would ask whoever runs DVC for a password"
_LOADS = "would have DVC load what lies elsewhere"
# What a key's name holds. Amazon's own configuration, which a path may name, can run commands.
_KEYS = {
    "_command": _RUNS,
    "script": _RUNS,
    "ask_password": _ASKS,
    "ask_passphrase": _ASKS,
    "plugins_path": _LOADS,
    "config_module": _LOADS,
    "site_cache_dir": _LOADS,
}
_PATHS = {"configpath": _RUNS, "credentialpath": _RUNS}
_SECRETS = (
    "password", "passphrase", "secret", "token", "account_key", "access_key", "connection_string",
    "customer_key", "custom_auth_header",
)  # fmt: skip
_QUOTES = {ord(quote): None for quote in "'\""}
_UNSET = ("", "false", "''", '""')


def dangers(config: bytes) -> Iterator[Danger]:
    """Find what is dangerous in the bytes of a ``.dvc/config``."""
    section = ""
    for number, line in enumerate(config.decode(errors="replace").splitlines(), start=1):
        text = line.strip()
        if text.startswith("["):
            section = text.replace(" ", "").replace("\t", "").translate(_QUOTES)
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or key.startswith(("#", ";")):
            continue
        name = key.strip("'\"").lower()
        why = _why(section.lower(), name, value)
        if why:
            yield Danger(number, name, why, f"{section}{text}")


def _why(section: str, key: str, value: str) -> str:
    if value.lower() in _UNSET:
        return ""
    named = next((why for part, why in _KEYS.items() if part in key), "")
    if named:
        return named
    is_here = not value.strip("'\"").startswith(("/", "~"))
    if key in _PATHS and is_here:
        return f"names a file of the repository, which {_PATHS[key]}"
    if key == "dir" and section.startswith(("[state", "[index")):
        return _LOADS
    if any(part in key for part in _SECRETS):
        return "holds a secret"
    user, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
    return "holds a password" if at and ":" in user else ""


# What is honoured of somebody else's -------------------------------------------------------

_SCHEMES = frozenset(
    {
        "", "azure", "file", "gs", "hdfs", "http", "https", "local", "oss", "remote", "s3", "ssh",
        "webdav", "webdavs", "webhdfs",
    }
)  # fmt: skip
_HONOURED = ("url", "region", "endpointurl")
# What a server is told as it is; the rest proves that it is known, or names no secret.
_TOLD = frozenset(
    {
        "password", "ask_password", "token", "sas_token", "custom_auth_header",
        "bearer_token_command", "agent_forwarding", "ask_passphrase",
    }
)  # fmt: skip
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@:[]%~")


class Storage(NamedTuple):
    """Where a repository's bytes lie, once it is merged with what its reader states.

    ``remotes`` are settings by name; ``is_own`` says whether the reader states the remote's
    address; ``withheld`` are settings of the reader's that are not sent to an address of others.
    """

    name: str
    remotes: dict[str, dict[str, object]]
    is_own: bool
    withheld: tuple[str, ...]


def merged(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> Storage | str:
    """Merge a repository's configuration with its reader's own; else say what is wrong with it.

    Of the repository's counts which remote is the default one, and an address, region and
    endpoint of each. A remote to which the reader gives an address is the reader's wholly. One to
    which he gives none keeps his settings, but for secrets that its server would be told.
    """
    remotes = {name: _reduced(facts) for name, facts in _remotes(theirs).items()}
    withheld: dict[str, tuple[str, ...]] = {}
    for name, facts in _remotes(own).items():
        if "url" in facts:
            remotes[name] = dict(facts)
        elif name in remotes:
            withheld[name] = tuple(sorted(_TOLD & facts.keys()))
            remotes[name] |= {key: facts[key] for key in facts.keys() - _TOLD}
    default = _section(own, "core").get("remote") or _section(theirs, "core").get("remote")
    if not isinstance(default, str) or not default:
        return "it names no default DVC remote"
    name = default.lower()
    if not isinstance(remotes.get(name, {}).get("url"), str):
        return f"it has no address for its DVC remote {default!r}"
    is_own = "url" in _remotes(own).get(name, {})
    wrong = None if is_own else _wrong(remotes[name])
    return wrong or Storage(name, remotes, is_own, withheld.get(name, ()))


def _reduced(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: facts[key] for key in _HONOURED if isinstance(facts.get(key), str)}


def _wrong(facts: Mapping[str, object]) -> str | None:
    """Say what is odd about an address of others: it may reach programs as a host's name."""
    url, endpoint = str(facts["url"]), str(facts.get("endpointurl", ""))
    for address in filter(None, (url, endpoint)):
        scheme, colon, rest = address.partition("://")
        host = rest.partition("/")[0].partition("?")[0]
        is_odd = colon and (not _HOST.issuperset(host) or "@-" in host or host.startswith("-"))
        if is_odd or any(char < " " or char == "\x7f" for char in address):
            return f"the address of its DVC remote is odd: {address!r}"
        if colon and scheme.lower() not in _SCHEMES:
            return f"its DVC remote is of a kind that is not read here: {scheme!r}"
    if endpoint and not endpoint.lower().startswith(("http://", "https://")):
        return f"the endpoint of its DVC remote is odd: {endpoint!r}"
    return None


def _remotes(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = _section(config, "remote")
    return {str(k).lower(): v for k, v in found.items() if isinstance(v, dict)}


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}
