"""Nothing is promoted, staged, loaded or handed out that nobody signed who may."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, ModelRegistry, RegistryError
from mlv.domain import pointer as pointers
from mlv.domain.pointer import Pointer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")

POINTER = "registry/model/pointer.json"
UNSIGNED = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false")


def quiet(_: str) -> None:
    """Take a note and let it go."""


def make_key(path: Path) -> str:
    """Make an SSH key without a passphrase, and give its public half."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path.with_suffix(".pub").read_text()


def policy(repo: Path, git: Git, required: str, *how: str) -> None:
    (repo / "mlv.yaml").write_text(f"require_signed: {required}\nallowed_signers: keys/signers\n")
    git(repo, *how, "commit", "-q", "-m", "Say what must be signed", "mlv.yaml")


@pytest.fixture(scope="module")
def _mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    write_model: Callable[..., Path],
) -> Path:
    mould = tmp_path_factory.mktemp("signed")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    (repo / "keys").mkdir()
    (repo / "keys" / "signers").write_text(f"ada@example.com {make_key(mould / 'ada')}")
    make_key(mould / "eve")
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": str(mould / "ada.pub"),
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
    }.items():
        git(repo, "config", name, value)
    git(repo, "add", "keys")
    git(repo, "commit", "-q", "-m", "Say who may sign")
    policy(repo, git, "all")
    registry = ModelRegistry(repo, notify=quiet)
    for seed in (1, 2, 3):
        registry.register(write_model(mould / "model.pkl", seed), None)
    registry.promote("v1")
    registry.promote("v2")
    git(mould, "clone", "-q", "--bare", "repo", "server.git")
    return mould


@pytest.fixture
def signed(_mould: Path, tmp_path: Path, git: Git) -> Path:
    """Return a registry that wants all signed and has it so: v2 is live, v1 was.

    Its remote is ``server.git`` beside it; ``eve`` there is a key that nobody allows.
    """
    shutil.copytree(_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    repo = tmp_path / "repo"
    git(repo, "update-index", "--refresh")
    git(repo, "remote", "add", "origin", "../server.git")
    git(repo, "fetch", "-q")
    return repo


@pytest.fixture
def reader(signed: Path, tmp_path: Path, git: Git) -> Path:
    """Return a clone without a local branch, as a serving host has it, that has read once."""
    git(tmp_path, "clone", "-q", "server.git", "reader")
    clone = tmp_path / "reader"
    shutil.copytree(signed / ".dvc" / "cache", clone / ".dvc" / "cache")
    git(clone, "switch", "-q", "--detach")
    git(clone, "branch", "-q", "-D", "main")
    assert ModelRegistry(clone).load()["model"]["seed"] == 2
    return clone


def live(repo: Path) -> int:
    return int(ModelRegistry(repo, notify=quiet).load()["model"]["seed"])


def refused(repo: Path, words: str, ref: str = "@production") -> IntegrityError:
    """See that a version is neither handed out nor loaded, and that reading goes on."""
    registry = ModelRegistry(repo, notify=quiet)
    with pytest.raises(IntegrityError, match=words) as caught:
        registry.artifacts(ref)
    assert caught.value.hint
    with pytest.raises(IntegrityError, match=words):
        registry.load(ref)
    assert registry.list_versions()
    return caught.value


def problems(repo: Path) -> str:
    return "\n".join(p["message"] for p in ModelRegistry(repo, notify=quiet).status()["problems"])


def commit_pointer(repo: Path, git: Git, *how: str, live: str = "v1") -> str:
    """Commit a pointer that names another live version, as anybody may who can push."""
    text = (repo / POINTER).read_text()
    number = pointers.parse(text.encode(), "model").current or 0
    after = Pointer("model", int(live[1:]), None, {number: "archived", int(live[1:]): "production"})
    (repo / POINTER).write_bytes(after.to_bytes())
    git(repo, *how, "commit", "-q", "-m", "All is well", POINTER)
    return git(repo, "rev-parse", "HEAD")


def test_what_is_signed_is_loaded_and_promoted(signed: Path) -> None:
    assert live(signed) == 2
    assert ModelRegistry(signed, notify=quiet).promote("v3") == "v3"
    assert live(signed) == 3
    assert ModelRegistry(signed, notify=quiet).rollback() == "v2"
    assert ModelRegistry(signed, notify=quiet).stage("v3") == "v3"
    assert problems(signed) == ""


def test_what_is_live_may_be_here_alone(reader: Path, git: Git) -> None:
    git(reader, "tag", "--delete", "model-v1")
    assert problems(reader) == ""
    git(reader, "tag", "--delete", "model-v2")
    assert "there is no version v2" in problems(reader)


def test_without_the_policy_nothing_is_kept(repo: Path, write_model: Callable[..., Path]) -> None:
    registry = ModelRegistry(repo, notify=quiet)
    registry.register(write_model(repo.parent / "m.pkl", 1), None)
    registry.promote("v1")
    assert registry.load()["model"]["seed"] == 1
    assert not (repo / ".git" / "mlv" / ".accepted.json").exists()


# Versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("required", ["versions", "all"])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("unsigned", "the tag model-v4 is not signed"),
        ("eve", "the tag model-v4 is signed by SHA256:.*, which keys/signers does not allow"),
        ("changed", "the tag model-v4 carries a signature that does not verify"),
        ("lightweight", "model-v4 is a lightweight tag here"),
    ],
)
def test_a_version_is_refused(
    signed: Path,
    git: Git,
    write_model: Callable[..., Path],
    required: str,
    how: str,
    words: str,
) -> None:
    policy(signed, git, f"{required} # {how}")
    if how == "unsigned":
        git(signed, "config", "tag.gpgSign", "false")
    if how == "eve":
        git(signed, "config", "user.signingKey", str(signed.parent / "eve.pub"))
    said: list[str] = []
    registry = ModelRegistry(signed, notify=said.append)
    registry.register(write_model(signed.parent / "m.pkl", 4), None)
    if how in ("unsigned", "eve"):
        assert any("model-v4" in note and "sign" in note for note in said)
    if how == "changed":
        tag = git(signed, "cat-file", "tag", "model-v4").replace("tagger Ada", "tagger Adam")
        oid = git(signed, "hash-object", "-t", "tag", "-w", "--stdin", input=tag + "\n")
        git(signed, "update-ref", "refs/tags/model-v4", oid)
    if how == "lightweight":
        git(signed, "update-ref", "refs/tags/model-v4", "refs/tags/model-v4^{commit}")
    git(signed, "config", "tag.gpgSign", "true")
    git(signed, "config", "user.signingKey", str(signed.parent / "ada.pub"))
    refused(signed, words, "v4")
    before = git(signed, "rev-parse", "main")
    for verb in ("stage", "promote"):
        with pytest.raises(IntegrityError, match=words):
            getattr(registry, verb)("v4")
    assert git(signed, "rev-parse", "main") == before
    assert live(signed) == 2


