"""What becomes of a version: judged, staged, promoted, proposed, rolled back, yanked, purged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.registry.opened import Opened
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlv.domain.gate import Verdict
    from mlv.keeping.purging import Purge
    from mlv.moving.promotion import Change
    from mlv.proposing.proposal import Proposed


class Moves(Opened):
    """The verbs that move a pointer, or would."""

    def gate(self, ref: str, against: str | None = None) -> Verdict:
        """Judge a version by the gate of the registry branch's mlv.yaml, and change nothing.

        It is held against what is live, or ``against`` another version of its model.
        """
        from mlv import gating

        tip, version = self._versions.need_tip(), self.resolve(ref)
        self._warn(tip)
        other = None if against is None else self._references.resolve(against, version.model)
        return gating.verdict(self._versions, tip.commit, version, other)

    def stage(
        self,
        ref: str,
        *,
        reason: str | None = None,
        force: bool = False,
        push: bool | None = None,
    ) -> str:
        """Put a version in staging; the one staged before returns to registered.

        `GateFailed` if it does not meet the gate, unless ``force``, which needs a ``reason``.
        """
        return _only(self.move("stage", [ref], reason=reason, force=force, push=push))

    def promote(
        self,
        ref: str,
        *,
        reason: str | None = None,
        from_: str | None = None,
        force: bool = False,
        push: bool | None = None,
    ) -> str:
        """Put a version in production; the one that was live is archived and becomes previous.

        Promoting what is live changes nothing. ``from_`` is the version that the caller believes
        to be live: `ChangedMeanwhile` if it is not. `GateFailed` if the version does not meet the
        gate, unless ``force``, which needs a ``reason``; commit and history keep both.
        """
        seen = [] if from_ is None else [from_]
        change = self.move("promote", [ref], reason=reason, from_=seen, force=force, push=push)
        return _only(change)

    def rollback(
        self,
        *,
        to: str | None = None,
        reason: str | None = None,
        from_: str | None = None,
        push: bool | None = None,
    ) -> str:
        """Go back to the previous version, or ``to`` one that was live before; give its name."""
        refs, seen = ([] if ref is None else [ref] for ref in (to, from_))
        return _only(self.move("rollback", refs, reason=reason, from_=seen, push=push))

    def yank(self, ref: str, *, reason: str, push: bool | None = None) -> str:
        """Withdraw a version that is not live: it is never promoted, staged or loaded again.

        Its bytes are kept. ``reason`` is told to whoever asks for it.
        """
        return _only(self.move("yank", [ref], reason=reason, push=push))

    def unyank(self, ref: str, *, reason: str | None = None, push: bool | None = None) -> str:
        """Take a yank back; the version is archived."""
        return _only(self.move("unyank", [ref], reason=reason, push=push))

    def move(
        self,
        action: str,
        refs: str | Sequence[str] = (),
        *,
        models: Sequence[str] = (),
        reason: str | None = None,
        from_: Sequence[str] = (),
        force: bool = False,
        push: bool | None = None,
    ) -> Change:
        """Do what `stage`, `promote`, `rollback` and `yank` do, for several models in one commit.

        ``models`` are those to roll back to their previous versions. ``force`` goes past the gate.
        ``push`` publishes on the Git remote; None is what mlv.yaml says. Gives what changed.
        """
        from mlv.moving.planning import Asked, plan
        from mlv.moving.promotion import carry_out

        self._git.forget_config()
        named = (refs,) if isinstance(refs, str) else tuple(refs)
        asked = Asked(action, named, tuple(models), tuple(from_), reason, force)
        with on_disk(self._git.layout.common_dir):
            if self.config.push if push is None else push:
                from mlv.sharing import branch

                change = branch.move(self._share(), self.model, asked)
            else:
                self._warn(self._versions.need_tip())
                change = carry_out(self._versions, plan(self._versions, self._references, asked))
        self._tell(change.told)
        return change

    def propose(
        self,
        refs: str | Sequence[str] = (),
        *,
        action: str = "promote",
        models: Sequence[str] = (),
        reason: str | None = None,
        from_: Sequence[str] = (),
        force: bool = False,
        draft: bool = False,
    ) -> Proposed:
        """Propose what `move` would do, as a pull request: nothing goes live.

        ``action`` is ``promote`` or ``rollback``. The commit stands on the Git remote's registry
        branch and is pushed to a branch of its own; the pull request is opened with gh, glab or
        GitLab's push options, where that is possible. Proposing again brings it up to date.
        """
        from mlv.moving.planning import Asked
        from mlv.proposing.proposal import propose

        named = (refs,) if isinstance(refs, str) else tuple(refs)
        asked = Asked(action, named, tuple(models), tuple(from_), reason, force)
        with on_disk(self._git.layout.common_dir):
            proposed = propose(self._share(), self.model, asked, is_draft=draft)
        self._tell(proposed.told)
        return proposed

    def purge_archived(self, keep_last_n: int = 2, *, dry_run: bool = False) -> list[str]:
        """Delete the bytes of all but the newest archived versions; give their names.

        They go from the DVC cache and the DVC remote, oldest first by number, except those that
        something else needs. Tags and manifests stay. ``dry_run`` only says which it would be.
        """
        done = self.purge(keep_last_n, lambda _: not dry_run)
        return [version.name for version in done.versions]

    def purge(self, keep_last_n: int, confirm: Callable[[Purge], bool]) -> Purge:
        """Do what `purge_archived` does, once ``confirm`` agrees to what it is shown; tell all."""
        from mlv.keeping.purging import purge

        self.need_known()
        model = self._live().pointer.model
        self._git.forget_config()
        sharing = self._share() if self.has_remote() else None
        with on_disk(self.path):
            done = purge(self._versions, sharing, model, keep_last_n, confirm)
        self._tell(done.notes)
        return done


def _only(change: Change) -> str:
    return change.moved[0].version.name
