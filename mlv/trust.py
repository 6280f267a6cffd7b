"""Whether what the registry says comes from those who may say it.

The policy (``require_signed``, ``allowed_signers``) is the registry branch's own. A reader goes
along the branch's first parents, from the last tip that it accepted to the tip it finds, and
holds each commit against the policy of the commit before. So nobody can allow himself.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import Version
from mlv.errors import ConfigError, IntegrityError, NotFound, RegistryError
from mlv.store import accepted, signatures
from mlv.store import config as configs
from mlv.store.accepted import Accepted
from mlv.store.config import ALL
from mlv.store.naming import FOLDER
from mlv.store.objects import REGULAR
from mlv.store.signatures import Signers
from mlv.store.versions import AHEAD, DIVERGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Record, Tip, Versions


class Policy(NamedTuple):
    """What a commit's mlv.yaml asks for: "", `VERSIONS` or `ALL`; and by whom.

    ``signers`` is None where the file of that path is not there: then nobody is allowed.
    """

    required: str
    path: str
    signers: Signers | None


OFF = Policy("", "", None)


def check_trusted(versions: Versions, tip: Tip | None, record: Record) -> None:
    """Raise `IntegrityError` unless branch and version are signed as the registry requires.

    A registry that requires nothing costs one read of mlv.yaml.
    """
    policy = accept(versions, tip)
    if policy.required:
        check_version(versions, policy, record)


def check_commit(versions: Versions, tip: Tip, commit: str) -> None:
    """Refuse to publish a commit on top of ``tip`` that nobody would accept."""
    policy = accept(versions, tip)
    if policy.required == ALL:
        check_signed(versions, policy, commit)


def policy_at(versions: Versions, commit: str) -> Policy:
    """Read the policy that a commit's tree states; `ConfigError` if its mlv.yaml is wrong."""
    config = configs.read_at(versions, commit)
    if config is None:
        return OFF
    required, path = config.require_signed, config.allowed_signers
    return Policy(required, path, _signers(versions, commit, path)) if required else OFF


def _signers(versions: Versions, commit: str, path: str) -> Signers | None:
    parent, _, name = path.rpartition("/")
    entries = versions.entries(commit, parent) or []
    entry = next((e for e in entries if e.name == name and e.mode in REGULAR), None)
    data = versions.blob(commit, path) if entry else None
    return Signers(path, entry.oid, data) if entry and data is not None else None


# The branch --------------------------------------------------------------------------------


def accept(versions: Versions, tip: Tip | None) -> Policy:
    """Accept a tip of the registry branch, and give its policy; `IntegrityError` says why not.

    What was accepted before is not looked at again.
    """
    known = accepted.read(versions.git)
    if tip is None:
        if known or versions.config.require_signed:
            raise _no_branch(versions)
        return OFF
    policy = policy_at(versions, tip.commit)
    if known is None and not policy.required:
        return policy
    branch = versions.config.branch
    if known and known.branch != branch:
        raise IntegrityError(
            f"mlv.yaml names {branch!r} as the registry branch; it was {known.branch!r} when this "
            "clone last accepted it",
            hint=f"check out {known.branch}; if it was renamed on purpose: mlv trust {branch}",
        )
    if known is None or (known.seen, known.remote) != (tip.commit, tip.remote):
        _look_through(versions, known, tip, policy)
        _remember(versions, known, tip, policy)
    return policy


def _no_branch(versions: Versions) -> IntegrityError:
    branch, remote = versions.config.branch, versions.config.remote
    return IntegrityError(
        f"versions must be signed, and {branch}, which says by whom, is not here",
        hint=f"git fetch {remote} {branch}:refs/remotes/{remote}/{branch}",
    )


