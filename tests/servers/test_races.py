"""Many people at work on one remote at once: nothing is lost, and nobody gets what is another's."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.crowd import crowd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.sharing import Shared

    Program = Callable[..., str]
    WriteModel = Callable[..., Path]

CLONES, PROCESSES = 8, 8
TOLD = ("--push", "--json")
POINTER = "registry/model/pointer.json"
CHANGED, NO_PREVIOUS = 5, 1


def manifests(shared: Shared, git: Program) -> dict[str, dict[str, Any]]:
    """Read what every version's tag on the remote says."""
    listed = git(shared.bare, "for-each-ref", "--format=%(refname:short)", "refs/tags").split()
    found = {}
    for tag in listed:
        message = git(shared.bare, "tag", "--list", "--format=%(contents)", tag)
        found[tag] = json.loads(message.partition("\n\n")[2])
    return found


@pytest.mark.slow
def test_sixty_four_register_at_once(
    shared: Shared, git: Program, dvc: Program, write_model: WriteModel
) -> None:
    clones = [shared.clone(f"clone{at}") for at in range(CLONES)]
    seeds = iter(range(CLONES * PROCESSES))
    workers = []
    written = Counter[str]()
    for clone in clones:
        mine = [next(seeds) for _ in range(PROCESSES)]
        models = [write_model(shared.folder / f"{seed}.pkl", seed) for seed in mine]
        written.update(hashlib.sha256(model.read_bytes()).hexdigest() for model in models)
        register = [("register", str(model), "--no-preprocessor", *TOLD) for model in models]
        workers.append((clone, [[command] for command in register]))

    ended = crowd(workers)

    assert [each for each in ended if each.code] == []
    numbers = [f"v{number}" for number in range(1, CLONES * PROCESSES + 1)]
    assert sorted(each.said["version"] for each in ended) == sorted(numbers)
    published = manifests(shared, git)
    assert published.keys() == {f"model-{number}" for number in numbers}
    assert Counter(each["artifacts"]["model"]["sha256"] for each in published.values()) == written
    for each in ended:  # each got the number of its own model, and not another's
        ours = published[f"model-{each.said['version']}"]
        assert ours["artifacts"] == each.said["artifacts"]
    for manifest in published.values():
        model = manifest["artifacts"]["model"]
        assert hashlib.sha256(shared.storage.read(model["md5"])).hexdigest() == model["sha256"]
    git(shared.bare, "fsck", "--strict")
    for clone in clones:
        assert git(clone, "for-each-ref", "refs/mlv") == ""
        assert git(clone, "status", "--porcelain") == ""
        shutil.rmtree(clone)
    fresh = shared.clone("fresh")
    for number in ("v1", "v17", "v64"):
        git(fresh, "checkout", "--quiet", f"model-{number}")
        dvc(fresh, "pull")
        bytes_here = (fresh / "registry/model/model.pkl").read_bytes()
        expected = published[f"model-{number}"]["artifacts"]["model"]["sha256"]
        assert hashlib.sha256(bytes_here).hexdigest() == expected


@pytest.mark.slow
def test_promotions_and_rollbacks_race_and_leave_one_chain(
    shared: Shared, git: Program, write_model: WriteModel
) -> None:
    clones = [shared.clone(f"clone{at}") for at in range(4)]
    models = [write_model(shared.folder / f"{seed}.pkl", seed) for seed in range(4)]
    register = [[("register", str(model), "--no-preprocessor", *TOLD) for model in models]]
    prepared = crowd([(clones[0], register), (clones[1], [])])
    prepared += crowd([(clones[1], [[("promote", f"v{n}", *TOLD) for n in (1, 2)]])])
    assert [each for each in prepared if each.code] == []
    before = git(shared.bare, "rev-parse", "main")

    orders = (["v3", None, "v4", "v1"], ["v4", "v2", None, "v3"], [None, "v1", "v3", "v2"])
    ended = crowd([(clone, [[command(each) for each in o] for o in orders]) for clone in clones])

    check_chain(shared, git, before, [e.said[0] for e in ended if e.code == 0])
    for each in ended:
        assert each.code in {0, CHANGED} or "No previous version" in each.stderr, each
        assert "Traceback" not in each.stderr
    for clone in clones:
        assert git(clone, "status", "--porcelain") == ""
        git(clone, "fetch", "--quiet")
        git(clone, "merge", "--quiet", "--ff-only", "origin/main")


def command(version: str | None) -> tuple[str, ...]:
    """Promote a version, or roll back."""
    return ("promote", version, *TOLD) if version else ("rollback", *TOLD)


def check_chain(shared: Shared, git: Program, before: str, done: list[dict[str, Any]]) -> None:
    """Each commit starts from the one before, and is just one of those that were reported."""
    reported = {each["commit"]: each for each in done if each["changed"]}
    assert len(reported) == sum(each["changed"] for each in done)
    live, parent = pointer(shared, git, before), before
    lines = git(shared.bare, "rev-list", "--reverse", "--parents", f"{before}..main").splitlines()
    assert lines
    for line in lines:
        commit, *parents = line.split()
        assert parents == [parent]
        step, now = reported.pop(commit), pointer(shared, git, commit)
        assert (now["current"], live["current"]) == (step["version"], step["was"])
        if step["action"] == "promote":
            assert now["previous"] == live["current"]
        else:
            assert (now["current"], now["previous"]) == (live["previous"], None)
        live, parent = now, commit
    assert reported == {}
    git(shared.bare, "fsck", "--strict")


def pointer(shared: Shared, git: Program, commit: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(git(shared.bare, "show", f"{commit}:{POINTER}"))
    return found
