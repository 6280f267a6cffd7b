"""What stands on a proposal's branch on the remote: a proposal, or somebody's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import history
from mlv.domain import pointer as pointers
from mlv.errors import ChangedMeanwhile, RegistryError
from mlv.moving.drafting import Moved, tree_of
from mlv.sharing.branch import LostRace
from mlv.store.versions import Tip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlv.sharing.share import Share
    from mlv.store.versions import Versions

_MOST = 100  # commits of a branch that are looked at


class Commit(NamedTuple):
    """A commit of the branch; ``who`` is ``Ada, 3 minutes ago``."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    who: str
    message: str

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def reason(self) -> str | None:
        """Why it is proposed."""
        return history.reason(self.message)


class Standing(NamedTuple):
    """A proposal's branch on the remote: its tip, and the proposal on it.

    ``tip`` is None where there is no such branch; ``proposal`` where all of it was merged.
    """

    tip: str | None = None
    proposal: Commit | None = None

    def has(self, tree: str, base: str) -> Commit | None:
        """Give the proposal if it is this tree on top of ``base``, and nothing came after it."""
        it = self.proposal
        is_so = it and (it.oid, it.tree, it.parents) == (self.tip, tree, (base,))
        return it if is_so else None


def look_at(share: Share, base: Tip, branch: str, action: str, moved: Sequence[Moved]) -> Standing:
    """Look at a proposal's branch; `ChangedMeanwhile` if it carries what is no proposal of this."""
    git, ref = share.git, f"refs/heads/{branch}"
    tip = share.remote.refs(ref).get(ref)
    if tip is None:
        return Standing()
    if git.objects.read(tip) is None:
        share.remote.fetch([ref])
        if git.objects.read(tip) is None:
            raise LostRace(f"{branch} changed meanwhile on {share.remote.name}")
    commits = _commits(share, base, tip)
    odd = _odd(share, commits, action, moved)
    if odd and git.is_shallow():  # what looks odd may be the base's own history
        share.notify(f"this clone is shallow: the history of {share.versions.config.branch} comes")
        share.remote.fetch([share.branch_ref], whole=True)
        commits = _commits(share, base, tip)
        odd = _odd(share, commits, action, moved)
    if odd:
        raise _not_ours(share, branch, odd)
    # What is a merge only brought the base up to date.
    plain = [commit for commit in commits if len(commit.parents) == 1]
    return Standing(tip, plain[0] if plain else None)


def _commits(share: Share, base: Tip, tip: str) -> list[Commit]:
    listed = share.git.run(
        "log", "-z", f"--max-count={_MOST}", "--no-show-signature", "--encoding=UTF-8",
        "--format=%H%n%T%n%P%n%an, %ar%n%B", tip, f"^{base.commit}", "--",
    )  # fmt: skip
    found = []
    for text in listed.decode(errors="replace").split("\0"):
        if text:
            oid, tree, parents, who, message = text.split("\n", 4)
            found.append(Commit(oid, tree, tuple(parents.split()), who, message.strip()))
    return found


def _odd(
    share: Share, commits: Sequence[Commit], action: str, moved: Sequence[Moved]
) -> Commit | None:
    """Find a commit that is no proposal on top of what is in the base already."""
    new = {commit.oid for commit in commits}
    for commit in commits:
        merged = [parent for parent in commit.parents if parent not in new]
        if not any(_is_proposal(share.versions, commit, at, action, moved) for at in merged):
            return commit
    return None


def _is_proposal(
    versions: Versions, commit: Commit, base: str, action: str, moved: Sequence[Moved]
) -> bool:
    """Whether a commit's tree is what mlv would have written on ``base``."""
    try:
        there, then = (Tip.at(oid) for oid in (commit.oid, base))
        decided = []
        for version in (each.version for each in moved):
            forced = version.number in versions.pointer(there, version.model).forced
            before = versions.pointer(then, version.model)
            after, _ = pointers.decide(before, action, version.number, forced=forced)
            decided.append(Moved(version, before, after))
        return tree_of(versions, base, decided) == commit.tree
    except RegistryError:
        return False


def _not_ours(share: Share, branch: str, commit: Commit) -> ChangedMeanwhile:
    remote = share.remote.name
    return ChangedMeanwhile(
        f"{branch} on {remote} carries a commit that is not this proposal's: {commit.oid[:10]} "
        f"by {commit.who} ({commit.subject})",
        hint="it is left alone. Keep what is wanted of it under another name, then "
        f"git push {remote} --delete {branch} and propose again",
    )
