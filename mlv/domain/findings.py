"""What an audit finds: one of a few kinds, each about a version or about a model's pointer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Finding:
    """What was found of ``subject`` (a tag, or a path on the registry branch), and what to do."""

    subject: str
    message: str
    hint: str = ""
    kind: ClassVar[str] = ""


class Ok(Finding):
    """Whole, in everything that was looked at."""

    kind = "ok"


class NotHere(Finding):
    """Not in this clone, so that only the record could be checked. No fault."""

    kind = "not here"


class Unpublished(Finding):
    """Not on the Git remote yet. No fault, but nobody else has it."""

    kind = "unpublished"


class Moved(Finding):
    """The tag is another one than was made: on the remote, or under this name."""

    kind = "moved"


class Edited(Finding):
    """Manifest, folder or pointer are not as mlv wrote them."""

    kind = "edited"


class Swapped(Finding):
    """Bytes, here or on the DVC remote, are not those that were registered."""

    kind = "swapped"


class Missing(Finding):
    """A tag, a Git object or an object on the DVC remote, which should be there, is not."""

    kind = "missing"


class Incomplete(Finding):
    """The version is whole; a plain ``dvc pull`` at its tag would lack other outputs."""

    kind = "incomplete"


class Untrusted(Finding):
    """Not signed as the registry requires, or the branch was rolled back."""

    kind = "untrusted"


Outcome = Ok | NotHere | Unpublished | Moved | Edited | Swapped | Missing | Incomplete | Untrusted
FAULTS = (Moved, Edited, Swapped, Missing, Incomplete, Untrusted)
