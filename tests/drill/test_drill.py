"""A drill finds what would stop a rollback, and leaves no trace."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from mlv.domain.names import Version
from mlv.errors import InvalidInput, NotFound
from tests.drill.conftest import fingerprint, publish

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from mlv.drill.report import Drilled
    from tests.drill.conftest import Environment

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Train = Callable[..., str]

STEPS = ["rollback", "remote", "download", "verify", "load", "predict"]


def only(registry: ModelRegistry, budget: float = 300.0) -> Drilled:
    """Drill the one model that there is."""
    (drilled,) = registry.drill(budget=budget).models
    return drilled


def taken(drilled: Drilled) -> list[str]:
    return [step.name for step in drilled.steps]


def stored(repo: Path, tag: str, role: str = "model") -> Path:
    """Find an artifact's object on the DVC remote."""
    version = tag.rpartition("-")[2]
    md5: str = ModelRegistry(repo, tag.rpartition("-")[0]).get_manifest(version)["artifacts"][role][
        "md5"
    ]
    return repo.parent / "storage" / "files" / "md5" / md5[:2] / md5[2:]


def stops(drilled: Drilled, step: str, exit_code: int, *words: str) -> None:
    """See that it was stopped at a step, with the code and the words of that."""
    assert drilled.fault
    assert (drilled.fault.step, drilled.exit_code) == (step, exit_code), drilled.message
    assert taken(drilled) == STEPS[: STEPS.index(step)]
    for word in words:
        assert word in drilled.message
    assert drilled.hint


# What passes --------------------------------------------------------------------------------


def test_what_a_rollback_goes_back_to_is_tried_step_by_step(live: ModelRegistry) -> None:
    found = live.drill()
    (fraud,) = found.models
    assert (found.passed, found.exit_code, fraud.message, fraud.hint) == (True, 0, "", "")
    assert (fraud.outcome, fraud.live, fraud.back_to) == ("passed", 2, Version("fraud", 1))
    assert taken(fraud) == STEPS
    details = [step.detail for step in fraud.steps]
    assert details[1].startswith("2 files on storage, ")
    assert details[4:] == ["Model", "2 rows, same"]
    assert sum(step.seconds for step in fraud.steps) <= fraud.seconds <= fraud.budget


def test_a_version_without_a_sample_is_loaded_and_asked_nothing(
    repo: Path, train: Train, git: Git
) -> None:
    publish(repo, git)
    for seed in (1, 2):
        ModelRegistry(repo).promote(train("fraud", seed, sample=None))
    ModelRegistry(repo).push()
    fraud = only(ModelRegistry(repo))
    assert (fraud.outcome, fraud.steps[-1].detail) == ("passed", "no sample")


def test_bytes_come_from_the_remote_and_not_from_the_cache(live: ModelRegistry) -> None:
    shutil.rmtree(live.path / ".dvc" / "cache")
    assert only(live).outcome == "passed"
    assert not (live.path / ".dvc" / "cache").exists()


def test_a_folder_is_brought_whole(repo: Path, train: Train, git: Git) -> None:
    publish(repo, git)
    words = repo.parent / "words"
    (words / "more").mkdir(parents=True)
    for name in ("a", "b", "more/c"):
        (words / name).write_text(name)
    train("fraud", 1)
    registry = ModelRegistry(repo)
    tags = [registry.register(repo.parent / "fraud-1.pkl", None, artifacts={"words": words})
            for _ in range(2)]  # fmt: skip
    for tag in tags:
        registry.promote(tag)
    registry.push()
    fraud = only(registry)
    assert fraud.outcome == "passed"
    assert fraud.steps[1].detail.startswith("4 files on storage, ")


# What stops it ------------------------------------------------------------------------------


def test_the_first_version_has_nothing_to_go_back_to(repo: Path, train: Train, git: Git) -> None:
    publish(repo, git)
    ModelRegistry(repo).promote(train())
    fraud = only(ModelRegistry(repo))
    stops(fraud, "rollback", 1, "No previous version to roll back to", "fraud-v1 is the first")
    assert fraud.back_to is None


