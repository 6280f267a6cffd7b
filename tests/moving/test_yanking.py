"""Yanking: what was withdrawn is given to nobody, and who asks is told why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlv import InvalidInput, ModelRegistry, StatusError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    Run = Callable[..., str]
    Mlv = Callable[..., Any]
    Tick = Callable[[], datetime]

WHY = "model-v2 is yanked.*yanked by Ada Lovelace on 2026-01-01 12:01Z: leaks the label"


def quiet(_: str) -> None:
    """Take a note and let it go."""


def opened(folder: Path) -> ModelRegistry:
    return ModelRegistry(folder, notify=quiet)


@pytest.fixture
def three(repo: Path, write_model: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a registry in which v3 is live, and v2 and v1 were."""
    registry = opened(repo)
    for seed in (1, 2, 3):
        registry.promote(registry.register(write_model(tmp_path / "model.pkl", seed), None))
    return repo


def test_a_yanked_version_is_neither_promoted_staged_nor_handed_out_and_all_say_why(
    three: Path, tick: Tick
) -> None:
    tick()
    registry = opened(three)
    assert registry.yank("v2", reason="leaks\nthe label") == "v2"
    tick()
    for attempt in (registry.promote, registry.stage, registry.artifacts, registry.load):
        with pytest.raises(StatusError, match=WHY) as refused:
            attempt("v2")
        assert refused.value.hint
        assert refused.value.exit_code == 1


def test_what_was_handed_out_before_is_not_handed_out_again(three: Path) -> None:
    registry = opened(three)
    files = registry.artifacts("v2")
    assert registry.load("v2")["model"]["seed"] == 2
    opened(three).yank("v2", reason="leaks")
    with pytest.raises(StatusError, match="is yanked"):
        registry.load("v2")
    assert files["model"].is_file()  # the bytes are kept, for an audit
    assert registry.verify("v2") == {"model": "ok"}


def test_a_rollback_to_a_yanked_previous_stops_and_names_the_others(
    three: Path, tick: Tick
) -> None:
    tick()
    registry = opened(three)
    registry.yank("v2", reason="leaks the label")
    with pytest.raises(StatusError, match="cannot roll back to model-v2: it is yanked") as refused:
        registry.rollback()
    assert "leaks the label" in refused.value.message
    assert "mlv rollback --to v1" in refused.value.hint
    assert registry.rollback(to="v1") == "v1"


def test_what_is_live_is_not_yanked(three: Path) -> None:
    with pytest.raises(StatusError, match="model-v3 is live") as refused:
        opened(three).yank("v3", reason="leaks")
    assert "mlv rollback" in refused.value.hint


@pytest.mark.parametrize("reason", ["", " \n", "\x1b[31m"])
def test_a_yank_needs_a_reason(three: Path, git: Run, reason: str) -> None:
    head = git(three, "rev-parse", "main")
    with pytest.raises(InvalidInput, match="reason"):
        opened(three).yank("v2", reason=reason)
    assert git(three, "rev-parse", "main") == head


def test_a_yank_taken_back_gives_the_version_out_again(three: Path, git: Run) -> None:
    registry = opened(three)
    registry.yank("v2", reason="leaks the label")
    assert git(three, "log", "-1", "--format=%B", "main") == (
        "Yank model-v2\n\nleaks the label\n\nMlv-Action: yank\nMlv-Model: model\nMlv-To: v2"
    )
    assert registry.unyank("v2", reason="it did not") == "v2"
    assert git(three, "log", "-1", "--format=%B", "main") == (
        "Take back the yank of model-v2\n\nit did not\n\n"
        "Mlv-Action: unyank\nMlv-Model: model\nMlv-To: v2"
    )
    assert registry.get_manifest("v2")["status"] == "archived"
    assert registry.load("v2")["model"]["seed"] == 2
    assert registry.rollback() == "v2"


def test_yanking_twice_makes_no_second_commit(three: Path, git: Run) -> None:
    said: list[str] = []
    registry = ModelRegistry(three, notify=said.append)
    registry.yank("v2", reason="leaks")
    head = git(three, "rev-parse", "main")
    registry.yank("v2", reason="leaks")
    assert git(three, "rev-parse", "main") == head
    assert said == ["model-v2 is yanked already: nothing was changed"]


def test_the_last_of_two_yanks_says_why(three: Path) -> None:
    registry = opened(three)
    registry.yank("v2", reason="the first reason")
    registry.unyank("v2")
    registry.yank("v2", reason="the second reason")
    with pytest.raises(StatusError, match="the second reason"):
        registry.load("v2")


def test_a_yank_is_published_and_stops_another_clone(three: Path, git: Run, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(three, "remote", "add", "origin", str(tmp_path / "origin.git"))
    opened(three).push()
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "other")
    other = opened(tmp_path / "other")
    opened(three).yank("v2", reason="leaks the label", push=True)
    assert other.load("v2")["model"]["seed"] == 2  # it has not heard of it
    with pytest.raises(StatusError, match="leaks the label"):
        other.promote("v2", push=True)
    other.fetch()
    with pytest.raises(StatusError, match="leaks the label"):
        other.load("v2")


def test_what_nobody_else_has_is_not_yanked_for_them(
    three: Path, git: Run, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(three, "remote", "add", "origin", str(tmp_path / "origin.git"))
    registry = opened(three)
    registry.push()
    registry.register(write_model(tmp_path / "model.pkl", 4), None)
    with pytest.raises(StatusError, match="model-v4 is not published") as refused:
        registry.yank("v4", reason="leaks", push=True)
    assert "mlv push model-v4" in refused.value.hint
    assert registry.yank("v4", reason="leaks") == "v4"


def test_without_history_a_yank_is_still_refused(three: Path, git: Run, tmp_path: Path) -> None:
    opened(three).yank("v2", reason="leaks")
    git(three, "commit", "--quiet", "--allow-empty", "--message", "Later")
    git(tmp_path, "clone", "--quiet", "--depth", "1", three.as_uri(), "shallow")
    shallow = tmp_path / "shallow"
    git(shallow, "fetch", "--quiet", "--depth", "1", "origin", "tag", "model-v2")
    with pytest.raises(StatusError, match="model-v2 is yanked: it is not handed out"):
        opened(shallow).load("v2")