def test_a_signed_tag_put_at_another_name_is_refused(signed: Path, git: Git) -> None:
    git(signed, "update-ref", "refs/tags/model-v9", "refs/tags/model-v1")
    refused(signed, "is really the tag 'model-v1', renamed", "v9")


def test_who_may_sign_is_the_branchs_word_not_the_work_trees(
    signed: Path, git: Git, write_model: Callable[..., Path]
) -> None:
    """A newcomer who brings his key, in the work tree and in the version's tree, brings nothing."""
    git(signed, "switch", "-q", "-c", "newcomer")
    with (signed / "keys" / "signers").open("a") as file:
        file.write(f"eve@example.com {(signed.parent / 'eve.pub').read_text()}")
    (signed / "mlv.yaml").write_text("")
    git(signed, "config", "user.signingKey", str(signed.parent / "eve.pub"))
    git(signed, "commit", "-q", "-a", "-m", "I may sign")
    ModelRegistry(signed, notify=quiet).register(write_model(signed.parent / "m.pkl", 4), None)
    refused(signed, "which keys/signers does not allow", "v4")


@pytest.mark.parametrize(
    "setting",
    [
        ("gpg.ssh.allowedSignersFile", "{tmp}/everybody"),
        ("gpg.ssh.program", "{tmp}/yes"),
        ("gpg.minTrustLevel", "undefined"),
        ("alias.verify-tag", "!true"),
        ("gpg.program", "{tmp}/yes"),
    ],
    ids=lambda setting: setting[0],
)
def test_a_users_configuration_does_not_weaken_it(
    signed: Path, git: Git, write_model: Callable[..., Path], setting: tuple[str, str]
) -> None:
    tmp = signed.parent
    (tmp / "everybody").write_text(f"eve@example.com {(tmp / 'eve.pub').read_text()}")
    (tmp / "yes").write_text("#!/bin/sh\necho 'Good \"git\" signature for a with b key c'\n")
    (tmp / "yes").chmod(0o755)
    git(signed, "config", "user.signingKey", str(tmp / "eve.pub"))
    ModelRegistry(signed, notify=quiet).register(write_model(tmp / "m.pkl", 4), None)
    git(signed, "config", setting[0], setting[1].format(tmp=tmp))
    refused(signed, "which keys/signers does not allow", "v4")


