"""What dvc.yaml declares beside a model's stage is found by itself when the model is registered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]

# Two models in one file; of the first, a stage that measures it, and one that plots.
PIPELINE = """\
stages:
  train:
    cmd: python write.py model.pkl 1
    deps: [write.py]
    params: [train.rate]
    outs: [model.pkl]
    metrics:
      - train.json: {cache: false}
  evaluate:
    cmd: python write.py scores.json 2
    deps: [model.pkl, write.py]
    params: [limit]
    metrics: [scores.json]
    plots:
      - plot.json: {cache: false}
  other:
    cmd: python write.py other.pkl 3
    deps: [write.py]
    outs: [other.pkl]
    metrics:
      - other.json: {cache: false}
metrics: [top.yaml, other.json]
params: [params.yaml]
"""
WRITE = """\
import json, sys
from pathlib import Path
name, number = sys.argv[1], int(sys.argv[2])
Path("model.pkl" if name == "model.pkl" else name).write_text(json.dumps({"auc": number / 10}))
for more in {1: ["train.json"], 2: ["plot.json"], 3: ["other.json"]}[number]:
    Path(more).write_text(json.dumps({"auc": 0.5, "deep": {"loss": number}, "text": "x"}))
"""


@pytest.fixture
def trained(repo: Path, git: Git, dvc: Callable[..., str]) -> Path:
    """Return a repository whose pipeline has run."""
    (repo / "dvc.yaml").write_text(PIPELINE)
    (repo / "write.py").write_text(WRITE)
    (repo / "params.yaml").write_text("train: {rate: 0.1}\nlimit: 7\nseed: 3\n")
    (repo / "top.yaml").write_text("f1: 0.7\nnot_a_number: .nan\n")
    dvc(repo, "repro", "--quiet")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Pipeline")
    return repo


def manifest(repo: Path, *how: Any, notes: list[str] | None = None) -> Any:
    said = [] if notes is None else notes
    registry = ModelRegistry(repo, "fraud", notify=said.append)
    return registry.record(registry.register(repo / "model.pkl", None, *how)).manifest.data


def test_metrics_and_parameters_of_the_models_own_stages_are_taken(trained: Path, git: Git) -> None:
    found = manifest(trained)
    # What two files call the same is told apart; the other model's and plots are left alone.
    assert found["metrics"] == {"auc": 0.5, "deep.loss": 1, "scores.json:auc": 0.2, "f1": 0.7}
    assert found["lineage"]["stage"]["params"] == {"params.yaml": {"train.rate": 0.1}}
    assert found["metadata"]["params"] == {"limit": 7, "seed": 3}
    shown = json.loads(git(trained, "show", "fraud-v1:registry/fraud/params.json"))
    assert shown == {"limit": 7, "seed": 3, "train.rate": 0.1}


def test_what_is_given_wins_by_name(trained: Path) -> None:
    found = manifest(trained, {"auc": 0.99}, {"params": "by hand"})
    assert found["metrics"]["auc"] == 0.99
    assert found["metrics"]["f1"] == 0.7
    assert found["metadata"]["params"] == "by hand"


def test_numbers_that_are_not_of_this_model_are_left_out(
    trained: Path, dvc: Callable[..., str]
) -> None:
    (trained / "train.json").write_text('{"auc": 0.999}')
    notes: list[str] = []
    assert manifest(trained, notes=notes)["metrics"] == {"auc": 0.2, "f1": 0.7}
    assert "train.json is not what its DVC stage last wrote: left out" in notes
    (trained / "model.pkl").unlink()  # it may be a link to the cache
    (trained / "model.pkl").write_text("retrained by hand")
    assert manifest(trained)["metrics"] == {}
    dvc(trained, "commit", "--quiet", "--force", "train")
    assert set(manifest(trained, notes=notes)["metrics"]) == {"auc", "f1"}
    assert "the DVC stage 'evaluate' has not run on this model: left out" in notes


def test_a_dvc_yaml_without_stages_declares_too_and_a_broken_one_stops_nothing(
    repo: Path,
) -> None:
    (repo / "model.pkl").write_text("by hand")
    (repo / "scores.json").write_text('{"auc": 0.5}')
    (repo / "dvc.yaml").write_text("metrics: [scores.json, gone.json]\n")
    notes: list[str] = []
    assert manifest(repo, notes=notes)["metrics"] == {"auc": 0.5}
    assert "gone.json, which dvc.yaml declares, is not here: left out" in notes
    (repo / "dvc.yaml").write_text("metrics: {\n")
    assert manifest(repo, notes=notes)["metrics"] == {}
    assert any("its metrics are left out" in note for note in notes)


def test_of_many_metrics_some_are_named(repo: Path) -> None:
    (repo / "model.pkl").write_text("by hand")
    (repo / "scores.json").write_text(json.dumps({f"m{n:03}": n for n in range(300)}))
    (repo / "dvc.yaml").write_text("metrics: [scores.json]\n")
    notes: list[str] = []
    assert len(manifest(repo, notes=notes)["metrics"]) == 300
    assert any(note.endswith("m018, m019 and 280 more") for note in notes)


def test_one_odd_file_takes_nothing_from_the_others(repo: Path) -> None:
    bomb = ["a0: &a0 {x: 1, y: 2}"]
    bomb += [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}}}" for n in range(1, 14)]
    for name, text in {
        "scores.json": '{"auc": 0.5}',
        "bomb.yaml": "\n".join(bomb),
        "huge.json": f'{{"digits": {"9" * 400}, "loss": 0.25}}',
        "names.json": '{"\\u001b[31mred": 1, "%s": 2, "": 3}' % ("k" * 300),
    }.items():
        (repo / name).write_text(text)
    (repo / "model.pkl").write_text("by hand")
    (repo / "dvc.yaml").write_text("metrics: [bomb.yaml, huge.json, names.json, scores.json]\n")
    notes: list[str] = []
    assert manifest(repo, notes=notes)["metrics"] == {"loss": 0.25, "auc": 0.5}
    assert "bomb.yaml, which dvc.yaml declares, holds too many values: left out" in notes
    assert r"'\x1b[31mred' cannot be a metric's name: left out" in notes


def test_parameters_that_json_has_no_word_for_are_kept_as_text(
    repo: Path, dvc: Callable[..., str]
) -> None:
    (repo / "used.yaml").write_text("missing: .nan\nrates: [1, .inf]\n")
    (repo / "params.yaml").write_text("limit: -.inf\nseed: 3\n")
    (repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: echo made > model.pkl\n    outs: [model.pkl]\n"
        "    params: [used.yaml: [missing, rates]]\nparams: [params.yaml]\n"
    )
    dvc(repo, "repro", "--quiet")
    found = manifest(repo)
    assert found["lineage"]["stage"]["params"]["used.yaml"] == {
        "missing": "nan", "rates": [1, "inf"],
    }  # fmt: skip
    assert found["metadata"]["params"] == {"limit": "-inf", "seed": 3}


def test_a_file_of_somewhere_else_is_read_only_where_it_is_one_of_dvcs(
    repo: Path, tmp_path: Path, dvc: Callable[..., str]
) -> None:
    dvc(repo, "config", "cache.type", "symlink")
    dvc(repo, "config", "cache.dir", str(tmp_path / "cache"))
    (repo / "scores.json").write_text('{"auc": 0.5}')
    dvc(repo, "add", "--quiet", "scores.json")
    assert (repo / "scores.json").is_symlink()
    secret = tmp_path / "secret.json"
    secret.write_text('{"token": "abc", "pin": 1234}')
    (repo / "link.json").symlink_to(secret)
    (repo / "model.pkl").write_text("by hand")
    ways = f"[{secret}, ../secret.json, link.json]"
    (repo / "dvc.yaml").write_text(f"metrics: [scores.json, link.json]\nparams: {ways}\n")
    found = manifest(repo)
    assert found["metrics"] == {"auc": 0.5}
    assert "params" not in found["metadata"]
