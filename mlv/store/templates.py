"""The files that ship with mlv for a repository to start from, and writing them there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ConfigError, WorkspaceError
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GITHUB, GITLAB, PIPELINE = "github", "gitlab", "pipeline"
DOCKER, KUBERNETES = "docker", "kubernetes"
NAMES = (GITHUB, GITLAB, PIPELINE, DOCKER, KUBERNETES)
# Those that install mlv.
_INSTALLING = (GITHUB, GITLAB, DOCKER)
# In the template `pipeline` of a checkout, what a run of it has left behind.
LEFT_BEHIND = (".dvc", "__pycache__", "artifacts", "data", "dvc.lock", "metrics.json")
OWNER = "@your-organisation/your-team"
REGISTRY = "https://git.example/your-organisation/your-repository.git"

_PACKAGE = Path(__file__).resolve().parents[1]
# In a wheel, and in a checkout.
_PLACES = (_PACKAGE / "templates", _PACKAGE.parent / "templates")
_BLANK = re.compile(r"@@([a-z]+)@@")
# What may stand unquoted in YAML, in a shell and in CODEOWNERS.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_REQUIREMENT = re.compile(r"[A-Za-z0-9+:/@._~%=-]+")
# An address that others can reach, too: of HTTP, of SSH, or as scp writes it.
_REACHED = re.compile(r"(https?://|ssh://|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:)[A-Za-z0-9:/@._~-]+")
_CODEOWNERS, _GITLAB_CI = "CODEOWNERS", ".gitlab-ci.yml"
# A forge takes one of these: from its own folder, the top, or docs.
_ONE_OF_A_KIND = {_CODEOWNERS.lower(), "pull_request_template.md"}
_URL = re.compile(rb"^\s*url\s*=\s*([a-z0-9]+)://", re.MULTILINE)
# What DVC needs besides itself for a remote, by the beginning of its URL.
_EXTRAS = {
    b"azure": "azure",
    b"gdrive": "gdrive",
    b"gs": "gs",
    b"hdfs": "hdfs",
    b"oss": "oss",
    b"s3": "s3",
    b"ssh": "ssh",
    b"webdav": "webdav",
    b"webdavs": "webdav",
    b"webhdfs": "webhdfs",
}


class Written(NamedTuple):
    """The paths that were written, and what to do about those that were left as they are."""

    paths: tuple[str, ...]
    notes: tuple[str, ...]


def folder(name: str) -> Path:
    """Say where a template lies."""
    return next((place / name for place in _PLACES if place.is_dir()), _PLACES[0] / name)


def values(branch: str, signers: str, dvc_config: bytes, remote: str = "") -> dict[str, str]:
    """Say what the blanks of templates are filled in with.

    ``remote`` is where the repository is published. `ConfigError` if a name holds what would mean
    something else there.
    """
    for key, text in (("branch", branch), ("allowed_signers", signers)):
        if text and not _PLAIN.fullmatch(text):
            raise ConfigError(
                f"mlv.yaml: {key} is {text!r}, which a workflow cannot be made for",
                hint="a template takes letters, digits and . _ - /",
            )
    extras = {_EXTRAS[scheme] for scheme in _URL.findall(dvc_config) if scheme in _EXTRAS}
    dvc = [f"dvc[{','.join(sorted(extras))}]"] if extras else []
    return {
        "branch": branch,
        "owner": OWNER,
        "packages": " ".join([_mlv("scan"), *dvc]),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "registry": remote if _REACHED.fullmatch(remote) else REGISTRY,
        "serving": " ".join([_mlv("serve"), *dvc]),
        "signers": signers,
    }


def needs_to_know_where_from(name: str, known: Mapping[str, str]) -> bool:
    """Whether a template installs mlv, and its blanks say a version alone, not where from."""
    return name in _INSTALLING and "://" not in known["packages"]


def _mlv(extra: str) -> str:
    """Say how pip installs the mlv that runs, with an extra of it.

    From where it came from, if others can reach that.
    """
    from importlib import metadata  # which imports much, and the hooks of git need none of it

    found = metadata.distribution("mlv")
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    url, vcs = str(origin.get("url", "")), origin.get("vcs_info")
    where = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
    if url.startswith("https://") and _REQUIREMENT.fullmatch(where):
        return f"mlv[{extra}]@{where}"
    return f"mlv[{extra}]=={found.version}"


def fill(text: str, known: Mapping[str, str]) -> str:
    """Fill in the blanks, ``@@branch@@`` for one; a line with one that is empty goes."""
    lines = text.splitlines(keepends=True)
    return "".join(
        _BLANK.sub(lambda blank: known[blank[1]], line)
        for line in lines
        if all(known[name] for name in _BLANK.findall(line))
    )


def write(
    name: str, top: Path, known: Mapping[str, str], may_replace: Callable[[str], bool]
) -> Written:
    """Write a template into the work tree at ``top``.

    A file that is there and says something else is replaced only if ``may_replace`` says so of
    its path; one that has other uses as well is never.
    """
    paths, notes = [], []
    for path, text in _files(name, known):
        there = _standing_in(top, path)
        with on_disk(top / path):
            if there is None:
                _write(top, path, text)
                paths.append(path)
            elif Path(path).name in (_CODEOWNERS, _GITLAB_CI):
                notes += _lines_to_add(top, there, path, text)
            elif there != top / path:
                notes.append(
                    f"{there.relative_to(top).as_posix()} is there: {path} was not written"
                )
            elif _says(there, text):
                continue
            elif may_replace(path):
                _write(top, path, text)
                paths.append(path)
            else:
                notes.append(f"{path} is there, says something else, and was left as it is")
    return Written(tuple(paths), tuple(notes))


def _files(name: str, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    root = folder(name)
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and not set(inside.parts) & set(LEFT_BEHIND):
            yield inside.as_posix(), fill(path.read_text(encoding="utf-8"), known)


def _standing_in(top: Path, path: str) -> Path | None:
    """Find what is at a path, or, of what a forge takes one of, wherever that is."""
    if (top / path).is_symlink() or (top / path).exists():
        return top / path
    name = Path(path).name.lower()
    if name not in _ONE_OF_A_KIND:
        return None
    places = (top / path).parent, top, top / "docs"
    found = (each for place in places if place.is_dir() for each in sorted(place.iterdir()))
    return next((each for each in found if each.name.lower() == name), None)


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _write(top: Path, path: str, text: str) -> None:
    target = top / path
    if target.is_symlink() or not target.parent.resolve().is_relative_to(top.resolve()):
        raise WorkspaceError(
            f"{path} is a symlink, or in a folder that is one", hint="put a file in its place"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", newline="\n")
    if text.startswith("#!"):
        target.chmod(0o755)


def _lines_to_add(top: Path, there: Path, path: str, text: str) -> list[str]:
    """Say which lines a file lacks that has others besides; whom it names as owner is its own."""
    stated = there.read_text(encoding="utf-8", errors="replace")
    if Path(path).name == _CODEOWNERS:
        known = {line.split()[0] for line in stated.splitlines() if line.strip()}
        wanted = [line for line in text.splitlines() if line.startswith("/")]
        lacking = [line for line in wanted if line.split()[0] not in known]
    else:
        lacking = [] if text.rsplit(maxsplit=1)[-1] in stated else text.splitlines()
    listed = "".join(f"\n  {line}" for line in lacking)
    where = there.relative_to(top).as_posix()
    return [f"{where} is there already: add these lines to it{listed}"] if lacking else []
