"""`LiveModel`: what is in production, loaded, and followed when production moves."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.errors import NotFound, RegistryError
from mlv.predicting.predictor import Predictor
from mlv.serve.patience import Patience
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
_TURNS = 5  # times that a pointer may move while a version is loaded
_FAREWELL = 5.0  # seconds that closing waits for what is under way
_POINTER, _VERSION, _REMOTE = "pointer", "version", "remote"  # where there may be trouble


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
        self._notify = notify or _LOG.warning
        self._source: Source = source_of(source, model, self._tell, fetch=fetch)
        self._loaders, self._fetch, self._watch = loaders, fetch, watch
        self._predictor: Predictor | None = None
        self._looking, self._asking = threading.Lock(), threading.Lock()
        self._changed = threading.Condition()  # held where `_predictor` is set, and on closing
        self._look_soon, self._ask_soon = threading.Event(), threading.Event()
        self._closed = threading.Event()
        self._process = os.getpid()
        self._troubles = {_POINTER: "", _VERSION: "", _REMOTE: ""}
        self._failed: Version | None = None  # the last that could not be loaded
        self._loading, self._refreshing = Patience(_GLANCE), Patience(watch, watch)
        self._loaded_at: float | None = None
        self._swaps, self._swap_seconds = 0, 0.0
        self._failed_loads, self._failed_refreshes = 0, 0
        self.on_look: Callable[[LiveModel], None] | None = None
        runs = (self._run, self._run_refreshes) if fetch else (self._run,)
        self._threads = [threading.Thread(target=run, name="mlv-live", daemon=True) for run in runs]
        if wait:
            self._look_first()
        if start:
            self._start()

    def begin(self) -> None:
        """Load what is live, if it can be, and follow it from now on: what ``start`` would do."""
        self.look()
        self._start()

    def _look_first(self) -> None:
        if self._fetch:
            self._refresh()
        error = self._look()
        if self._predictor is None:
            self._source.wanted()  # what is wrong with the pointer itself is raised here
            raise error or NotFound(self.trouble, hint="mlv status says what is live")

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()

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
        self._check_process()
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
        return next(filter(None, self._troubles.values()), "")

    def status(self) -> Status:
        """Tell all of it at once."""
        wanted, predictor = self._wanted(), self._predictor
        return Status(
            self.model,
            predictor.version.name if predictor else None,
            wanted.name if wanted else None,
            predictor is not None and predictor.version == wanted,
            self.trouble,
            self._loaded_at,
            self._swaps,
            self._swap_seconds,
            self._failed_loads,
            self._failed_refreshes,
        )

    def wait(self, version: str | None = None, timeout: float | None = None) -> bool:
        """Wait until ``version`` answers, or without one until what is live does.

        Asks the remote at once, and not only when it is due. False after ``timeout`` seconds, or
        where nobody follows: after `close`, or with ``start=False``.
        """
        start = nudged = time.monotonic()
        self.nudge()
        with self._changed:
            while not (self.ready if version is None else self.version == version):
                now = time.monotonic()
                left = _GLANCE if timeout is None else start + timeout - now
                if left <= 0 or self._closed.is_set() or not self._threads[0].is_alive():
                    return False
                if now - nudged >= _GLANCE:
                    nudged = now
                    self.nudge()
                self._changed.wait(min(_GLANCE, left))
        return True

    def nudge(self) -> None:
        """Have the pointer looked at and the remote asked soon: that once a second at most."""
        self._ask_soon.set()
        self._look_soon.set()

    # Following ----------------------------------------------------------------------------

    def look(self, *, refresh: bool = False) -> None:
        """Look at the pointer, load what it names if that is another version, and swap.

        ``refresh`` asks the remote first. Trouble is noted and told, never raised. The threads that
        every `LiveModel` has do this by themselves.
        """
        if refresh:
            self._refresh()
        self._look()

    def _look(self) -> BaseException | None:
        """Look; the last thing that went wrong in loading is given."""
        with self._looking:
            error = self._catch_up()
        if self.on_look:
            try:
                self.on_look(self)
            except Exception:  # noqa: BLE001 - following goes on whatever a listener does
                _LOG.exception("who is told of each look failed")
        with self._changed:
            self._changed.notify_all()
        return error

    def _catch_up(self) -> BaseException | None:
        for _ in range(_TURNS):
            wanted, predictor = self._wanted(tell=True), self._predictor
            if wanted is None:
                return None
            if wanted != self._failed:  # that the pointer moved is reason enough to try at once
                self._failed, self._loading = None, Patience(_GLANCE)
                self._note(_VERSION, "")
            if (predictor and predictor.version == wanted) or self._loading.left:
                return None
            error = self._load(wanted)
            if error:
                return error
        return None

    def _load(self, wanted: Version) -> BaseException | None:
        """Load a version and put it in place, unless the pointer moved on; give what fails."""
        start = time.monotonic()
        try:
            manifest, files = self._source.files(wanted)
            predictor = Predictor.load(manifest, files, self._loaders)
            predictor.check()
        except BaseException as error:
            # A model may raise anything; the main thread alone gets what the user interrupts with.
            is_main = threading.current_thread() is threading.main_thread()
            if is_main and not isinstance(error, Exception):
                raise
            self._failed_loads += 1
            self._failed = wanted
            self._loading.failed()
            self._note(_VERSION, f"{wanted.tag} cannot be served: {_first_line(error)}")
            return error
        self._swap_seconds = time.monotonic() - start
        if self._predictor is None or self._wanted() == wanted:
            self._swap(predictor)
        return None  # if the pointer moved on, the next turn loads what it names now

    def _swap(self, predictor: Predictor) -> None:
        with self._changed:
            if self._closed.is_set():
                return
            self._predictor, self._loaded_at = predictor, time.time()
            self._swaps += 1
        _LOG.info("%s answers, loaded in %.2f s", predictor.version.tag, self._swap_seconds)

    def _refresh(self) -> None:
        with self._asking:
            try:
                self._source.refresh()
            except Exception as error:  # noqa: BLE001 - serving goes on whatever the network does
                self._failed_refreshes += 1
                self._refreshing.failed()
                self._note(_REMOTE, f"the registry could not be asked: {_first_line(error)}")
            else:
                self._refreshing.succeeded()
                self._note(_REMOTE, "")

    def _wanted(self, *, tell: bool = False) -> Version | None:
        self._check_process()
        try:
            wanted = self._source.wanted()
        except Exception as error:  # noqa: BLE001 - serving goes on whatever lies in the repository
            said, wanted = f"the pointer cannot be read: {_first_line(error)}", None
        else:
            said = "" if wanted else f"nothing of {self.model!r} is in production"
        if tell:
            self._note(_POINTER, said)
        return wanted

    def _check_process(self) -> None:
        # The threads stayed with the parent, and git's pipes are the parent's too.
        if os.getpid() != self._process:
            raise RegistryError(
                "this LiveModel was made before the process forked: nobody follows production here",
                hint="make it in the process that serves",
            )

    def _note(self, kind: str, said: str) -> None:
        """Keep what is wrong, or that nothing is; what is new is told."""
        is_new = said and said != self._troubles[kind]
        self._troubles[kind] = said
        if is_new:
            version = self.version
            self._tell(
                f"{said}; {f'{version} goes on serving' if version else 'nothing is served'}"
            )

    def _tell(self, said: str) -> None:
        try:
            self._notify(said)
        except Exception:  # noqa: BLE001 - following goes on whatever a listener does
            _LOG.exception("who is told of trouble failed: %s", said)

    def _run(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._look_soon.wait(min(_GLANCE, self._watch))
            self._look_soon.clear()

    def _run_refreshes(self) -> None:
        """Ask the remote, in a thread of its own: it may take a minute to fall silent."""
        while not self._closed.is_set():
            was_asked = self._ask_soon.wait(self._refreshing.left)
            self._ask_soon.clear()
            if self._closed.is_set():
                return
            self._refresh()
            self._look_soon.set()
            if was_asked:  # many may ask, and the remote is asked once a second
                self._closed.wait(_GLANCE)

    # Ending -------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop following; what is loaded still answers, and nothing takes its place any more."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        self.nudge()
        until = time.monotonic() + _FAREWELL
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, RegistryError) else str(error)
    first = text.strip().partition("\n")[0]
    return first if isinstance(error, RegistryError) else f"{type(error).__name__}: {first}"
