"""The text formats of DVC that mlv reads and writes, without DVC itself."""

from __future__ import annotations

import json
import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.domain.document import plain
from mlv.errors import IntegrityError
from mlv.store import yamlread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlv.domain.manifest import Artifact

_MD5_LENGTH = 32
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # PyYAML may be built without libyaml


class Member(NamedTuple):
    """A file of a directory as DVC lists it: its path inside, and its md5."""

    path: str
    md5: str


class Credential(NamedTuple):
    """Where a configuration of DVC holds what is secret."""

    line: int
    key: str


_SECRETS = (
    "password", "secret", "token", "credential", "account_key", "access_key", "connection_string",
    "sas_token",
)  # fmt: skip


def credential_in(config: bytes) -> Credential | None:
    """Find a credential in the bytes of a ``.dvc/config``: by its key, or inside a URL."""
    for number, line in enumerate(config.decode(errors="replace").splitlines(), start=1):
        key, equals, value = line.partition("=")
        key = key.strip().lower()
        if not equals or key.startswith(("#", ";")):
            continue
        user, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
        if any(secret in key for secret in _SECRETS) or (at and ":" in user):
            return Credential(number, key)
    return None


def dvc_file(artifact: Artifact) -> bytes:
    """Write the ``.dvc`` file of an artifact."""
    facts: dict[str, Any] = {"md5": artifact.md5, "size": artifact.size}
    if artifact.nfiles is not None:
        facts["nfiles"] = artifact.nfiles
    facts.update(hash="md5", path=artifact.path)
    text: str = yaml.dump({"outs": [facts]}, Dumper=_DUMPER, sort_keys=False)
    return text.encode()


def names_artifact(data: bytes, artifact: Artifact) -> bool:
    """Whether a ``.dvc`` file names just what mlv would have it name."""
    own = dvc_file(artifact)
    try:
        return data == own or bool(yamlread.load(data) == yamlread.load(own))
    except yaml.YAMLError:
        return False


def named_md5(data: bytes) -> str | None:
    """Read the md5 that a ``.dvc`` file names."""
    try:
        return str(yamlread.load(data)["outs"][0]["md5"])
    except (yaml.YAMLError, TypeError, KeyError, IndexError):
        return None


def is_for_dvc(path: str) -> bool:
    """Whether ``dvc pull`` goes by a file, also on a disk that knows no capitals."""
    name = posixpath.basename(path).casefold()
    return name.endswith(".dvc") or name in ("dvc.yaml", "dvc.lock")


def outputs_in(path: str, data: bytes, top: str) -> list[str]:
    """Name what a file of DVC's, at ``path``, calls an output in the folder ``top``, or around it.

    Parameters in a name are not filled in.
    """
    try:
        document = yamlread.load(data)
    except yaml.YAMLError:
        return []
    if isinstance(document, dict):
        document = document.get("stages", document)
    folder = posixpath.dirname(path)
    outputs = {posixpath.normpath(posixpath.join(folder, each)) for each in _outputs(document)}
    return sorted(o for o in outputs if o == "." or o.partition("/")[0].casefold() == top)


def _outputs(value: Any) -> Iterator[str]:
    """Name all outputs at any depth, each in the folder that its own stage works in."""
    if isinstance(value, list):
        for each in value:
            yield from _outputs(each)
    elif isinstance(value, dict):
        wdir = value.get("wdir")
        for key, inner in value.items():
            if key not in ("outs", "metrics", "plots") or not isinstance(inner, list):
                yield from _outputs(inner)
                continue
            for name in (name for each in inner for name in _names(each)):
                yield posixpath.join(wdir if isinstance(wdir, str) else "", name)


def _names(output: Any) -> list[str]:
    """Give an output's path as a lock or a note has it, or the keys as a stage has it."""
    found = [output]
    if isinstance(output, dict):
        found = [output["path"]] if "path" in output else list(output)
    return [name for name in found if isinstance(name, str)]


