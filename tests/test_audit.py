"""An audit names whatever is not what it was, and calls nothing whole that it did not look at."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, IntegrityError, ModelRegistry
from mlv.domain import findings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Found = list[tuple[str, str]]


def quiet(_: str) -> None:
    """Take a note and let it go."""


@pytest.fixture(scope="module")
def _mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    dvc: Callable[..., str],
    write_model: Callable[..., Path],
) -> Path:
    mould = tmp_path_factory.mktemp("audited")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    config = repo / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", str(mould / "storage")))
    (repo / "data.csv").write_text("a,b\n1,2\n")
    dvc(repo, "add", "-q", "data.csv")
    git(repo, "add", "--all")
    git(repo, "commit", "-q", "-m", "Data")
    git(mould, "init", "-q", "--bare", "server.git")
    git(repo, "remote", "add", "origin", str(mould / "server.git"))
    tokenizer = mould / "tokenizer"
    tokenizer.mkdir()
    for name in ("merges", "vocab"):
        (tokenizer / name).write_text(f"{name}\n")
    registry = ModelRegistry(repo, notify=quiet)
    for seed in (1, 2, 3):
        model = write_model(mould / "model.pkl", seed)
        more = {"tokenizer": tokenizer} if seed > 1 else {}
        registry.register(model, None, artifacts=more)
    registry.promote("v1")
    registry.promote("v2")
    registry.push()
    return mould


@pytest.fixture
def repo(_mould: Path, tmp_path: Path, git: Git) -> Path:
    """Return a published registry: v2 is live, v1 was; v2 and v3 have a folder too."""
    shutil.copytree(_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    folder = tmp_path / "repo"
    git(folder, "update-index", "--refresh")
    git(folder, "remote", "set-url", "origin", str(tmp_path / "server.git"))
    local = f"['remote \"storage\"']\n    url = {tmp_path / 'storage'}\n"
    (folder / ".dvc" / "config.local").write_text(local)
    return folder


def audit(repo: Path, **how: bool) -> Found:
    """Audit, and give kind and subject of what is not whole."""
    outcomes = ModelRegistry(repo, notify=quiet).verify_all(**how)
    for outcome in outcomes:
        assert outcome.message
        assert outcome.hint or not isinstance(outcome, findings.FAULTS)
    return [(o.kind, o.subject) for o in outcomes if not isinstance(o, findings.Ok)]


def stored(repo: Path, version: str, role: str = "model", where: str = "storage") -> Path:
    """Find an artifact's object on the DVC remote, or in the cache."""
    md5 = ModelRegistry(repo).get_manifest(version)["artifacts"][role]["md5"]
    base = repo.parent / "storage" if where == "storage" else repo / ".dvc" / "cache"
    path: Path = base / "files" / "md5" / md5[:2] / md5[2:]
    assert path.is_file()
    return path


def overwrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_a_whole_registry_is_whole_here_there_and_in_depth(repo: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (repo / ".dvc" / "cache").rglob("*")}
    for how in ({}, {"remote": True}, {"deep": True}):
        assert audit(repo, **how) == []
    after = {p: p.stat().st_mtime_ns for p in (repo / ".dvc" / "cache").rglob("*")}
    assert after == before
    messages = [o.message for o in ModelRegistry(repo).verify_all()]
    assert messages == ["model ok", "model ok, tokenizer ok", "model ok, tokenizer ok"]


def test_what_is_not_here_is_no_fault_and_is_checked_where_it_is(repo: Path) -> None:
    shutil.rmtree(repo / ".dvc" / "cache")
    everything = [("not here", f"model-v{n}") for n in (1, 2, 3)]
    assert audit(repo, deep=True) == everything
    assert not list((repo / ".dvc" / "cache").rglob("*.dir"))
    overwrite(stored(repo, "v1"), b"x" * stored(repo, "v1").stat().st_size)
    assert ("swapped", "model-v1") not in audit(repo, remote=True)  # of the right size
    assert ("swapped", "model-v1") in audit(repo, deep=True)


