"""The doctor finds what is wrong, says how to mend it, and mends only what is safe."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, ModelRegistry, ProgramError
from mlv.doctor.checks import FIXED, NOTE, OK, PROBLEM
from mlv.store import stale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

HOUR = 3600.0


@pytest.fixture
def well(repo: Path, git: Git, write_model: Callable[..., Path]) -> Path:
    """Return a published registry to which nothing is to be said."""
    git(repo.parent, "init", "-q", "--bare", "server.git")
    git(repo, "remote", "add", "origin", "../server.git")
    git(repo, "config", "remote.origin.tagOpt", "--tags")
    registry = ModelRegistry(repo, notify=lambda _: None)
    registry.register(write_model(repo.parent / "model.pkl", 1), None)
    registry.promote("v1")
    registry.push()
    return repo


def found(repo: Path, *states: str, **how: bool) -> dict[str, str]:
    """Give what the doctor says in these states (problems unless others are asked), by name."""
    checks = ModelRegistry.diagnose(repo, **how)
    for check in checks:
        assert check.message
        assert check.mend or check.state != PROBLEM
    wanted = states or (PROBLEM,)
    return {check.name: f"{check.message} | {check.mend}" for check in checks
            if check.state in wanted}  # fmt: skip


def make_old(path: Path, seconds: float = HOUR) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    long_ago = time.time() - seconds
    os.utime(path, (long_ago, long_ago))
    return path


def test_a_registry_that_is_well_is_left_as_it_is(well: Path, git: Git) -> None:
    before = git(well, "for-each-ref"), git(well, "config", "--list")
    storage = sorted(p for p in (well.parent / "storage").rglob("*") if p.is_file())
    assert found(well, PROBLEM, NOTE, FIXED) == {}
    assert {"git", "dvc", "registry branch", "push rights", "dvc remote", "leftovers"} <= set(
        found(well, OK)
    )
    assert found(well, PROBLEM, NOTE, FIXED, fix=True) == {}
    assert (git(well, "for-each-ref"), git(well, "config", "--list")) == before
    assert sorted(p for p in (well.parent / "storage").rglob("*") if p.is_file()) == storage
    assert "mlv-doctor" not in git(well, "ls-remote", "origin")


def test_it_exits_1_as_long_as_problems_remain(well: Path, git: Git, mlv: Mlv) -> None:
    git(well, "config", "--unset", "remote.origin.tagOpt")
    done = mlv(well, "doctor")
    assert done.returncode == 1
    assert "✗ tags: git fetch does not bring every version's tag\n  git config" in done.stdout
    assert mlv(well, "doctor", "-q").stdout.startswith("✗ tags: ")
    done = mlv(well, "doctor", "--fix")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ tags: git fetch now brings every version's tag" in done.stdout
    assert git(well, "config", "remote.origin.tagOpt") == "--tags"
    document = json.loads(mlv(well, "doctor", "--json").stdout)
    assert {tuple(check) for check in document} == {("name", "state", "message", "mend")}
    assert {check["state"] for check in document} == {"ok"}
    assert mlv(well, "doctor", "--any-age").returncode == 2


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not in a Git repository"):
        ModelRegistry.diagnose(tmp_path)


# What is stated, and what Git has ------------------------------------------------------------


def test_an_mlv_yaml_that_is_broken_or_not_committed(well: Path, git: Git) -> None:
    (well / "mlv.yaml").write_text("branch: main\n# new\n")
    assert "changes that are not committed" in found(well, NOTE)["mlv.yaml"]
    (well / "mlv.yaml").write_text("brnch: main\n")
    assert "brnch is not known here" in found(well)["mlv.yaml"]
    git(well, "rm", "-q", "--cached", "mlv.yaml")
    (well / "mlv.yaml").write_text("branch: main\n")
    git(well, "commit", "-q", "-m", "Lose it")
    assert "git add mlv.yaml" in found(well)["mlv.yaml"]


def test_a_branch_that_is_not_here_or_has_diverged(well: Path, git: Git) -> None:
    (well / "mlv.yaml").write_text("branch: trunk\n")
    assert "trunk, which mlv.yaml names" in found(well)["registry branch"]
    git(well, "restore", "mlv.yaml")
    git(well, "commit", "-q", "--amend", "--allow-empty", "-m", "Another")
    assert "have diverged" in found(well)["registry branch"]


def test_a_registration_that_was_merged(well: Path, git: Git) -> None:
    git(well, "rm", "-q", "registry/model/pointer.json")
    git(well, "commit", "-q", "-m", "As a fast-forward to model-v1 leaves it")
    assert "a registration was merged into main" in found(well)["registry branch"]


def test_a_branch_called_like_a_version(well: Path, git: Git) -> None:
    git(well, "branch", "model-v7")
    assert "git checkout model-v7 takes the branch" in found(well)["names"]


@pytest.mark.parametrize(
    ("name", "rule", "said"),
    [
        (".gitignore", "*.json\n", "manifest.json is ignored by .gitignore:1:*.json"),
        (".dvcignore", "registry\n", "registry is hidden from DVC"),
        (".gitattributes", "*.dvc filter=lfs\n", "filter=lfs"),
    ],
)
def test_a_rule_that_hides_or_changes_the_registry(
    well: Path, name: str, rule: str, said: str
) -> None:
    (well / "registry" / ".gitignore").unlink()
    (well / name).write_text(rule)
    problems = found(well)
    assert said in problems.get("ignored", "") + problems.get("attributes", "")


def test_what_is_on_this_machine_only_is_noted(
    well: Path, write_model: Callable[..., Path]
) -> None:
    registry = ModelRegistry(well, notify=lambda _: None)
    registry.register(write_model(well.parent / "m.pkl", 2), None)
    registry.promote("v2")
    assert found(well) == {}
    notes = found(well, NOTE)
    assert "1 version(s) are on this machine only, the newest model-v2" in notes["unpublished"]
    assert "commits that origin/main lacks" in notes["registry branch"]


# Remotes -------------------------------------------------------------------------------------


def test_a_git_remote_that_cannot_be_reached_or_pushed_to(well: Path, git: Git) -> None:
    git(well, "remote", "set-url", "--push", "origin", "../gone.git")
    problems = found(well)
    assert "pushing to origin would fail" in problems["push rights"]
    git(well, "remote", "set-url", "origin", "../gone.git")
    assert "the Git remote 'origin' cannot be used" in found(well)["git remote"]
    git(well, "remote", "remove", "origin")
    assert found(well) == {}
    assert "there is no Git remote 'origin'" in found(well, NOTE)["git remote"]


def test_a_credential_that_is_committed(well: Path, git: Git) -> None:
    with (well / ".dvc" / "config").open("a") as file:
        file.write("    password = s3cret\n")
    git(well, "commit", "-q", "-a", "-m", "Oops")
    said = found(well)["credentials"]
    assert "is committed with a credential (password)" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("step", ["read", "written"])
def test_a_dvc_remote_that_refuses(well: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    from mlv.store.dvc.remote import Remote

    def refuse(*_: object) -> None:
        raise ProgramError("access denied", hint="ask")

    monkeypatch.setattr(Remote, "sizes" if step == "read" else "push", refuse)
    assert f"cannot be {step}: access denied" in found(well)["dvc remote"]


def test_a_dvc_remote_where_nothing_can_be_deleted_is_noted(
    well: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlv.store.dvc.remote import Remote

    def refuse(*_: object) -> None:
        raise ProgramError("it is kept for ever", hint="ask")

    monkeypatch.setattr(Remote, "delete", refuse)
    assert found(well) == {}
    assert "nothing deleted there: it is kept for ever" in found(well, NOTE)["dvc remote"]


def test_no_dvc_remote_and_one_that_others_will_not_find(well: Path, git: Git) -> None:
    config = well / ".dvc" / "config"
    (well / ".dvc" / "config.local").write_bytes(config.read_bytes())
    config.write_text("")
    git(well, "commit", "-q", "-a", "-m", "Keep it to myself")
    assert "is not in the committed .dvc/config" in found(well)["dvc remote"]
    (well / ".dvc" / "config.local").unlink()
    assert "there is no DVC remote" in found(well, NOTE)["dvc remote"]


# Signatures ----------------------------------------------------------------------------------


def test_signatures_that_are_wanted_and_cannot_be_made(
    well: Path, git: Git, tmp_path: Path
) -> None:
    for name in ("ada", "eve"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(argv, check=True)
    (well / "signers").write_text(f"ada@example.com {(tmp_path / 'ada.pub').read_text()}")
    (well / "mlv.yaml").write_text("require_signed: all\nallowed_signers: signers\n")
    git(well, "add", "--all")
    git(well, "commit", "-q", "-m", "Sign")
    assert "tag.gpgSign and commit.gpgSign are off here" in found(well)["signatures"]
    for name in ("tag.gpgSign", "commit.gpgSign"):
        git(well, "config", name, "true")
    git(well, "config", "gpg.format", "ssh")
    git(well, "config", "user.signingKey", str(tmp_path / "nobody.pub"))
    assert "signing fails" in found(well)["signatures"]
    git(well, "config", "user.signingKey", str(tmp_path / "eve.pub"))
    assert "which signers does not allow" in found(well)["signatures"]
    git(well, "config", "user.signingKey", str(tmp_path / "ada.pub"))
    before = git(well, "for-each-ref")
    assert "ada@example.com can" in found(well, OK)["signatures"]
    assert git(well, "for-each-ref") == before


# Leftovers -----------------------------------------------------------------------------------

LOCKS = ["index.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "refs/heads/main.lock",
         "refs/tags/model-v9.lock", "worktrees/other/index.lock"]  # fmt: skip


@pytest.mark.parametrize("name", LOCKS)
def test_an_old_lock_is_named_and_removed_only_when_asked(well: Path, name: str) -> None:
    lock = make_old(well / ".git" / name)
    assert f".git/{name}, 60 min old: a git died holding it" in found(well)["locks"]
    assert lock.exists()
    assert f"removed .git/{name}" in found(well, FIXED, fix=True)["locks"]
    assert not lock.exists()


def test_a_young_lock_stays_unless_the_user_says_that_nobody_holds_it(well: Path) -> None:
    lock = make_old(well / ".git" / "index.lock", seconds=60)
    for fix in (False, True):
        said = found(well, fix=fix)["locks"]
        assert "mlv doctor --fix --any-age" in said
    assert lock.exists()
    assert "removed .git/index.lock" in found(well, FIXED, fix=True, any_age=True)["locks"]
    assert not lock.exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")  # noqa: PTH112
def test_no_lock_is_removed_while_a_git_is_at_work_here(well: Path) -> None:
    lock = make_old(well / ".git" / "index.lock")
    with subprocess.Popen(
        ["git", "hash-object", "--stdin"],
        cwd=well / "registry",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as git:
        assert (
            f"git is at work here (process {git.pid})"
            in found(well, NOTE, fix=True, any_age=True)["locks"]
        )
        assert git.stdin
        git.stdin.close()
    assert lock.exists()
    assert "locks" in found(well, FIXED, fix=True)


def test_a_promotion_succeeds_after_the_lock_of_a_dead_git_is_gone(
    well: Path, write_model: Callable[..., Path]
) -> None:
    registry = ModelRegistry(well, notify=lambda _: None)
    registry.register(write_model(well.parent / "m.pkl", 2), None)
    for name in ("index.lock", "refs/heads/main.lock"):
        make_old(well / ".git" / name)
    with pytest.raises(Exception, match="lock"):
        registry.promote("v2")
    found(well, fix=True)
    assert registry.promote("v2") == "v2"


def test_a_broken_note_of_dvcs_is_removed(well: Path) -> None:
    note = well / ".dvc" / "tmp" / "rwlock"
    note.write_text("{}")
    assert found(well) == {}
    note.write_text('{"read": ')
    assert "every other stops at it" in found(well)["locks"]
    assert "locks" in found(well, fix=True)
    make_old(note)
    assert "removed .dvc/tmp/rwlock" in found(well, FIXED, fix=True)["locks"]
    assert not note.exists()


def test_interrupted_work_is_finished_or_taken_back(well: Path, git: Git) -> None:
    """A journal of a move that never happened; the lock in it is mlv's own."""
    main = git(well, "rev-parse", "main")
    move = {"branch": "main", "old": main, "new": "1" * 40, "folders": ["registry/model"],
            "before": {}, "after": {}}  # fmt: skip
    journal = well / ".git" / "mlv" / ".journal.json"
    journal.write_text(json.dumps({"move": move, "trees": []}))
    assert "an mlv was killed while it published" in found(well)["interrupted"]
    assert journal.exists()
    assert "taken back" in found(well, FIXED, fix=True)["interrupted"]
    assert not journal.exists()
    assert found(well) == {}


def test_half_made_folders_are_swept(well: Path) -> None:
    folders = [
        well / ".git" / "mlv" / ".scratch" / "a",
        well / ".dvc" / "cache" / "mlv-partial" / "b",
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "half").write_text("made")
        make_old(folder.with_suffix(".lock"))
        make_old(folder)
    assert "1 half-made folder(s)" in found(well, NOTE)["scratch"]
    assert "removed 1 half-made folder(s)" in found(well, FIXED, fix=True)["scratch"]
    assert not any(folder.exists() for folder in folders)


def test_where_processes_cannot_be_seen_age_alone_decides(
    well: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stale, "_PROC", tmp_path)
    make_old(well / ".git" / "index.lock")
    assert "locks" in found(well, FIXED, fix=True)
