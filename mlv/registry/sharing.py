"""What others get to see: push, fetch, and what the hooks of git refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.registry.opened import Opened
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlv.registry.opened import AnyPath
    from mlv.sharing.pushing import Pushed
    from mlv.sharing.share import Fetched


class Shares(Opened):
    """The verbs that speak with the remotes, or guard what goes there."""

    def push(self, *refs: str, whole: bool = False, partial: bool = False) -> Pushed:
        """Publish versions and the registry branch: bytes to the DVC remote, then tags and branch.

        Without references: every version that the Git remote lacks, and the branch. ``whole`` sees
        to the bytes of published versions too; ``partial`` goes without pipeline outputs that
        nobody has. A version whose number somebody else published first is registered anew.
        """
        from mlv.sharing import pushing

        sharing = self._share()
        named = tuple(self.resolve(ref) for ref in refs)
        order = pushing.Order(named, whole, partial, branch=not named)
        with on_disk(self.path):
            return pushing.push(sharing, order)

    def fetch(self) -> Fetched:
        """Bring the registry branch and every version's tag here; warn of a tag that was moved."""
        from mlv.sharing import share

        fetched = share.fetch(self._share(to_publish=False))
        self._tell(fetched.warnings)
        return fetched

    def follow(self) -> None:
        """Bring the registry branch and the tags of what is live here, and nothing else."""
        from mlv.sharing import share

        share.follow(self._share(to_publish=False))

    def check_push(
        self, lines: Iterable[str] | None = None, *, are_bytes_there: bool = False
    ) -> None:
        """Refuse a push that would rewrite what was live, or publish a merged registration.

        ``lines`` are what git writes to a pre-push hook; without them the registry branch is held
        against the remote's as it was last fetched. New tags of versions are refused as well
        whose bytes are not on the DVC remote, unless the caller knows that they are.
        """
        from mlv.sharing import pushcheck

        if lines is None:
            pushcheck.check_branch(self._versions)
            return
        pushes = list(pushcheck.parse(lines))
        pushcheck.check_pushes(self._versions, pushes)
        if not are_bytes_there:
            pushcheck.check_bytes(self._versions, pushes)

    def check_commit(self, index: AnyPath | None = None) -> None:
        """Refuse a commit of what is staged where it edits the registry by hand.

        ``index`` is the index's file, where a hook of git is told one.
        """
        from mlv.review.staged import check_staged

        check_staged(self._git, None if index is None else Path(index).absolute())
