"""`LiveModel`: what is in production, loaded, and followed when production moves."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.errors import NotFound, RegistryError
from mlv.serve.following import GLANCE, Follower
from mlv.serve.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from mlv.domain.sample import Sample
    from mlv.predicting.loaders import Loaders
    from mlv.predicting.predictor import Predictor
    from mlv.serve.sources import AnyPath

_LOG = logging.getLogger("mlv.serve")


class Status(NamedTuple):
    """What is served and what should be. Names are ``v2``; times are seconds.

    ``trouble`` is why they differ, or why the remote does not answer; "" if all is well.
    ``loaded_at`` is a Unix time, ``swap_seconds`` what the last loading took.
    """

    model: str
    version: str | None
    wanted: str | None
    ready: bool
    trouble: str
    loaded_at: float | None
    swaps: int
    swap_seconds: float
    failed_loads: int
    failed_refreshes: int


class LiveModel:
    """The model that is in production, ready to answer.

    ``source`` is a folder in a clone, or the URL of a registry. Every second the pointer here is
    looked at, and every ``watch`` seconds the Git remote is asked (never with ``fetch=False``).
    When the pointer moves, the new version is loaded beside the old one, verified, asked its
    sample, and takes its place: an answer is of one version, and there always is one. A version
    that cannot be loaded leaves the old one serving, is told to ``notify``, and tried again.

    ``loaders`` are the caller's own, as for `ModelRegistry.load`. With ``wait=False`` the first
    version is loaded in the background too, and nothing is raised if there is none yet. With
    ``start=False`` nothing is followed until `begin`, or whenever `look` is called.
    """

    def __init__(
        self,
        source: AnyPath = ".",
        model: str | None = None,
        *,
        watch: float = 30.0,
        loaders: Loaders | None = None,
        notify: Callable[[str], None] | None = None,
        fetch: bool = True,
        wait: bool = True,
        start: bool = True,
    ) -> None:
        self._told = notify or _LOG.warning
        self.on_look: Callable[[LiveModel], None] | None = None
        self._follower = Follower(
            source_of(source, model, self._tell, fetch=fetch),
            loaders,
            watch=watch,
            fetch=fetch,
            notify=self._tell,
            looked=self._looked,
        )
        if wait:
            self._follower.look_first()
        if start:
            self._follower.start()

    # Asking -------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:  # noqa: N803 - as everywhere in this field
        """Give the live model's answer to what its preprocessor makes of ``X``."""
        return self.predictor.predict(X)

    def predict_with_version(self, X: Any) -> tuple[str, Any]:  # noqa: N803 - as everywhere
        """Give the version's name, ``v2``, and its answer."""
        predictor = self.predictor
        return predictor.version.name, predictor.predict(X)

    @property
    def predictor(self) -> Predictor:
        """The version that is loaded: hold it to know whose answers you get."""
        self._follower.check_process()
        predictor = self._follower.predictor
        if predictor is None:
            raise NotFound(
                f"no version of {self.model!r} is loaded: {self.trouble or 'it is being loaded'}",
                hint="live.wait() waits for one",
            )
        return predictor

    @property
    def sample(self) -> Sample | None:
        """The sample of the version that is loaded; None if it or no version has none."""
        predictor = self._follower.predictor
        return predictor.sample if predictor else None

    @property
    def model(self) -> str:
        """The model's name."""
        return self._follower.source.model

    @property
    def version(self) -> str | None:
        """The version that answers, ``v2``; None before the first is loaded."""
        predictor = self._follower.predictor
        return predictor.version.name if predictor else None

    @property
    def wanted(self) -> str | None:
        """The version that the pointer names now; None if it names none, or cannot be read."""
        return self.status().wanted

    @property
    def ready(self) -> bool:
        """Whether the version that answers is the one that the pointer names now."""
        return self.status().ready

    @property
    def trouble(self) -> str:
        """Why the loaded version is not the wanted one, or the remote not asked; "" if it is."""
        return self.status().trouble

    def status(self) -> Status:
        """Tell all of it at once."""
        follower = self._follower
        wanted, predictor = follower.wanted(), follower.predictor
        is_ready = predictor is not None and predictor.version == wanted
        return Status(
            self.model,
            predictor.version.name if predictor else None,
            wanted.name if wanted else None,
            is_ready,
            follower.trouble(is_ready=is_ready),
            follower.loaded_at,
            follower.swaps,
            follower.swap_seconds,
            follower.failed_loads,
            follower.failed_refreshes,
        )

    def wait(self, version: str | None = None, timeout: float | None = None) -> bool:
        """Wait until ``version`` answers, or without one until what is live does.

        Asks the remote at once, and not only when it is due. False after ``timeout`` seconds, or
        where nobody follows: after `close`, or with ``start=False``.
        """
        start = nudged = time.monotonic()
        self.nudge()
        with self._follower.changed:
            while not (self.ready if version is None else self.version == version):
                now = time.monotonic()
                left = GLANCE if timeout is None else start + timeout - now
                if left <= 0 or not self._follower.goes_on:
                    return False
                if now - nudged >= GLANCE:
                    nudged = now
                    self.nudge()
                self._follower.changed.wait(min(GLANCE, left))
        return True

    def nudge(self) -> None:
        """Have the pointer looked at and the remote asked soon: that once a second at most."""
        self._follower.nudge()

    # Following ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Load what is live, if it can be, and follow it from now on: what ``start`` would do.

        A second time looks once more; `RegistryError` after `close`.
        """
        if self.is_stopped:
            raise RegistryError("this LiveModel was closed", hint="make another one")
        self.look()
        self._follower.start()

    def look(self, *, refresh: bool = False) -> None:
        """Look at the pointer, load what it names if that is another version, and swap.

        ``refresh`` asks the remote first. Trouble is noted and told, never raised. The threads that
        every `LiveModel` has do this by themselves.
        """
        if refresh:
            self._follower.refresh()
        self._follower.look()

    def stop(self) -> None:
        """Have all end that is under way, and wait for none of it; a signal's handler may."""
        self._follower.stop()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing is followed any more, after `stop` or `close`."""
        return self._follower.is_stopped

    def close(self) -> None:
        """Stop following; what is loaded still answers, and nothing takes its place any more."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _looked(self) -> None:
        if self.on_look:
            self.on_look(self)

    def _tell(self, said: str) -> None:
        try:
            self._told(said)
        except Exception:  # noqa: BLE001 - following goes on whatever a listener does
            _LOG.exception("who is told of trouble failed: %s", said)
