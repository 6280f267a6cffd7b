"""Waiting until a server of `mlv serve` has what just went live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ProgramError
from mlv.store import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlv.domain.names import Version

_AT_ONCE = 10.0  # seconds that a server is asked to wait before it answers
_PATIENCE = 5.0  # seconds more, in which the answer has to come
_PAUSE = 0.5  # seconds until one that did not wait is asked again


class Served(NamedTuple):
    """``url`` has ``version`` since so many ``seconds`` after it was asked first."""

    url: str
    version: Version
    seconds: float


def wait_served(
    urls: Sequence[str],
    versions: Iterable[Version],
    timeout: float,
    tell: Callable[[Served], None],
) -> list[Served]:
    """Wait until each address says that its server has its model's version, and ``tell`` it.

    ``urls`` are those of ``/ready``. `ProgramError` names the one that had it not in ``timeout``
    seconds, and why; the versions are live all the same.
    """
    start = time.monotonic()
    wanted = {version.model: version for version in versions}
    served = []
    for url in urls:
        served.append(_wait(http.check_url(url), wanted, start, timeout))
        tell(served[-1])
    return served


def _wait(url: str, wanted: Mapping[str, Version], start: float, timeout: float) -> Served:
    version = next(iter(wanted.values())) if len(wanted) == 1 else None
    said = ""
    while True:
        left = start + timeout - time.monotonic()
        if left <= 0:
            raise ProgramError(
                f"{url} had not what is live now after {timeout:g} seconds: {said or 'no answer'}",
                hint="the pointer moved all the same: see the server's log, and ask it again with "
                f"curl {url}",
            )
        ask = {"version": version.name, "timeout": f"{min(left, _AT_ONCE):.1f}"} if version else {}
        asked = time.monotonic()
        answer = http.get(url, min(left, _AT_ONCE) + _PATIENCE, **ask)
        model, loaded = answer.document.get("model"), answer.document.get("loaded")
        version = wanted.get(str(model), version)
        if version and answer.code == http.OK and (model, loaded) == (version.model, version.name):
            return Served(url, version, time.monotonic() - start)
        said = answer.trouble or _told(answer.document, wanted)
        if time.monotonic() - asked < _PAUSE:
            time.sleep(min(_PAUSE, max(0.0, left)))


def _told(document: Mapping[str, object], wanted: Mapping[str, Version]) -> str:
    model = document.get("model")
    if model not in wanted:
        return f"it serves the model {model!r}"
    trouble = document.get("trouble")
    return f"it serves {document.get('loaded')}" + (f" ({trouble})" if trouble else "")
