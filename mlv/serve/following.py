"""Following production: load what the pointer names, and put it in the old one's place."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from mlv.errors import NotFound, RegistryError
from mlv.predicting.predictor import Predictor
from mlv.serve.attempt import Attempt
from mlv.serve.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.domain.names import Version
    from mlv.predicting.loaders import Loaders
    from mlv.serve.sources import Source

_LOG = logging.getLogger("mlv.serve")
GLANCE = 1.0  # seconds between two looks at the pointer here, and between two that were asked for
_TURNS = 5  # times that a pointer may move while a version is loaded
_STEP = 0.2  # seconds between two looks at what is being loaded
_LONG = 30.0  # seconds after which loading is told of, and left behind if the pointer moves on
_MOST_LEFT = 3  # that are left behind at once: each may hold a whole model
_FAREWELL = 5.0  # seconds that closing waits for what is under way
_POINTER, _VERSION, _REMOTE = "pointer", "version", "remote"  # where there may be trouble


class Follower:
    """Has the version that is in production loaded as ``predictor``; None before the first.

    One thread looks at the pointer and loads, another asks the remote every ``watch`` seconds,
    unless ``fetch`` is False. ``changed`` is notified after each look, when ``looked`` was called.
    Counts and times are since it was made.
    """

    def __init__(
        self,
        source: Source,
        loaders: Loaders | None,
        *,
        watch: float,
        fetch: bool,
        notify: Callable[[str], None],
        looked: Callable[[], None],
    ) -> None:
        self.source, self._loaders, self._fetch, self._watch = source, loaders, fetch, watch
        self._notify, self._looked = notify, looked
        self.predictor: Predictor | None = None
        self.changed = threading.Condition()  # held where `predictor` is set, and on closing
        self.loaded_at: float | None = None
        self.swaps, self.swap_seconds = 0, 0.0
        self.failed_loads, self.failed_refreshes = 0, 0
        self._troubles = {_POINTER: "", _VERSION: "", _REMOTE: ""}
        self._failed: Version | None = None  # the last that could not be loaded
        self._attempt: Attempt | None = None  # what is being loaded
        self._left: list[Attempt] = []
        self._loading, self._refreshing = Patience(GLANCE), Patience(watch, watch)
        self._looking, self._asking = threading.Lock(), threading.Lock()
        self._look_soon, self._ask_soon = threading.Event(), threading.Event()
        self._closed = threading.Event()
        self._process = os.getpid()
        runs = (self._run, self._run_refreshes) if fetch else (self._run,)
        self._threads = [threading.Thread(target=run, name="mlv-live", daemon=True) for run in runs]

    def trouble(self, *, is_ready: bool) -> str:
        """Say why the loaded version is not the wanted one, or the remote not asked; "" if it is.

        A pointer that came back to what is loaded leaves no trouble, before it is looked at too.
        """
        said, attempt = self._troubles, self._attempt
        if is_ready:
            return said[_REMOTE]
        is_long = attempt is not None and attempt.seconds >= GLANCE
        loading = str(attempt) if is_long else ""
        return said[_POINTER] or said[_VERSION] or loading or said[_REMOTE]

    @property
    def goes_on(self) -> bool:
        """Whether somebody follows production: not before the start, after the end or a fork."""
        return not self._closed.is_set() and self._threads[0].is_alive()

    def start(self) -> None:
        """Follow production from now on; a second time changes nothing."""
        with self.changed:
            for thread in self._threads:
                if thread.ident is None and not self._closed.is_set():
                    thread.start()

    def stop(self) -> None:
        """Have all end that is under way, as soon as it can; also from a signal's handler."""
        self._closed.set()

    @property
    def is_stopped(self) -> bool:
        """Whether all was told to end."""
        return self._closed.is_set()

    def nudge(self) -> None:
        """Have the pointer looked at and the remote asked soon: that once a second at most."""
        self._ask_soon.set()
        self._look_soon.set()

    def look_first(self) -> None:
        """Load what is live; raise what is in the way of that."""
        if self._fetch:
            self.refresh()
        error = self._look()
        if self.predictor is None:
            self.source.wanted()  # what is wrong with the pointer itself is raised here
            raise error or NotFound(
                self.trouble(is_ready=False), hint="mlv status says what is live"
            )

    def look(self) -> None:
        """Look at the pointer and catch up with it; what goes wrong in that is noted."""
        if self._look() is not None:
            gc.collect()  # errors often hold themselves, and with their frames a whole model

    def _look(self) -> BaseException | None:
        with self._looking:
            error = self._catch_up()
        self._tell_listener()
        with self.changed:
            self.changed.notify_all()
        return error

    def _tell_listener(self) -> None:
        try:
            self._looked()
        except Exception:  # noqa: BLE001 - following goes on whatever a listener does
            _LOG.exception("who is told of each look failed")

    def _catch_up(self) -> BaseException | None:
        for _ in range(_TURNS):
            wanted, predictor = self.wanted(tell=True), self.predictor
            if wanted is None or self._closed.is_set():
                return None
            if wanted != self._failed:  # that the pointer moved is reason enough to try at once
                self._failed, self._loading = None, Patience(GLANCE)
                self._note(_VERSION, "")
            if (predictor and predictor.version == wanted) or self._loading.left:
                return None
            error = self._load(wanted)
            if error:
                return error
        return None

    def _load(self, wanted: Version) -> BaseException | None:
        """Load a version and put it in place, unless the pointer moved on; give what fails."""
        start, attempt = time.monotonic(), Attempt(wanted, self._make)
        self._attempt = attempt
        try:
            has_ended = self._await(attempt)
        finally:
            self._attempt = None
        if not has_ended:
            return None
        if attempt.predictor is None:
            self.failed_loads += 1
            if self.wanted() not in (wanted, None):
                return None  # nobody wants it any more
            return self._note_failure(wanted, attempt.why())
        self.swap_seconds = time.monotonic() - start
        if self.predictor is None or self.wanted() == wanted:
            self._swap(attempt.predictor)
        return None  # if the pointer moved on, the next turn loads what it names now

    def _make(self, wanted: Version) -> Predictor:
        manifest, files = self.source.files(wanted)
        predictor = Predictor.load(manifest, files, self._loaders)
        predictor.check()
        return predictor

    def _await(self, attempt: Attempt) -> bool:
        """Wait for a version to be loaded; False where that ended, or the pointer moved on."""
        is_told = False
        while not attempt.wait(_STEP):
            if self._closed.is_set():
                return False
            self._tell_listener()
            if attempt.seconds < _LONG:
                continue
            if not is_told:
                is_told = True
                self._say(str(attempt))
            self._left = [each for each in self._left if not each.wait(0)]
            has_moved = self.wanted() not in (attempt.version, None)
            if has_moved and len(self._left) < _MOST_LEFT:
                self._left.append(attempt)
                return False
        return True

    def _note_failure(self, wanted: Version, error: BaseException) -> BaseException:
        self._failed = wanted
        self._loading.failed()
        self._note(_VERSION, f"{wanted.tag} cannot be served: {_first_line(error)}")
        return error

    def _swap(self, predictor: Predictor) -> None:
        with self.changed:
            if self._closed.is_set():
                return
            self.predictor, self.loaded_at = predictor, time.time()
            self.swaps += 1
        _LOG.info("%s answers, loaded in %.2f s", predictor.version.tag, self.swap_seconds)

    def refresh(self) -> None:
        """Ask the remote; that it cannot be asked is noted."""
        with self._asking:
            try:
                self.source.refresh()
            except Exception as error:  # noqa: BLE001 - serving goes on whatever the network does
                self.failed_refreshes += 1
                self._refreshing.failed()
                self._note(_REMOTE, f"the registry could not be asked: {_first_line(error)}")
            else:
                self._refreshing.succeeded()
                self._note(_REMOTE, "")

    def wanted(self, *, tell: bool = False) -> Version | None:
        """Read the pointer: None if it names nothing, or cannot be read; noted with ``tell``."""
        self.check_process()
        try:
            wanted = self.source.wanted()
        except Exception as error:  # noqa: BLE001 - serving goes on whatever lies in the repository
            said, wanted = f"the pointer cannot be read: {_first_line(error)}", None
        else:
            said = "" if wanted else f"nothing of {self.source.model!r} is in production"
        if tell:
            self._note(_POINTER, said)
        return wanted

    def check_process(self) -> None:
        """Raise `RegistryError` in a process that forked off."""
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
            self._say(said)

    def _say(self, said: str) -> None:
        loaded = self.predictor
        goes_on = f"{loaded.version.name} goes on serving" if loaded else "nothing is served"
        self._notify(f"{said}; {goes_on}")

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001 - without this thread an old version would answer for ever
                _LOG.exception("looking at what is in production failed")
            self._look_soon.wait(min(GLANCE, self._watch))
            self._look_soon.clear()

    def _run_refreshes(self) -> None:
        """Ask the remote, in a thread of its own: it may take a minute to fall silent."""
        while not self._closed.is_set():
            was_asked = self._ask_soon.wait(self._refreshing.left)
            self._ask_soon.clear()
            if self._closed.is_set():
                return
            self.refresh()
            self._look_soon.set()
            if was_asked:  # many may ask, and the remote is asked once a second
                self._closed.wait(GLANCE)

    def close(self) -> None:
        """Stop following; what is loaded still answers, and nothing takes its place any more."""
        with self.changed:
            self._closed.set()
            self.changed.notify_all()
        self.nudge()
        until = time.monotonic() + _FAREWELL
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, RegistryError) else str(error)
    first = text.strip().partition("\n")[0]
    return first if isinstance(error, RegistryError) else f"{type(error).__name__}: {first}"
