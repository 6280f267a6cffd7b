"""A DVC remote that was opened ahead is closed, whether it was used or not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from mlv import StatusError
from mlv.pulling import RemoteRegistry
from mlv.store.dvc import far
from tests.pulling.conftest import commit_config

if TYPE_CHECKING:
    from tests.pulling.conftest import Published

PATIENCE = 60.0  # seconds until a test gives up on another thread


class Remotes:
    """Those that were opened, and how many of them were closed."""

    def __init__(self) -> None:
        self.opened, self.closed = 0, threading.Semaphore(0)
        self.may_open = threading.Event()
        self.may_open.set()

    def open(self, *args: Any) -> far.Downloader:
        assert self.may_open.wait(PATIENCE)
        self.opened += 1
        remote = REAL(*args)
        remote.close = self.closed.release  # type: ignore[method-assign] # a folder has nothing to close
        return remote

    def are_closed(self, count: int) -> bool:
        """Whether so many were opened, and all of them closed."""
        ended = [self.closed.acquire(timeout=PATIENCE) for _ in range(count)]
        return all(ended) and self.opened == count and not self.closed.acquire(blocking=False)


REAL = far.open_storage


@pytest.fixture
def remotes(monkeypatch: pytest.MonkeyPatch) -> Remotes:
    remotes = Remotes()
    monkeypatch.setattr(far, "open_storage", remotes.open)
    return remotes


def test_one_that_is_used_is_opened_once(published: Published, remotes: Remotes) -> None:
    registry = RemoteRegistry(published.url, cache=published.cache)
    registry.refresh("fraud@production")
    registry.artifacts("fraud@production")
    assert remotes.are_closed(1)


def test_one_of_a_version_that_is_not_handed_out(published: Published, remotes: Remotes) -> None:
    published.registry.yank("v2", reason="It leaks")
    published.registry.push()
    registry = RemoteRegistry(published.url, cache=published.cache)
    registry.refresh("fraud-v2")
    with pytest.raises(StatusError, match="yanked"):
        registry.artifacts("fraud-v2")
    assert remotes.are_closed(1)


def test_one_that_is_still_being_opened_when_nobody_wants_it_any_more(
    published: Published, remotes: Remotes
) -> None:
    remotes.may_open.clear()
    RemoteRegistry(published.url, cache=published.cache).refresh("fraud@production")
    remotes.may_open.set()
    assert remotes.are_closed(1)


def test_one_that_moved_meanwhile(published: Published, remotes: Remotes) -> None:
    registry = RemoteRegistry(published.url, cache=published.cache)
    registry.refresh("fraud@production")
    with (published.clone / ".dvc" / "config").open("a") as config:
        config.write("# moved\n")
    commit_config(published)
    registry.refresh("fraud@production")
    registry.artifacts("fraud@production")
    assert remotes.are_closed(2)