def _look_through(versions: Versions, known: Accepted | None, tip: Tip, policy: Policy) -> None:
    """Hold every commit since the last accepted one against the policy of the one before it."""
    if known:
        if versions.git.objects.read(f"{known.tip}^{{commit}}") is None:
            raise _rolled_back(versions, known.tip, tip)
        before = _policy_or(versions, known.tip, policy)
        if not _descends(versions, known.tip, tip.commit, before):
            raise _rolled_back(versions, known.tip, tip)
        span, now = [tip.commit, f"^{known.tip}"], before
    elif versions.git.is_shallow():
        if policy.required == ALL:
            raise IntegrityError(
                "history is cut off here, and with it the signatures of what is live",
                hint="git fetch --unshallow; or mlv trust COMMIT, a commit that you know is good",
            )
        return
    else:
        span, now = [tip.commit], OFF
    for commit in _steps(versions, span, {now.path, policy.path}):
        if now.required == ALL:
            check_signed(versions, now, commit)
        now = _policy_or(versions, commit, now)


def _policy_or(versions: Versions, commit: str, before: Policy) -> Policy:
    """Read the policy of a commit; one whose mlv.yaml is broken leaves what was in force."""
    try:
        return policy_at(versions, commit)
    except ConfigError:
        return before


def _steps(versions: Versions, span: list[str], paths: set[str]) -> list[str]:
    """Find the commits that move a pointer or touch the policy, the oldest first.

    Where the file of signers lay in between is known only when they were found: look again.
    """
    while True:
        specs = [f":(top,literal){path}" for path in sorted({configs.FILE, *paths} - {""})]
        specs.append(f":(top,glob){FOLDER}/*/pointer.json")
        found = versions.git.run(
            "rev-list", "--first-parent", "--reverse", *span, "--", *specs
        ).decode()
        steps = found.split()
        named = {_policy_or(versions, commit, OFF).path for commit in steps}
        if named <= paths:
            return steps
        paths |= named


def _rolled_back(versions: Versions, old: str, tip: Tip) -> IntegrityError:
    branch, shallow = versions.config.branch, versions.git.is_shallow()
    return IntegrityError(
        f"{branch} was rolled back: its tip {tip.commit[:10]} does not descend from {old[:10]}, "
        "which this clone accepted before",
        hint=("history is cut off here: git fetch --unshallow. Else " if shallow else "")
        + f"find out who forced it: git reflog {branch}; git log {old[:10]}. If the registry's "
        f"administrator did it on purpose: mlv trust {tip.commit[:10]}",
    )


def _descends(versions: Versions, old: str, new: str, policy: Policy) -> bool:
    """Whether ``new`` descends from ``old``; where commits count, along first parents alone.

    Else a merge could take the branch to a side where the policy was not in force yet.
    """
    git = versions.git
    if policy.required == ALL:
        return git.is_first_ancestor(old, new)
    return git.is_ancestor(old, new)


def _remember(versions: Versions, known: Accepted | None, tip: Tip, policy: Policy) -> None:
    """Remember how far the branch is published: what was not may still be taken back."""
    with contextlib.suppress(OSError):  # a read-only repository looks again each time
        if not policy.required:
            accepted.forget(versions.git)
            return
        published = _published(versions, tip)
        is_back = known and not _descends(versions, known.tip, published, OFF)
        base = known.tip if known and is_back else published
        now = Accepted(versions.config.branch, base, tip.commit, tip.remote)
        if now != known:
            accepted.write(versions.git, now)


def _published(versions: Versions, tip: Tip) -> str:
    if tip.remote is None:
        return tip.commit
    if tip.relation != DIVERGED:
        return tip.remote
    bases = versions.git.ask("merge-base", tip.commit, tip.remote).stdout.decode().split()
    return bases[0] if bases else tip.commit


def check_signed(versions: Versions, policy: Policy, commit: str) -> None:
    """Raise `IntegrityError` unless one whom the policy allows signed a commit."""
    verdict = verdict_on(versions, commit, policy)
    if verdict.signer is None:
        branch = versions.config.branch
        argv = ("log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%an: %s", commit)
        subject = versions.git.line(*argv)
        raise IntegrityError(
            f"the commit {commit[:10]} on {branch} {verdict.why} ({subject})",
            hint=f"{verdict.hint}. A commit that stays as it is: an administrator who has looked "
            "at it says mlv trust, with it or a later one",
        )


