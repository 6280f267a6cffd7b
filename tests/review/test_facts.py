"""What a report tells of the two versions, read from a real repository."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mlv import ModelRegistry
from mlv.domain import pointer as pointers
from mlv.domain.names import Version
from mlv.domain.rules import OPEN
from mlv.review import facts
from mlv.review.report import Between
from mlv.store import config as configs
from mlv.store import process
from mlv.store.git import Git, find
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.review.report import Proposal

    RunGit = Callable[..., str]


class Made(NamedTuple):
    """A repository in which v1 is live and v2 and v3 were trained on later commits."""

    top: Path
    oids: tuple[str, ...]


def look(top: Path) -> Versions:
    return Versions(Git(find(top)), configs.Config())


def propose(versions: Versions, number: int | None, action: str = "promote") -> Proposal:
    before = pointers.promote(pointers.empty("fraud"), 1)
    after, _ = pointers.decide(before, action, number)
    return facts.proposal(versions, action, before, after, number, verdict=None, gate=OPEN)


@pytest.fixture(scope="module")
def _made_mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: RunGit,
    write_model: Callable[..., Path],
) -> Made:
    mould = tmp_path_factory.mktemp("made")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    top, oids = mould / "repo", []
    registry = ModelRegistry(top, "fraud", notify=lambda _: None)
    for number in (1, 2, 3):
        (top / "train.py").write_text(f"seed = {number}\n")
        git(top, "add", "train.py")
        git(top, "commit", "-q", "-m", f"Train with seed {number}\n\nAnd why.")
        oids.append(git(top, "rev-parse", "HEAD"))
        model = write_model(mould / "model.pkl", number)
        days = {"data_window": f"{number} days"}
        registry.register(model, None, metrics={"roc_auc": 0.9 + number / 100}, metadata=days)
    return Made(top, tuple(oids))


@pytest.fixture
def made(_made_mould: Made, tmp_path: Path) -> Made:
    """Return a repository of the test's own."""
    shutil.copytree(_made_mould.top.parent, tmp_path, symlinks=True, dirs_exist_ok=True)
    return _made_mould._replace(top=tmp_path / "repo")


def test_a_side_says_what_it_was_trained_from_on_and_with(made: Made) -> None:
    found = propose(look(made.top), 3)
    assert found.live
    assert found.proposed
    commit = found.proposed.commit
    assert commit == (made.oids[2], "Train with seed 3", "Ada Lovelace")
    assert (found.live.data, found.proposed.data) == (
        {"data_window": "1 days"},
        {"data_window": "3 days"},
    )
    assert found.proposed.packages["click"][0].isdigit()
    assert found.proposed.packages == found.live.packages


def test_commits_between_are_counted_on_both_sides(made: Made, git: RunGit) -> None:
    versions = look(made.top)
    assert propose(versions, 3).between == Between(ahead=2, behind=0)
    assert propose(versions, 1).between == Between(0, 0)
    git(made.top, "switch", "-q", "-c", "other", made.oids[0] + "~1")
    git(made.top, "commit", "-q", "--allow-empty", "-m", "Elsewhere")
    ModelRegistry(made.top, "fraud", notify=lambda _: None).register(
        made.top.parent / "model.pkl", None
    )
    assert propose(look(made.top), 4).between == Between(ahead=1, behind=1)


def test_a_clone_that_lacks_history_does_not_guess(made: Made, git: RunGit) -> None:
    clone = made.top.parent / "clone"
    url = f"file://{made.top}"
    git(made.top.parent, "clone", "-q", "--depth", "1", url, "clone")
    git(clone, "fetch", "-q", "--depth", "2", "origin", "tag", "fraud-v1", "tag", "fraud-v3")
    found = propose(look(clone), 3)
    assert found.live
    assert found.between is None


def test_a_commit_that_is_not_here_is_left_out(made: Made, git: RunGit) -> None:
    clone = made.top.parent / "clone"
    git(made.top.parent, "clone", "-q", "--depth", "1", f"file://{made.top}", "clone")
    git(clone, "fetch", "-q", "--depth", "1", "origin", "tag", "fraud-v1", "tag", "fraud-v3")
    found = propose(look(clone), 3)
    assert found.live
    assert found.live.commit is None
    assert found.between is None


def test_a_version_that_cannot_be_read_is_left_out(made: Made, git: RunGit) -> None:
    git(made.top, "tag", "-d", "fraud-v3")
    git(made.top, "update-ref", "-d", "refs/mlv/fraud/v3")
    found = propose(look(made.top), 3)
    assert found.live
    assert (found.proposed, found.between) == (None, None)


def test_a_first_promotion_has_no_live_side(made: Made) -> None:
    before = pointers.empty("fraud")
    found = facts.proposal(
        look(made.top), "promote", before, pointers.promote(before, 2), 2, verdict=None, gate=OPEN
    )
    assert found.live is None
    assert found.between is None
    assert [each.version.number for each in found.recent] == [1, 2, 3]


def test_recent_are_the_last_versions_and_both_sides(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "RECENT", 1)
    assert [each.version.name for each in propose(look(made.top), 2).recent] == ["v1", "v2", "v3"]
    versions = look(made.top)
    live = facts.side(versions, versions.record(Version("fraud", 1)))
    assert [each.version.name for each in facts.recent(versions, live, None)] == ["v1", "v3"]


def test_what_was_forced_is_taken_from_the_pointer(made: Made) -> None:
    before = pointers.promote(pointers.empty("fraud"), 1)
    for forced in (True, False):
        after = pointers.promote(before, 2, forced=forced)
        found = facts.proposal(look(made.top), "promote", before, after, 2, verdict=None, gate=OPEN)
        assert found.forced is forced


def test_a_proposal_costs_a_few_processes_however_many_versions_there_are(
    made: Made, git: RunGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(argv: list[str], **how: Any) -> Any:
            begun.append(argv[1])
            return function(argv, **how)

        return call

    tag = git(made.top, "rev-parse", "fraud-v3")
    for number in range(50, 90):  # foreign tags, called like versions
        git(made.top, "update-ref", f"refs/tags/fraud-v{number}", tag)
    versions = look(made.top)
    monkeypatch.setattr(process, "run", counted(process.run))
    monkeypatch.setattr(process, "start", counted(process.start))
    propose(versions, 3)
    # Of each side its files, and what `.dvc` files name.
    assert begun.count("ls-tree") == 2
    assert len(begun) <= 8
