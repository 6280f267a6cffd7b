"""`LiveModel`: what is in production, loaded, and followed when production moves."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.errors import NotFound, RegistryError
from mlv.predicting.predictor import Predictor
from mlv.serve.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from mlv.domain.names import Version
    from mlv.domain.sample import Sample
    from mlv.predicting.loaders import Loaders
    from mlv.serve.sources import AnyPath, Source

_LOG = logging.getLogger("mlv.serve")
_GLANCE = 1.0  # seconds between two looks at the pointer here, and between two that were asked for
_LONGEST = 60.0  # seconds until what failed is tried again
_TURNS = 5  # times that a pointer may move while a version is loaded


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
    version is loaded in the background too, and nothing is raised if there is none yet.
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
        self._notify = notify or _LOG.warning
        self._source: Source = source_of(source, model, self._notify)
        self._loaders, self._fetch, self._watch = loaders, fetch, watch
        self._predictor: Predictor | None = None
        self._looking, self._changed = threading.Lock(), threading.Condition()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._process = os.getpid()
        self._load_trouble, self._refresh_trouble = "", ""
        self._failed: tuple[Version | None, float, int] = (None, 0.0, 0)  # until, times in a row
        self._refresh_at, self._refreshes_failed = 0.0, 0
        self._loaded_at: float | None = None
        self._swaps, self._swap_seconds = 0, 0.0
        self._all_failed_loads, self._all_failed_refreshes = 0, 0
        self.on_look: Callable[[LiveModel], None] | None = None
        self._thread = threading.Thread(target=self._run, name="mlv-live", daemon=True)
        if wait:
            self.look(refresh=fetch)
            if self._predictor is None:
                raise NotFound(
                    self._load_trouble or f"nothing of {self.model!r} could be loaded",
                    hint="mlv status says what is live",
                )
        if start:
            self._thread.start()

    def begin(self) -> None:
        """Load what is live, if it can be, and follow it from now on: what ``start`` would do."""
        self.look()
        self._thread.start()

    # Asking -------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:  # noqa: N803 - as everywhere in this field
        """Give the live model's answer to what its preprocessor makes of ``X``."""
        return self.predictor.predict(X)

    @property
    def predictor(self) -> Predictor:
        """The version that is loaded: hold it to know whose answers you get."""
        if os.getpid() != self._process:
            raise RegistryError(
                "this LiveModel was made before the process forked: nobody follows production here",
                hint="make it in the process that serves",
            )
        predictor = self._predictor
        if predictor is None:
            raise NotFound(
                f"no version of {self.model!r} is loaded: {self.trouble or 'it is being loaded'}",
                hint="live.wait() waits for one",
            )
        return predictor

    @property
    def sample(self) -> Sample | None:
        """The sample of the version that is loaded; None if it or no version has none."""
        predictor = self._predictor
        return predictor.sample if predictor else None

    @property
    def model(self) -> str:
        """The model's name."""
        return self._source.model

    @property
    def version(self) -> str | None:
        """The version that answers, ``v2``; None before the first is loaded."""
        predictor = self._predictor
        return predictor.version.name if predictor else None

    @property
    def wanted(self) -> str | None:
        """The version that the pointer names now; None if it names none, or cannot be read."""
        version = self._wanted()
        return version.name if version else None

    @property
    def ready(self) -> bool:
        """Whether the version that answers is the one that the pointer names now."""
        predictor, wanted = self._predictor, self._wanted()
        return predictor is not None and predictor.version == wanted

    @property
    def trouble(self) -> str:
        """Why the loaded version is not the wanted one, or the remote not asked; "" if it is."""
        return self._told(is_ready=self.ready)

    def _told(self, *, is_ready: bool) -> str:
        # A pointer that came back to what is loaded leaves no trouble, before it is looked at too.
        return (not is_ready and self._load_trouble) or self._refresh_trouble

    def status(self) -> Status:
        """Tell all of it at once."""
        wanted, predictor = self._wanted(), self._predictor
        is_ready = predictor is not None and predictor.version == wanted
        return Status(
            self.model,
            predictor.version.name if predictor else None,
            wanted.name if wanted else None,
            is_ready,
            self._told(is_ready=is_ready),
            self._loaded_at,
            self._swaps,
            self._swap_seconds,
            self._all_failed_loads,
            self._all_failed_refreshes,
        )

    def wait(self, version: str | None = None, timeout: float | None = None) -> bool:
        """Wait until ``version`` answers, or without one until what is live does.

        Asks the remote at once, and not only when it is due. False after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (self.ready if version is None else self.version == version):
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or self._closed.is_set():
                    return False
                self.nudge()
                self._changed.wait(_GLANCE if left is None else min(_GLANCE, left))
        return True

    def nudge(self) -> None:
        """Have the remote asked soon."""
        self._wake.set()

    # Following ----------------------------------------------------------------------------

    def look(self, *, refresh: bool = False) -> None:
        """Look at the pointer, load what it names if that is another version, and swap.

        ``refresh`` asks the remote first. Trouble is noted and told, never raised. The thread that
        every `LiveModel` has does this by itself.
        """
        with self._looking:
            if refresh:
                self._refresh()
            for _ in range(_TURNS):
                wanted, predictor = self._wanted(tell=True), self._predictor
                if wanted is None or (predictor and predictor.version == wanted):
                    break
                failed, until, _times = self._failed
                if wanted == failed and time.monotonic() < until:
                    break
                if not self._load(wanted):
                    break
        if self.on_look:
            self.on_look(self)
        with self._changed:
            self._changed.notify_all()

    def _refresh(self) -> None:
        try:
            self._source.refresh()
        except Exception as error:  # noqa: BLE001 - serving goes on whatever the network does
            self._all_failed_refreshes += 1
            self._refreshes_failed += 1
            said = f"the registry could not be asked: {_first_line(error)}"
            if said != self._refresh_trouble:
                self._notify(f"{said}; {self._serving()}")
            self._refresh_trouble = said
        else:
            self._refreshes_failed, self._refresh_trouble = 0, ""
        wait = min(self._watch * 2 ** min(self._refreshes_failed, 6), max(self._watch, _LONGEST))
        # Not in step with all the others that lost the same remote.
        self._refresh_at = time.monotonic() + wait * random.uniform(0.8, 1.0)  # noqa: S311

    def _wanted(self, *, tell: bool = False) -> Version | None:
        try:
            wanted = self._source.wanted()
        except Exception as error:  # noqa: BLE001 - serving goes on whatever lies in the repository
            said, wanted = f"the pointer cannot be read: {_first_line(error)}", None
        else:
            said = "" if wanted else f"nothing of {self.model!r} is in production"
        if tell and (said or wanted != self._failed[0]):
            self._trouble(said)
        return wanted

    def _load(self, wanted: Version) -> bool:
        """Load a version and put it in place, unless the pointer moved on; False if it fails."""
        start = time.monotonic()
        try:
            manifest, files = self._source.files(wanted)
            predictor = Predictor.load(manifest, files, self._loaders)
            predictor.check()
        except BaseException as error:  # noqa: BLE001 - a model may raise anything, SystemExit too
            self._note_failure(wanted, error)
            return False
        self._swap_seconds = time.monotonic() - start
        self._failed, self._load_trouble = (None, 0.0, 0), ""
        if self._source_moved_from(wanted):
            return True  # the next turn loads what it names now
        self._predictor, self._loaded_at = predictor, time.time()
        self._swaps += 1
        return True

    def _source_moved_from(self, loaded: Version) -> bool:
        now = self._wanted()
        return now is not None and now != loaded and self._predictor is not None

    def _note_failure(self, wanted: Version, error: BaseException) -> None:
        self._all_failed_loads += 1
        times = self._failed[2] + 1 if self._failed[0] == wanted else 1
        wait = min(_LONGEST, _GLANCE * 2**times) * random.uniform(0.8, 1.0)  # noqa: S311
        self._failed = (wanted, time.monotonic() + wait, times)
        self._trouble(f"{wanted.tag} cannot be served: {_first_line(error)}")

    def _trouble(self, said: str) -> None:
        if said and said != self._load_trouble:
            self._notify(f"{said}; {self._serving()}")
        self._load_trouble = said

    def _serving(self) -> str:
        return f"{self.version} goes on serving" if self.version else "nothing is served"

    def _run(self) -> None:
        while not self._closed.is_set():
            asked = self._wake.wait(min(_GLANCE, self._watch))
            self._wake.clear()
            if self._closed.is_set():
                return
            is_due = asked or time.monotonic() >= self._refresh_at
            self.look(refresh=self._fetch and is_due)
            if asked:  # many may ask, and the remote is asked once a second
                self._closed.wait(_GLANCE)

    # Ending -------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop following; what is loaded still answers."""
        self._closed.set()
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=_LONGEST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, RegistryError) else str(error)
    first = text.strip().partition("\n")[0]
    return first if isinstance(error, RegistryError) else f"{type(error).__name__}: {first}"
