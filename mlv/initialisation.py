"""Setting a repository up: Git, DVC, mlv.yaml, and one commit of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ConfigError, WorkspaceError
from mlv.store import config as configs
from mlv.store import hooks, templates, versionfolder
from mlv.store.dvc import repository as dvc
from mlv.store.dvcfiles import credential_in
from mlv.store.edits import refuse_unmerged
from mlv.store.git import Git, find, init_git
from mlv.store.lineage import without_credentials
from mlv.store.naming import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_DVC_FILES = {
    ".dvc/config": "",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "",
}


_SAY_WHERE_FROM = (
    "what was written installs mlv by its version alone: let the variable MLV_PACKAGES say where "
    "from. What a public index has under this name is not this program"
)


class Initialised(NamedTuple):
    """What was missing and is there now, in the order it was made; empty: nothing was.

    ``written`` are the files of templates, which are not committed.
    """

    top: Path
    branch: str
    made: tuple[str, ...]
    notes: tuple[str, ...]
    written: tuple[str, ...] = ()


class Extras(NamedTuple):
    """What is wanted besides a registry.

    ``hooks`` are those of Git, this clone's alone. ``templates`` are names (`store.templates`); of
    a file that is there and says something else, ``may_replace`` is asked.
    """

    hooks: bool = False
    templates: Sequence[str] = ()
    may_replace: Callable[[str], bool] = lambda _: False


def initialise(path: Path, extras: Extras) -> Initialised:
    """Make ``path`` a registry: add what is missing, and commit only that."""
    made: list[str] = []
    if not path.is_dir() or not _is_in_git(path):
        init_git(path)
        made.append("Git repository")
    git = Git(find(path))
    top = _check(git)
    branch = _branch(git)
    to_commit = _write_files(git, top, branch, made)
    if to_commit:
        _commit(git, to_commit)
        made.append("commit of these")
    notes = _remote_notes(git, branch)
    if extras.hooks:
        installed = hooks.install(git)
        made += installed.made
        notes += installed.notes
    written = [_write_template(git, top, name, extras.may_replace) for name in extras.templates]
    notes += [note for each in written for note in each.notes]
    paths = tuple(path for each in written for path in each.paths)
    return Initialised(top, branch, tuple(made), tuple(notes), paths)


def _write_template(
    git: Git, top: Path, name: str, may_replace: Callable[[str], bool]
) -> templates.Written:
    config = configs.read(git)
    dvc_config = (top / ".dvc" / "config").read_bytes()
    remote = without_credentials(git.config("remote.origin.url") or "") or ""
    known = templates.values(config.branch, config.allowed_signers, dvc_config, remote)
    written = templates.write(name, top, known, may_replace)
    if written.paths and templates.needs_to_know_where_from(name, known):
        return written._replace(notes=(*written.notes, _SAY_WHERE_FROM))
    return written


def _is_in_git(path: Path) -> bool:
    try:
        find(path)
    except ConfigError:
        return False
    return True


def _check(git: Git) -> Path:
    top = git.layout.top
    if top is None:
        raise ConfigError(f"{git.layout.git_dir} is a bare repository", hint="use a clone of it")
    git.check_formats()
    refuse_unmerged(git)
    git.identity()
    if (top / FOLDER).is_symlink() or ((top / FOLDER).exists() and not (top / FOLDER).is_dir()):
        raise WorkspaceError(
            f"{top / FOLDER} is not a folder", hint=f"rename it: {FOLDER}/ belongs to mlv"
        )
    below = git.run("ls-files", "-z", "--", ":(top,glob)*/**/.dvc/config").decode().split("\0")[0]
    if below and not dvc.is_set_up(git.layout):
        raise ConfigError(
            f"DVC is set up in a folder below the top of the repository ({below})",
            hint="mlv needs .dvc at the top: move it there, with its .dvc files",
        )
    return top


def _branch(git: Git) -> str:
    """Choose the registry branch: the remote's default branch, else the current one."""
    stated = git.layout.folder / configs.FILE
    if stated.is_file():
        return configs.parse(stated.read_bytes()).branch
    remote = git.ask("symbolic-ref", "--short", "refs/remotes/origin/HEAD")
    if remote.code == 0:
        return remote.stdout.decode().strip().removeprefix("origin/")
    current = git.ask("symbolic-ref", "--short", "HEAD")
    if current.code:
        raise WorkspaceError(
            "HEAD is detached: it is not clear which branch should say what is live",
            hint="git switch to that branch, then mlv init",
        )
    return current.stdout.decode().strip()


def _write_files(git: Git, top: Path, branch: str, made: list[str]) -> list[str]:
    """Write what is missing; give the paths to commit."""
    if not dvc.is_set_up(git.layout):
        if _is_in_head(git, ".dvc/config"):
            raise ConfigError(
                "DVC is set up in this repository, but .dvc is not in this work tree",
                hint="git sparse-checkout add .dvc, or git restore .dvc",
            )
        dvc.initialise(top)
        made.append("DVC")
    else:
        _refuse_secrets(git, top)
        for name, text in _DVC_FILES.items():  # an init that was killed may have left some out
            if not (top / name).exists() and not _is_in_head(git, name):
                (top / name).write_text(text, encoding="utf-8")
                made.append(name)
    for name, content in ((configs.FILE, configs.TEMPLATE), (f"{FOLDER}/.gitignore", "")):
        path = top / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.format(branch=branch).encode() or versionfolder.GUARD)
            made.append(name)
    ours = [configs.FILE, f"{FOLDER}/.gitignore", ".dvc/config", ".dvc/.gitignore", ".dvcignore"]
    return [name for name in ours if (top / name).is_file() and not _is_in_head(git, name)]


def _is_in_head(git: Git, name: str) -> bool:
    return git.objects.read(f"HEAD:{name}") is not None


def _refuse_secrets(git: Git, top: Path) -> None:
    config = top / ".dvc" / "config"
    if _is_in_head(git, ".dvc/config") or not config.is_file():
        return
    found = credential_in(config.read_bytes())
    if found:
        raise ConfigError(
            f".dvc/config:{found.line} holds a credential ({found.key}), which a commit would "
            "publish",
            hint=f"dvc remote modify --local <name> {found.key} ... keeps it out of Git",
        )


def _commit(git: Git, paths: list[str]) -> None:
    """Commit these paths alone; what else is staged stays staged."""
    spec = [f":(top,literal){path}" for path in paths]
    git.run("add", "--force", "--", *spec)
    git.run(
        "commit", "--quiet", "--no-verify", "--only",
        "-m", "Set up the model registry", "--", *spec,
    )  # fmt: skip


def _remote_notes(git: Git, branch: str) -> list[str]:
    """Have a remote's fetches bring version tags, which git leaves out by default."""
    notes = []
    if git.config("remote.origin.url") and git.config("remote.origin.tagopt") != "--tags":
        git.run("config", "remote.origin.tagOpt", "--tags")
        notes.append("git fetch now brings every version's tag (remote.origin.tagOpt)")
    current = git.ask("symbolic-ref", "--short", "HEAD").stdout.decode().strip()
    if current and current != branch:
        notes.append(f"this is {current}: what is live is said on {branch}; merge this there")
    return notes
