"""The tree that trained a model: the commit's, plus what was not committed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import WorkspaceError
from mlv.store import handwritten
from mlv.store.git import SCRATCH
from mlv.store.naming import FOLDER
from mlv.store.objects import TreeWriter
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from mlv.store.git import Git
    from mlv.store.objects import Entry

# What a first `dvc repro` leaves untracked, and a version cannot do without.
_DVC_FILES = ("dvc.yaml", "dvc.lock", "*.dvc", ".gitignore")
# What at the top says where DVC finds bytes, and what it sees.
_SET_UP = (".dvc", ".dvcignore", ".gitignore")


class Source(NamedTuple):
    """A commit, the root of the tree on top of it, and the paths in which they differ."""

    commit: str
    root: list[Entry]
    dirty: list[str]


def source_tree(git: Git, model: str) -> Source:
    """Write the tree of the work tree's tracked files and DVC files, beside the user's index.

    Of ``registry/``, the model's own text alone counts as something that was changed.
    """
    head = git.line("rev-parse", "HEAD")
    with scratch(git.layout.common_dir / SCRATCH) as folder:
        index = folder / "index"
        if not (git.layout.git_dir / "index").is_file():
            raise WorkspaceError(
                f"nothing is checked out in {git.layout.top}", hint="git checkout HEAD -- ."
            )
        shutil.copyfile(git.layout.git_dir / "index", index)
        env = {"GIT_INDEX_FILE": str(index)}
        quiet = ("-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false")
        git.run(*quiet, "add", "--update", "--", ":/", env=env)
        loose = git.run(
            "ls-files", "-z", "--others", "--exclude-standard", "--",
            *(f":(top,glob)**/{name}" for name in _DVC_FILES),
            f":(top,exclude){FOLDER}",
        )  # fmt: skip
        git.run(*quiet, "update-index", "--add", "-z", "--stdin", stdin=loose, env=env)
        tree = git.line("write-tree", env=env)
    return Source(head, git.objects.read_tree(tree) or [], _changed(git, head, tree, model))


def source_at(git: Git, model: str, commit: str, tip: str) -> Source:
    """Give the tree of a commit, with DVC set up in it as it is at ``tip``.

    There DVC finds the bytes, and sees what it should; the commit may be older than either.
    """
    ours = {entry.name: entry for entry in git.objects.read_tree(f"{tip}^{{tree}}") or []}
    root = git.objects.read_tree(f"{commit}^{{tree}}") or []
    made = [entry for entry in root if entry.name not in _SET_UP]
    made += [ours[name] for name in _SET_UP if name in ours]
    if sorted(made) == sorted(root):
        return Source(commit, root, [])
    with TreeWriter(git.layout.folder) as trees:
        tree = trees.write(made)
    return Source(commit, made, _changed(git, commit, tree, model))


def _changed(git: Git, commit: str, tree: str, model: str) -> list[str]:
    names = git.run(
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", f"{commit}^{{tree}}", tree
    )
    return [
        name
        for name in names.decode(errors="replace").split("\0")
        if name and (not name.startswith(f"{FOLDER}/") or name == handwritten.path_of(model))
    ]
