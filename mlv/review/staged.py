"""Whether what is staged below registry/ is what mlv would have written there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.errors import WorkspaceError
from mlv.review import change as changes
from mlv.review import legality, tree
from mlv.review.case import Case, Look
from mlv.store.naming import FOLDER
from mlv.store.versions import Versions
from mlv.trust import OFF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlv.review.report import Finding
    from mlv.store.git import Git

# Nobody sees this commit; whose it is does not matter, nor that git knows who commits.
_NOBODY = {
    f"GIT_{who}_{what}": text
    for who in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "mlv"), ("EMAIL", "mlv@noreply.invalid"))
}
_WITHOUT = "git commit --no-verify goes without this"


def check_staged(git: Git, index: Path | None = None) -> None:
    """Refuse a commit of what is staged if mlv would not have written it so below registry/.

    What git itself makes of mlv's commits, by a revert, a merge or a cherry-pick, passes.
    ``index`` is the file of the index that is committed, unless it is the usual one.
    """
    env = {"GIT_INDEX_FILE": str(index)} if index else {}
    head = git.objects.read("HEAD^{commit}")
    if head is None:
        return  # the first commit of a repository, of which nothing was live yet
    staged = git.ask(
        "diff-index", "--cached", "--quiet", head.oid, "--", f":(top){FOLDER}", env=env
    )
    if staged.code == 0:
        return
    whole = git.run("write-tree", env=env).decode().strip()
    if _is_published(git, head.oid, whole):
        return
    parents = [part for oid in (head.oid, *_merged(git)) for part in ("-p", oid)]
    commit = git.line("commit-tree", whole, *parents, "-m", "Staged", env=_NOBODY)
    found = [finding for finding in _findings(git, head.oid, commit) if finding.blocks]
    if found:
        more = f" ({len(found)} findings in all)" if len(found) > 1 else ""
        raise WorkspaceError(
            f"what is staged is not what mlv writes: {found[0].message}{more}",
            hint=f"{found[0].hint}; {_WITHOUT}" if found[0].hint else _WITHOUT,
        )


def _is_published(git: Git, head: str, staged: str) -> bool:
    """Whether it is the registry branch's folder as a whole, which a squashed merge brings."""
    config = changes.at_base(git, head).config
    refs = (f"refs/heads/{config.branch}", f"refs/remotes/{config.remote}/{config.branch}")
    ours, *theirs = (git.objects.read(f"{name}:{FOLDER}") for name in (staged, *refs))
    return ours is not None and any(each and each.oid == ours.oid for each in theirs)


def _merged(git: Git) -> Sequence[str]:
    path = git.layout.git_dir / "MERGE_HEAD"
    return path.read_text(encoding="ascii").split() if path.is_file() else ()


def _findings(git: Git, head: str, staged: str) -> Iterator[Finding]:
    change = changes.between(git, head, staged)
    case = Case(Versions(git, changes.at_base(git, head).config), change, OFF, Look(remote=False))
    moved = []
    for model in change.models:
        move, found = legality.judge(case, model)
        moved += [model] if move else []
        yield from found
        yield from tree.check_folder(case, model)
    yield from tree.check_elsewhere(case, moved)