def test_a_pgp_signature_is_not_taken_for_one_of_the_allowed(signed: Path, git: Git) -> None:
    body = git(signed, "cat-file", "tag", "model-v3").partition("-----BEGIN ")[0]
    body += "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    oid = git(signed, "hash-object", "-t", "tag", "-w", "--stdin", input=body)
    git(signed, "update-ref", "refs/tags/model-v3", oid)
    refused(signed, "carries a signature that is not SSH's", "v3")


def test_a_signer_who_was_removed_is_trusted_no_more(signed: Path, git: Git) -> None:
    assert live(signed) == 2
    new = make_key(signed.parent / "grace")
    (signed / "keys" / "signers").write_text(f"grace@example.com {new}")
    git(signed, "commit", "-q", "-a", "-m", "Ada has left")
    refused(signed, "the tag model-v2 is signed by SHA256:.*, which keys/signers does not allow")


def test_signers_that_are_a_symlink_or_gone_allow_nobody(signed: Path, git: Git) -> None:
    (signed / "keys" / "signers").rename(signed / "keys" / "real")
    (signed / "keys" / "signers").symlink_to("real")
    git(signed, "add", "-A", "keys")
    git(signed, "commit", "-q", "-m", "Move the signers")
    refused(signed, "keys/signers, the file of allowed signers, is not on main")
    assert "is not on main" in problems(signed)


# The branch --------------------------------------------------------------------------------


def test_an_unsigned_pointer_is_refused_by_all_who_read_it(
    signed: Path, reader: Path, tmp_path: Path, git: Git
) -> None:
    bad = commit_pointer(signed, git, *UNSIGNED)
    git(signed, "push", "-q", "origin", "main")
    git(reader, "fetch", "-q")
    git(tmp_path, "clone", "-q", "server.git", "fresh")
    for repo in (signed, reader, tmp_path / "fresh"):
        refused(repo, f"the commit {bad[:10]} on main is not signed")
        refused(repo, f"the commit {bad[:10]} on main is not signed", "v1")
        assert "is not signed" in problems(repo)
    registry = ModelRegistry(signed, notify=quiet)
    with pytest.raises(IntegrityError, match="is not signed"):
        registry.promote("v3")
    # Signed work on top of it does not make it good.
    commit_pointer(signed, git, live="v2")
    refused(signed, f"the commit {bad[:10]} on main is not signed")


def test_code_may_be_committed_and_merged_unsigned(signed: Path, git: Git) -> None:
    git(signed, "switch", "-q", "-c", "feature")
    (signed / "train.py").write_text("new\n")
    git(signed, "add", "train.py")
    git(signed, *UNSIGNED, "commit", "-q", "-m", "Train better")
    git(signed, "switch", "-q", "main")
    git(signed, *UNSIGNED, "merge", "-q", "--no-ff", "-m", "Merge", "feature")
    assert live(signed) == 2


def test_a_merge_that_brings_a_pointer_must_be_signed_itself(signed: Path, git: Git) -> None:
    """What counts is the commit on the branch, not that a signed one lies beside it."""
    git(signed, "switch", "-q", "-c", "proposal")
    commit_pointer(signed, git)
    git(signed, "switch", "-q", "main")
    git(signed, *UNSIGNED, "merge", "-q", "--no-ff", "-m", "Merge pull request 7", "proposal")
    refused(signed, "Merge pull request 7")
    git(signed, "reset", "-q", "--hard", "HEAD^")
    git(signed, "merge", "-q", "--no-ff", "-m", "Merge pull request 7", "proposal")
    assert live(signed) == 1


@pytest.mark.parametrize("what", ["signers", "policy", "path", "gone"])
def test_the_policy_is_not_switched_off_by_whom_it_does_not_trust(
    signed: Path, reader: Path, git: Git, what: str
) -> None:
    signers = signed / "keys" / "signers"
    eve = f"eve@example.com {(signed.parent / 'eve.pub').read_text()}"
    if what == "signers":
        signers.write_text(signers.read_text() + eve)
    if what == "policy":
        (signed / "mlv.yaml").write_text("")
    if what == "gone":
        git(signed, "rm", "-q", "mlv.yaml")
    if what == "path":
        (signed / "keys" / "others").write_text(eve)
        (signed / "mlv.yaml").write_text("require_signed: all\nallowed_signers: keys/others\n")
        git(signed, "add", "keys")
    git(signed, "config", "user.signingKey", str(signed.parent / "eve.pub"))
    git(signed, "commit", "-q", "-a", "-m", "Ease the rules")
    git(signed, "push", "-q", "origin", "main")
    git(reader, "fetch", "-q")
    refused(reader, "is signed by .* \\(Ada Lovelace: Ease the rules\\)")


