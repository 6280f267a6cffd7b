"""What a command may cost: modules imported and git processes started. Never seconds."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

# Runs a command as its script would, then tells every module that was imported.
COMMAND = """
import json, os, sys
from mlv.cli import main
sys.argv = ["mlv", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as end:
    code = end.code
with open(os.environ["SEEN"], "w") as file:
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    json.dump({"code": code or 0, "modules": modules}, file)
"""
GIT = """\
#!/bin/sh
command=$1
[ "$1" = -c ] && command=$3
printf '%s\\n' "$command" >> "$GIT_LOG"
exec "{git}" "$@"
"""
WEB = {"http", "ssl", "email"}
DVCS = {"dvc", "dvc_data", "dvc_objects", "git", "rich", "asyncio", *WEB}
HEAVY = {"joblib", "numpy", "sklearn", *DVCS}


@pytest.fixture
def cost(tmp_path: Path) -> Callable[..., tuple[list[str], set[str]]]:
    """``cost(repo, "list")`` runs a command; gives the git commands and the modules it used."""
    programs = tmp_path / "programs"
    programs.mkdir()
    wrapper = programs / "git"
    wrapper.write_text(GIT.format(git=shutil.which("git")))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IEXEC)

    def measure(folder: Path, *args: str, stdin: str = "") -> tuple[list[str], set[str]]:
        log, seen = tmp_path / "git.log", tmp_path / "seen.json"
        log.write_text("")
        env = {
            **os.environ,
            "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
            "GIT_LOG": str(log),
            "SEEN": str(seen),
        }
        argv = [sys.executable, "-P", "-c", COMMAND, json.dumps(args)]
        done = subprocess.run(
            argv, cwd=folder, env=env, input=stdin.encode(), capture_output=True, check=True
        )
        facts = json.loads(seen.read_text())
        assert facts["code"] == 0, done.stderr.decode()
        return log.read_text().split(), set(facts["modules"])

    return measure


@pytest.fixture
def two(repo: Path, write_model: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a registry of two versions, the first live."""
    registry = ModelRegistry(repo)
    for seed in (1, 2):
        registry.register(
            write_model(tmp_path / "m.pkl", seed), None, metrics={"roc_auc": seed / 2}
        )
    registry.promote("v1")
    return repo


@pytest.mark.parametrize(
    ("args", "processes"),
    [
        (("current",), ["cat-file"]),
        (("current", "-q"), ["cat-file"]),
        (("list",), ["cat-file", "cat-file", "for-each-ref"]),
        (("show", "model-v1"), ["cat-file"]),
        (("compare", "model-v1", "model-v2"), ["cat-file"]),
        (("at", "9999-01-01"), ["cat-file", "log"]),
        (("at", "9999-01-01", "--json"), ["cat-file", "log"]),
        (("history",), ["cat-file", "cat-file", "cat-file", "for-each-ref", "log"]),
        (("history", "--csv"), ["cat-file", "cat-file", "cat-file", "for-each-ref", "log"]),
    ],
)
def test_reading_takes_few_gits_and_no_heavy_import(
    cost: Callable[..., tuple[list[str], set[str]]],
    two: Path,
    args: tuple[str, ...],
    processes: list[str],
) -> None:
    used, modules = cost(two, *args)
    assert sorted(used) == processes
    assert not modules & HEAVY


PROMOTION = [
    "cat-file",
    "hash-object",
    "mktree",
    "config",
    "commit-tree",
    "ls-files",
    "ls-files",
    "update-index",
    "checkout-index",
    "update-ref",
    "add",
]


def test_promoting_takes_eleven_gits_where_the_branch_is_checked_out(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path
) -> None:
    used, modules = cost(two, "promote", "model-v2")
    assert used == PROMOTION
    assert not modules & HEAVY
    used, modules = cost(two, "rollback", "--model", "model")
    assert used == PROMOTION
    assert not modules & HEAVY


def test_promoting_takes_six_gits_where_it_is_not(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path, git: Callable[..., str]
) -> None:
    git(two, "switch", "--quiet", "--create", "feature")
    used, _ = cost(two, "promote", "model-v2")
    assert used == ["cat-file", "hash-object", "mktree", "config", "commit-tree", "update-ref"]


def test_handing_out_a_version_that_is_here_needs_no_dvc(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path
) -> None:
    ModelRegistry(two).artifacts("v1")
    used, modules = cost(two, "pull", "model-v1")
    assert used == ["cat-file"]
    assert not modules & HEAVY


def test_the_number_of_gits_does_not_grow_with_the_versions(
    cost: Callable[..., tuple[list[str], set[str]]],
    two: Path,
    write_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    registry = ModelRegistry(two)
    for seed in range(3, 9):
        registry.register(write_model(tmp_path / "m.pkl", seed), None, {"roc_auc": 1})
    assert sorted(cost(two, "list")[0]) == ["cat-file", "cat-file", "for-each-ref"]
    for number in (2, 3, 4):
        registry.promote(f"v{number}")
    assert sorted(cost(two, "history")[0]) == [
        "cat-file",
        "cat-file",
        "cat-file",
        "for-each-ref",
        "log",
    ]
    assert sorted(cost(two, "at", "9999-01-01")[0]) == ["cat-file", "log"]
    assert cost(two, "promote", "model-v8")[0] == PROMOTION


def test_merged_pull_requests_take_one_more_git_however_many(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path, git: Callable[..., str]
) -> None:
    registry = ModelRegistry(two, notify=lambda _: None)
    for verb in ("promote", "rollback"):
        git(two, "branch", "--force", "before")
        registry.move(verb, ["v2"] if verb == "promote" else [])
        git(two, "branch", "--force", "proposal")
        git(two, "reset", "--quiet", "--hard", "before")
        git(two, "merge", "--quiet", "--no-ff", "--message=Merge", "proposal")
    assert sorted(cost(two, "history")[0]) == [
        "cat-file",
        "cat-file",
        "cat-file",
        "for-each-ref",
        "log",
        "log",
    ]
    assert sorted(cost(two, "at", "9999-01-01")[0]) == ["cat-file", "log", "log"]


def test_the_hook_is_quick(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path, git: Callable[..., str]
) -> None:
    new, old = git(two, "rev-parse", "main", "main~1").split()
    used, modules = cost(two, "check-push", stdin=f"main {new} refs/heads/main {old}\n")
    assert used == ["cat-file", "rev-list", "for-each-ref"]
    assert not modules & HEAVY
    assert cost(two, "check-push", stdin=f"main {new} refs/heads/other {old}\n")[0] == []


def test_only_a_judgement_costs_what_judging_takes(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path
) -> None:
    for args in (("current",), ("compare", "model-v1", "model-v2"), ("rollback", "--help")):
        assert "fractions" not in cost(two, *args)[1]
    used, modules = cost(two, "gate", "model-v2")
    assert used == ["cat-file"]
    assert "fractions" in modules
    assert not modules & HEAVY


def test_the_data_of_two_versions_take_a_git_each(
    cost: Callable[..., tuple[list[str], set[str]]], two: Path, git: Callable[..., str]
) -> None:
    registry = ModelRegistry(two)
    for seed in (3, 4):
        model = two.parent / f"{seed}.pkl"
        model.write_bytes(bytes([seed]))
        registry.register(model, None, {"roc_auc": 1}, {"data_window": "w"})
    (two / "mlv.yaml").write_text("gate: {same_data: true}\n")
    git(two, "commit", "--quiet", "--all", "--message", "The same data")
    registry.promote("v3", force=True, reason="To begin with")
    assert cost(two, "gate", "model-v4")[0] == ["cat-file", "ls-tree", "ls-tree"]


# Bytes --------------------------------------------------------------------------------------

SIZE = 16 * 1024 * 1024
IO = Path("/proc/self/io")
counts_bytes = pytest.mark.skipif(not IO.exists(), reason="Linux alone tells bytes by process")


def bytes_of(work: Callable[[], object]) -> tuple[float, float]:
    """Say how much was read and written, with what the gits that ended did, in sizes of a model."""

    def so_far() -> tuple[int, int]:
        facts = dict(line.split(": ") for line in IO.read_text().splitlines())
        return int(facts["rchar"]), int(facts["wchar"])

    before = so_far()
    work()
    read, written = (after - start for after, start in zip(so_far(), before, strict=True))
    return read / SIZE, written / SIZE


@counts_bytes
def test_a_registration_writes_the_bytes_once_and_reads_them_for_copy_and_two_hashes(
    repo: Path, tmp_path: Path
) -> None:
    registry, model = ModelRegistry(repo, notify=lambda _: None), tmp_path / "model.bin"
    model.write_bytes(b"1")
    registry.register(model, None)  # what is read once: DVC's modules, names of packages
    model.write_bytes(bytes(SIZE))
    read, written = bytes_of(lambda: registry.register(model, None))
    assert 1 <= written < 1.1
    assert 2 <= read < 3.4


@counts_bytes
def test_moving_and_reading_touch_no_model_and_a_verified_one_is_not_read_again(
    repo: Path, tmp_path: Path
) -> None:
    registry, model = ModelRegistry(repo, notify=lambda _: None), tmp_path / "model.bin"
    model.write_bytes(bytes(SIZE))
    registry.register(model, None)
    registry.artifacts("v1")
    for work in (
        lambda: registry.promote("v1"),
        registry.current_version,
        registry.list_versions,
        registry.current_artifacts,
    ):
        read, written = bytes_of(work)
        assert (read < 0.1, written < 0.02) == (True, True), work


def test_the_number_of_gits_of_a_registration_does_not_grow_with_the_versions(
    cost: Callable[..., tuple[list[str], set[str]]],
    two: Path,
    write_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    argv = ("register", str(write_model(tmp_path / "m.pkl", 3)), "--no-preprocessor")
    first, modules = cost(two, *argv)
    for seed in range(4, 9):
        ModelRegistry(two).register(write_model(tmp_path / "n.pkl", seed), None)
    assert sorted(cost(two, *argv)[0]) == sorted(first)
    assert not modules & (HEAVY - DVCS)