@pytest.mark.parametrize("role", ["model", "tokenizer"])
@pytest.mark.parametrize("how", ["here", "missing", "cut", "swapped"])
def test_bytes_that_are_not_what_was_registered(repo: Path, role: str, how: str) -> None:
    path = stored(repo, "v2", role, where="cache" if how == "here" else "storage")
    if role == "tokenizer":
        member = path.with_name(path.name.removesuffix(".dir"))
        md5 = hashlib.md5(b"vocab\n", usedforsecurity=False).hexdigest()
        member = path.parents[1] / md5[:2] / md5[2:]
        path = member
    size = path.stat().st_size
    if how == "missing":
        path.unlink()
    else:
        overwrite(path, b"x" * (size - 1 if how == "cut" else size))
    kind = "missing" if how == "missing" else "swapped"
    # The folder's files are shared by v2 and v3.
    tags = ["model-v2"] if role == "model" else ["model-v2", "model-v3"]
    where = {"here": {}, "swapped": {"deep": True}}.get(how, {"remote": True})
    assert audit(repo, **where) == [(kind, tag) for tag in tags]


def test_a_listing_that_was_changed_on_the_remote(repo: Path) -> None:
    shutil.rmtree(repo / ".dvc" / "cache")
    overwrite(stored(repo, "v2", "tokenizer"), b'[{"md5": "%s", "relpath": "../x"}]' % (b"a" * 32))
    found = audit(repo, remote=True)
    assert [f for f in found if f[0] != "not here"] == [
        ("swapped", "model-v2"), ("swapped", "model-v3"),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["remote", "deep"])
def test_a_listing_changed_on_the_remote_is_found_where_the_cache_has_it_whole(
    repo: Path, how: str
) -> None:
    path = stored(repo, "v2", "tokenizer")
    listing = path.read_bytes()
    overwrite(path, b"[]" if how == "remote" else listing.replace(b"vocab", b"other"))
    assert audit(repo, **{how: True}) == [("swapped", "model-v2"), ("swapped", "model-v3")]


def test_a_tag_that_was_moved_on_the_remote(repo: Path, git: Git) -> None:
    server = repo.parent / "server.git"
    git(server, "update-ref", "refs/tags/model-v3", "refs/tags/model-v1")
    assert audit(repo) == []
    assert audit(repo, remote=True) == [("moved", "model-v3")]


def test_a_tag_made_anew_at_the_same_commit_is_moved_and_a_lightweight_one_is_not(
    repo: Path, git: Git
) -> None:
    message = git(repo, "tag", "--list", "--format=%(contents)", "model-v3")
    how = ("--force", "--annotate", "--cleanup=verbatim", "--file=-")
    git(repo, "tag", *how, "model-v3", "model-v3^{commit}", input=message + "\n")
    assert audit(repo, remote=True) == [("moved", "model-v3")]
    git(repo, "update-ref", "refs/tags/model-v3", "refs/tags/model-v3^{commit}")
    assert audit(repo, remote=True) == []


def test_a_tag_renamed_or_rewritten_here(repo: Path, git: Git) -> None:
    git(repo, "update-ref", "refs/tags/model-v3", "refs/tags/model-v1")
    message = git(repo, "tag", "--list", "--format=%(contents)", "model-v2")
    spoiled = message.replace('"metrics": {}', '"metrics": {"auc": 1.0}')
    how = ("--force", "--annotate", "--cleanup=verbatim", "--file=-")
    git(repo, "tag", *how, "model-v2", "model-v2^{commit}", input=spoiled)
    assert audit(repo) == [
        ("edited", "registry/model on main"), ("edited", "model-v2"), ("moved", "model-v3"),
    ]  # fmt: skip


def test_a_manifest_edited_on_the_branch_and_a_pointer_by_hand(repo: Path, git: Git) -> None:
    manifest = repo / "registry" / "model" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("Ada", "Eve"))
    git(repo, "commit", "-q", "-a", "-m", "By hand")
    assert audit(repo) == [("edited", "registry/model on main")]
    (manifest.with_name("pointer.json")).write_text("{}")
    git(repo, "commit", "-q", "-a", "-m", "By hand again")
    assert audit(repo) == [("edited", "registry/model on main")]


