"""What Prometheus is told, right with several workers.

Counts are kept in files of the server's folder, as prometheus_client does for several processes,
and outlive a worker. What is loaded is read from the workers themselves.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAMES = ("model", "version", "code")
_ROOM = 256 * 1024  # bytes of each file; a version takes less than three thousand


class Metrics:
    """The counts of one worker, and the way to those of all."""

    def __init__(self, folder: Path, statuses: Callable[[], list[dict[str, Any]]]) -> None:
        _reserve(folder)
        own = CollectorRegistry()
        self._requests = Counter(
            "mlv_predict_requests", "Requests to /predict", _NAMES, registry=own
        )
        self._seconds = Histogram(
            "mlv_predict_seconds", "Seconds that /predict took", ("model", "version"), registry=own
        )
        self._swaps = Counter("mlv_model_swaps", "Versions put in place", ("model",), registry=own)
        self._loads = Counter(
            "mlv_model_load_failures", "Versions that could not be loaded", ("model",), registry=own
        )
        self._refreshes = Counter(
            "mlv_refresh_failures", "Times the registry did not answer", ("model",), registry=own
        )
        self._seen = (0, 0, 0)
        self._all = CollectorRegistry()
        MultiProcessCollector(self._all, path=str(folder))  # type: ignore[no-untyped-call]
        self._all.register(_Loaded(statuses))

    def request(self, model: str, version: str, code: int, seconds: float) -> None:
        """Count a request to /predict."""
        self._requests.labels(model, version, str(code)).inc()
        self._seconds.labels(model, version).observe(seconds)

    def looked(self, model: str, swaps: int, failed_loads: int, failed_refreshes: int) -> None:
        """Count what came of looking at the pointer, given totals since this worker began."""
        now = (swaps, failed_loads, failed_refreshes)
        counters = (self._swaps, self._loads, self._refreshes)
        for counter, total, seen in zip(counters, now, self._seen, strict=True):
            counter.labels(model).inc(total - seen)
        self._seen = now

    def text(self) -> bytes:
        """Write the counts of all workers as Prometheus reads them."""
        return generate_latest(self._all)


def _reserve(folder: Path) -> None:
    """Have room for this worker's counts, which are written as memory is.

    Where a page of them finds no room on a full disk, the system kills the process.
    """
    for kind in ("counter", "histogram"):
        (folder / f"{kind}_{os.getpid()}.db").write_bytes(bytes(_ROOM))


class _Loaded:
    """What the workers that live have loaded, when it is asked for."""

    def __init__(self, statuses: Callable[[], list[dict[str, Any]]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        every = self._statuses()
        loaded = GaugeMetricFamily(
            "mlv_model_workers", "Workers that have this version", labels=("model", "version")
        )
        for key in sorted({(s["model"], s["version"] or "") for s in every}):
            count = sum((s["model"], s["version"] or "") == key for s in every)
            loaded.add_metric(key, count)
        ready = GaugeMetricFamily(
            "mlv_model_ready", "Whether all have what is in production", labels=("model",)
        )
        seconds = GaugeMetricFamily(
            "mlv_model_swap_seconds", "Seconds that the last swap took", labels=("model",)
        )
        for model in sorted({s["model"] for s in every}):
            ready.add_metric((model,), all(s["ready"] for s in every if s["model"] == model))
            seconds.add_metric((model,), max(s["swap_seconds"] for s in every))
        yield from (loaded, ready, seconds)
