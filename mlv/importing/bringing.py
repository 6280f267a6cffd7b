"""Bringing versions in: each registered as what it was, then one commit that says what is live."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mlv import gating
from mlv.domain.names import Version
from mlv.domain.pointer import IMPORT
from mlv.domain.rules import OPEN
from mlv.errors import ChangedMeanwhile, ConfigError, RefusedByRemote, RegistryError
from mlv.importing.incoming import named, one_line
from mlv.importing.planning import decide
from mlv.moving import promotion
from mlv.moving.drafting import Moved, draft
from mlv.moving.promotion import Change, changes, reflog
from mlv.registering.registration import register_with
from mlv.registering.request import Past, Request
from mlv.sharing import branch, pushing
from mlv.sharing.following import catch_up, follow
from mlv.sharing.share import fetch
from mlv.store.config import ALL
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import NO_OBJECT, RefUpdate
from mlv.store.objects import COMMIT
from mlv.store.scratch import scratch
from mlv.store.signing import signed_tag, signs_tags
from mlv.trust import accept, verdict_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.domain.gate import Verdict
    from mlv.importing.planning import Plan, Planned
    from mlv.registering.registration import Registered
    from mlv.sharing.pushing import Pushed
    from mlv.sharing.share import Fetched, Share
    from mlv.store.config import ModelConfig
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Tip, Versions

_is_id = re.compile(r"[0-9a-f]{7,64}").fullmatch  # of a commit: a branch's name means another here


class Way(NamedTuple):
    """How versions come in: what mlv.yaml says of the model, and who is told of what.

    ``tell`` hears of each version that came in, ``notify`` what a person should know.
    """

    config: ModelConfig
    progress: ProgressBar
    notify: Callable[[str], None]
    tell: Callable[[Planned], None]


def register_all(versions: Versions, plan: Plan, way: Way) -> None:
    """Register what is not here, by its numbers; an error names the version and ends it."""
    if not plan.new:
        return
    check_signs(versions)
    _check_key(versions)
    told: set[str] = set()
    parent = versions.need_tip().commit
    with open_dvc(versions.git.layout) as dvc:
        for at, each in enumerate(plan.new):
            try:
                registered = _register(dvc, versions, each, parent, way)
            except RegistryError as error:
                wrong = named(each.incoming, error)
                if at:
                    so_far = "what came in before it stays, and the same command goes on"
                    wrong.hint = f"{wrong.hint}; {so_far}" if wrong.hint else so_far
                raise wrong from error
            for note in set(registered.notes) - told:
                way.notify(f"{each.version.tag}: {note}")
            told.update(registered.notes)
            way.tell(each)


def check_signs(versions: Versions) -> None:
    """Refuse to bring in what nobody would load, under numbers that nothing else gets then."""
    git, required = versions.git, accept(versions, versions.tip()).required
    unset = [
        (what, setting)
        for what, setting, is_asked, is_on in (
            ("tags", "tag.gpgSign", bool(required), signs_tags(git)),
            ("commits", "commit.gpgSign", required == ALL, git.is_on("commit.gpgsign")),
        )
        if is_asked and not is_on
    ]
    for what, setting in unset:
        raise ConfigError(
            f"versions must be signed here, and this git signs no {what}: nothing came in",
            hint=f"git config {setting} true, and gpg.format and user.signingKey as your key is; "
            "or let somebody who may sign do it",
        )


def _check_key(versions: Versions) -> None:
    """Refuse likewise a key that is not allowed: by a tag that no ref names."""
    tip = versions.need_tip()
    policy = accept(versions, tip)
    if not policy.required:
        return
    probe = signed_tag(versions.git, "mlv-import", tip.commit, "Try the key\n")
    verdict = verdict_on(versions, probe, policy)
    if verdict.signer is None:
        raise ConfigError(
            f"versions must be signed here, and what this git signs {verdict.why}: nothing came in",
            hint=verdict.hint,
        )


def _register(dvc: Dvc, versions: Versions, each: Planned, parent: str, way: Way) -> Registered:
    git, incoming = versions.git, each.incoming
    by = incoming.registered_by or git.identity().rpartition(" ")[0].rpartition(" ")[0]
    past = Past(
        each.version.number,
        incoming.registered_at,
        by,
        _trained_from(git, incoming.commit or "") or parent,
        {role: stated for role, stated in incoming.checksums.items() if stated},
    )
    with scratch(dvc.cache.scratch_folder) as folder:
        sources = incoming.bring(folder)
        request = Request.of(
            each.version.model, sources, incoming.metrics, incoming.all_metadata
        )._replace(past=past)
        return register_with(dvc, versions, request, way.config, way.progress)


def _trained_from(git: Git, named: str) -> str | None:
    """Find the commit of an id, which may be abbreviated; None where it is not here."""
    known = git.objects.read(f"{named}^{{commit}}") if _is_id(named) else None
    # Git takes 20251101 for the tag of that name before it takes it for an id.
    is_it = known is not None and known.kind == COMMIT and known.oid.startswith(named)
    return known.oid if known and is_it else None


# What is live ------------------------------------------------------------------------------


def say_what_is_live(versions: Versions, plan: Plan) -> Change:
    """Make the one commit on the registry branch, here."""
    return promotion.publish(
        versions, IMPORT, reason(plan), lambda tip: _moved(versions, tip, plan)
    )


def publish(share: Share, plan: Plan, fetched: Fetched) -> Change:
    """Publish the versions, then make that commit on the remote's branch."""
    unpublished = tuple(e.version for e in plan.versions if e.version not in fetched.tags)
    if unpublished:
        pushed = pushing.push(share, pushing.Order(unpublished, branch=False), fetched)
        _refuse_renumbered(pushed)
    fetched = fetch(share)
    if fetched.tip is None:
        pushing.push(share, pushing.Order())
        fetched = fetch(share)
    return branch.until_first(share, fetched, lambda now: _attempt(share, plan, now))


