"""The last state of the registry branch that this clone accepted, in its common directory."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import IntegrityError

if TYPE_CHECKING:
    from mlv.store.git import Git

FILE = "mlv/.accepted.json"


class Accepted(NamedTuple):
    """What was accepted: of which branch, up to which commit, and what it was judged from.

    ``tip`` is as far as the branch was published; every later tip must descend from it. ``seen``
    and ``remote`` are the commit that counted and the remote's copy, when it was last looked at.
    """

    branch: str
    tip: str
    seen: str | None
    remote: str | None


def read(git: Git) -> Accepted | None:
    """Read it; None where nothing was accepted yet."""
    path = git.layout.common_dir / FILE
    try:
        facts = json.loads(path.read_bytes())
        branch, tip, seen, remote = (facts[name] for name in Accepted._fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        raise IntegrityError(
            f"{path}, the last tip that was accepted, cannot be read",
            hint="mlv trust COMMIT writes it anew: name a commit that you know to be good",
        ) from None
    return Accepted(str(branch), str(tip), seen, remote)


def write(git: Git, accepted: Accepted) -> None:
    """Write it whole, or leave what is there."""
    path = git.layout.common_dir / FILE
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(accepted._asdict()), encoding="utf-8")
    beside.replace(path)


def forget(git: Git) -> None:
    """Forget it: the registry asks for no signatures any more."""
    (git.layout.common_dir / FILE).unlink(missing_ok=True)