def test_signers_changed_where_the_policy_pointed_for_a_while(signed: Path, git: Git) -> None:
    """Signers lie elsewhere between two signed commits; what is changed there counts too."""
    (signed / "mlv.yaml").write_text("require_signed: all\nallowed_signers: keys/others\n")
    shutil.copy(signed / "keys" / "signers", signed / "keys" / "others")
    git(signed, "add", "-A")
    git(signed, "commit", "-q", "-m", "Signers move")
    with (signed / "keys" / "others").open("a") as file:
        file.write(f"eve@example.com {(signed.parent / 'eve.pub').read_text()}")
    git(signed, *UNSIGNED, "commit", "-q", "-a", "-m", "Sneak in")
    git(signed, "config", "user.signingKey", str(signed.parent / "eve.pub"))
    policy(signed, git, "all")
    refused(signed, "Sneak in")


def test_a_trusted_signer_may_change_signers_and_switch_it_off(
    signed: Path, reader: Path, git: Git
) -> None:
    with (signed / "keys" / "signers").open("a") as file:
        file.write(f"eve@example.com {(signed.parent / 'eve.pub').read_text()}")
    git(signed, "commit", "-q", "-a", "-m", "Eve may sign")
    git(signed, "config", "user.signingKey", str(signed.parent / "eve.pub"))
    commit_pointer(signed, git)
    git(signed, "push", "-q", "origin", "main")
    git(reader, "fetch", "-q")
    assert live(reader) == 1
    (signed / "mlv.yaml").write_text("")
    git(signed, "commit", "-q", "-a", "-m", "No more signatures")
    git(signed, *UNSIGNED, "commit", "-q", "--allow-empty", "-m", "Free")
    git(signed, "push", "-q", "origin", "main")
    git(reader, "fetch", "-q")
    assert live(reader) == 1
    assert not (reader / ".git" / "mlv" / ".accepted.json").exists()


@pytest.mark.parametrize("required", ["versions", "all"])
def test_a_branch_forced_back_is_refused_until_an_administrator_says_so(
    signed: Path, reader: Path, git: Git, required: str
) -> None:
    policy(signed, git, required + " ")
    git(signed, "push", "-q", "origin", "main")
    git(reader, "fetch", "-q")
    assert live(reader) == live(signed) == 2
    old = git(signed, "log", "-1", "--skip=1", "--format=%H", "--", POINTER)
    git(signed, "push", "-q", "--force", "origin", f"{old}:main")
    git(reader, "fetch", "-q")
    error = refused(reader, "main was rolled back: its tip .* does not descend from")
    assert f"mlv trust {old[:10]}" in error.hint
    assert "rolled back" in problems(reader)
    # One whose own branch has it all still reads rightly, and is told.
    git(signed, "fetch", "-q")
    assert live(signed) == 2
    assert "origin/main was rolled back" in problems(signed)
    git(signed, "reset", "-q", "--hard", "origin/main")
    refused(signed, "main was rolled back")
    assert ModelRegistry(reader).trust(old).problem is None
    assert live(reader) == 1


