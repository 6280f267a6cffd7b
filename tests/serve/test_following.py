"""What a `LiveModel` does about trouble, and about its own end."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from functools import partial
from operator import add
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlv import IntegrityError, LiveModel, ModelRegistry, NotFound, RegistryError
from mlv.predicting.predictor import Predictor
from mlv.serve import following
from mlv.serve.patience import Patience
from mlv.serve.sources import LocalSource
from mlv.store import usercache
from mlv.store.disk import remove_tree
from tests.serve.conftest import expected
from tests.serve.test_live import still

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.serve.conftest import Served

PATIENCE = 60.0  # seconds until a test gives up on another thread


@pytest.fixture
def time_passed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """``time_passed()`` ends every wait that a failure began."""

    def end() -> None:
        monkeypatch.setattr(Patience, "left", 0.0)

    return end


class Gate:
    """A loader that does not end before it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def load(self, path: Path) -> object:
        self.reached.set()
        assert self.opened.wait(PATIENCE)
        return partial(add, int(path.read_text()))


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def slow(two: ModelRegistry, tmp_path: Path) -> str:
    """Register v3, which takes as long to load as the gate says."""
    (tmp_path / "m.slow").write_text("5")
    return two.register(tmp_path / "m.slow", None)


# Trouble ------------------------------------------------------------------------------------


def test_bytes_that_nobody_has_are_awaited(
    repo: Path, two: ModelRegistry, tmp_path: Path, time_passed: Callable[[], None]
) -> None:
    told: list[str] = []
    live = still(repo, notify=told.append)
    cache, away = repo / ".dvc" / "cache", tmp_path / "away"
    two.promote("v2")
    cache.rename(away)
    live.look()
    assert (live.version, live.ready, live.predict(1)) == ("v1", False, expected("v1", 1))
    assert live.trouble.startswith("model-v2 cannot be served: ")
    away.rename(cache)
    live.look()
    assert live.version == "v1"  # it is too early to try again
    time_passed()
    live.look()
    assert (live.version, live.ready, live.trouble) == ("v2", True, "")
    assert len(told) == 1


def test_the_same_trouble_is_told_once_however_often_it_is_tried(
    repo: Path, two: ModelRegistry, tmp_path: Path, time_passed: Callable[[], None]
) -> None:
    (tmp_path / "broken.pkl").write_bytes(b"no pickle")
    two.register(tmp_path / "broken.pkl", None)
    told: list[str] = []
    live = still(repo, notify=told.append)
    time_passed()
    two.promote("v3")
    for _ in range(3):
        live.look()
    assert (live.status().failed_loads, len(told)) == (3, 1)
    two.rollback()
    assert (live.ready, live.trouble) == (True, "")  # before anybody looks
    live.look()
    two.promote("v3")
    live.look()
    assert (live.ready, live.status().failed_loads, len(told)) == (False, 4, 2)


def test_a_version_that_comes_back_is_tried_at_once(
    repo: Path, two: ModelRegistry, tmp_path: Path
) -> None:
    (tmp_path / "n.number").write_text("5")
    two.register(tmp_path / "n.number", None)
    tries = []

    def load(path: Path) -> object:
        tries.append(path)
        if len(tries) == 1:
            raise MemoryError
        return partial(add, int(path.read_text()))

    live = still(repo, loaders={".number": load}, notify=lambda _: None)
    two.promote("v3")
    live.look()
    assert "model-v3 cannot be served" in live.trouble
    two.rollback()
    live.look()
    two.promote("v3")
    live.look()
    assert (live.version, live.ready, live.predict(1)) == ("v3", True, 6)


