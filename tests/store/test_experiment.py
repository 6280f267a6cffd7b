"""The result of a DVC experiment, registered from its commit while the work tree stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import InvalidInput, ModelRegistry, NotFound

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]

PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [rate]
    outs: [out/model.pkl, words]
    metrics:
      - scores.json: {cache: false}
"""
TRAIN = """\
import json
from pathlib import Path
rate = Path("params.yaml").read_text().split()[1]
Path("out").mkdir(exist_ok=True)
Path("words").mkdir(exist_ok=True)
Path("out/model.pkl").write_text(f"trained at {rate}")
Path("words/a.txt").write_text(rate)
Path("scores.json").write_text(json.dumps({"auc": float(rate)}))
"""


@pytest.fixture
def tried(repo: Path, git: Git, dvc: Callable[..., str]) -> Path:
    """A repository whose pipeline ran at 0.1, and as an experiment, ``faster``, at 0.7."""
    (repo / "dvc.yaml").write_text(PIPELINE)
    (repo / "train.py").write_text(TRAIN)
    (repo / "params.yaml").write_text("rate: 0.1\n")
    dvc(repo, "repro", "--quiet")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Pipeline")
    dvc(repo, "exp", "run", "--quiet", "--temp", "--name", "faster", "--set-param", "rate=0.7")
    return repo


def test_an_experiments_result_is_registered_without_applying_it(
    tried: Path, git: Git, dvc: Callable[..., str]
) -> None:
    repo = tried
    before = git(repo, "status", "--porcelain"), (repo / "out" / "model.pkl").read_bytes()
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    model, words = repo / "out" / "model.pkl", repo / "words"
    name = registry.register(model, None, artifacts={"words": words}, experiment="faster")
    found = registry.record(name)
    assert (git(repo, "status", "--porcelain"), model.read_bytes()) == before
    facts = found.manifest.data["lineage"]
    commit = git(repo, "for-each-ref", "--format=%(objectname)", "refs/exps/**/faster")
    assert git(repo, "rev-parse", "fraud-v1^") == facts["commit"] == commit
    assert (facts["experiment"], facts["branch"], facts["dirty"]) == ("faster", None, [])
    assert facts["stage"]["params"] == {"params.yaml": {"rate": 0.7}}
    assert found.manifest.metrics == {"auc": 0.7}
    files = registry.artifacts("v1")
    assert files["model"].read_text() == "trained at 0.7"
    assert (files["words"] / "a.txt").read_text() == "0.7"
    # Its commit outlives the experiment, and DVC brings all of it.
    dvc(repo, "exp", "remove", "--quiet", "faster")
    git(repo, "gc", "--quiet", "--prune=now")
    git(repo, "checkout", "--quiet", "fraud-v1")
    dvc(repo, "checkout", "--quiet")
    assert (repo / "out" / "model.pkl").read_text() == "trained at 0.7"
    with pytest.raises(NotFound, match="no DVC experiment 'faster'"):
        registry.register(model, None, experiment="faster")


def test_the_command_registers_the_experiment_it_is_given(
    tried: Path, mlv: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    argv = ("register", "out/model.pkl", "--no-preprocessor", "--exp")
    done = mlv(tried, *argv, "faster")
    assert done.returncode == 0, done.stderr
    registry = ModelRegistry(tried, notify=lambda _: None)
    assert registry.artifacts("v1")["model"].read_text() == "trained at 0.7"
    assert registry.record("v1").manifest.data["lineage"]["experiment"] == "faster"
    done = mlv(tried, *argv, "slower")
    assert done.returncode == 6
    assert "there is no DVC experiment 'slower' here" in done.stderr
    assert "known are faster" in done.stderr
    assert len(registry.list_versions()) == 1


def test_what_an_experiment_does_not_hold_is_named(repo: Path, git: Git, tmp_path: Path) -> None:
    (repo / "link.pkl").symlink_to("mlv.yaml")
    git(repo, "add", "link.pkl")
    git(repo, "commit", "--quiet", "--message", "Link")
    head = git(repo, "rev-parse", "HEAD")
    git(repo, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/idle", head)
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    with pytest.raises(InvalidInput, match=r"'idle' has no gone\.pkl"):
        registry.register(repo / "gone.pkl", None, experiment="idle")
    (repo / "link.pkl").unlink()
    with pytest.raises(
        InvalidInput, match=r"'idle' has no link\.pkl"
    ):  # where it leads is no model
        registry.register(repo / "link.pkl", None, experiment="idle")
    with pytest.raises(InvalidInput, match="no experiment holds it"):
        registry.register(tmp_path / "model.pkl", None, experiment="idle")
    registry.register(repo / "mlv.yaml", None, experiment=head)  # a file that Git has will do
    assert registry.artifacts("v1")["model"].read_bytes() == (repo / "mlv.yaml").read_bytes()


def test_of_two_of_a_name_the_one_that_began_here_is_meant(repo: Path, git: Git) -> None:
    tips = [git(repo, "rev-parse", "HEAD")]
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    tips.append(git(repo, "rev-parse", "HEAD"))
    made = []
    for tip in tips:
        made.append(git(repo, "commit-tree", "-p", tip, "-m", "Result", f"{tip}^{{tree}}"))
        git(repo, "update-ref", f"refs/exps/{tip[:2]}/{tip[2:]}/idle", made[-1])
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    registry.register(repo / "mlv.yaml", None, experiment="idle")
    assert git(repo, "rev-parse", "fraud-v1^") == made[1]
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Go on again")
    with pytest.raises(InvalidInput, match="2 DVC experiments are called 'idle'") as caught:
        registry.register(repo / "mlv.yaml", None, experiment="idle")
    assert made[0][:10] in caught.value.hint
