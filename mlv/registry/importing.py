"""Versions that come in from other registries."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.registry.sharing import Shares
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.domain.pointer import Pointer
    from mlv.importing.incoming import IncomingModel
    from mlv.importing.planning import Plan, Planned
    from mlv.moving.promotion import Change


class BroughtIn(NamedTuple):
    """What came in, and what became of the pointer; no change where that was only planned.

    ``notes`` are for a person; ``is_pushed``: it was asked to publish; ``is_published``: nothing of
    it is left to be.
    """

    plan: Plan
    change: Change | None
    notes: tuple[str, ...]
    is_pushed: bool = False
    is_published: bool = False

    @property
    def pointer(self) -> Pointer:
        """What the branch says of the model now, or would."""
        return self.change.moved[0].after if self.change else self.plan.settled.pointer


class Imports(Shares):
    """The verb that registers what was registered elsewhere."""

    def bring_in(
        self,
        incoming: IncomingModel,
        *,
        into_existing: bool = False,
        dry_run: bool = False,
        push: bool | None = None,
        tell: Callable[[Planned], None] | None = None,
    ) -> BroughtIn:
        """Register every version of a model of another registry, with its number and date.

        Then one commit says what is live, as it was there. Versions that came in before are
        passed over, so that what was interrupted goes on. A model that has others is refused,
        unless ``into_existing``: then numbers go on from its highest, and what is live stays.
        ``dry_run`` only plans. ``push`` publishes; None is what mlv.yaml says. ``tell`` hears of
        each version once it is in.
        """
        from mlv.importing import bringing, planning

        self._git.forget_config()
        model = self._references.one_model()
        is_pushed = not dry_run and (self.config.push if push is None else push)
        fetched = self.fetch() if is_pushed else None
        versions = self._versions
        plan = planning.plan(
            versions, versions.need_tip(), model, incoming, into_existing=into_existing
        )
        self._tell(plan.notes)
        if dry_run:
            if plan.new:
                bringing.check_signs(versions)
            return BroughtIn(plan, None, plan.notes)
        config = self.config.of(model)
        way = bringing.Way(config, self._progress, self._notify, tell or (lambda _: None))
        with on_disk(self.path):
            bringing.register_all(versions, plan, way)
            if fetched:
                change = bringing.publish(self._share(), plan, fetched)
            else:
                change = bringing.say_what_is_live(versions, plan)
        decided = planning.decide(
            change.moved[0].before, incoming, plan.versions, is_alone=plan.is_alone
        )
        later = tuple(note for note in decided.notes if note not in plan.notes)
        self._tell(later)
        self._tell(change.told if change.commit else change.notes)
        unpublished = versions.kept_ids().keys() & {each.version for each in plan.versions}
        is_published = is_pushed or not (change.commit or unpublished)
        return BroughtIn(plan, change, (*plan.notes, *later), is_pushed, is_published)
