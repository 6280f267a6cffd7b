"""The gate where versions are staged and promoted: whose it is, when it is asked, what is kept."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from mlv import (
    ChangedMeanwhile,
    GateFailed,
    IntegrityError,
    InvalidInput,
    ModelRegistry,
    StatusError,
)
from mlv.store.git import Git as StoreGit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]


@pytest.fixture
def registry(repo: Path, write_model: Callable[..., Path]) -> ModelRegistry:
    """Return a registry in which v1 is live, v2 is worse by 10 %, and v3 is better."""
    found = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for seed, auc in enumerate((0.9, 0.81, 0.92), start=1):
        found.register(
            write_model(repo.parent / "m.pkl", seed), None, {"auc": auc}, {"data_window": "w1"}
        )
    found.promote("v1")
    return found


def state(registry: ModelRegistry, git: Git, gate: str, branch: str = "main") -> None:
    """Commit a gate on the branch that is checked out."""
    (registry.path / "mlv.yaml").write_text(f"branch: main\ngate: {gate}\n")
    git(registry.path, "commit", "--quiet", "--all", "--message", f"A gate on {branch}")


def pointer(registry: ModelRegistry, git: Git) -> Any:
    return json.loads(git(registry.path, "show", "main:registry/fraud/pointer.json"))


def last(registry: ModelRegistry) -> dict[str, Any]:
    return registry.history()[-1]


@pytest.mark.parametrize("verb", ["stage", "promote"])
def test_a_worse_version_is_refused_and_nothing_is_changed(
    registry: ModelRegistry, git: Git, verb: str
) -> None:
    tip = git(registry.path, "rev-parse", "main")
    with pytest.raises(GateFailed) as refused:
        getattr(registry, verb)("v2")
    assert refused.value.exit_code == 3
    assert refused.value.message == (
        "fraud-v2 does not meet the gate: "
        "auc is 0.81, 10% worse; fraud-v1, which is live, has 0.9 (auc: max_regression 5%)"
    )
    assert "mlv gate fraud-v2" in refused.value.hint
    assert "--force --reason" in refused.value.hint
    assert not refused.value.verdicts[0].passed
    assert git(registry.path, "rev-parse", "main") == tip


def test_a_yank_that_is_taken_back_is_no_way_round_the_gate(registry: ModelRegistry) -> None:
    registry.yank("v2", reason="Try")
    registry.unyank("v2")
    registry.promote("v3")
    with pytest.raises(StatusError, match="fraud-v2: it never was live"):
        registry.rollback(to="v2")
    assert registry.rollback(to="v1") == "v1"
    assert registry.rollback(to="v3") == "v3"  # which was


def test_a_better_version_passes_and_leaves_no_trace(registry: ModelRegistry, git: Git) -> None:
    registry.stage("v3")
    registry.promote("v3", force=True, reason="To be sure")  # there is nothing to force
    assert "forced" not in pointer(registry, git)
    assert "Mlv-Forced" not in git(registry.path, "log", "-1", "--format=%B")
    assert not any(event["forced"] for event in registry.history())


def test_what_is_forced_is_kept_in_pointer_commit_and_history(
    registry: ModelRegistry, git: Git
) -> None:
    notes: list[str] = []
    loud = ModelRegistry(registry.path, "fraud", notify=notes.append)
    loud.promote("v2", force=True, reason="The other one leaks")
    assert notes[0].startswith("fraud-v2 does not meet the gate: auc is 0.81")
    assert pointer(registry, git)["forced"] == ["v2"]
    assert "Mlv-To: v2\nMlv-Forced: v2" in git(registry.path, "log", "-1", "--format=%B")
    assert (last(registry)["forced"], last(registry)["reason"]) == (True, "The other one leaks")
    assert registry.status()["models"][0]["forced"]
    assert registry.at("9999-01-01")["models"][0]["forced"]
    # For good: what comes afterwards does not take it away.
    registry.rollback()
    assert pointer(registry, git)["forced"] == ["v2"]
    assert not registry.status()["models"][0]["forced"]
    assert [e["forced"] for e in registry.history() if e["action"] == "promote"] == [False, True]


def test_a_squash_that_loses_the_message_does_not_lose_that_it_was_forced(
    registry: ModelRegistry, git: Git
) -> None:
    registry.stage("v2", force=True, reason="Try it")
    tree = git(registry.path, "rev-parse", "main^{tree}")
    squashed = git(registry.path, "commit-tree", tree, "-p", "main~1", "-m", "Merge (#7)")
    git(registry.path, "reset", "--quiet", "--soft", squashed)
    assert last(registry)["forced"]
    assert last(registry)["commit"] == squashed


def test_it_is_not_forced_any_more_once_it_meets_the_gate(
    registry: ModelRegistry, git: Git
) -> None:
    registry.stage("v2", force=True, reason="Try it")
    state(registry, git, "{max_regression: 0.2}")
    registry.promote("v2")
    assert "forced" not in pointer(registry, git)
    assert not last(registry)["forced"]
    assert [e["forced"] for e in registry.history() if e["action"] == "stage"] == [True]


def test_a_version_is_held_against_any_other(registry: ModelRegistry) -> None:
    verdict = registry.gate("v3", against="v2")
    assert (verdict.passed, verdict.champion and verdict.champion.name) == (True, "v2")
    assert verdict.outcomes[0].message == "auc is 0.92, 13.6% better; fraud-v2 has 0.81"
    assert not registry.gate("v2", against="v3").passed


def test_force_needs_a_reason(registry: ModelRegistry) -> None:
    for reason in (None, ""):
        with pytest.raises(InvalidInput, match="needs a reason"):
            registry.promote("v3", force=True, reason=reason)
    with pytest.raises(InvalidInput, match="rollback passes no gate"):
        registry.move("rollback", force=True, reason="Now")


def test_rolling_back_passes_no_gate(registry: ModelRegistry) -> None:
    registry.promote("v2", force=True, reason="Try it")
    registry.promote("v3")
    assert registry.rollback() == "v2"


def test_what_is_live_is_not_judged_again(registry: ModelRegistry, git: Git) -> None:
    state(registry, git, "{metrics: {auc: {min: 0.99}}}")
    assert registry.promote("v1") == "v1"


def test_a_status_that_forbids_the_step_comes_first(registry: ModelRegistry) -> None:
    registry.yank("v2", reason="It leaks")
    with pytest.raises(StatusError, match="yanked"):
        registry.promote("v2", force=True, reason="All the same")


# Whose gate it is ---------------------------------------------------------------------------


def test_the_work_tree_and_another_branch_do_not_relax_the_gate(
    registry: ModelRegistry, git: Git
) -> None:
    git(registry.path, "switch", "--quiet", "--create", "feature")
    state(registry, git, "{}", "feature")
    relaxed = ModelRegistry(registry.path, "fraud", notify=lambda _: None)
    with pytest.raises(GateFailed):
        relaxed.promote("v2")
    assert not relaxed.gate("v2").passed


def test_a_model_has_a_gate_of_its_own(registry: ModelRegistry, git: Git) -> None:
    text = "branch: main\ngate: {max_regression: 0.05}\n"
    text += "models: {fraud: {gate: {max_regression: 0.2}}}\n"
    (registry.path / "mlv.yaml").write_text(text)
    git(registry.path, "commit", "--quiet", "--all", "--message", "Be patient with fraud")
    assert registry.promote("v2") == "v2"


def test_a_branch_without_a_configuration_has_no_gate(registry: ModelRegistry, git: Git) -> None:
    git(registry.path, "rm", "--quiet", "--cached", "mlv.yaml")
    git(registry.path, "commit", "--quiet", "--message", "Remove it")
    assert registry.promote("v2") == "v2"


def test_several_models_go_live_all_or_none(
    registry: ModelRegistry, git: Git, write_model: Callable[..., Path]
) -> None:
    other = ModelRegistry(registry.path, "ranker", notify=lambda _: None)
    other.register(write_model(registry.path.parent / "r.pkl", 9), None, {"auc": 0.5})
    both = ModelRegistry(registry.path, notify=lambda _: None)
    tip = git(registry.path, "rev-parse", "main")
    with pytest.raises(GateFailed, match="fraud-v2"):
        both.move("promote", ["ranker-v1", "fraud-v2"])
    assert git(registry.path, "rev-parse", "main") == tip
    both.move("promote", ["ranker-v1", "fraud-v2"], force=True, reason="Together")
    assert git(registry.path, "log", "-1", "--format=%B").count("Mlv-Forced") == 1
    assert pointer(registry, git)["forced"] == ["v2"]


def test_staging_is_required_of_what_goes_live_alone(registry: ModelRegistry, git: Git) -> None:
    state(registry, git, "{require_staging: true}")
    with pytest.raises(GateFailed, match="fraud-v3 is not in staging"):
        registry.promote("v3")
    registry.stage("v3")
    assert registry.promote("v3") == "v3"


def test_the_live_version_is_read_from_the_branch_where_its_tag_is_not_here(
    registry: ModelRegistry, git: Git
) -> None:
    for ref in ("refs/tags/fraud-v1", "refs/mlv/fraud/v1"):
        git(registry.path, "update-ref", "-d", ref)
    with pytest.raises(GateFailed, match=r"fraud-v1, which is live, has 0\.9"):
        registry.promote("v2")


# Races --------------------------------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have somebody else do something between reading and publishing, once."""
    publish = StoreGit.update_refs
    raced: list[bool] = []

    def update(self: StoreGit, *args: Any) -> None:
        if not raced:
            raced.append(True)
            act()
        publish(self, *args)

    monkeypatch.setattr(StoreGit, "update_refs", update)


