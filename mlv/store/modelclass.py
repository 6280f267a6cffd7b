"""Reading a pickled model's class without unpickling it."""

from __future__ import annotations

import pickletools
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The first object of a pickle is built by its first global: its class, or one of these helpers,
# whose argument the class then is.
_HELPERS = frozenset({"copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__"})
_CONTAINERS = frozenset(
    {"EMPTY_DICT", "DICT", "EMPTY_LIST", "LIST", "EMPTY_TUPLE", "TUPLE", "EMPTY_SET", "MARK"}
)
_TEXT = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "UNICODE"})
_PREFIX = 64 * 1024  # bytes; the class stands within the first few hundred
_PICKLES = (".pkl", ".pickle", ".joblib")


def is_pickle(name: str) -> bool:
    """Whether a file of this name is loaded by joblib."""
    return name.lower().endswith(_PICKLES)


def read_class(path: Path) -> str | None:
    """Read ``module.Class`` of the object a pickle or joblib file holds; None if unclear."""
    try:
        with path.open("rb") as file:
            data = file.read(_PREFIX)
        if data[:2] == b"\x1f\x8b" or data[:1] == b"\x78":
            data = zlib.decompressobj(wbits=47).decompress(data, _PREFIX)
        return _first_global(data)
    except (OSError, ValueError, zlib.error):
        return None


def _first_global(data: bytes) -> str | None:
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _CONTAINERS:
            return None
        if opcode.name in _TEXT:
            texts.append(str(argument))
        elif opcode.name in ("GLOBAL", "STACK_GLOBAL"):
            module, _, name = (
                str(argument).partition(" ") if argument else (*texts[-2:-1], " ", *texts[-1:])
            )
            found = f"{module}.{name}"
            if found not in _HELPERS:
                return found if found.replace(".", "_").isidentifier() else None
            texts.clear()
    return None
