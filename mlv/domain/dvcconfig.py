"""What in a configuration of DVC nobody may commit: commands that it runs, and secrets.

It is read line by line, as somebody else's text, and not as DVC would understand it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


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
