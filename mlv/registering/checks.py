"""What is checked before the first byte of a version is stored."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mlv.domain import card
from mlv.domain.names import artifact_path, check_role
from mlv.domain.sample import PATH as SAMPLE_PATH
from mlv.errors import ConfigError, InvalidInput, WorkspaceError
from mlv.store import handwritten
from mlv.store.disk import storage_error
from mlv.store.edits import refuse_unmerged
from mlv.store.naming import FOLDER
from mlv.store.objects import TREE

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.registering.request import Request
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.source import Source


def check_repository(git: Git) -> Path:
    """Give the top of a repository in which a version can be registered."""
    top = git.layout.top
    if top is None:
        raise ConfigError(
            f"{git.layout.git_dir} is a bare repository", hint="register in a clone of it"
        )
    if git.objects.read("HEAD^{commit}") is None:
        raise ConfigError(
            f"{top} has no commit yet: a version's lineage starts at one", hint="git commit first"
        )
    if (top / FOLDER).is_symlink():
        raise WorkspaceError(f"{top / FOLDER} is a symlink", hint="remove it: it belongs to mlv")
    refuse_unmerged(git)
    return top


def check_source(role: str, source: Path, top: Path) -> None:
    """Refuse a path that no artifact can be."""
    check_role(role)
    try:
        facts = source.stat()
    except FileNotFoundError:
        broken = f"{source} is a broken symlink" if source.is_symlink() else ""
        raise InvalidInput(
            broken or f"there is no file {source} to register as {role}", hint="check the path"
        ) from None
    except OSError as error:
        raise storage_error(error, source) from error
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise InvalidInput(
            f"{source} is neither a file nor a folder", hint="an artifact holds bytes: write a file"
        )
    if source in (top, *top.parents, top / ".git", top / ".dvc"):
        raise InvalidInput(
            f"{source} holds the repository itself", hint="register the folder that training wrote"
        )
    if (top / FOLDER) in (source, *source.parents):
        raise InvalidInput(
            f"{source} lies in {FOLDER}/, where mlv keeps what is registered",
            hint="register the file that training wrote; move a registry that lies there elsewhere",
        )
    if source.is_file() and not facts.st_size:
        raise InvalidInput(f"{source} is empty", hint="did training finish?")
    if source.suffix == ".dvc":
        raise InvalidInput(f"{source} is DVC's note of a file", hint="give the file itself")
    if not os.access(source, os.R_OK):
        raise InvalidInput(f"{source} cannot be read", hint="check its permissions")


def check_own_text(git: Git, source: Source, top: Path, model: str) -> list[str]:
    """Refuse a text of the user's that no card can be made of; say of one that is left out."""
    entry = handwritten.entry_of(git, source.root, model)
    path = handwritten.path_of(model)
    for key in card.misread(handwritten.read(git, entry, model).header):
        raise InvalidInput(
            f"{key} in the header of {path} is no text to YAML, so no hub would know it",
            hint='put quotes around it: language: "no", tags: ["2026"]',
        )
    if entry is None and (top / path).is_symlink():
        return [f"{path} is a link, so the model card is without it: give it the text itself"]
    if entry is None and (top / path).is_file():
        return [f"{path} is not tracked, so the model card is without it: git add {path}"]
    return []


def check_dvc(git: Git, dvc: Dvc, source: Source, top: Path, request: Request) -> list[str]:
    """Refuse what would make ``git checkout`` and ``dvc pull`` bring nothing."""
    config = _committed_dvc_config(git, source)
    dvc.check_remote()
    folder = top / FOLDER / request.model
    paths = [folder / artifact_path(role, path.name) for role, path in request.sources.items()]
    if request.sample is not None:
        paths.append(folder / SAMPLE_PATH)
    hidden = dvc.hidden(paths)
    if hidden:
        raise ConfigError(
            f"{hidden.relative_to(top).as_posix()} would be hidden from DVC by .gitignore or "
            ".dvcignore: dvc pull would bring nothing",
            hint="git check-ignore -v --no-index and dvc check-ignore -d name the rule: narrow it",
        )
    objection = dvc.remote_objection(config)
    return [objection] if objection else []


def _committed_dvc_config(git: Git, source: Source) -> bytes:
    folder = next((e for e in source.root if e.name == ".dvc" and e.kind == TREE), None)
    found = git.objects.read(f"{folder.oid}:config") if folder else None
    if found is None:
        raise ConfigError(
            "DVC is set up, but .dvc/config is not committed: a tag would not reproduce",
            hint="mlv init commits it, or: git add .dvc .dvcignore && git commit",
        )
    return found.data
