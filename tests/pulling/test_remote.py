"""A registry by its URL: what is live, a version's files, and the second time without network."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import mlv
from mlv import ConfigError, IntegrityError, ModelRegistry, NotFound, StatusError
from mlv.pulling import RemoteRegistry
from tests.pulling.conftest import commit_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pulling.conftest import Published


def test_the_live_version_is_loaded_from_its_url(published: Published) -> None:
    loaded = mlv.load(str(published.url), model="fraud", cache=published.cache)
    assert loaded["model"]["seed"] == 1
    assert (loaded["tokenizer"] / "vocab").read_text() == "vocab\n"


def test_files_are_those_of_a_clone(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    here = published.registry.artifacts("v2")
    there = far.artifacts("fraud-v2")
    assert there.keys() == here.keys()
    assert pickle.loads(there["model"].read_bytes())["seed"] == 2
    for role in ("model", "manifest"):
        assert there[role].read_bytes() == here[role].read_bytes()


def test_what_is_kept_of_git_is_one_commit_without_its_code(
    published: Published, git: Callable[..., str]
) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    far.catch_up("fraud@production")
    far.artifacts("fraud@production")
    (mirror,) = (published.cache / "git").iterdir()
    program = git(published.clone, "rev-parse", "main:train.py").strip()
    listed = git(mirror, "cat-file", "--batch-all-objects", "--batch-check")
    assert program not in listed
    assert git(mirror, "rev-list", "--count", "refs/mlv-head").strip() == "1"
    tags = git(mirror, "for-each-ref", "--format=%(refname)", "refs/tags").split()
    assert tags == ["refs/tags/fraud-v1"]


@pytest.mark.parametrize("protocol", ["2", "0"])
@pytest.mark.parametrize("can_filter", ["true", "false"])
def test_any_server_will_do(
    published: Published, git: Callable[..., str], can_filter: str, protocol: str
) -> None:
    git(published.url, "config", "uploadpack.allowFilter", can_filter)
    server = published.url.parent / "upload-pack"
    server.write_text(f'#!/bin/sh\nexec env GIT_PROTOCOL=version={protocol} git-upload-pack "$@"\n')
    server.chmod(0o755)
    far = RemoteRegistry(published.url, cache=published.cache)
    (mirror,) = (published.cache / "git").iterdir()
    git(mirror, "config", "remote.origin.uploadpack", str(server))
    far.catch_up("@production")
    assert far.load("@production")["model"]["seed"] == 1
    far.catch_up("v2")
    assert far.load("v2")["model"]["seed"] == 2


def test_a_second_time_needs_neither_remote(published: Published) -> None:
    mlv.load(published.url, "fraud", cache=published.cache)
    published.url.rename(published.url.with_name("gone"))
    published.storage.rename(published.storage.with_name("lost"))
    notes: list[str] = []
    loaded = mlv.load(published.url, "fraud", cache=published.cache, notify=notes.append)
    assert loaded["model"]["seed"] == 1
    assert "going on with what was fetched 0 seconds ago" in notes[0]
    offline = mlv.load(
        published.url, "fraud", cache=published.cache, offline=True, notify=notes.append
    )
    assert offline["model"]["seed"] == 1
    assert len(notes) == 1


def test_offline_says_what_is_not_here(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache, offline=True)
    with pytest.raises(NotFound, match=r"nothing of .* was fetched here yet"):
        far.current()
    RemoteRegistry(published.url, cache=published.cache).refresh("fraud@production")
    with pytest.raises(NotFound, match=r"fraud-v2 of .* was never fetched"):
        far.artifacts("v2")
    with pytest.raises(NotFound, match="the bytes of fraud-v1 are not all here"):
        far.artifacts("v1")


def test_a_promotion_is_seen_once_it_is_asked_for(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    assert far.current().pointer.current == 1
    published.registry.promote("v2")
    published.registry.push()
    assert far.current().pointer.current == 1
    far.refresh()
    assert far.current().pointer.current == 2
    assert far.load()["model"]["seed"] == 2


def test_the_newest_version_is_that_of_the_remote(published: Published) -> None:
    far = RemoteRegistry(published.url, "fraud", cache=published.cache)
    far.catch_up("@latest")
    assert far.resolve("@latest").tag == "fraud-v2"


def test_a_registry_where_nothing_was_ever_promoted(
    published: Published, git: Callable[..., str]
) -> None:
    first = git(published.clone, "log", "--format=%H", "--grep=Train the fraud").split()[0]
    git(published.url, "update-ref", "refs/heads/main", first)
    far = RemoteRegistry(published.url, cache=published.cache)
    far.catch_up("v2")
    assert far.load("v2")["model"]["seed"] == 2


def test_the_registry_branch_is_the_one_that_mlv_yaml_names(
    published: Published, git: Callable[..., str]
) -> None:
    config = published.clone / "mlv.yaml"
    git(published.url, "branch", "live", "main")
    config.write_text(config.read_text().replace("branch: main", "branch: live"))
    git(published.clone, "commit", "--quiet", "--all", "--message", "Name another branch")
    git(published.clone, "push", "--quiet", "origin", "main")
    elsewhere = RemoteRegistry(published.url, cache=published.cache)
    elsewhere.refresh()
    assert elsewhere.current().tip.commit == git(published.url, "rev-parse", "live").strip()


def test_a_withdrawn_version_is_not_handed_out(published: Published) -> None:
    published.registry.yank("v2", reason="It leaks")
    published.registry.push()
    far = RemoteRegistry(published.url, cache=published.cache)
    with pytest.raises(StatusError, match="fraud-v2 is yanked"):
        far.artifacts("v2")


def test_a_damaged_object_is_refused_and_brought_anew_once_it_is_mended(
    published: Published,
) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    artifact = far.manifest("v1").artifacts["model"]
    stored = published.storage / "files" / "md5" / artifact.md5[:2] / artifact.md5[2:]
    whole = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(whole[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"model\.pkl of fraud-v1 is not what was registered"):
        far.artifacts("v1")
    stored.write_bytes(whole)
    assert far.load("v1")["model"]["seed"] == 1


def test_an_object_that_was_damaged_here_is_brought_anew(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    files = far.artifacts("v1")
    artifact = far.manifest("v1").artifacts["model"]
    ours = published.cache / "files" / "md5" / artifact.md5[:2] / artifact.md5[2:]
    shutil.rmtree(files["model"].parent)
    ours.chmod(0o644)
    ours.write_bytes(b"cut")
    assert far.load("v1")["model"]["seed"] == 1


def test_what_is_not_on_the_dvc_remote_is_counted(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    artifact = far.manifest("v1").artifacts["model"]
    (published.storage / "files" / "md5" / artifact.md5[:2] / artifact.md5[2:]).unlink()
    with pytest.raises(NotFound, match=r"1 file\(s\) of fraud-v1 are not on the DVC remote"):
        far.artifacts("v1")


def test_versions_share_what_is_the_same(published: Published) -> None:
    far = RemoteRegistry(published.url, cache=published.cache)
    first, second = far.artifacts("v1"), far.artifacts("v2")
    assert (first["tokenizer"] / "vocab").samefile(second["tokenizer"] / "vocab")
    assert not first["model"].stat().st_mode & 0o222


def test_a_relative_dvc_remote_is_meant_from_a_repository_on_this_machine(
    published: Published,
) -> None:
    config = published.clone / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(published.storage), "../../storage"))
    commit_config(published)
    far = RemoteRegistry(published.url, cache=published.cache)
    assert far.load("v1")["model"]["seed"] == 1


def test_the_users_own_dvc_remote_wins(published: Published, home: Path) -> None:
    moved = published.storage.with_name("moved")
    published.storage.rename(moved)
    own = home / ".config" / "dvc" / "config"
    own.write_text(f"{own.read_text()}['remote \"storage\"']\n    url = {moved}\n")
    far = RemoteRegistry(published.url, cache=published.cache)
    assert far.load("v1")["model"]["seed"] == 1


def test_versions_that_must_be_signed_are_refused_unsigned(
    published: Published, git: Callable[..., str]
) -> None:
    config = published.clone / "mlv.yaml"
    config.write_text(
        f"{config.read_text()}require_signed: versions\nallowed_signers: allowed_signers\n"
    )
    (published.clone / "allowed_signers").write_text("")
    git(published.clone, "add", "--all", "mlv.yaml", "allowed_signers")
    git(published.clone, "commit", "--quiet", "--message", "Ask for signatures")
    git(published.clone, "push", "--quiet", "origin", "main")
    far = RemoteRegistry(published.url, cache=published.cache)
    with pytest.raises(IntegrityError, match="the tag fraud-v1 is not signed"):
        far.artifacts("@production")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_version_that_is_signed_as_it_must_be_is_handed_out(
    published: Published, git: Callable[..., str], tmp_path: Path
) -> None:
    key, clone = tmp_path / "ada", published.clone
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(argv, check=True)
    with (clone / "mlv.yaml").open("a") as config:
        config.write("require_signed: versions\nallowed_signers: allowed_signers\n")
    public = key.with_suffix(".pub").read_text()
    (clone / "allowed_signers").write_text(f"ada@example.com {public}")
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", key), ("tag.gpgSign", "true")):
        git(clone, "config", name, str(value))
    git(clone, "add", "mlv.yaml", "allowed_signers")
    git(clone, "commit", "--quiet", "--message", "Ask for signatures")
    registry = ModelRegistry(clone, "fraud")
    registry.register(tmp_path / "model.pkl", None, {"auc": 0.9})
    registry.promote("v3")
    registry.push()
    far = RemoteRegistry(published.url, "fraud", cache=published.cache)
    given = far.artifacts("@production")["model"]
    assert given.read_bytes() == (tmp_path / "model.pkl").read_bytes()
    with pytest.raises(IntegrityError, match="the tag fraud-v1 is not signed"):
        far.artifacts("v1")


def test_a_branch_of_a_signed_registry_that_was_forced_back_is_refused(
    published: Published, git: Callable[..., str]
) -> None:
    test_versions_that_must_be_signed_are_refused_unsigned(published, git)
    tip = git(published.url, "rev-parse", "main").strip()
    git(published.clone, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    git(published.clone, "push", "--quiet", "origin", "main")
    far = RemoteRegistry(published.url, cache=published.cache)
    far.refresh()
    with pytest.raises(IntegrityError, match="not signed"):
        far.artifacts("@production")
    git(published.url, "update-ref", "refs/heads/main", tip)
    far.refresh()
    with pytest.raises(IntegrityError, match="main was rolled back"):
        far.artifacts("@production")


def test_a_repository_that_is_no_registry(tmp_path: Path, git: Callable[..., str]) -> None:
    git(tmp_path, "init", "--quiet", "plain")
    cache = tmp_path / "cache"
    with pytest.raises(ConfigError, match="has no default branch"):
        RemoteRegistry(tmp_path / "plain", cache=cache).refresh()
    git(tmp_path / "plain", "commit", "--quiet", "--allow-empty", "--message", "Begin")
    with pytest.raises(ConfigError, match="is not a model registry"):
        RemoteRegistry(tmp_path / "plain", cache=cache).refresh()


def test_processes_may_pull_at_once(published: Published) -> None:
    def pull(_: int) -> bytes:
        far = RemoteRegistry(published.url, cache=published.cache)
        far.catch_up("@production")
        return far.artifacts("@production")["model"].read_bytes()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(pull, range(6)))) == 1


def test_the_default_cache_is_the_users_own(published: Published, home: Path) -> None:
    mlv.load(published.url, "fraud", "v1")
    assert (home / ".cache" / "mlv" / "git").is_dir()


def test_what_a_killed_fetch_left_half_written_is_removed(published: Published) -> None:
    registry = RemoteRegistry(published.url, cache=published.cache)
    registry.refresh("fraud-v1")
    [packs] = published.cache.glob("git/*/objects/pack")
    (packs / "tmp_pack_xyz").write_bytes(b"PACK")
    registry.refresh("fraud-v1")
    assert not list(packs.glob("tmp_*"))
