"""Asking DVC for something: quietly, and with its errors told as ours."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
from typing import TYPE_CHECKING, Any

from mlv.errors import ProgramError, RegistryError
from mlv.store.disk import DISK_ERRORS, storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsspec.callbacks import Callback

    from mlv.store.hashing import Progress

_IS_ASKED = contextvars.ContextVar("_IS_ASKED", default=False)


def _speaks(_: logging.LogRecord) -> bool:
    return not _IS_ASKED.get()


@functools.cache
def _mute() -> None:
    """Keep DVC from logging where we ask it, in this thread alone."""
    import dvc  # noqa: F401 - importing it sets its loggers up

    for name in ("dvc", "dvc_data", "dvc_objects"):
        for handler in logging.getLogger(name).handlers or [logging.NullHandler()]:
            handler.addFilter(_speaks)
            logging.getLogger(name).addHandler(handler)


@contextlib.contextmanager
def asking(what: str, told: Callable[[Exception], RegistryError] | None = None) -> Iterator[None]:
    """Ask DVC for something: quietly, and with whatever it raises told in one line.

    Its remotes' libraries raise all kinds of exceptions, so every kind is caught; ``told`` may
    word them.
    """
    _mute()
    token = _IS_ASKED.set(True)
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise storage_error(error) from error
        if told:
            raise told(error) from error
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ProgramError(
            f"DVC could not {what}: {said[0]}", hint=" ".join(said[1:3]) or "try it with dvc itself"
        ) from error
    finally:
        _IS_ASKED.reset(token)


def callback(progress: Progress) -> Callback:
    """Give DVC a callback that tells ``progress`` the bytes of each step."""
    from fsspec.callbacks import Callback

    class OfFile(Callback):  # type: ignore[misc]
        value: int

        """Tell the bytes of one file's transfer, whichever thread runs it."""

        def relative_update(self, inc: int = 1) -> None:
            progress(inc)

        def absolute_update(self, value: int) -> None:
            progress(value - int(self.value))
            self.value = value

    class OfAll(Callback):  # type: ignore[misc]
        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Callback:  # noqa: ARG002
            return OfFile()

    return OfAll()
