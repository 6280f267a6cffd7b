"""What a commit's tree has DVC keep: the outputs that a plain ``dvc pull`` there wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.store.dvc.asking import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dvc.output import Output as DvcOutput
    from dvc.repo import Repo


class Output(NamedTuple):
    """One output: its path from the top, and the object that DVC keeps of it.

    ``md5`` is None where the tree does not say which (a stage that never ran); ``size`` is in
    bytes, over all files of a directory, or None where it is not said; ``remote`` is the output's
    own remote, or None for the default one.
    """

    path: str
    md5: str | None
    size: int | None
    remote: str | None
    hash_name: str


def outputs_of(repo: Repo, commit: str) -> list[Output]:
    """Read every cached output of a commit's tree, in the order of its paths.

    An output that is never pushed, or comes from another repository, is left out.
    """
    with asking(f"read the outputs of {commit[:10]}"), repo.switch(commit):
        return sorted(_outputs(repo))


def _outputs(repo: Repo) -> Iterator[Output]:
    for out in repo.index.outs:
        if out.use_cache and out.can_push and not out.stage.is_repo_import:
            yield _read(repo, out)


def _read(repo: Repo, out: DvcOutput) -> Output:
    path = repo.fs.relpath(out.fs_path, repo.root_dir)
    md5 = out.hash_info.value if out.hash_info else None
    size = out.meta.size if out.meta else None
    return Output(str(path), md5, size, out.remote, str(out.hash_name or "md5"))
