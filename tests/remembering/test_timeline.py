"""mlv history and mlv at, on real branches: merges, squashes, skewed clocks, edits by hand."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ConfigError, IntegrityError, InvalidInput, ModelRegistry
from mlv.remembering.moment import parse_when
from mlv.remembering.timeline import last_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Tick = Callable[[], datetime]

POINTER = "registry/fraud/pointer.json"


def moves(folder: Path, model: str | None = None) -> list[dict[str, Any]]:
    """Give what happened but registrations, which carry the time of the machine."""
    return [e for e in ModelRegistry(folder, model).history() if e["action"] != "register"]


def told(folder: Path, model: str | None = None) -> list[tuple[str, str | None, str | None]]:
    """Give action, version, and what was live."""
    return [(e["action"], e["version"], e["was"]) for e in moves(folder, model)]


def live_at(folder: Path, when: datetime | str) -> list[str]:
    return [each["tag"] for each in ModelRegistry(folder).at(when)["models"]]


@pytest.fixture
def fraud(
    repo: Path, git: Git, tick: Tick, tmp_path: Path, write_model: Callable[..., Path]
) -> Path:
    """Return a registry of four versions of `fraud`, v1 live; nothing is published."""
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    for seed in range(4):
        registry.register(write_model(tmp_path / "m.pkl", seed), None)
    tick()
    registry.promote("v1", reason="The first")
    git(repo, "config", "core.editor", "true")
    return repo


def commit_code(folder: Path, git: Git, name: str) -> None:
    (folder / name).write_text(name)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", f"Add {name}")


def propose(folder: Path, git: Git, verb: str, *args: str) -> None:
    """Put a step onto a branch `proposal`, and leave main as it is."""
    before = git(folder, "rev-parse", "main")
    getattr(ModelRegistry(folder, notify=lambda _: None), verb)(*args, reason="Proposed")
    git(folder, "branch", "--force", "proposal", "main")
    git(folder, "reset", "--quiet", "--hard", before)


@pytest.fixture
def ada_and_bob(fraud: Path, git: Git, tmp_path: Path) -> tuple[Path, Path]:
    """Return the registry as Ada has it and a clone of it that is Bob's."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "shared.git")
    git(fraud, "remote", "add", "origin", str(tmp_path / "shared.git"))
    git(fraud, "push", "--quiet", "--set-upstream", "origin", "main", "--tags")
    git(tmp_path, "clone", "--quiet", "shared.git", "bob")
    bob = tmp_path / "bob"
    git(bob, "config", "user.name", "Bob")
    git(bob, "config", "user.email", "bob@example.com")
    return fraud, bob


# What happened ------------------------------------------------------------------------------


def test_everything_is_told_oldest_first_with_who_when_and_why(fraud: Path, tick: Tick) -> None:
    registry = ModelRegistry(fraud)
    registry.stage("v2")
    then = tick()
    registry.promote("v2", reason="Better on\nevery metric")
    registry.rollback(reason="Worse")
    assert told(fraud) == [
        ("promote", "v1", None),
        ("stage", "v2", "v1"),
        ("promote", "v2", "v1"),
        ("rollback", "v1", "v2"),
    ]
    promotion = moves(fraud)[-2]
    assert promotion["author"] == promotion["committer"] == "Ada Lovelace <ada@example.com>"
    assert promotion["reason"] == "Better on\nevery metric"
    assert promotion["time"] == then.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert promotion["status_before"] == "staging"


def test_registrations_come_from_the_tags(fraud: Path, git: Git) -> None:
    events = [e for e in ModelRegistry(fraud).history() if e["action"] == "register"]
    assert [e["version"] for e in events] == ["v1", "v2", "v3", "v4"]
    first = events[0]
    manifest = ModelRegistry(fraud).get_manifest("v1")
    assert first["time"] == manifest["registered_at"]
    assert first["author"] == manifest["registered_by"]
    assert first["commit"] == git(fraud, "rev-parse", "fraud-v1^{commit}")


