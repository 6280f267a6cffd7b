"""What two people bring in of the same registry is published once, whatever they are told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mlv import ChangedMeanwhile, ConfigError, ModelRegistry
from mlv.importing.incoming import IncomingModel, IncomingVersion
from tests.importing.conftest import opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.importing.planning import Planned
    from tests.importing.conftest import Origin

    Git = Callable[..., str]
    Write = Callable[..., Path]


class Two(NamedTuple):
    """Two clones of a repository, what the slow one is told, and the tags of versions there."""

    slow: ModelRegistry
    quick: ModelRegistry
    notes: list[str]
    tags: Callable[[], list[str]]


@pytest.fixture
def two(repo: Path, tmp_path: Path, git: Git) -> Two:
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "hub.git")
    for name in ("slow", "quick"):
        git(tmp_path, "clone", "--quiet", "hub.git", name)
        git(tmp_path / name, "config", "user.name", name)
    notes: list[str] = []
    return Two(
        opened(tmp_path / "slow", notes),
        opened(tmp_path / "quick"),
        notes,
        lambda: git(tmp_path / "hub.git", "tag", "--sort=version:refname").splitlines(),
    )


def versions(registry: ModelRegistry) -> list[str]:
    return [each["version"] for each in registry.list_versions()]


def with_more(version: IncomingVersion) -> IncomingVersion:
    """Give a version of which the other registry says more meanwhile."""
    return replace(
        version,
        status="archived",
        registered_by="",
        metrics={"roc_auc": 0.5},
        metadata={"reviewed": "yes"},
        remarks={"tags": {"team": "risk"}},
    )


def test_at_once_it_comes_in_once(two: Two, git: Git, origin: Callable[..., Origin]) -> None:
    model = origin(1, 2).model(current=2, previous=1)

    def overtake(each: Planned) -> None:
        if each.incoming.number == 1:
            two.quick.bring_in(model, push=True)

    two.slow.bring_in(model, push=True, tell=overtake)
    assert two.tags() == ["fraud-v1", "fraud-v2"]
    assert git(two.slow.path, "for-each-ref", "refs/mlv") == ""
    assert git(two.slow.path, "tag").split() == two.tags()
    assert two.slow.current_version() == two.quick.current_version() == "v2"
    assert "fraud-v1, fraud-v2 came in on origin as well: what is there stays" in two.notes


def test_what_is_said_of_it_may_have_changed_in_between(
    two: Two, git: Git, origin: Callable[..., Origin]
) -> None:
    made = origin(1, 2)
    two.slow.bring_in(made.model())
    changed = IncomingModel("elsewhere", tuple(map(with_more, made.versions)))
    two.quick.bring_in(changed, push=True)
    assert two.slow.push().renumbered == ()
    assert two.tags() == ["fraud-v1", "fraud-v2"]
    assert two.slow.get_manifest("v1")["metadata"]["reviewed"] == "yes"
    assert git(two.slow.path, "for-each-ref", "refs/mlv") == ""
    # And both know it again.
    assert two.slow.bring_in(made.model(), push=True).plan.new == ()
    assert two.quick.bring_in(changed, push=True).plan.new == ()


@pytest.mark.parametrize("own", [1, 3])
def test_it_may_have_other_numbers_there(
    two: Two, tmp_path: Path, write_model: Write, origin: Callable[..., Origin], own: int
) -> None:
    """What is here goes, whether others published under its number or nobody did."""
    two.quick.register(write_model(tmp_path / "first.pkl", 7), None, push=True)
    two.slow.fetch()
    for seed in range(own):
        two.slow.register(write_model(tmp_path / "own.pkl", 10 + seed), None)
    model = origin(1, 2, 3).model()
    two.slow.bring_in(model, into_existing=True)
    two.quick.bring_in(model, into_existing=True, push=True)
    there = numbers_of(two.quick)
    done = two.slow.push()
    assert {old.name: new.name for old, new in done.renumbered}[f"v{2 + own}"] == "v2"
    two.quick.fetch()
    assert numbers_of(two.quick) == numbers_of(two.slow) == there
    assert len(two.tags()) == 1 + 3 + own


def numbers_of(registry: ModelRegistry) -> dict[str, str]:
    """Give what versions that came in were called where they came from."""
    told = ((name, registry.get_manifest(name)["metadata"]) for name in versions(registry))
    return {name: each["imported"]["version"] for name, each in told if "imported" in each}


def test_where_one_is_live_already_it_keeps_its_number(
    two: Two, git: Git, origin: Callable[..., Origin]
) -> None:
    model = origin(1, 2).model(current=2, previous=1)
    two.slow.bring_in(model)
    two.quick.bring_in(model, push=True)
    two.slow.push()
    assert two.tags() == ["fraud-v1", "fraud-v2"]
    assert any("have diverged: the branch is left alone" in note for note in two.notes)
    git(two.slow.path, "reset", "--quiet", "--keep", "origin/main")
    assert two.slow.current_version() == "v2"
    assert two.slow.bring_in(model, push=True).plan.new == ()


def test_one_that_is_live_here_under_another_number_is_left_alone_and_named(
    two: Two, tmp_path: Path, write_model: Write, git: Git, origin: Callable[..., Origin]
) -> None:
    model = origin(1).model()
    two.slow.register(write_model(tmp_path / "own.pkl", 10), None)
    two.slow.bring_in(model, into_existing=True)
    two.slow.promote("v2", push=False)
    two.quick.bring_in(model, push=True)
    before = git(two.slow.path, "for-each-ref", "refs/tags", "refs/mlv")
    with pytest.raises(ConfigError, match=r"fraud-v2 was staged .* brought it in as fraud-v1"):
        two.slow.push()
    assert git(two.slow.path, "for-each-ref", "refs/tags", "refs/mlv") == before


def test_another_version_that_was_published_first_is_not_taken_for_it(
    two: Two, origin: Callable[..., Origin]
) -> None:
    made = origin(1)
    theirs = made.version(1, seed=5)

    def overtake(_: Planned) -> None:
        two.quick.bring_in(IncomingModel("elsewhere", (theirs,)), push=True)

    with pytest.raises(ChangedMeanwhile, match="fraud-v1 is fraud-v2 now: nothing was") as lost:
        two.slow.bring_in(made.model(), push=True, tell=overtake)
    assert "run the command again" in lost.value.hint
    for name, version in (("v1", theirs), ("v2", made.versions[0])):
        assert two.slow.get_manifest(name)["model_sha256"] == version.checksums["model"]


def test_a_push_that_is_refused_has_given_nothing_another_number(
    two: Two, tmp_path: Path, write_model: Write, git: Git
) -> None:
    for registry, seed in ((two.slow, 1), (two.quick, 2)):
        for number in (1, 2):
            registry.register(write_model(tmp_path / "own.pkl", 10 * seed + number), None)
    two.slow.promote("v2", push=False)
    two.quick.push()
    before = git(two.slow.path, "for-each-ref", "refs/tags", "refs/mlv")
    with pytest.raises(ConfigError, match="fraud-v2 was staged or promoted here"):
        two.slow.push()
    assert git(two.slow.path, "for-each-ref", "refs/tags", "refs/mlv") == before
    git(two.slow.path, "reset", "--quiet", "--keep", "origin/main")
    renumbered = two.slow.push().renumbered
    assert [(old.name, new.name) for old, new in renumbered] == [("v1", "v3"), ("v2", "v4")]