def test_after_a_rollback_there_is_nothing_to_go_back_to(live: ModelRegistry) -> None:
    live.rollback()
    stops(only(live), "rollback", 1, "already rolled back to fraud-v1 by Ada Lovelace")


def test_a_previous_version_that_was_yanked_is_told_with_its_reason(live: ModelRegistry) -> None:
    live.yank("v1", reason="Alarms at night")
    stops(only(live), "rollback", 1, "fraud-v1: it is yanked", "Alarms at night")


def test_a_previous_version_that_was_purged_is_told(live: ModelRegistry, git: Git) -> None:
    path = live.path / "registry/fraud/pointer.json"  # by hand: mlv purges no previous version
    path.write_text(path.read_text().replace('"v1": "archived"', '"v1": "purged"'))
    git(live.path, "commit", "--quiet", "--all", "--message", "Purge what is needed")
    stops(only(live), "rollback", 1, "fraud-v1: it is purged")


def test_bytes_that_are_not_on_the_remote_are_named(live: ModelRegistry) -> None:
    stored(live.path, "fraud-v1").unlink()
    stops(only(live), "remote", 6, "model.pkl is not on storage")


def test_bytes_of_another_size_are_named(live: ModelRegistry) -> None:
    path = stored(live.path, "fraud-v1")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    stops(only(live), "remote", 4, "model.pkl is", "bytes on storage", "were registered")


def test_bytes_that_were_changed_there_are_never_loaded(
    live: ModelRegistry, environment: Environment, tmp_path: Path
) -> None:
    path = stored(live.path, "fraud-v1")
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    environment.becomes(on_load=f"open({str(tmp_path / 'loaded')!r}, 'w')")
    fraud = only(live)
    stops(fraud, "verify", 4, "model.pkl of fraud-v1 is not what was registered", "'storage'")
    assert "mlv push" in fraud.hint
    assert not (tmp_path / "loaded").exists()


def test_a_remote_that_is_gone_is_named(live: ModelRegistry) -> None:
    shutil.rmtree(live.path.parent / "storage")
    fraud = only(live)
    stops(fraud, "remote", 6, "storage")


def test_a_remote_that_cannot_be_reached_is_told_from_missing_bytes(
    live: ModelRegistry, dvc: Callable[..., str]
) -> None:
    dvc(live.path, "remote", "modify", "--local", "storage", "url", "http://127.0.0.1:9/nothing")
    stops(only(live), "remote", 1, "storage")


def test_a_model_that_raises_on_loading_is_named(
    live: ModelRegistry, environment: Environment
) -> None:
    environment.becomes(on_load="raise ValueError('built for another version')")
    stops(only(live), "load", 1, "model.pkl", "ValueError: built for another version")


@pytest.mark.parametrize(
    ("does", "named"),
    [
        ("os.abort()", ("loading fraud-v1", "SIGABRT")),
        ("os._exit(0)", ("loading fraud-v1", "exit code 0")),
        ("sys.exit(7)", ("model.pkl", "SystemExit: 7")),
    ],
)
def test_a_model_that_ends_python_is_found_and_ends_no_drill(
    live: ModelRegistry, environment: Environment, does: str, named: tuple[str, str]
) -> None:
    environment.becomes(on_load=does)
    stops(only(live), "load", 1, *named)


def test_a_model_that_hangs_is_ended_at_the_budget(
    live: ModelRegistry, environment: Environment
) -> None:
    environment.becomes(on_load="time.sleep(600)")
    fraud = only(live, budget=3.0)
    stops(fraud, "load", 3, "loading fraud-v1 had not ended after 3 s")
    assert fraud.outcome == "over budget"


def test_a_model_that_hangs_on_its_sample_is_ended_too(
    live: ModelRegistry, environment: Environment
) -> None:
    environment.becomes(on_predict="time.sleep(600)")
    stops(only(live, budget=5.0), "predict", 3, "asking fraud-v1 its sample had not ended")


def test_another_answer_than_when_it_was_registered_is_found(
    live: ModelRegistry, environment: Environment
) -> None:
    environment.becomes(tweak="+ 0.5")
    stops(only(live), "predict", 4, "4 of 4 values differ", "by 0.5 at most")