# Versions ----------------------------------------------------------------------------------


def check_version(versions: Versions, policy: Policy, record: Record) -> None:
    """Raise `IntegrityError` unless one whom the policy allows signed the version's tag."""
    tag = record.tag
    if tag.message is None:
        remote = versions.config.remote
        raise IntegrityError(
            f"{tag.version.tag} is a lightweight tag here, which nobody can sign",
            hint=f"git fetch --force {remote} tag {tag.version.tag} brings the one that was made",
        )
    verdict = verdict_on(versions, tag.oid, policy)
    if verdict.signer is None:
        raise IntegrityError(
            f"the tag {tag.version.tag} {verdict.why}",
            hint=f"it is neither promoted nor loaded. {verdict.hint}",
        )


def verdict_on(versions: Versions, oid: str, policy: Policy) -> signatures.Verdict:
    """Say whether one whom the policy allows signed a tag or a commit, or why not."""
    if policy.signers is None:
        return signatures.Verdict(
            None,
            f"cannot be trusted: {policy.path}, the file of allowed signers, is not on "
            f"{versions.config.branch}",
            "commit it there; mlv trust COMMIT then lets that commit pass",
        )
    return signatures.verify(versions.git, oid, policy.signers)


# What status says, and what an administrator decides ---------------------------------------


def problems(versions: Versions, tip: Tip | None, live: list[Pointer]) -> Iterator[RegistryError]:
    """Name what is not trusted: the branch, or a version in production, staging or before."""
    try:
        policy = accept(versions, tip)
    except RegistryError as error:
        yield error
        return
    if not policy.required:
        return
    if tip is not None:
        yield from _forced_back(versions, tip)
    for pointer in live:
        for number in {pointer.current, pointer.previous, pointer.staging}:
            if number is None:
                continue
            version = Version(pointer.model, number)
            if number != pointer.current and versions.find(version) is None:
                continue  # a bundle, or a shallow clone, may bring what is live alone
            try:
                check_version(versions, policy, versions.record(version))
            except RegistryError as error:
                yield error


def _forced_back(versions: Versions, tip: Tip) -> Iterator[RegistryError]:
    """Tell of a remote's branch that was forced back, where the local one still counts."""
    known = accepted.read(versions.git)
    if known is None or tip.remote is None or tip.relation not in (AHEAD, DIVERGED):
        return
    if not _descends(versions, known.tip, tip.remote, OFF):
        theirs = f"{versions.config.remote}/{versions.config.branch}"
        yield IntegrityError(
            f"{theirs} was rolled back to {tip.remote[:10]}, which does not descend from "
            f"{known.tip[:10]}",
            hint="somebody forced it; what is here still counts",
        )


class Trust(NamedTuple):
    """What a clone trusts: the policy in force, the commit it starts from, and what is wrong."""

    policy: Policy
    tip: str | None
    problem: IntegrityError | None


def trust(versions: Versions, commit: str | None) -> Trust:
    """Start from ``commit``, whatever was accepted before; with None only say what is trusted."""
    tip = versions.need_tip()
    if commit is not None:
        accepted.write(versions.git, _pinned(versions, tip, commit))
    problem = None
    try:
        policy = accept(versions, tip)
    except IntegrityError as error:
        policy, problem = _policy_or(versions, tip.commit, OFF), error
    known = accepted.read(versions.git)
    return Trust(policy, known and known.tip, problem)


def _pinned(versions: Versions, tip: Tip, commit: str) -> Accepted:
    found = versions.git.objects.read(f"{commit}^{{commit}}")
    if found is None:
        raise NotFound(f"there is no commit {commit!r} here", hint="git fetch may bring it")
    if not _descends(versions, found.oid, tip.commit, Policy(ALL, "", None)):
        raise NotFound(
            f"{found.oid[:10]} is not a commit of {versions.config.branch}, whose tip is "
            f"{tip.commit[:10]}",
            hint=f"git log --first-parent {tip.commit[:10]} lists them",
        )
    return Accepted(versions.config.branch, found.oid, None, None)