def commit_meanwhile(registry: ModelRegistry, git: Git, tree: str) -> Callable[[], object]:
    def act() -> None:
        new = git(registry.path, "commit-tree", tree, "-p", "main", "-m", "Faster")
        git(registry.path, "update-ref", "refs/heads/main", new)

    return act


def a_tree(registry: ModelRegistry, git: Git, change: Callable[[ModelRegistry], object]) -> str:
    """Give the tree that a change would make of the branch, which stays as it is."""
    change(registry)
    tree = git(registry.path, "rev-parse", "main^{tree}")
    git(registry.path, "reset", "--quiet", "--hard", "main~1")
    return tree


def test_staging_is_judged_anew_by_what_went_live_meanwhile(
    registry: ModelRegistry, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote("v2", force=True, reason="A low bar")
    better = a_tree(registry, git, lambda r: r.promote("v3"))
    git(registry.path, "switch", "--quiet", "--create", "elsewhere")
    between = with_data(registry, 4, auc=0.82)
    meanwhile(monkeypatch, commit_meanwhile(registry, git, better))
    with pytest.raises(GateFailed, match=r"fraud-v3, which is live, has 0\.92"):
        registry.stage(between)


def test_a_promotion_is_judged_anew_by_a_gate_that_was_tightened_meanwhile(
    registry: ModelRegistry, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = a_tree(registry, git, lambda r: state(r, git, "{metrics: {auc: {min: 0.99}}}"))
    git(registry.path, "switch", "--quiet", "--create", "elsewhere")
    meanwhile(monkeypatch, commit_meanwhile(registry, git, strict))
    with pytest.raises(GateFailed, match=r"auc is 0\.92, below 0\.99"):
        registry.promote("v3")


def test_a_promotion_stops_where_production_moved_meanwhile(
    registry: ModelRegistry, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = a_tree(registry, git, lambda r: r.promote("v3"))
    git(registry.path, "switch", "--quiet", "--create", "elsewhere")
    meanwhile(monkeypatch, commit_meanwhile(registry, git, moved))
    with pytest.raises(ChangedMeanwhile):
        registry.promote("v2", force=True, reason="Against v1")


# The same data ------------------------------------------------------------------------------


def with_data(
    registry: ModelRegistry, seed: int, auc: float = 0.9, window: str | None = None
) -> str:
    path = registry.path.parent / f"d{seed}.pkl"
    path.write_bytes(bytes([seed]))
    return registry.register(path, None, {"auc": auc}, {"data_window": window} if window else {})


def same_data(registry: ModelRegistry, ref: str) -> tuple[bool, str]:
    [outcome] = [o for o in registry.gate(ref).outcomes if o.rule == "same_data"]
    return not outcome.blocks, outcome.message


def test_what_is_stated_of_the_data_counts_where_nothing_else_is_known(
    registry: ModelRegistry, git: Git
) -> None:
    state(registry, git, "{same_data: true}")
    assert same_data(registry, with_data(registry, 4, window="w1"))[0]
    passed, why = same_data(registry, with_data(registry, 5, window="w2"))
    assert (passed, why) == (False, "trained on other data than fraud-v1: data_window")
    assert "not known" in same_data(registry, with_data(registry, 6))[1]


def dvc_file(md5: str, path: str) -> str:
    return f"outs:\n- md5: {md5}\n  size: 1\n  hash: md5\n  path: {path}\n"


def test_the_data_are_what_dvc_files_name_but_not_the_versions_own_artifacts(
    registry: ModelRegistry, git: Git
) -> None:
    state(registry, git, "{same_data: true}")
    data = registry.path / "data.csv.dvc"
    data.write_text(dvc_file("a" * 32, "data.csv"))
    git(registry.path, "add", "data.csv.dvc")
    git(registry.path, "commit", "--quiet", "--message", "Data")
    live = with_data(registry, 4)
    registry.promote(live, force=True, reason="To begin with")
    own = registry.record(with_data(registry, 5)).manifest.artifacts["model"].md5
    (registry.path / "model.pkl.dvc").write_text(dvc_file(own, "model.pkl"))
    again = with_data(registry, 5)  # the same bytes, and now DVC has a note of them
    assert same_data(registry, again) == (True, f"trained on the data of fraud-{live}")
    (registry.path / "model.pkl.dvc").unlink()
    data.write_text(dvc_file("b" * 32, "data.csv"))
    assert same_data(registry, with_data(registry, 6)) == (
        False, f"trained on other data than fraud-{live}: data.csv",
    )  # fmt: skip


LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - {{path: data, md5: {data}, size: 1}}
    - {{path: prepared, md5: {data}, size: 1}}
    - {{path: src, md5: {code}, size: 1}}
    - {{path: train.py, md5: {code}, size: 1}}
    outs:
    - {{path: model.pkl, md5: {model}, size: 5}}
"""


def test_of_a_stages_dependencies_code_is_not_data(registry: ModelRegistry, git: Git) -> None:
    state(registry, git, "{same_data: true}")
    top = registry.path
    for name, text in {
        "train.py": "1", "src/lib.py": "1", "data/.gitignore": "/raw.csv\n",
        "prepared/.gitignore": "*\n!.gitignore\n",
        "data/raw.csv.dvc": dvc_file("a" * 32, "raw.csv"),
    }.items():  # fmt: skip
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message", "A pipeline")

    def trained(seed: int, data: str, code: str) -> str:
        bytes_ = f"seed{seed}".encode()
        (top / "model.pkl").write_bytes(bytes_)
        digest = hashlib.md5(bytes_, usedforsecurity=False).hexdigest()
        (top / "dvc.lock").write_text(LOCK.format(data=data, code=code, model=digest))
        return registry.register(top / "model.pkl", None, {"auc": 0.9})

    one, two = "1" * 32, "2" * 32
    live = trained(1, one, one)
    assert "stage" in registry.get_manifest(live)["lineage"]
    registry.promote(live, force=True, reason="To begin with")
    assert same_data(registry, trained(2, one, two))[0]
    assert same_data(registry, trained(3, two, one)) == (
        False, f"trained on other data than fraud-{live}: data, prepared",
    )  # fmt: skip


# Reading a pointer --------------------------------------------------------------------------


def test_a_pointer_whose_forced_was_edited_is_told(registry: ModelRegistry, git: Git) -> None:
    registry.promote("v2", force=True, reason="Try it")
    path = registry.path / "registry/fraud/pointer.json"
    document = json.loads(path.read_text())
    del document["forced"]
    path.write_text(json.dumps(document, indent=2) + "\n")
    git(registry.path, "commit", "--quiet", "--all", "--message", "Clean up")
    event = last(registry)
    assert (event["action"], event["status_before"], event["status"]) == (
        "changed", "forced past the gate", "not forced",
    )  # fmt: skip
    document["forced"] = ["v3"]
    path.write_text(json.dumps(document, indent=2) + "\n")
    git(registry.path, "commit", "--quiet", "--all", "--message", "Worse")
    with pytest.raises(IntegrityError, match="forced names v3, which has no status"):
        registry.current_version()
