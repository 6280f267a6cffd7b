"""Several people's machines, and several processes on each, at work on one remote at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mlv.domain import pointer as pointers
from mlv.domain.names import Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.domain.pointer import Pointer
    from tests.sharing.conftest import Hub

    Git = Callable[..., str]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, so that all begin at once"),
    pytest.mark.slow,
]

# Forks a child for every line of orders, [action, argument] each; they wait for one another, and
# for the other machines' "go". A child tells what it did as JSON.
AT_ONCE = """
import json, os, sys
import dvc.repo, mlv.moving.planning, mlv.registering.registration
import mlv.sharing.branch, mlv.store.dvc.repository
from mlv import ChangedMeanwhile, ModelRegistry, NoPreviousVersion

def act(registry, action, argument):
    if action == "register":
        return registry.register(argument, None, push=True)
    try:
        return registry.move(action, argument or (), push=True).commit
    except (ChangedMeanwhile, NoPreviousVersion) as error:
        return {"lost": type(error).__name__}

def child(orders, gate):
    registry = ModelRegistry(sys.argv[1], notify=lambda _: None)
    os.read(gate, 1)
    for action, argument in orders:
        told = json.dumps([action, argument, act(registry, action, argument)]) + chr(10)
        os.write(1, told.encode())

gate, opener = os.pipe()
children = []
for orders in json.loads(sys.argv[2]):
    children.append(os.fork())
    if not children[-1]:
        os.close(opener)
        child(orders, gate)
        os._exit(0)
print("ready", flush=True)
sys.stdin.readline()
os.close(opener)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""

Done = Any  # a list of action, argument and, when it was done, result


def at_once(orders: dict[Path, list[list[Done]]]) -> list[Done]:
    """Carry out lists of orders, each list in a process, some in each clone; give what was told."""
    running = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", AT_ONCE, str(top), json.dumps(lists)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for top, lists in orders.items()
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    told = []
    for process in running:
        out, said = process.communicate()
        assert process.returncode == 0, said
        told += [json.loads(line) for line in out.splitlines()]
    assert len(told) == sum(len(each) for lists in orders.values() for each in lists)
    return told


@pytest.fixture
def clones(hub: Hub) -> list[Path]:
    """Return the clones of four people."""
    return [hub.machine(name).top for name in ("ada", "bob", "cyd", "dan")]


def test_sixteen_register_at_once(hub: Hub, clones: list[Path], git: Git) -> None:
    models = [str(hub.model(seed)) for seed in range(16)]
    orders = {
        top: [[["register", model]] for model in models[at::4]] for at, top in enumerate(clones)
    }
    told = at_once(orders)
    assert sorted(hub.tags()) == sorted(f"model-{version}" for _, _, version in told)
    assert len({version for _, _, version in told}) == 16
    new = hub.machine("new").registry
    for _, model, version in told:
        assert new.verify(version) == {"model": "ok"}
        with open(model, "rb") as file:  # noqa: PTH123 - it came as text
            assert new.artifacts(version)["model"].read_bytes() == file.read()
    for top in (hub.bare, *clones):
        git(top, "fsck", "--strict", "--no-dangling")
    for top in clones:
        assert git(top, "for-each-ref", "refs/mlv") == ""
        assert git(top, "status", "--porcelain") == ""


def test_promotions_and_rollbacks_are_one_chain(hub: Hub, clones: list[Path], git: Git) -> None:
    registry = hub.open(clones[0]).registry
    for seed in (1, 2, 3):
        registry.register(hub.model(seed), None, push=True)
    registry.promote("v1", push=True)
    before = hub.refs()["refs/heads/main"]
    rounds = ([["promote", f"v{n}"] for n in order] for order in ("231", "312", "123", "321"))
    orders = {
        top: [[*moves, ["rollback", None]]] for top, moves in zip(clones, rounds, strict=True)
    }
    told = at_once(orders)
    check_chain(hub, git, before, told)
    for top in clones:
        git(top, "fsck", "--strict", "--no-dangling")
        assert git(top, "status", "--porcelain") == ""
        fetched = hub.open(top).registry
        fetched.fetch()
        assert fetched.current_version() == f"v{pointer(hub, git, 'main').current}"


def test_of_rollbacks_at_once_one_is_done(hub: Hub, clones: list[Path], git: Git) -> None:
    registry = hub.open(clones[0]).registry
    for seed in (1, 2, 3):
        registry.promote(registry.register(hub.model(seed), None, push=True), push=True)
    before = hub.refs()["refs/heads/main"]
    told = at_once({top: [[["rollback", None]]] for top in clones})
    check_chain(hub, git, before, told)
    assert sum(isinstance(result, str) for _, _, result in told) == 1
    assert pointer(hub, git, "main").current == 2


def check_chain(hub: Hub, git: Git, before: str, told: list[Done]) -> None:
    """See that what was told as done is one chain, each step decided on what the last one left."""
    commits = [result for *_, result in told if isinstance(result, str)]
    assert len(set(commits)) == len(commits), "two say that they did the same"
    done = {result: (action, to) for action, to, result in told if isinstance(result, str)}
    lost = [result for _, _, result in told if isinstance(result, dict)]
    assert all(each["lost"] in ("ChangedMeanwhile", "NoPreviousVersion") for each in lost)
    lines = git(hub.bare, "rev-list", "--reverse", "--parents", f"{before}..main").splitlines()
    last = before
    for line in lines:
        commit, *parents = line.split()
        assert parents == [last]
        action, to = done.pop(commit)
        number = int(to[1:]) if to else None
        assert number is None or Version("model", number).name == to
        expected, _ = pointers.decide(pointer(hub, git, last), action, number)
        assert pointer(hub, git, commit) == expected
        last = commit
    assert not done
    assert lines


def pointer(hub: Hub, git: Git, commit: str) -> Pointer:
    text = git(hub.bare, "show", f"{commit}:registry/model/pointer.json")
    return pointers.parse(text.encode(), "model")
