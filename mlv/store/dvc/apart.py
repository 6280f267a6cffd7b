"""DVC apart from any work tree: by a configuration that is handed over, and no other's."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.store.dvc.asking import asking
from mlv.store.dvc.repository import Dvc
from mlv.store.git import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

# Keys of a remote that name files, seen from the file that they stand in.
_FILES = (
    "keyfile", "cert_path", "key_path", "credentialpath", "configpath",
    "gdrive_user_credentials_file", "gdrive_service_account_json_file_path",
)  # fmt: skip


def open_apart(
    folder: Path, top: Path, committed: bytes, local: bytes, tracked: Callable[[str], bytes | None]
) -> Dvc:
    """Open DVC in an empty folder, by a ``.dvc/config`` and a ``config.local``.

    Their relative paths are meant from ``.dvc`` in ``top``. ``tracked`` gives the bytes of a file
    below ``top``, by its path there, that shall be read in place of what lies there; None for one
    that may be read as it is. The cache is empty.
    """
    (folder / ".dvc").mkdir()
    with asking("read its configuration"):
        from dvc.config import merge

        config: dict[str, Any] = {}
        for name, data in (("committed", committed), ("local", local)):
            path = folder / name
            path.write_bytes(data)
            merge(config, _read(path, top, tracked))
        ours = {"core": {"no_scm": "true"}, "cache": {"dir": str(folder / "cache")}}
        merge(config, ours)
    return Dvc(Layout(folder, folder, folder), config)


def _read(path: Path, top: Path, tracked: Callable[[str], bytes | None]) -> dict[str, Any]:
    from dvc.config import Config

    config: dict[str, Any] = Config.load_file(str(path))
    for remote in (config.get("remote") or {}).values():
        for key in remote.keys() & {"url", *_FILES}:
            remote[key] = _absolute(str(remote[key]), top)
        for key in remote.keys() & set(_FILES):
            data = _tracked(Path(remote[key]), top, tracked)
            if data is not None:
                copy = path.with_name(uuid.uuid4().hex)
                copy.write_bytes(data)
                remote[key] = str(copy)
    return config


def _absolute(path: str, top: Path) -> str:
    """Say where a path leads that is seen from ``.dvc``; an address stays one."""
    if "://" in path or path.startswith("~"):
        return path
    return os.path.normpath(top.absolute() / ".dvc" / path)


def _tracked(path: Path, top: Path, tracked: Callable[[str], bytes | None]) -> bytes | None:
    """Look a file up where it seems to lie, and where links lead: a proposal may have put them."""
    for here, above in ((path, top.absolute()), (path.resolve(), top.resolve())):
        if here.is_relative_to(above):
            data = tracked(here.relative_to(above).as_posix())
            if data is not None:
                return data
    return None