def _refuse_renumbered(pushed: Pushed) -> None:
    """Stop where a version's number is another's now: what is live would be said of that."""
    for old, new in pushed.renumbered:
        raise ChangedMeanwhile(
            f"somebody else published meanwhile, and {old.tag} is {new.tag} now: nothing was made "
            "live",
            hint="run the command again: it looks at what is there now",
        )


def _attempt(share: Share, plan: Plan, fetched: Fetched) -> Change:
    versions = share.versions
    tip = versions.need_tip()
    moved = _moved(versions, tip, plan)
    changed = changes(moved)
    if not changed:
        return Change(IMPORT, moved, None, tuple(catch_up(share, tip)))
    made = draft(versions, tip, IMPORT, changed, reason(plan))
    try:
        branch.publish(
            share, [RefUpdate(share.branch_ref, made.commit, fetched.tip or NO_OBJECT)], ()
        )
    except RefusedByRemote as error:
        if share.branch_ref not in error.refs:
            raise
        raise RefusedByRemote(
            error.message,
            hint="the versions are published; that they are live, somebody says who may push to "
            f"{versions.config.branch}, by the same command",
            refs=error.refs,
        ) from error
    return Change(
        IMPORT, moved, made.commit, tuple(follow(share, tip, made, reflog(IMPORT, changed)))
    )


def _moved(versions: Versions, tip: Tip, plan: Plan) -> tuple[Moved, ...]:
    """Decide on the branch as it is; what does not meet its gate is live all the same, as forced.

    It is live already, elsewhere; the first pointer of a model says so.
    """
    before = versions.pointer(tip, plan.model)
    after = decide(before, plan.incoming, plan.versions, is_alone=plan.is_alone).pointer
    about = Version(plan.model, after.current or max(after.status, default=0))
    made = Moved(about, before, after)
    gate = gating.gate_at(versions, tip.commit, plan.model)
    if not made.is_change or before.status or gate == OPEN:
        return (made,)
    verdicts = [
        gating.verdict(versions, tip.commit, Version(plan.model, number), to_stage=to_stage)
        for number, to_stage in ((after.current, False), (after.staging, True))
        if number is not None
    ]
    failed = [each for each in verdicts if not each.passed]
    forced = frozenset(each.challenger.number for each in failed)
    return (Moved(about, before, after._replace(forced=forced), _first(verdicts, about)),)


def _first(verdicts: list[Verdict], version: Version) -> Verdict | None:
    return next((each for each in verdicts if each.challenger == version), None)


def reason(plan: Plan) -> str:
    """Say in the commit where it all came from."""
    first, last = plan.versions[0], plan.versions[-1]
    count = len(plan.versions)
    span = first.version.name if count == 1 else f"{first.version.name} to {last.version.name}"
    versions = "version" if count == 1 else "versions"
    return f"{count} {versions} from {one_line(plan.incoming.source)}: {span}"