def test_a_rollback_is_seen_although_the_commit_that_was_is_gone(reader: Path, git: Git) -> None:
    old = git(reader, "log", "-1", "--skip=1", "--format=%H", "origin/main", "--", POINTER)
    git(reader, "update-ref", "refs/remotes/origin/main", old)
    for log in (reader / ".git" / "logs").rglob("*"):
        if log.is_file():
            log.unlink()
    git(reader, "checkout", "-q", "--detach", old)
    git(reader, "symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    git(reader, "reflog", "expire", "--expire=now", "--all")
    git(reader, "gc", "-q", "--prune=now")
    refused(reader, "main was rolled back")


def test_published_in_between_and_taken_back_is_a_rollback_too(signed: Path, git: Git) -> None:
    registry = ModelRegistry(signed, notify=quiet)
    registry.promote("v3")
    assert live(signed) == 3
    git(signed, "push", "-q", "origin", "main")
    assert live(signed) == 3
    git(signed, "push", "-q", "--force", "origin", "main^:main")
    git(signed, "reset", "-q", "--hard", "origin/main")
    refused(signed, "main was rolled back")


def test_what_was_never_published_may_be_taken_back(signed: Path, git: Git) -> None:
    ModelRegistry(signed, notify=quiet).promote("v3")
    assert live(signed) == 3
    git(signed, "reset", "-q", "--hard", "origin/main")
    assert live(signed) == 2


def test_a_merge_that_turns_history_round_does_not_get_behind_the_policy(
    signed: Path, reader: Path, git: Git
) -> None:
    """Its first parent is from before anything had to be signed."""
    before = git(signed, "log", "--format=%H", "--skip=1", "-1", "--", "mlv.yaml")
    tree = commit_pointer(signed, git, *UNSIGNED)
    merge = git(
        signed, "commit-tree", f"{tree}^{{tree}}", "-p", before, "-p", "origin/main", "-m", "Merge"
    )
    git(signed, "push", "-q", "origin", f"{merge}:main")
    git(reader, "fetch", "-q")
    refused(reader, "main was rolled back")


def test_another_branch_is_not_taken_for_the_registry(signed: Path, git: Git) -> None:
    assert live(signed) == 2
    git(signed, "switch", "-q", "-c", "mine")
    (signed / "mlv.yaml").write_text("branch: mine\n")
    git(signed, *UNSIGNED, "commit", "-q", "-a", "-m", "My own registry")
    refused(signed, "mlv.yaml names 'mine' as the registry branch; it was 'main'")


def test_without_the_branch_nobody_is_trusted(reader: Path, git: Git) -> None:
    git(reader, "update-ref", "-d", "refs/remotes/origin/main")
    refused(reader, "versions must be signed, and main, which says by whom, is not here", "v2")
    (reader / ".git" / "mlv" / ".accepted.json").unlink()
    refused(reader, "is not here", "v2")


def test_a_shallow_clone_cannot_tell_and_says_so(signed: Path, tmp_path: Path, git: Git) -> None:
    url = f"file://{tmp_path}/server.git"
    git(tmp_path, "clone", "-q", "--depth", "1", url, "shallow")
    shallow = tmp_path / "shallow"
    shutil.copytree(signed / ".dvc" / "cache", shallow / ".dvc" / "cache")
    git(shallow, "fetch", "-q", "--depth", "1", "origin", "tag", "model-v2")
    error = refused(shallow, "history is cut off here")
    assert "git fetch --unshallow" in error.hint
    assert ModelRegistry(shallow).trust("HEAD").problem is None
    assert live(shallow) == 2


def test_a_fresh_clone_starts_from_the_commit_that_it_is_told(
    signed: Path, tmp_path: Path, git: Git
) -> None:
    """Without it, a fresh clone believes a tip that has switched the policy off."""
    good = git(signed, "rev-parse", "main")
    (signed / "mlv.yaml").write_text("")
    git(signed, *UNSIGNED, "commit", "-q", "-a", "-m", "Ease the rules")
    git(signed, "push", "-q", "origin", "main")
    git(tmp_path, "clone", "-q", "server.git", "fresh")
    clone = tmp_path / "fresh"
    shutil.copytree(signed / ".dvc" / "cache", clone / ".dvc" / "cache")
    assert live(clone) == 2
    problem = ModelRegistry(clone).trust(good).problem
    assert problem
    assert "Ease the rules" in problem.message
    refused(clone, "Ease the rules")


@pytest.mark.parametrize("commit", ["--help", "nowhere", "model-v1", "main\nmain"])
def test_only_a_commit_of_the_branch_can_be_trusted(signed: Path, commit: str) -> None:
    with pytest.raises(RegistryError, match="commit"):
        ModelRegistry(signed).trust(commit)


def test_a_note_that_cannot_be_read_is_not_taken_for_none(signed: Path) -> None:
    assert live(signed) == 2
    (signed / ".git" / "mlv" / ".accepted.json").write_text("{}")
    refused(signed, "cannot be read")
    assert ModelRegistry(signed).trust("main").problem is None
    assert live(signed) == 2


def test_what_was_verified_once_costs_no_process(
    signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlv.store import process

    registry = ModelRegistry(signed, "model")
    assert registry.load()["model"]["seed"] == 2
    monkeypatch.setattr(process, "run", None)
    assert registry.load()["model"]["seed"] == 2


def test_a_promotion_that_nobody_would_accept_is_not_made(signed: Path, git: Git) -> None:
    git(signed, "config", "commit.gpgSign", "false")
    before = git(signed, "rev-parse", "main")
    with pytest.raises(IntegrityError, match="is not signed"):
        ModelRegistry(signed, notify=quiet).promote("v3")
    assert git(signed, "rev-parse", "main") == before
    assert git(signed, "status", "--porcelain") == ""
