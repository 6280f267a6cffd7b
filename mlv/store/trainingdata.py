"""What a version was trained on, as Git tells it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from mlv.store.dvcfiles import named_md5
from mlv.store.naming import FOLDER
from mlv.store.objects import BLOB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlv.store.versions import Record, Versions


def trained_on(versions: Versions, record: Record) -> Mapping[str, str] | None:
    """Say what a version was trained on, hash by path; None if that is not known.

    The data among its stage's dependencies, else what ``.dvc`` files name, else ``data_window``.
    """
    files = list(_files(versions, record.tag.commit))
    window = record.manifest.data["metadata"].get("data_window")
    stated = {} if window in (None, "") else {"data_window": str(window)}
    return _dependencies(record, files) or _tracked(versions, record, files) or stated or None


class _File(NamedTuple):
    path: str
    oid: str


def _files(versions: Versions, commit: str) -> Iterator[_File]:
    listed = versions.git.run("ls-tree", "-r", "-z", "--full-tree", commit)
    for line in listed.decode(errors="surrogateescape").split("\0"):
        facts, tab, path = line.partition("\t")
        if tab and facts.split()[1] == BLOB:
            yield _File(path, facts.split()[2])


def _dependencies(record: Record, files: Sequence[_File]) -> dict[str, str]:
    """Give the stage's dependencies but those that Git holds, which are code."""
    stage = record.manifest.data["lineage"].get("stage") or {}
    dependencies = stage.get("deps")
    if not isinstance(dependencies, dict):
        return {}
    in_git = {file.path for file in files}
    of_data = [path for path in in_git if path.endswith(".dvc")]
    code = [path for path in in_git if not path.endswith((".dvc", ".gitignore"))]
    in_git |= {folder for path in code for folder in _above(path)}
    in_git -= {folder for path in of_data for folder in _above(path)}
    named = {_place(stage.get("folder"), path): md5 for path, md5 in dependencies.items()}
    unknown = f"not known of {record.manifest.version.tag}"
    return {path: str(md5 or unknown) for path, md5 in named.items() if path not in in_git}


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _place(folder: object, path: str) -> str:
    """Say where a dependency lies, seen from the top; one at a URL lies where it says."""
    is_url = "://" in path
    return path if is_url or not isinstance(folder, str) else posixpath.normpath(f"{folder}/{path}")


def _tracked(versions: Versions, record: Record, files: Sequence[_File]) -> dict[str, str]:
    """Give what ``.dvc`` files of the version's tree name, but the version's own artifacts."""
    ours = {artifact.md5 for artifact in record.manifest.artifacts.values()}
    wanted = [
        file
        for file in files
        if file.path.endswith(".dvc") and not file.path.startswith(f"{FOLDER}/")
    ]
    found = versions.git.objects.read_many([file.oid for file in wanted])
    named = {
        file.path.removesuffix(".dvc"): (each and named_md5(each.data)) or file.oid
        for file, each in zip(wanted, found, strict=True)
    }
    return {path: md5 for path, md5 in named.items() if md5 not in ours}
