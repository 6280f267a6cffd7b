"""What the drivers have in common: one act for a cold start, or many in a warm process.

    python -m DRIVER WORLD VERB [ARGUMENT ...]     does it once and prints what came out
    python -m DRIVER WORLD --serve                 reads [VERB, ARGUMENT, ...] a line, as JSON, and
                                                   answers each with its seconds and peak memory

A driver runs in its peer's own environment: nothing but Python's own library is imported here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Verbs = dict[str, Callable[..., object]]


class Took(float):
    """What a verb says that it took, in seconds, where not all that it does counts."""

    __slots__ = ()


_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def drive(open_world: Callable[[Path], Verbs]) -> None:
    """Do what the command line asks of a world."""
    verbs = open_world(Path(sys.argv[1]))
    if sys.argv[2] != "--serve":
        print(verbs[sys.argv[2]](*sys.argv[3:]))
        return
    # Some libraries print; what answers goes another way.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        start = time.perf_counter()
        result = verbs[verb](*arguments)
        seconds = result if isinstance(result, Took) else time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "memory": _peak()}), file=answers, flush=True)


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def numbered(tag: Any) -> int:
    """Read the number at the end of ``fraud-v3``, ``v3`` or ``3``."""
    return int(str(tag).rpartition("v")[2])
