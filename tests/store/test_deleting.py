"""Deleting objects from DVC's cache and from a DVC remote, and reading a directory's listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import ChangedMeanwhile, IntegrityError, ModelRegistry
from mlv.store import locks
from mlv.store.dvc.repository import Dvc, open_dvc
from mlv.store.git import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def opened(repo: Path) -> Iterator[Dvc]:
    with open_dvc(find(repo)) as dvc:
        yield dvc


@pytest.fixture
def listing(repo: Path, tmp_path: Path, write_model: Callable[..., Path]) -> str:
    """Register a directory of two files; return the md5 of its listing."""
    for seed in (1, 2):
        write_model(tmp_path / "net" / f"{seed}.pkl", seed)
    registry = ModelRegistry(repo)
    registry.register(tmp_path / "net", None)
    return str(registry.get_manifest("v1")["artifacts"]["model"]["md5"])


def push(dvc: Dvc, md5s: list[str]) -> None:
    sources = {md5: path for md5 in md5s if (path := dvc.cache.object_path(md5))}
    dvc.remote().push(sources, lambda _: None)


def test_a_listing_is_read_from_the_cache_else_from_the_remote(opened: Dvc, listing: str) -> None:
    members = opened.listed(listing)
    assert members is not None
    assert len(members) == 2
    push(opened, [listing])
    opened.cache.delete([listing])
    assert opened.cache.object_path(listing) is None
    assert opened.listed(listing) == members
    opened.remote().delete([listing])
    assert opened.listed(listing) is None


def test_a_damaged_listing_is_read_from_the_other_place_or_refused(
    opened: Dvc, listing: str
) -> None:
    members = opened.listed(listing)
    push(opened, [listing])
    path = opened.cache.object_path(listing)
    assert path
    path.chmod(0o644)
    path.write_text("[]")
    assert opened.listed(listing) == members
    opened.remote().delete([listing])
    with pytest.raises(IntegrityError, match="damaged"):
        opened.listed(listing)


def test_sizes_are_of_what_is_here_and_deleting_twice_is_no_error(
    opened: Dvc, listing: str
) -> None:
    members = opened.listed(listing) or []
    sizes = opened.cache.sizes([listing, *members, "f" * 32])
    assert sizes.keys() == {listing, *members}
    assert all(size > 0 for size in sizes.values())
    for _ in range(2):
        opened.cache.delete([listing, *members])
        assert opened.cache.sizes([listing, *members]) == {}
        opened.remote().delete([listing, *members])


def test_a_listing_is_deleted_after_what_it_lists(
    opened: Dvc, listing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = opened.listed(listing) or []
    push(opened, [listing, *members])
    remote = opened.remote()
    gone: list[str] = []
    monkeypatch.setattr(
        remote._fs, "remove", lambda path: gone.append(remote._odb.path_to_oid(path))
    )
    remote.delete([listing, *members])
    assert gone == [*sorted(members), listing]


def test_those_who_share_a_lock_wait_only_for_who_holds_it_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        locks.exclusive(lock, shared=True),
        locks.exclusive(lock, shared=True, patience=0),
        pytest.raises(ChangedMeanwhile),
        locks.exclusive(lock, patience=0),
    ):
        pytest.fail("held alone, and shared")
    with (
        locks.exclusive(lock),
        pytest.raises(ChangedMeanwhile),
        locks.exclusive(lock, shared=True, patience=0),
    ):
        pytest.fail("shared, and held alone")
