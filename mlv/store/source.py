"""The tree that trained a model: the commit's, plus what was not committed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import WorkspaceError
from mlv.store.git import SCRATCH
from mlv.store.scratch import scratch
from mlv.store.versions import FOLDER

if TYPE_CHECKING:
    from mlv.store.git import Git
    from mlv.store.objects import Entry

# What a first `dvc repro` leaves untracked, and a version cannot do without.
_DVC_FILES = ("dvc.yaml", "dvc.lock", "*.dvc", ".gitignore")


class Source(NamedTuple):
    """A commit, the root of the tree on top of it, and the paths in which they differ."""

    commit: str
    root: list[Entry]
    dirty: list[str]


def source_tree(git: Git) -> Source:
    """Write the tree of the work tree's tracked files and DVC files, beside the user's index."""
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
    names = git.run(
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", f"{head}^{{tree}}", tree
    )
    dirty = [
        name
        for name in names.decode(errors="replace").split("\0")
        if name and not name.startswith(f"{FOLDER}/")
    ]
    return Source(head, git.objects.read_tree(tree) or [], dirty)