@pytest.mark.parametrize("way", ["--no-ff", "--squash", "rebase"])
@pytest.mark.parametrize("moved_on", [False, True], ids=["onto its base", "main moved on"])
def test_a_pull_request_is_told_once_however_it_was_merged(
    fraud: Path, git: Git, tick: Tick, way: str, *, moved_on: bool
) -> None:
    propose(fraud, git, "promote", "v2")
    proposed = git(fraud, "show", "-s", "--format=%an <%ae>", "proposal")
    if moved_on:
        commit_code(fraud, git, "other.py")
    git(fraud, "config", "user.name", "Grace Hopper")
    merged = tick()
    if way == "rebase":
        git(fraud, "cherry-pick", "proposal")
    else:
        git(fraud, "merge", "--quiet", way, "--message=Merge pull request #7", "proposal")
    if way == "--squash":
        git(fraud, "commit", "--quiet", "--message", "Promote v2 (#7)\n\nProposed\n\nMlv-To: v9")
    assert told(fraud) == [("promote", "v1", None), ("promote", "v2", "v1")]
    event = moves(fraud)[-1]
    assert event["commit"] == git(fraud, "rev-parse", "main")
    assert event["time"] == merged.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert event["reason"] == "Proposed"
    assert event["uncertain_since"] is None
    assert event["committer"].startswith("Grace Hopper")
    if way != "--squash":
        assert event["author"] == proposed
    assert live_at(fraud, merged - timedelta(seconds=1)) == ["fraud-v1"]
    assert live_at(fraud, merged) == ["fraud-v2"]


def test_several_models_in_one_commit_are_as_many_events(
    fraud: Path, git: Git, tmp_path: Path, write_model: Callable[..., Path], tick: Tick
) -> None:
    ranker = ModelRegistry(fraud, "ranker", notify=lambda _: None)
    ranker.register(write_model(tmp_path / "m.pkl", 9), None)
    before = git(fraud, "rev-parse", "main")
    ranker.promote("v1")
    ModelRegistry(fraud, "fraud").promote("v2")
    now = tick()
    git(fraud, "reset", "--quiet", "--soft", before)
    git(fraud, "commit", "--quiet", "--message", "Promote two")
    events = moves(fraud)[-2:]
    assert {(e["model"], e["version"], e["commit"]) for e in events} == {
        ("fraud", "v2", git(fraud, "rev-parse", "main")),
        ("ranker", "v1", git(fraud, "rev-parse", "main")),
    }
    assert told(fraud, "ranker") == [("promote", "v1", None)]
    assert live_at(fraud, now) == ["fraud-v2", "ranker-v1"]


def test_a_reverted_promotion_is_a_rollback(fraud: Path, git: Git) -> None:
    ModelRegistry(fraud).promote("v2")
    git(fraud, "revert", "--no-edit", "HEAD")
    assert told(fraud)[-1] == ("rollback", "v1", "v2")
    assert live_at(fraud, moves(fraud)[-1]["time"]) == ["fraud-v1"]


