"""What a `LiveModel` answers while production moves."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from functools import partial
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlv import LiveModel, ModelRegistry, NotFound
from mlv.predicting import predictor as predictors
from mlv.serve import following
from tests.serve.conftest import expected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.serve.conftest import Served


def still(repo: Path | str, **how: Any) -> LiveModel:
    """Make a model that follows production only when the test says `look`."""
    return LiveModel(repo, start=False, fetch=False, **how)


def test_it_answers_as_what_is_live_does(repo: Path, two: ModelRegistry) -> None:
    live = still(repo)
    assert live.predict(np.array([1.0, 5.0])).tolist() == [102.0, 110.0]
    assert (live.model, live.version, live.wanted, live.ready) == ("model", "v1", "v1", True)
    two.promote("v2")
    assert (live.version, live.wanted, live.ready) == ("v1", "v2", False)
    live.look()
    assert (live.version, live.ready, live.predict(1)) == ("v2", True, expected("v2", 1))
    two.rollback()
    live.look()
    assert (live.version, live.predict(1)) == ("v1", expected("v1", 1))
    assert live.status().swaps == 3


def test_every_answer_is_of_one_version_while_production_moves(
    repo: Path, two: ModelRegistry
) -> None:
    live, answers, done = still(repo), [], threading.Event()

    def ask() -> None:
        while not done.wait(0.002):  # else these threads leave the one that loads no time
            answers.append((*live.predict_with_version(7), live.predict(7)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        two.promote("v2")
        live.look()
        two.rollback()
        live.look()
    done.set()
    for thread in threads:
        thread.join()
    right = {version: expected(version, 7) for version in ("v1", "v2")}
    assert {answer for _, _, answer in answers} <= set(right.values())
    assert all(answer == right[version] for version, answer, _ in answers)
    assert live.status().swaps == 21


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(
    repo: Path, two: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "GLANCE", 1000.0)  # however slow this machine is
    broken = tmp_path / "broken.pkl"
    broken.write_bytes(b"no pickle")
    two.register(broken, None)
    told: list[str] = []
    live = still(repo, notify=told.append)
    two.promote("v3")
    live.look()
    live.look()  # too early to try again
    assert (live.version, live.ready, live.predict(1)) == ("v1", False, expected("v1", 1))
    assert live.trouble.startswith("model-v3 cannot be served: model.pkl is what was registered")
    assert told == [f"{live.trouble}; v1 goes on serving"]
    assert live.status().failed_loads == 1
    two.promote("v2")  # that the pointer moved is reason enough to try at once
    live.look()
    assert (live.version, live.ready, live.trouble) == ("v2", True, "")


@pytest.mark.parametrize("raised", ["SystemExit", "KeyboardInterrupt", "MemoryError"])
def test_whatever_a_model_raises_while_it_is_loaded(
    repo: Path, two: ModelRegistry, tmp_path: Path, raised: str
) -> None:
    path = tmp_path / "raises.pkl"
    path.write_bytes(f"cbuiltins\nexec\n(S'raise {raised}()'\ntR.".encode())
    two.register(path, None)
    live = still(repo, notify=lambda _: None)
    two.promote("v3")
    follower = threading.Thread(target=live.look)  # the main thread is interrupted by its user
    follower.start()
    follower.join()
    assert (live.version, live.ready) == ("v1", False)
    assert "model-v3 cannot be served" in live.trouble


def test_a_damaged_object_is_not_loaded(
    repo: Path, two: ModelRegistry, storage_emptied: Callable[[], None]
) -> None:
    live = still(repo, notify=lambda _: None)
    storage_emptied()
    two.promote("v2", push=False)
    md5 = two.get_manifest("v2")["artifacts"]["model"]["md5"]
    path = repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(b"tampered")
    live.look()
    assert (live.version, live.ready, live.predict(1)) == ("v1", False, expected("v1", 1))
    assert "not what was registered" in live.trouble


@pytest.fixture
def storage_emptied(repo: Path) -> Callable[[], None]:
    """``storage_emptied()`` has the DVC remote lose all, and what was handed out of v2."""

    def empty() -> None:
        shutil.rmtree(repo.parent / "storage")
        shutil.rmtree(repo / ".git" / "mlv" / "model" / "v2", ignore_errors=True)

    return empty


def test_a_version_that_answers_its_sample_otherwise_here_does_not_go_live(
    repo: Path, two: ModelRegistry, new: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    new(3, sample=np.array([1.0]))
    live = still(repo, notify=lambda _: None)
    two.promote("v3")
    real = predictors.predict
    monkeypatch.setattr(predictors, "predict", lambda loaded, given: real(loaded, given) + 0.5)
    live.look()
    assert live.version == "v1"
    assert "model-v3 does not answer its sample as when it was registered" in live.trouble
    assert "1 of 1 values differ" in live.trouble


def test_a_pointer_that_moves_on_while_a_version_is_loaded(
    repo: Path, two: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, loaded = still(repo), []
    real = predictors.Predictor.load

    def load(manifest: Any, files: Any, loaders: Any = None) -> predictors.Predictor:
        loaded.append(manifest.version.name)
        if len(loaded) == 1:
            two.rollback()
        return real(manifest, files, loaders)

    monkeypatch.setattr(predictors.Predictor, "load", staticmethod(load))
    two.promote("v2")
    live.look()
    assert (live.version, live.ready, loaded) == ("v1", True, ["v2"])
    assert live.status().swaps == 1  # what was not wanted any more never answered


def test_nothing_live_is_an_error_at_first(repo: Path, new: Served) -> None:
    new(1)
    with pytest.raises(NotFound, match="nothing of 'model' is in production"):
        still(repo)
    live = still(repo, wait=False, notify=lambda _: None)
    live.look()
    assert (live.version, live.wanted, live.ready) == (None, None, False)
    with pytest.raises(NotFound, match="no version of 'model' is loaded"):
        live.predict(1)
    ModelRegistry(repo).promote("v1")
    live.look()
    assert (live.ready, live.predict(1)) == (True, expected("v1", 1))


def test_of_several_models_one_is_named(repo: Path, two: ModelRegistry, tmp_path: Path) -> None:
    del two
    other = ModelRegistry(repo, "other")
    other.register(tmp_path / "m.pkl", None)
    other.promote("v1")
    with pytest.raises(NotFound, match="there are model, other"):
        still(repo)
    assert still(repo, model="model").predict(1) == expected("v1", 1)


def test_the_version_before_is_let_go(repo: Path, two: ModelRegistry) -> None:
    live = still(repo)
    held = live.predictor
    before = weakref.ref(held)
    two.promote("v2")
    live.look()
    assert held.predict(1) == expected("v1", 1)  # whoever holds it is undisturbed
    del held
    gc.collect()
    assert before() is None


def test_loaders_of_the_users_own(repo: Path, two: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "n.number").write_text("5")
    two.register(tmp_path / "n.number", None)
    two.promote("v3")
    live = still(repo, loaders={".number": lambda path: partial(add, int(path.read_text()))})
    assert live.predict(1) == 6


# Followed by itself -------------------------------------------------------------------------


def test_a_bare_repository_on_this_disk_is_followed_as_one_that_is_far(
    two: ModelRegistry, repo: Path, tmp_path: Path, git: Callable[..., str]
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "bare.git"))
    two.push()
    with LiveModel(tmp_path / "bare.git") as live:
        assert live.version == "v1"
        two.promote("v2", push=True)
        assert live.wait("v2", timeout=60)


def test_a_clone_follows_its_remote_and_goes_on_while_that_is_away(
    repo: Path, two: ModelRegistry, tmp_path: Path, git: Callable[..., str]
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(repo, "remote", "add", "origin", str(bare))
    two.push()
    git(tmp_path, "clone", "--quiet", str(bare), "serving")
    told: list[str] = []
    with LiveModel(tmp_path / "serving", watch=0.1, notify=told.append) as live:
        assert live.version == "v1"
        two.promote("v2", push=True)
        assert live.wait("v2", timeout=60)
        assert live.wait(timeout=60)
        bare.rename(tmp_path / "away.git")
        while live.status().failed_refreshes < 2:
            threading.Event().wait(0.05)
        assert (live.version, live.ready) == ("v2", True)
        assert live.trouble.startswith("the registry could not be asked: ")
        assert told == [f"{live.trouble}; v2 goes on serving"]  # once, however often it fails
        (tmp_path / "away.git").rename(bare)
        two.rollback(push=True)
        assert live.wait("v1", timeout=60)
        assert live.predict(1) == expected("v1", 1)
    assert live.predict(1) == expected("v1", 1)


def test_a_registry_by_its_url_is_followed_too(
    repo: Path, two: ModelRegistry, dvc: Callable[..., str]
) -> None:
    dvc(repo, "push", "--quiet", "--all-tags")
    with LiveModel(f"file://{repo}", watch=0.1) as live:
        assert (live.version, live.predict(1)) == ("v1", expected("v1", 1))
        two.promote("v2")
        assert live.wait("v2", timeout=60)
        assert live.predict(1) == expected("v2", 1)


def test_waiting_ends_in_time_and_with_the_model(repo: Path, two: ModelRegistry) -> None:
    del two
    live = LiveModel(repo, watch=0.1)
    assert live.wait(timeout=0)
    assert not live.wait("v9", timeout=0.01)
    live.close()
    assert not live.wait("v9")
