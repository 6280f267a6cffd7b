"""Commits and tags are signed where the user's are."""

from __future__ import annotations

import concurrent.futures
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry, NoPreviousVersion, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.conftest import Killer

    Git = Callable[..., str]
    Act = Callable[[Path], None]
    Untouched = Callable[..., AbstractContextManager[None]]
    Follows = Callable[[Path], None]
    Writer = Callable[..., Path]

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture
def signed(live: Path, git: Git, tmp_path: Path) -> Path:
    """Return the registry ``live``, in which commits and tags are signed by an SSH key."""
    key = tmp_path / "key"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(keygen, check=True)
    (tmp_path / "signers").write_text(f"ada@example.com {key.with_suffix('.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": f"{key}.pub",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "signers"),
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
    }.items():
        git(live, "config", name, value)
    return live


def test_the_users_work_is_untouched(
    signed: Path, act: Act, untouched: Untouched, follows: Follows
) -> None:
    (signed / "train.py").write_text("edited\n")
    with untouched(signed):
        act(signed)
    follows(signed)


def test_who_was_faster_is_told_without_gits_words_on_signatures(signed: Path, git: Git) -> None:
    for key, value in {
        "log.showSignature": "true",
        "i18n.commitEncoding": "ISO-8859-1",
        "i18n.logOutputEncoding": "ISO-8859-1",
        "user.name": "Zoë",
    }.items():
        git(signed, "config", key, value)
    registry = ModelRegistry(signed, notify=lambda _: None)
    registry.rollback(reason="Naïve")
    with pytest.raises(NoPreviousVersion, match=r"already rolled back to model-v1 by Zoë, \d"):
        registry.rollback()
    event = registry.history()[-1]
    assert (event["reason"], event["author"]) == ("Naïve", "Zoë <ada@example.com>")


def test_every_commit_of_the_branch_verifies(signed: Path, move: Act, git: Git) -> None:
    move(signed)
    git(signed, "verify-commit", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(signed, "verify-commit", "main^")  # made before there was a key


def test_a_versions_commit_and_tag_verify(signed: Path, git: Git, write_model: Writer) -> None:
    registry = ModelRegistry(signed)
    registry.register(write_model(signed.parent / "new.pkl", 4), None, metrics={"auc": 0.5})
    git(signed, "verify-commit", "model-v4^{commit}")
    git(signed, "verify-tag", "model-v4")
    assert git(signed, "rev-parse", "refs/mlv/model/v4") == git(signed, "rev-parse", "model-v4")
    # The signature covers the manifest, and does not end up in it.
    manifest = registry.get_manifest("v4")
    assert manifest["metrics"] == {"auc": 0.5}
    assert registry.list_versions()[-1] == manifest
    assert registry.promote("v4") == "v4"


def test_a_manifest_changed_under_a_signature_does_not_verify(
    signed: Path, git: Git, write_model: Writer
) -> None:
    ModelRegistry(signed).register(
        write_model(signed.parent / "new.pkl", 4), None, metrics={"auc": 0.5}
    )
    forged = git(signed, "cat-file", "tag", "model-v4").replace("0.5", "0.9")
    oid = git(signed, "hash-object", "-t", "tag", "-w", "--stdin", input=forged + "\n")
    git(signed, "update-ref", "refs/tags/model-v4", oid)
    with pytest.raises(subprocess.CalledProcessError):
        git(signed, "verify-tag", "model-v4")


@pytest.mark.parametrize("setting", ["tag.gpgSign", "tag.forceSignAnnotated"])
def test_each_of_gits_settings_for_tags_counts(
    signed: Path, git: Git, write_model: Writer, setting: str
) -> None:
    for name in ("tag.gpgSign", "commit.gpgSign"):
        git(signed, "config", "--unset", name)
    git(signed, "config", setting, "yes")
    ModelRegistry(signed).register(write_model(signed.parent / "new.pkl", 4), None)
    git(signed, "verify-tag", "model-v4")
    with pytest.raises(subprocess.CalledProcessError):
        git(signed, "verify-commit", "model-v4^{commit}")


def test_signing_that_was_switched_on_since_the_registry_was_opened(signed: Path, git: Git) -> None:
    git(signed, "config", "commit.gpgSign", "false")
    registry = ModelRegistry(signed)
    registry.promote("v3")
    git(signed, "config", "commit.gpgSign", "true")
    registry.promote("v1")
    git(signed, "verify-commit", "main")


def test_killed_a_signed_registration_has_its_tag_and_what_keeps_it_or_neither(
    signed: Path, git: Git, write_model: Writer, killer: Killer, tmp_path: Path
) -> None:
    model = str(write_model(signed.parent / "new.pkl", 4))
    at, step = 0, "it began"
    while step:
        at += 1
        repo = tmp_path / str(at)
        shutil.copytree(signed, repo, symlinks=True)
        step = killer(repo, "register", model, None, at=at)
        kept = "refs/mlv/model/v4" in git(repo, "for-each-ref")
        assert (git(repo, "tag", "--list", "model-v4") != "") == kept == (not step), step
    assert at > 3
    git(tmp_path / str(at), "verify-tag", "model-v4")


def test_settings_that_hold_only_in_this_repository_are_signed_by(
    signed: Path, git: Git, write_model: Writer, home: Path
) -> None:
    """The key is named on the condition of being in this repository, and on this branch."""
    key = git(signed, "config", "user.signingKey")
    for name in ("user.signingKey", "gpg.format"):
        git(signed, "config", "--unset", name)
    (home / "here").write_text(f"[user]\n    signingKey = {key}\n")
    (home / "main").write_text("[gpg]\n    format = ssh\n")
    where = (signed / ".git").resolve()
    git(home, "config", "--global", f"includeIf.gitdir:{where}.path", str(home / "here"))
    git(home, "config", "--global", "includeIf.onbranch:main.path", str(home / "main"))
    ModelRegistry(signed).register(write_model(signed.parent / "new.pkl", 4), None)
    git(signed, "verify-tag", "model-v4")


def test_a_registration_that_cannot_be_signed_is_none(
    signed: Path, git: Git, write_model: Writer
) -> None:
    git(signed, "config", "commit.gpgSign", "false")
    git(signed, "config", "user.signingKey", "/nowhere.pub")
    refs = git(signed, "for-each-ref")
    with pytest.raises(ProgramError, match="git tag failed") as caught:
        ModelRegistry(signed).register(write_model(signed.parent / "new.pkl", 4), None)
    assert "signing" in caught.value.hint
    assert git(signed, "for-each-ref") == refs


def test_signed_tags_are_raced_for_as_well(
    signed: Path,
    git: Git,
    write_model: Writer,
    mlv: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    model = str(write_model(signed.parent / "new.pkl", 4))
    argv = ("register", "-q", model, "--no-preprocessor")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: mlv(signed, *argv), range(3)))
    assert sorted(each.stdout.strip() for each in done) == ["v4", "v5", "v6"]
    for number in (4, 5, 6):
        git(signed, "verify-tag", f"model-v{number}")
