"""DVC apart from any work tree: by a configuration that is handed over, and no other's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.store.dvc.asking import asking
from mlv.store.dvc.repository import Dvc
from mlv.store.git import Layout

if TYPE_CHECKING:
    from pathlib import Path

# Keys whose values are paths, seen from the file that they stand in.
_PATHS = (
    "url", "keyfile", "cert_path", "key_path", "credentialpath", "configpath",
    "gdrive_user_credentials_file", "gdrive_service_account_json_file_path",
)  # fmt: skip


def open_apart(folder: Path, home: Path, committed: bytes, local: bytes) -> Dvc:
    """Open DVC in an empty folder, by a ``.dvc/config`` and a ``config.local``.

    ``home`` is the ``.dvc`` folder from which their relative paths are meant. The cache is empty.
    """
    own = folder / ".dvc"
    own.mkdir()
    with asking("read its configuration"):
        from dvc.config import merge

        config: dict[str, Any] = {}
        for name, data in (("committed", committed), ("local", local)):
            path = folder / name
            path.write_bytes(data)
            merge(config, _read(path, home))
        ours = {"core": {"no_scm": "true"}, "cache": {"dir": str(folder / "cache")}}
        merge(config, ours)
    return Dvc(Layout(folder, folder, folder), config)


def _read(path: Path, home: Path) -> dict[str, Any]:
    from dvc.config import Config

    config: dict[str, Any] = Config.load_file(str(path))
    for facts in (config.get("remote") or {}).values():
        for key in facts.keys() & set(_PATHS):
            facts[key] = _absolute(str(facts[key]), home)
    return config


def _absolute(path: str, home: Path) -> str:
    """Say where a path leads that is seen from ``home``; an address stays one."""
    if "://" in path or path.startswith("~"):
        return path
    return str((home / path).absolute())