def test_a_first_promotion_that_is_reverted_leaves_nothing_live(
    fraud: Path, git: Git, tick: Tick, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    ranker = ModelRegistry(fraud, "ranker", notify=lambda _: None)
    ranker.register(write_model(tmp_path / "r.pkl", 9), None)
    tick()
    ranker.promote("v1")
    git(fraud, "revert", "--no-edit", "HEAD~1")
    registry = ModelRegistry(fraud)
    assert registry.status()["problems"] == []
    assert ModelRegistry(fraud, "fraud").current_version() is None
    event = moves(fraud)[-1]
    assert (event["action"], event["version"], event["status"]) == ("changed", "v1", "registered")
    assert live_at(fraud, event["time"]) == ["ranker-v1"]
    assert ModelRegistry(fraud, "fraud").promote("v2") == "v2"
    assert told(fraud, "fraud")[-1] == ("promote", "v2", None)


def test_an_edit_by_hand_is_told_as_such(fraud: Path, git: Git) -> None:
    path = fraud / POINTER
    path.write_text(
        path.read_text().replace('"v1": "production"', '"v1": "production",\n    "v3": "archived"')
    )
    git(fraud, "commit", "--quiet", "--all", "--message", "Promote fraud-v3\n\nMlv-Action: promote")
    event = moves(fraud)[-1]
    assert (event["action"], event["version"]) == ("changed", "v3")
    assert (event["status_before"], event["status"]) == ("registered", "archived")


def test_an_unreadable_pointer_and_one_that_is_gone_are_told_and_never_guessed_at(
    fraud: Path, git: Git, tick: Tick
) -> None:
    tick()
    good = (fraud / POINTER).read_bytes()
    (fraud / POINTER).write_text("<<<<<<< HEAD")
    git(fraud, "commit", "--quiet", "--all", "--message", "Conflict")
    broken = tick()
    git(fraud, "rm", "--quiet", POINTER)
    git(fraud, "commit", "--quiet", "--message", "Remove")
    gone = tick()
    (fraud / POINTER).write_bytes(good)
    git(fraud, "add", POINTER)
    git(fraud, "commit", "--quiet", "--message", "Mend")
    changes = [
        (e["action"], e["version"], e["status_before"], e["status"]) for e in moves(fraud)[-3:]
    ]
    assert changes == [
        ("changed", None, "readable", "unreadable"),
        ("changed", None, "unreadable", "missing"),
        ("changed", None, "missing", "readable"),
    ]
    for when, how in ((broken - timedelta(seconds=1), "unreadable"), (gone, "v1")):
        if how == "v1":
            assert live_at(fraud, when) == ["fraud-v1"]
            continue
        with pytest.raises(IntegrityError, match=f"pointer.json was {how}"):
            live_at(fraud, when)


# Clocks -------------------------------------------------------------------------------------


def test_a_slow_clock_reorders_nothing(
    fraud: Path, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(fraud)
    now = tick()
    registry.promote("v2")
    monkeypatch.setenv("GIT_COMMITTER_DATE", (now - timedelta(days=9)).isoformat())
    registry.promote("v3")
    assert told(fraud)[-2:] == [("promote", "v2", "v1"), ("promote", "v3", "v2")]
    assert live_at(fraud, now - timedelta(days=1)) == []
    assert live_at(fraud, now - timedelta(seconds=1)) == ["fraud-v1"]
    assert live_at(fraud, now) == ["fraud-v3"]


def test_a_clock_that_is_ahead_moves_nobody_elses_promotion(
    fraud: Path, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2090-01-01T00:00:00+00:00")
    ModelRegistry(fraud).promote("v2")
    now = tick()
    ModelRegistry(fraud).promote("v3")
    assert moves(fraud)[-1]["time"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert live_at(fraud, now) == ["fraud-v3"]


# Merges that turn the branch round ----------------------------------------------------------


def test_a_pull_that_was_pushed_is_uncertain(
    ada_and_bob: tuple[Path, Path], git: Git, tick: Tick
) -> None:
    ada, bob = ada_and_bob
    published = tick()
    ModelRegistry(ada).promote("v2", reason="Better")
    git(ada, "push", "--quiet")
    tick()
    commit_code(bob, git, "mine.py")
    pulled = tick()
    git(bob, "pull", "--quiet", "--no-rebase")
    event = moves(bob)[-1]
    assert (event["action"], event["version"]) == ("promote", "v2")
    assert event["uncertain_since"] == published.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert event["author"].startswith("Ada")
    assert event["committer"].startswith("Bob")
    between = ModelRegistry(bob).at(published + timedelta(seconds=30))
    assert [each["version"] for each in between["models"]] == ["v1"]
    assert "uncertain" in between["notes"][0]
    after = ModelRegistry(bob).at(pulled)
    assert after["models"][0]["since"]["uncertain_since"] == event["uncertain_since"]


def test_a_pull_with_words_of_its_own_is_uncertain_all_the_same(
    ada_and_bob: tuple[Path, Path], git: Git
) -> None:
    ada, bob = ada_and_bob
    ModelRegistry(ada).promote("v2")
    git(ada, "push", "--quiet")
    commit_code(bob, git, "mine.py")
    git(bob, "fetch", "--quiet")
    git(bob, "merge", "--quiet", "--message=Catch up", "origin/main")
    assert moves(bob)[-1]["uncertain_since"]


# Moments ------------------------------------------------------------------------------------


def test_what_was_live_comes_with_its_hashes_and_how_to_get_it(
    fraud: Path, git: Git, tick: Tick
) -> None:
    tick()
    ModelRegistry(fraud).promote("v2", reason="Better")
    staged = tick()
    ModelRegistry(fraud).stage("v3")
    found = ModelRegistry(fraud).at(staged)
    [live] = found["models"]
    assert (live["version"], live["previous"], live["staging"]) == ("v2", "v1", "v3")
    assert live["since"]["reason"] == "Better"
    assert live["since"]["commit"] == git(fraud, "rev-parse", "main^")
    manifest = ModelRegistry(fraud).get_manifest("v2")
    assert live["artifacts"]["model"]["sha256"] == manifest["model_sha256"]
    assert found["get"] == f"git checkout {git(fraud, 'rev-parse', 'main')} && dvc pull"
    git(fraud, "checkout", "--quiet", found["commit"])
    assert f'"current": "{live["version"]}"' in (fraud / POINTER).read_text()


def test_before_the_first_nothing_was_live_and_the_future_is_named(fraud: Path) -> None:
    before = ModelRegistry(fraud).at("2020-01-01")
    assert (before["models"], before["commit"], before["get"]) == ([], None, None)
    assert "went live or was staged at 2026-01-01T12:01:00Z" in before["notes"][0]
    later = ModelRegistry(fraud).at("9999-01-01")
    assert later["notes"] == ["that is still to come: this is what is live now"]
    assert [each["version"] for each in later["models"]] == ["v1"]


def test_a_folder_that_is_not_the_live_versions_is_named(fraud: Path, git: Git) -> None:
    path = fraud / POINTER
    path.write_text(path.read_text().replace("v1", "v2"))
    git(fraud, "commit", "--quiet", "--all", "--message", "By hand")
    with pytest.raises(IntegrityError, match="not the folder of fraud-v2"):
        ModelRegistry(fraud).at("9999-01-01")


@pytest.mark.usefixtures("ada_and_bob")
def test_a_shallow_clone_refuses(git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tmp_path}/shared.git", "shallow")
    registry = ModelRegistry(tmp_path / "shallow")
    for ask in (registry.history, lambda: registry.at("2026-01-01")):
        with pytest.raises(ConfigError, match="history was cut off") as error:
            ask()
        assert error.value.hint == "git fetch --unshallow"
    git(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert told(tmp_path / "shallow") == [("promote", "v1", None)]


def test_git_settings_of_the_user_change_nothing(fraud: Path, git: Git) -> None:
    ModelRegistry(fraud).promote("v2")
    expected = ModelRegistry(fraud).history()
    for key, value in {
        "log.showSignature": "true", "log.showRoot": "false", "log.mailmap": "true",
        "log.diffMerges": "combined", "log.follow": "true", "color.ui": "always",
        "diff.renames": "copies", "format.pretty": "oneline", "i18n.logOutputEncoding": "latin1",
    }.items():  # fmt: skip
        git(fraud, "config", key, value)
    assert ModelRegistry(fraud).history() == expected


@pytest.mark.parametrize(
    ("text", "seconds", "meaning"),
    [
        ("2026-05-01 23:00+02:00", "2026-05-01T21:00:00", "2026-05-01 23:00:00+02:00"),
        ("2026-05-01 23:00 +02:00", "2026-05-01T21:00:00", "2026-05-01 23:00:00+02:00"),
        ("2026-05-01t21:00:00z", "2026-05-01T21:00:00", "2026-05-01 21:00:00Z"),
        ("2026-05-01T21:00", "2026-05-01T21:00:00", "2026-05-01 21:00:00Z, local time"),
        (
            "2026-05-01",
            "2026-05-01T23:59:59.999999",
            "2026-05-01 23:59:59Z, the end of that day, local time",
        ),
    ],
)
def test_forms_of_a_moment(text: str, seconds: str, meaning: str) -> None:
    found = parse_when(text)
    assert found.seconds == datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp()
    assert found.meaning == meaning


@pytest.mark.parametrize(
    ("text", "seconds", "odd"),
    [
        ("2026-10-25 02:30", "2026-10-25T00:30:00", "which came twice: the first is meant"),
        ("2026-10-25 01:59", "2026-10-24T23:59:00", "local time"),
        ("2026-03-29 02:30", None, "which the clocks left out"),
        ("2026-03-29 03:00", "2026-03-29T01:00:00", "local time"),
    ],
)
def test_an_hour_that_comes_twice_or_not_at_all_is_said(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: str | None, odd: str
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        when = parse_when(text)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert when.meaning.endswith(odd)
    if seconds:
        assert when.seconds == datetime.fromisoformat(f"{seconds}+00:00").timestamp()


def test_python_passes_dates_and_datetimes() -> None:
    zoned = datetime(2026, 5, 1, 23, tzinfo=timezone(timedelta(hours=2)))
    assert parse_when(zoned) == parse_when("2026-05-01 23:00+02:00")
    assert parse_when(date(2026, 5, 1)) == parse_when("2026-05-01")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "20:00", "2026", "0001-01-01T00:00+14:00x"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(repr(text))):
        parse_when(text)


# The last event -----------------------------------------------------------------------------


def test_who_did_it_last_to_a_version_and_why(fraud: Path, git: Git) -> None:
    registry = ModelRegistry(fraud)
    registry.promote("v2", reason="Better")
    registry.promote("v3")
    registry.rollback(to="v2", reason="Worse")
    versions, tip = registry._versions, registry._versions.need_tip()
    found = last_event(versions, tip, "fraud", 2, {"promote"})
    assert found
    assert (found.reason, found.commit) == ("Better", git(fraud, "rev-parse", "main~2"))
    found = last_event(versions, tip, "fraud", 2, {"promote", "rollback"})
    assert found
    assert found.reason == "Worse"
    assert last_event(versions, tip, "fraud", 4, {"promote"}) is None