def test_a_dvc_file_that_names_other_bytes(repo: Path, git: Git) -> None:
    tree = git(repo, "rev-parse", "model-v3^{tree}")
    git(repo, "checkout", "-q", "--detach", "model-v3")
    path = repo / "registry" / "model" / "model.pkl.dvc"
    path.write_text(path.read_text().replace("md5: ", "md5: 0", 1))
    git(repo, "commit", "-q", "-a", "-m", "Other bytes")
    assert git(repo, "rev-parse", "HEAD^{tree}") != tree
    tag = git(repo, "cat-file", "tag", "model-v3")
    forged = tag.replace(git(repo, "rev-parse", "model-v3^{commit}"), git(repo, "rev-parse", "@"))
    oid = git(repo, "hash-object", "-t", "tag", "-w", "--stdin", input=forged + "\n")
    git(repo, "update-ref", "refs/tags/model-v3", oid)
    git(repo, "switch", "-q", "main")
    assert audit(repo) == [("edited", "model-v3")]


def test_a_tag_that_was_deleted_although_the_branch_lists_it(repo: Path, git: Git) -> None:
    git(repo, "tag", "-d", "model-v1")
    assert audit(repo) == [("missing", "model-v1")]
    assert ("not here", "model-v1") in audit(repo, remote=True)


def test_what_was_never_published_is_said_and_no_fault(
    repo: Path, write_model: Callable[..., Path]
) -> None:
    ModelRegistry(repo).register(write_model(repo.parent / "m.pkl", 9), None)
    assert audit(repo) == []
    assert audit(repo, remote=True) == [("unpublished", "model-v4")]


def test_an_output_of_the_pipeline_that_a_pull_would_lack(repo: Path) -> None:
    md5 = hashlib.md5(b"a,b\n1,2\n", usedforsecurity=False).hexdigest()
    (repo.parent / "storage" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    assert audit(repo) == []
    assert audit(repo, remote=True) == [("incomplete", f"model-v{n}") for n in (1, 2, 3)]


def test_a_purged_version_is_whole_without_its_bytes(repo: Path, git: Git) -> None:
    for where in ("storage", "cache"):
        stored(repo, "v1", where=where).unlink()
    assert audit(repo, remote=True) == [("missing", "model-v1")]
    pointer = repo / "registry" / "model" / "pointer.json"
    text = pointer.read_text().replace('"archived"', '"purged"')
    pointer.write_text(text.replace('"previous": "v1"', '"previous": null'))
    git(repo, "commit", "-q", "-a", "-m", "Purge v1")
    assert audit(repo, deep=True) == []


def test_a_shallow_clone_is_not_audited(repo: Path, git: Git) -> None:
    git(repo.parent, "clone", "-q", "--depth", "1", f"file://{repo.parent}/server.git", "shallow")
    with pytest.raises(ConfigError, match="shallow: an audit would be of a part"):
        audit(repo.parent / "shallow")


def test_an_unsigned_version_is_named_where_signatures_are_wanted(repo: Path, git: Git) -> None:
    (repo / "signers").write_text("")
    (repo / "mlv.yaml").write_text("require_signed: versions\nallowed_signers: signers\n")
    git(repo, "add", "--all")
    git(repo, "commit", "-q", "-m", "Signatures")
    assert audit(repo) == [("untrusted", f"model-v{n}") for n in (1, 2, 3)]


def test_the_command_names_each_finding_and_exits_4(
    repo: Path, git: Git, mlv: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    stored(repo, "v1").unlink()
    git(repo.parent / "server.git", "update-ref", "refs/tags/model-v3", "refs/tags/model-v1")
    done = mlv(repo, "verify", "--all", "--remote")
    assert done.returncode == IntegrityError.exit_code
    lines = [line for line in done.stdout.splitlines() if line[0] != " "]
    assert lines[0].startswith("✗ model-v1  missing: model.pkl is not on storage (object ")
    assert lines[1] == "✓ model-v2  model ok, tokenizer ok"
    assert lines[2].startswith("✗ model-v3  moved: the tag model-v3 names another commit on origin")
    assert done.stderr.startswith("error: 2 of 3 checked are not what was registered\n")
    done = mlv(repo, "verify", "--all", "--remote", "--json")
    assert (done.returncode, done.stderr) == (4, "")
    done = mlv(repo, "verify", "v1", "--remote")
    assert done.returncode == 2