def test_what_takes_longer_than_its_budget_does_not_pass(live: ModelRegistry) -> None:
    assert live.drill(budget=0.001).exit_code == 3
    slow = only(live)._replace(seconds=310.0)
    assert (slow.outcome, slow.exit_code) == ("over budget", 3)
    assert "took 310 s, and the budget is 300 s" in slow.message
    assert "--budget" in slow.hint


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(live: ModelRegistry, budget: float) -> None:
    with pytest.raises(InvalidInput, match="budget"):
        live.drill(budget=budget)


def test_nothing_live_is_an_error_of_its_own(repo: Path, train: Train) -> None:
    train()
    with pytest.raises(NotFound, match="nothing is live"):
        ModelRegistry(repo).drill()
    with pytest.raises(NotFound, match="no model 'ranker'"):
        ModelRegistry(repo).drill(["ranker"])


# Several models -----------------------------------------------------------------------------


def test_each_model_is_drilled_and_the_worst_decides(live: ModelRegistry, train: Train) -> None:
    repo = live.path
    for seed in (1, 2):
        live.promote(train("ranker", seed))
        live.promote(train("scorer", seed + 2))
    live.push()
    stored(repo, "ranker-v1").unlink()
    found = ModelRegistry(repo).drill()
    outcomes = {each.model: (each.outcome, each.exit_code) for each in found.models}
    # The two first versions of fraud and ranker are the same bytes.
    assert outcomes == {"fraud": ("failed", 6), "ranker": ("failed", 6), "scorer": ("passed", 0)}
    assert (found.passed, found.exit_code) == (False, 6)
    scorer = ModelRegistry(repo).drill(["scorer"])
    assert (scorer.passed, len(scorer.models)) == (True, 1)
    assert ModelRegistry(repo, "scorer").drill().models[0].model == "scorer"


# Nothing is touched -------------------------------------------------------------------------


@pytest.mark.parametrize("does", ["pass", "os.abort()", "raise ValueError", "time.sleep(600)"])
def test_refs_index_work_tree_cache_and_remotes_stay_byte_for_byte(
    live: ModelRegistry, environment: Environment, does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = live.path
    temporary = repo.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    environment.becomes(on_load=does)
    (repo / "train.py").write_text("edited, and not committed\n")
    places = (repo, repo.parent / "storage", repo.parent / "origin.git")
    before = fingerprint(*places)
    registry = ModelRegistry(repo)
    registry.drill(budget=3.0)
    assert fingerprint(*places) == before
    assert list(temporary.iterdir()) == []


def test_it_works_where_the_repository_cannot_be_written_to(
    live: ModelRegistry, tmp_path: Path, mlv: Mlv, read_only: Callable[[Path], Path]
) -> None:
    done = mlv(tmp_path, "-C", str(read_only(live.path)), "drill", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"]


def test_it_works_in_a_shallow_clone_that_has_the_tag(
    live: ModelRegistry, git: Git, tmp_path: Path, mlv: Mlv
) -> None:
    clone, origin = tmp_path / "clone", (live.path.parent / "origin.git").as_uri()
    git(tmp_path, "clone", "--quiet", "--depth=1", origin, str(clone))
    lacking = json.loads(mlv(clone, "drill", "--json").stdout)["models"][0]
    assert lacking["stopped_at"] == "rollback"
    assert "git fetch --depth 1 origin tag fraud-v1" in lacking["hint"]
    git(clone, "fetch", "--quiet", "--depth=1", "origin", "tag", "fraud-v1")
    git(clone, "checkout", "--quiet", "--detach")
    done = mlv(clone, "drill", "--quiet")
    assert (done.returncode, done.stdout) == (0, "fraud passed\n"), done.stderr
    assert not (clone / ".dvc" / "cache").exists()


def test_it_works_in_a_bare_repository(live: ModelRegistry, mlv: Mlv) -> None:
    done = mlv(live.path.parent / "origin.git", "drill", "--quiet")
    assert (done.returncode, done.stdout) == (0, "fraud passed\n"), done.stderr
