"""`mlv propose`: one commit on the remote's registry branch, pushed to a branch of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from mlv import gating
from mlv.domain import pointer as pointers
from mlv.errors import ConfigError, InvalidInput, ProgramError
from mlv.moving.drafting import draft, message
from mlv.moving.promotion import changes, check_reason, decide
from mlv.proposing import opening
from mlv.proposing.opening import Asking, Door
from mlv.proposing.standing import look_at
from mlv.proposing.text import keep, text_of
from mlv.sharing.branch import bring_bytes, plan_there, publish, until_first
from mlv.sharing.share import fetch
from mlv.store.git import NO_OBJECT, RefUpdate

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.domain.names import Version
    from mlv.moving.drafting import Moved
    from mlv.moving.planning import Asked
    from mlv.moving.promotion import Plan
    from mlv.proposing.text import Text
    from mlv.sharing.share import Fetched, Share
    from mlv.store.versions import Record

PREFIX = "mlv/"
_PROPOSED = (pointers.PROMOTE, pointers.ROLLBACK)
_LONGEST_BRANCH = 180  # characters; a file system takes 255, and git adds to them


class Proposed(NamedTuple):
    """What is proposed; ``branch`` and ``commit`` are None where there is nothing to propose.

    ``base_commit`` is what it stands on; ``is_pushed`` is False where the remote had it already.
    ``url`` is the pull request where it ``is_open``, else where a person opens one, if that is
    known; ``opened_with`` says by what it was opened or found; ``body`` is a file with its text.
    """

    action: str
    moved: tuple[Moved, ...]
    base: str
    base_commit: str
    branch: str | None = None
    commit: str | None = None
    is_pushed: bool = False
    url: str | None = None
    is_open: bool = False
    opened_with: str | None = None
    title: str | None = None
    body: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        """Say what a person should know of it."""
        forced = (each.verdict for each in self.moved if each.is_forced)
        return [
            *(f"{gating.summary(each)}: forced, and recorded" for each in forced if each),
            *(
                f"{each.version.tag} is live already: there is nothing to propose"
                for each in self.moved
                if not each.is_change
            ),
            *self.notes,
        ]


class _Order(NamedTuple):
    """What is to be proposed, and how the pull request is to be opened.

    ``seen`` are versions whose bytes were seen on the DVC remote.
    """

    plan: Plan
    door: Door
    is_draft: bool
    seen: set[Version]


class _Pushed(NamedTuple):
    """A proposal on the remote, and what the remote said when it was pushed.

    ``text`` is there if it was needed for the push.
    """

    decided: tuple[Moved, ...]
    base: str
    branch: str = ""
    commit: str | None = None
    message: str = ""
    is_new: bool = False
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    text: Text | None = None


def propose(share: Share, model: str | None, asked: Asked, *, is_draft: bool = False) -> Proposed:
    """Propose what is asked, decided on the remote's registry branch, which stays as it is."""
    check_reason(asked.reason)
    if asked.action not in _PROPOSED:
        raise InvalidInput(
            f"{asked.action} is not proposed", hint=f"what can be: {', '.join(_PROPOSED)}"
        )
    fetched = fetch(share)
    for warning in fetched.warnings:
        share.notify(warning)
    if fetched.tip is None:
        branch, remote = share.versions.config.branch, share.remote.name
        raise ConfigError(
            f"{remote} has no branch {branch} yet: there is nothing to propose against",
            hint="mlv push publishes it",
        )
    plan = plan_there(share, model, asked)
    order = _Order(plan, opening.find_door(share), is_draft, set())
    pushed = until_first(
        share, fetched, lambda now: _attempt(share, order, now, is_again=now is not fetched)
    )
    made = Proposed(plan.action, pushed.decided, share.versions.config.branch, pushed.base)
    return made if pushed.commit is None else _open(share, order, made, pushed)


def branch_of(action: str, moved: tuple[Moved, ...]) -> str:
    """Name the branch of a proposal: ``mlv/promote-fraud-v3``."""
    name = f"{PREFIX}{action}-{'-'.join(each.version.tag for each in moved)}"
    if len(name) <= _LONGEST_BRANCH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[:_LONGEST_BRANCH].rstrip('-')}-{digest}"


def _attempt(share: Share, order: _Order, fetched: Fetched, *, is_again: bool) -> _Pushed:
    """Decide and push; ``is_again``: somebody else pushed to the branch just before."""
    versions, action = share.versions, order.plan.action
    base = versions.need_tip()
    decided = decide(versions, base, order.plan)
    changed = changes(decided)
    if not changed:
        return _Pushed(decided, base.commit)
    branch = branch_of(action, changed)
    standing = look_at(share, base, branch, action, changed)
    reason = order.plan.reason or (standing.proposal and standing.proposal.reason)
    made = draft(versions, base, action, changed, reason)
    pushed = _Pushed(decided, base.commit, branch, made.commit, message(action, changed, reason))
    known = standing.has(made.tree, base.commit)
    if known and (is_again or known.message == pushed.message.strip()):
        said = f"{branch} is on {share.remote.name} already, by {known.who}: nothing was pushed"
        return pushed._replace(commit=known.oid, message=known.message, notes=(said,))
    fresh = bring_bytes(share, action, fetched, changed, order.seen, may_lack_dvc=True)
    move = RefUpdate(f"refs/heads/{branch}", made.commit, standing.tip or NO_OBJECT)
    return _push(share, order, pushed, move, fresh)


def _push(
    share: Share, order: _Order, pushed: _Pushed, move: RefUpdate, fresh: list[Record]
) -> _Pushed:
    options: list[str] = []
    if order.door.via == opening.PUSH_OPTIONS:  # which need the text before it is pushed
        text = text_of(share, pushed.base, move.new, pushed.message, is_published=not fresh)
        asking = Asking(pushed.branch, share.versions.config.branch, text, order.is_draft)
        options, pushed = opening.push_options(asking), pushed._replace(text=text)
    said = publish(share, [move], fresh, options)
    return pushed._replace(is_new=True, said=tuple(said))


def _open(share: Share, order: _Order, made: Proposed, pushed: _Pushed) -> Proposed:
    """Open the pull request; whatever fails, the proposal is pushed, and the answer says so."""
    assert pushed.commit
    text = pushed.text or text_of(
        share, pushed.base, pushed.commit, pushed.message, is_published=True
    )
    name = pushed.branch.removeprefix(PREFIX)
    body = keep(share.git.layout.common_dir, name, text.body)
    asking = Asking(pushed.branch, made.base, text, order.is_draft)
    found, note = _request(share, order.door, asking, pushed)
    forge, url = order.door.forge, found
    if url is None and forge:
        by_hand = forge.compare_url(pushed.branch, made.base)
        url = by_hand or opening.invitation_in(pushed.said)
    return made._replace(
        branch=pushed.branch, commit=pushed.commit, is_pushed=pushed.is_new,
        url=url, is_open=found is not None, opened_with=order.door.via or None if found else None,
        title=text.title, body=body, notes=(*pushed.notes, *note, *text.notes),
    )  # fmt: skip


def _request(
    share: Share, door: Door, asking: Asking, pushed: _Pushed
) -> tuple[str | None, list[str]]:
    """Give the pull request's address if it is open, and what went wrong if it is not."""
    if door.via not in (opening.GH, opening.GLAB):
        return opening.url_in(pushed.said), []
    try:
        return opening.open_request(share, door, asking, is_new=pushed.is_new), []
    except ProgramError as error:
        how = "is pushed" if pushed.is_new else "is there"
        return None, [f"{asking.branch} {how}, but no pull request was opened: {error.message}"]
