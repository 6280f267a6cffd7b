"""Names: models, versions, roles, and the references that people type."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mlv.errors import InvalidInput

DEFAULT_MODEL = "model"
LONGEST_NAME = 80

_MOST_DIGITS = 9
_LONGEST_SUFFIX = 16
# Regular expressions would say the same, and take longer to compile than the rest of a reading.
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_REST = _FIRST | {"_", "-"}
# Windows cannot hold a folder of such a name, and a registry is cloned anywhere.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)}
)
# Roles whose file would be another file of the version's folder.
_RESERVED_ROLES = frozenset({"manifest", "pointer", "requirements", "readme", "dvc"})
ALIASES = ("production", "staging", "latest")


def _is_name(text: object) -> bool:
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_NAME
        and text[0] in _FIRST
        and _REST.issuperset(text)
    )


def _ends_like_a_version(name: str) -> bool:
    _, dash, digits = name.rpartition("-v")
    return bool(dash) and digits.isascii() and digits.isdigit()


def check_model(name: str) -> str:
    """Give ``name`` back if a model may bear it, else raise `InvalidInput`."""
    if not _is_name(name):
        raise InvalidInput(
            f"{name!r} cannot name a model",
            hint="use a-z, 0-9, '_' and '-', starting with a letter or digit, "
            f"at most {LONGEST_NAME} characters: fraud, churn_eu",
        )
    if _ends_like_a_version(name):
        raise InvalidInput(
            f"{name!r} cannot name a model: it ends like a version",
            hint="versions are numbered by mlv: name the model without '-v<number>'",
        )
    if name in _DEVICES:
        raise InvalidInput(
            f"{name!r} cannot name a model: Windows reserves it", hint="choose another name"
        )
    return name


@lru_cache(maxsize=256)
def is_model(name: str) -> bool:
    """Whether a model may bear this name."""
    return _is_name(name) and name not in _DEVICES and not _ends_like_a_version(name)


def check_role(role: str) -> str:
    """Give ``role`` back if an artifact may have it, else raise `InvalidInput`."""
    if not _is_name(role):
        raise InvalidInput(
            f"{role!r} cannot be an artifact's role",
            hint="use a-z, 0-9, '_' and '-': tokenizer, label_encoder",
        )
    if role in _RESERVED_ROLES or role in _DEVICES:
        raise InvalidInput(f"the role {role!r} is reserved", hint="choose another role")
    return role


def artifact_path(role: str, source_name: str) -> str:
    """Name the file or folder an artifact is stored under: role + the source's suffix.

    >>> artifact_path("model", "final_v2.tar.gz"), artifact_path("tokenizer", "tok")
    ('model.tar.gz', 'tokenizer')
    """
    stem, dot, last = source_name.rpartition(".")
    suffix = f".{last}" if stem and dot else ""
    if suffix and stem.lower().endswith(".tar"):
        suffix = stem[-4:] + suffix
    if not all(_is_suffix(part) for part in suffix.split(".")[1:]):
        suffix = ""
    return role + suffix


def _is_suffix(part: str) -> bool:
    return part.isascii() and part.isalnum() and part[0].isalpha() and len(part) <= _LONGEST_SUFFIX


class Version(NamedTuple):
    """One version of one model."""

    model: str
    number: int

    @property
    def name(self) -> str:
        """The short form, ``v3``."""
        return f"v{self.number}"

    @property
    def tag(self) -> str:
        """The tag that holds it, ``fraud-v3``."""
        return f"{self.model}-v{self.number}"

    @classmethod
    def from_tag(cls, text: str) -> Version | None:
        """Read ``fraud-v3``; None for anything that no version's tag can be called."""
        model, dash, digits = text.rpartition("-v")
        number = _number(digits) if dash else None
        return cls(model, number) if number is not None and is_model(model) else None


def name_of(number: int | None) -> str | None:
    """Give a version's name, ``v3``; None for none."""
    return None if number is None else f"v{number}"


def parse_number(text: object) -> int | None:
    """Read ``v3`` as 3; None for anything else."""
    if not isinstance(text, str) or not text.startswith("v"):
        return None
    return _number(text[1:])


def _number(digits: str) -> int | None:
    is_plain = digits.isascii() and digits.isdigit() and digits[0] != "0"
    return int(digits) if is_plain and len(digits) <= _MOST_DIGITS else None


class Reference(NamedTuple):
    """What a person wrote to mean a version; the round trip ``str(parse(s)) == s`` holds.

    Exactly one of ``number`` and ``alias`` is set; ``model`` is None where it was left out.
    """

    model: str | None
    number: int | None
    alias: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``fraud-v3``, ``v3``, ``fraud@production`` or ``@latest``."""
        number = parse_number(text)
        if number is not None:
            return cls(None, number, None)
        model, at, alias = str(text).partition("@")
        if at and alias in ALIASES:
            return cls(check_model(model) if model else None, None, alias)
        version = Version.from_tag(text) if isinstance(text, str) else None
        if version is None:
            raise InvalidInput(
                f"{text!r} is not a reference to a version",
                hint="write fraud-v3, v3, fraud@production, fraud@staging or fraud@latest",
            )
        return cls(version.model, version.number, None)

    def __str__(self) -> str:
        """Write it as it was read."""
        if self.alias is not None:
            return f"{self.model or ''}@{self.alias}"
        return f"{self.model}-v{self.number}" if self.model else f"v{self.number}"
