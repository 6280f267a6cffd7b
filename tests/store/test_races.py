"""Several processes at work in one repository at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from mlv import ModelRegistry
from mlv.store.git import Git as MlvGit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Git = Callable[..., str]
    Follows = Callable[[Path], None]

POINTER = "registry/model/pointer.json"
MLV = (sys.executable, "-P", "-m", "mlv")

# Promotes what it is told to, again and again, and tells what it did: version and commit, or null
# where production had moved meanwhile.
PROMOTER = """
import json, sys
from mlv import ChangedMeanwhile, ModelRegistry
registry = ModelRegistry(sys.argv[1], notify=lambda _: None)
for version in sys.argv[2:]:
    try:
        change = registry.move("promote", version)
        print(json.dumps([version, change.commit]))
    except ChangedMeanwhile:
        print("null")
"""


def together(*commands: tuple[str, ...], cwd: Path) -> list[str]:
    """Start all programs, then wait for all; give what each printed."""
    running = [
        subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for argv in commands
    ]
    ends = [process.communicate() for process in running]
    for process, (_, said) in zip(running, ends, strict=True):
        assert process.returncode == 0, said
    return [printed for printed, _ in ends]


def promoter(folder: Path, *versions: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", PROMOTER, str(folder), *versions)


def check_chain(repo: Path, git: Git, before: str, printed: list[str]) -> None:
    """See that the branch is one chain of just the promotions that were reported."""
    done = [json.loads(line) for text in printed for line in text.splitlines()]
    by_commit = {found[1]: found[0] for found in done if found and found[1]}
    commits = git(repo, "rev-list", "--reverse", "--parents", f"{before}..main").splitlines()
    live, parent = pointer(repo, git, before)["current"], before
    for line in commits:
        commit, *parents = line.split()
        assert parents == [parent]
        now = pointer(repo, git, commit)
        assert (now["previous"], now["current"]) == (live, by_commit.pop(commit))
        live, parent = now["current"], commit
    assert not by_commit
    assert commits


def pointer(repo: Path, git: Git, commit: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(git(repo, "show", f"{commit}:{POINTER}"))
    return found


def test_eight_register_at_once(
    repo: Path, git: Git, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    models = [write_model(tmp_path / f"{seed}.pkl", seed) for seed in range(8)]
    commands = [(*MLV, "register", "-q", str(model), "--no-preprocessor") for model in models]
    numbers = [said.strip() for said in together(*commands, cwd=repo)]
    assert sorted(numbers) == [f"v{n}" for n in range(1, 9)]
    registry = ModelRegistry(repo)
    for number, model in zip(numbers, models, strict=True):
        assert registry.artifacts(number)["model"].read_bytes() == model.read_bytes()
    assert len(git(repo, "tag", "--list", "model-v*").splitlines()) == 8
    assert git(repo, "status", "--porcelain") == ""
    git(repo, "fsck", "--strict", "--no-dangling")


def test_registering_and_promoting_at_once(
    live: Path, git: Git, write_model: Callable[..., Path], follows: Follows
) -> None:
    model = str(write_model(live.parent / "new.pkl", 4))
    before = git(live, "rev-parse", "main")
    register = (*MLV, "register", "-q", model, "--no-preprocessor")
    said = together(
        register, register, promoter(live, *["v1", "v2", "v3"] * 3), cwd=live
    )  # fmt: skip
    assert sorted(text.strip() for text in said[:2]) == ["v4", "v5"]
    check_chain(live, git, before, said[2:])
    follows(live)


def test_promotions_race_where_the_branch_is_checked_out(
    live: Path, git: Git, follows: Follows
) -> None:
    (live / "train.py").write_text("edited\n")
    before = git(live, "rev-parse", "main")
    orders = (["v1", "v2", "v3"], ["v3", "v2", "v1"], ["v2", "v1", "v3"])
    said = together(*(promoter(live, *order * 4) for order in orders), cwd=live)
    check_chain(live, git, before, said)
    follows(live)
    assert git(live, "status", "--porcelain") == " M train.py"
    git(live, "fsck", "--strict", "--no-dangling")


def test_promotions_race_from_several_work_trees(
    live: Path, git: Git, follows: Follows, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git(live, "worktree", "add", "--quiet", "-b", "feature", str(linked))
    before = git(live, "rev-parse", "main")
    said = together(
        promoter(live, *["v1", "v2", "v3"] * 4), promoter(linked, *["v3", "v1", "v2"] * 4), cwd=live
    )
    check_chain(live, git, before, said)
    follows(live)
    assert git(linked, "status", "--porcelain") == ""


def test_the_users_commits_and_promotions_race(live: Path, git: Git, follows: Follows) -> None:
    """Neither undoes the other, whoever has to wait."""
    committer = (
        "for n in $(seq 20); do\n"
        "  echo $n > mine-$n.txt\n"
        '  until git add mine-$n.txt && git commit --quiet --message "Mine $n"\n'
        "  do sleep 0.01; done\n"
        "done 2> /dev/null\n"
    )
    said = together(
        ("sh", "-c", committer), promoter(live, *["v1", "v2", "v3"] * 7), cwd=live
    )[1]  # fmt: skip
    done = [json.loads(line) for line in said.splitlines()]
    assert pointer(live, git, "main")["current"] == "v3"
    found = git(live, "ls-tree", "--name-only", "main").splitlines()
    assert {f"mine-{n}.txt" for n in range(1, 21)} <= set(found)
    # Each promotion is still what the branch said after it: no commit of the user's undid one.
    promotions = [commit for _, commit in done if commit]
    changes = git(live, "log", "--format=%H", f"{promotions[0]}^..main", "--", "registry").split()
    assert sorted(changes) == sorted(promotions)
    assert git(live, "status", "--porcelain") == ""
    follows(live)


def test_a_file_staged_in_the_moment_before_the_index_is_locked_stays_staged(
    live: Path, git: Git, follows: Follows, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live / "mine.py").write_text("mine\n")
    take = os.link
    was_there: list[str] = []

    def stage_then_take(*args: Any, **how: Any) -> None:
        if not was_there:
            was_there.append(git(live, "add", "mine.py"))
        take(*args, **how)

    monkeypatch.setattr(os, "link", stage_then_take)
    ModelRegistry(live).promote("v3")
    assert was_there
    assert git(live, "status", "--porcelain") == "A  mine.py"
    assert pointer(live, git, "main")["current"] == "v3"
    follows(live)


def test_a_commit_in_the_moment_before_the_branch_moves_is_built_upon(
    live: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(live, "switch", "--quiet", "--create", "feature")
    move = MlvGit.update_refs
    theirs: list[str] = []

    def push_then_move(*args: Any) -> None:
        if not theirs:
            tree = git(live, "rev-parse", "main^{tree}")
            theirs.append(git(live, "commit-tree", tree, "-p", "main", "-m", "Theirs"))
            git(live, "update-ref", "refs/heads/main", theirs[0])
        move(*args)

    monkeypatch.setattr(MlvGit, "update_refs", push_then_move)
    ModelRegistry(live).promote("v3")
    assert git(live, "rev-parse", "main^") == theirs[0]