def read_listing(data: bytes, name: str) -> list[Member]:
    """Read a ``.dir`` object. It may come from anywhere: a path that leaves is refused."""
    try:
        document = json.loads(data)
        members = [Member(entry["relpath"], entry["md5"]) for entry in document]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise IntegrityError(f"the listing of {name} is not one of DVC's") from None
    for member in members:
        if not _is_inside(member.path) or not _is_md5(member.md5):
            raise IntegrityError(f"the listing of {name} names {member.path!r}, which is no file")
    if len({member.path for member in members}) != len(members):
        raise IntegrityError(f"the listing of {name} names a file twice")
    return members


def _is_inside(path: object) -> bool:
    if not isinstance(path, str) or not is_portable(path):
        return False
    return not any(part in ("", ".", "..") for part in path.split("/"))


def is_portable(path: str) -> bool:
    """Whether a file's path means the same on every system, and one line in a listing.

    A colon names a drive or a stream on Windows, where such a file could not be anyway.
    """
    is_foreign = "\\" in path or (os.name == "nt" and ":" in path)
    has_odd = any(char < " " or "\ud800" <= char <= "\udfff" for char in path)
    return not is_foreign and not has_odd


def _is_md5(text: object) -> bool:
    return (
        isinstance(text, str)
        and len(text) == _MD5_LENGTH
        and not set(text) - set("0123456789abcdef")
    )


def read_file(path: Path) -> bytes | None:
    """Read a file of the work tree; None if there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def stage_of(
    path: Path, top: Path, read: Callable[[Path], bytes | None] = read_file
) -> tuple[dict[str, Any], str] | None:
    """Find the DVC stage that writes ``path``, by the nearest ``dvc.lock`` above that names it.

    Gives ``{name, cmd, deps, params}`` for the manifest and the md5 that the stage left, or None.
    ``read`` reads the files of a commit as if they lay in the work tree.
    """
    for folder in path.parents:
        lock = folder / "dvc.lock"
        for name, stage in stages(read(lock)):
            md5 = _output(stage, path.relative_to(folder).as_posix())
            if md5 is not None:
                return _stage_facts(name, stage, lock, top), md5
        if folder == top:
            break
    return None


def output_md5(path: Path, top: Path, read: Callable[[Path], bytes | None]) -> str | None:
    """Say under which md5 DVC keeps ``path``; None where it is no output of DVC's."""
    stage = stage_of(path, top, read)
    if stage:
        return stage[1] or None
    note = read(path.with_name(f"{path.name}.dvc"))
    return named_md5(note) if note else None


def stages(lock: bytes | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a ``dvc.lock``: its stages by name, with lists of mappings as ``outs`` and ``deps``.

    What is broken in it is DVC's to report, and left out.
    """
    try:
        document = yamlread.load(lock or b"")
    except yaml.YAMLError:
        return
    found = document.get("stages") if isinstance(document, dict) else None
    for name, stage in found.items() if isinstance(found, dict) else ():
        if isinstance(stage, dict):
            yield str(name), {**stage, **{key: _parts(stage.get(key)) for key in ("outs", "deps")}}


def _parts(listed: object) -> list[dict[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _output(stage: dict[str, Any], path: str) -> str | None:
    for out in stage["outs"]:
        if posixpath.normpath(str(out.get("path"))) == path:
            return str(out.get("md5", ""))
    return None


def _stage_facts(name: str, stage: dict[str, Any], lock: Path, top: Path) -> dict[str, Any]:
    where = PurePosixPath(lock.relative_to(top).parent.as_posix())
    deps = {
        str(dep.get("path")): dep.get("md5") or dep.get("etag") or dep.get("checksum")
        for dep in stage["deps"]
    }
    facts: dict[str, Any] = plain(
        {
            "name": name,
            "cmd": stage.get("cmd"),
            "deps": deps,
            "params": stage.get("params") or {},
        }
    )
    return facts if str(where) == "." else {**facts, "folder": str(where)}