def test_a_version_that_is_rolled_back_and_yanked_while_it_is_loaded(
    repo: Path, two: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    live = still(repo, notify=told.append)
    real = LocalSource.files

    def files(source: LocalSource, version: Any) -> Any:
        two.rollback()
        two.yank("v2", reason="It leaks")
        return real(source, version)

    monkeypatch.setattr(LocalSource, "files", files)
    two.promote("v2")
    live.look()
    assert (live.version, live.ready, live.trouble, told) == ("v1", True, "", [])
    assert live.predict(1) == expected("v1", 1)


def test_a_branch_that_names_nothing_any_more_stops_nothing(
    repo: Path, new: Served, registry: ModelRegistry, git: Callable[..., str]
) -> None:
    new(1)
    before = git(repo, "rev-parse", "main").strip()
    registry.promote("v1")
    after = git(repo, "rev-parse", "main").strip()
    told: list[str] = []
    live = still(repo, model="model", notify=told.append)
    git(repo, "update-ref", "refs/heads/main", before)
    live.look()
    live.look()
    assert (live.version, live.wanted, live.ready) == ("v1", None, False)
    assert live.trouble == "nothing of 'model' is in production"
    assert told == [f"{live.trouble}; v1 goes on serving"]
    assert live.predict(1) == expected("v1", 1)
    git(repo, "update-ref", "refs/heads/main", after)
    live.look()
    assert (live.ready, live.trouble, live.status().swaps) == (True, "", 1)


def test_a_repository_that_vanishes_stops_nothing(repo: Path, two: ModelRegistry) -> None:
    del two
    live = still(repo, notify=lambda _: None)
    away = repo.rename(repo.with_name("away"))
    live.look()
    assert (live.version, live.predict(1)) == ("v1", expected("v1", 1))
    away.rename(repo)
    live.look()
    assert (live.ready, live.trouble) == (True, "")


def test_what_listens_may_fail(repo: Path, two: ModelRegistry, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise OSError("the log is full")

    (tmp_path / "broken.pkl").write_bytes(b"no pickle")
    two.register(tmp_path / "broken.pkl", None)
    live = still(repo, notify=fail)
    live.on_look = fail
    two.promote("v3")
    live.look()
    assert live.trouble.startswith("model-v3 cannot be served")
    two.promote("v2")
    live.look()
    assert (live.version, live.ready) == ("v2", True)


def test_what_cannot_be_loaded_at_first_is_raised_as_what_it_is(
    repo: Path, two: ModelRegistry, tmp_path: Path
) -> None:
    md5 = two.get_manifest("v1")["artifacts"]["model"]["md5"]
    path = repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(b"tampered")
    with pytest.raises(IntegrityError, match="not what was registered"):
        still(repo, notify=lambda _: None)
    (tmp_path / "broken.pkl").write_bytes(b"no pickle")
    two.register(tmp_path / "broken.pkl", None)
    two.promote("v3")
    with pytest.raises(RegistryError, match="cannot be loaded here") as raised:
        still(repo, notify=lambda _: None)
    assert raised.value.hint


def test_a_failed_version_is_let_go_and_so_is_one_that_was_overtaken(
    repo: Path, two: ModelRegistry, new: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    new(3, sample=np.array([1.0]))
    live, made = still(repo, notify=lambda _: None), []
    real = Predictor.load

    def load(*args: Any) -> Predictor:
        predictor = real(*args)
        made.append(weakref.ref(predictor))
        if predictor.version.name == "v2":
            two.rollback()
        elif predictor.version.name == "v3":
            predictor.loaded["model"] = str  # answers its sample otherwise
        return predictor

    monkeypatch.setattr(Predictor, "load", staticmethod(load))
    two.promote("v2")
    live.look()
    two.promote("v3")
    live.look()
    assert (live.version, live.status().failed_loads) == ("v1", 1)
    assert [ref() for ref in made] == [None, None]


def test_who_is_told_may_ask_back(
    repo: Path, two: ModelRegistry, tmp_path: Path, git: Callable[..., str]
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "bare.git"))
    two.push()
    asked: list[tuple[str, bool]] = []
    live: LiveModel = still(repo, notify=lambda said: asked.append((said, live.ready)))
    git(
        repo, "update-ref", "refs/remotes/origin/main", git(repo, "rev-parse", "model-v1^0").strip()
    )
    live.look()
    [(said, is_ready)] = asked
    assert "have diverged" in said
    assert is_ready


# Threads ------------------------------------------------------------------------------------


def test_a_remote_that_is_silent_holds_up_no_local_promotion(
    repo: Path, two: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def refresh(_: LocalSource) -> None:
        asked.set()
        assert answered.wait(PATIENCE)

    live = LiveModel(repo, watch=0.1, start=False)
    monkeypatch.setattr(LocalSource, "refresh", refresh)
    with live:
        live.begin()
        assert asked.wait(PATIENCE)
        two.promote("v2")
        assert live.wait("v2", PATIENCE)
        answered.set()


def test_closing_does_not_wait_for_a_load_and_nothing_is_swapped_after_it(
    repo: Path, two: ModelRegistry, slow: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_FAREWELL", 0.0)
    live = LiveModel(repo, fetch=False, loaders={".slow": gate.load})
    two.promote(slow)
    assert gate.reached.wait(PATIENCE)
    assert (live.version, live.ready, live.predict(1)) == ("v1", False, expected("v1", 1))
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(live.wait(slow)))
    waiting.start()
    live.close()
    waiting.join(PATIENCE)
    assert waited == [False]
    gate.opened.set()
    for thread in live._follower._threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    live.look()
    assert (live.version, live.predict(1), live.status().swaps) == ("v1", expected("v1", 1), 1)
    live.close()


def test_a_load_that_hangs_is_told_and_holds_up_no_rollback(
    repo: Path, two: ModelRegistry, slow: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_LONG", 0.0)
    monkeypatch.setattr(following, "GLANCE", 0.0)
    told: list[str] = []
    two.promote("v2")
    two.promote(slow)
    live = LiveModel(
        repo, fetch=False, loaders={".slow": gate.load}, notify=told.append, wait=False
    )
    with live:
        assert gate.reached.wait(PATIENCE)
        with pytest.raises(NotFound, match=r"model-v3 has been loading for .* s"):
            live.predict(1)
        assert live.status().trouble.startswith("model-v3 has been loading for ")
        two.rollback()
        assert live.wait("v2", PATIENCE)
        assert (live.ready, live.predict(1)) == (True, expected("v2", 1))
        assert told
        assert told[0].startswith("model-v3 has been loading for ")
        assert told[0].endswith("; nothing is served")
        gate.opened.set()
    assert live.version == "v2"


def test_beginning_twice_changes_nothing_and_after_the_end_it_is_refused(
    repo: Path, two: ModelRegistry
) -> None:
    live = LiveModel(repo, start=False)
    live.begin()
    live.begin()
    two.promote("v2")
    assert live.wait("v2", PATIENCE)
    live.close()
    with pytest.raises(RegistryError, match="was closed"):
        live.begin()


def test_it_answers_while_another_version_is_being_loaded(
    repo: Path, two: ModelRegistry, slow: str, gate: Gate
) -> None:
    with LiveModel(repo, fetch=False, loaders={".slow": gate.load}) as live:
        two.promote(slow)
        assert gate.reached.wait(PATIENCE)
        assert live.predict_with_version(1) == ("v1", expected("v1", 1))
        assert (live.wanted, live.ready) == (slow, False)
        gate.opened.set()
        assert live.wait(slow, PATIENCE)
        assert live.predict_with_version(1) == (slow, 6)


def test_where_nobody_follows_waiting_ends(repo: Path, two: ModelRegistry) -> None:
    live = still(repo)
    two.promote("v2")
    assert not live.wait("v2")
    live.look()
    assert live.wait("v2")


FORKS = """
import os, sys
from mlv import LiveModel, RegistryError
live = LiveModel(".", fetch=False, start=False)
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
try:
    live.predict(1)
except RegistryError as error:
    os._exit(7 if "before the process forked" in error.message else 1)
os._exit(2)
"""


def test_a_process_that_forked_is_told_to_make_its_own(repo: Path, two: ModelRegistry) -> None:
    del two
    ended = subprocess.run([sys.executable, "-c", FORKS], cwd=repo, check=False)
    assert ended.returncode == 7


def test_scikit_learn_answers_of_one_version_each_while_production_moves(
    repo: Path, registry: ModelRegistry, tmp_path: Path
) -> None:
    asked = np.array([[0.0, 1.0], [3.0, -1.0], [10.0, 5.0]])
    right = {}
    for number in (1, 2):
        chance = np.random.default_rng(number)
        rows = chance.normal(10 * number, number, size=(80, 2))
        scaler = StandardScaler().fit(rows)
        model = LogisticRegression().fit(scaler.transform(rows), rows[:, 0] > 10 * number)
        joblib.dump(scaler, tmp_path / "scaler.joblib")
        joblib.dump(Probability(model), tmp_path / "model.joblib")
        version = registry.register(
            tmp_path / "model.joblib", tmp_path / "scaler.joblib", sample=asked
        )
        right[version] = model.predict_proba(scaler.transform(asked)).tolist()
    assert right["v1"] != right["v2"]
    registry.promote("v1")
    live, answers, done = still(repo), [], threading.Event()

    def ask() -> None:
        while not done.wait(0.002):
            version, answer = live.predict_with_version(asked)
            answers.append((version, answer.tolist()))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        registry.promote("v2")
        live.look()
        registry.rollback()
        live.look()
    done.set()
    for thread in threads:
        thread.join()
    assert {version for version, _ in answers} == {"v1", "v2"}
    assert all(answer == right[version] for version, answer in answers)


class Probability:
    """Answers with the probabilities, as a service would."""

    def __init__(self, model: LogisticRegression) -> None:
        self.model = model

    def predict(self, X: Any) -> Any:  # noqa: N803 - as everywhere in this field
        return self.model.predict_proba(X)


# By an address ------------------------------------------------------------------------------


@pytest.fixture
def bare(repo: Path, two: ModelRegistry, tmp_path: Path, git: Callable[..., str]) -> Path:
    """Publish all of it to a bare repository."""
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(repo, "remote", "add", "origin", str(bare))
    two.push()
    return bare


def test_a_bare_repository_is_read_as_if_from_far_away(bare: Path, two: ModelRegistry) -> None:
    live = still(bare)
    assert (live.version, live.predict(1)) == ("v1", expected("v1", 1))
    two.promote("v2", push=True)
    live.look()
    assert live.version == "v1"
    live.look(refresh=True)
    assert (live.version, live.ready, live.predict(1)) == ("v2", True, expected("v2", 1))


def test_what_was_fetched_is_served_while_the_remote_is_away(
    bare: Path, two: ModelRegistry, tmp_path: Path
) -> None:
    url = f"file://{bare}"
    still(url)
    away = bare.rename(tmp_path / "away.git")
    assert still(url).predict(1) == expected("v1", 1)  # and nobody is asked
    told: list[str] = []
    live = LiveModel(url, notify=told.append, start=False)
    assert (live.version, live.ready) == ("v1", True)
    assert live.trouble.startswith("the registry could not be asked: ")
    assert any("going on with what was fetched" in each for each in told)
    away.rename(bare)
    two.promote("v2", push=True)
    live.look(refresh=True)
    assert (live.version, live.ready, live.trouble) == ("v2", True, "")


def test_what_was_fetched_may_be_deleted(bare: Path, two: ModelRegistry) -> None:
    live = LiveModel(f"file://{bare}", start=False)
    remove_tree(usercache.folder())
    assert live.predict(1) == expected("v1", 1)
    two.promote("v2", push=True)
    live.look(refresh=True)
    assert (live.version, live.ready, live.predict(1)) == ("v2", True, expected("v2", 1))


def test_a_registry_elsewhere_in_which_nothing_is_live_yet(
    bare: Path, repo: Path, git: Callable[..., str], two: ModelRegistry
) -> None:
    live_at = git(repo, "rev-parse", "main").strip()
    git(bare, "update-ref", "refs/heads/main", git(repo, "rev-parse", f"{live_at}^").strip())
    with pytest.raises(NotFound, match="nothing of 'model' is in production"):
        LiveModel(bare, "model", start=False, notify=lambda _: None)
    live = LiveModel(bare, "model", start=False, wait=False, notify=lambda _: None)
    live.look(refresh=True)
    assert (live.version, live.status().failed_refreshes) == (None, 0)
    git(bare, "update-ref", "refs/heads/main", live_at)
    live.look(refresh=True)
    assert (live.version, live.ready) == ("v1", True)
    del two
