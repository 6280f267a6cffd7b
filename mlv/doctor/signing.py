"""Signatures, where the registry wants them: whether this user can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.doctor.checks import ok, problem
from mlv.errors import RegistryError
from mlv.store.config import ALL
from mlv.store.signatures import verify
from mlv.trust import accept, policy_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.doctor.checks import Check
    from mlv.store.versions import Tip, Versions
    from mlv.trust import Policy

_NAME = "signatures"


def check(versions: Versions) -> Iterator[Check]:
    """Check the branch against the policy, and sign something that is then thrown away."""
    tip = versions.tip()
    if tip is None:
        return
    try:
        policy = policy_at(versions, tip.commit)
        accept(versions, tip)
    except RegistryError as error:
        yield problem(_NAME, error.message, error.hint)
        return
    if policy.required:
        yield from _can_sign(versions, tip, policy)


def _can_sign(versions: Versions, tip: Tip, policy: Policy) -> Iterator[Check]:
    git = versions.git
    wanted = ["tag.gpgSign", *(["commit.gpgSign"] if policy.required == ALL else [])]
    off = [key for key in wanted if not git.is_on(key.lower())]
    if off:
        yield problem(
            _NAME,
            f"the registry wants signatures, and {' and '.join(off)} "
            f"{'is' if len(off) == 1 else 'are'} off here",
            "; ".join(f"git config {key} true" for key in off)
            + " (to read only, nothing is missing)",
        )
        return
    if policy.signers is None:
        yield problem(
            _NAME,
            f"{policy.path}, the file of allowed signers, is not on {versions.config.branch}",
            "commit it there",
        )
        return
    try:
        oid = git.line("commit-tree", f"{tip.commit}^{{tree}}", "-S", "-m", "mlv doctor")
    except RegistryError as error:
        yield problem(_NAME, f"signing fails: {error.message}", error.hint)
        return
    verdict = verify(git, oid, policy.signers)
    if verdict.signer is None:
        yield problem(_NAME, f"what is signed here {verdict.why}", verdict.hint)
    else:
        yield ok(_NAME, f"{policy.required} must be signed; {verdict.signer} can")
