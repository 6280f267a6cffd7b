"""A bundle whose maker means harm, or that lost something on its way: nothing of it comes here."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ConfigError, IntegrityError, InvalidInput, ModelRegistry, RegistryError
from mlv.bundling import archive
from mlv.bundling.contents import git_start, md5_of
from tests.bundling.conftest import Forgery, quiet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bundling.conftest import Made

    Git = Callable[..., str]


def refused(
    file: Path, folder: Path, match: str, error: type[RegistryError] = IntegrityError
) -> None:
    """See that a file is refused, in an empty folder, which stays so."""
    with pytest.raises(error, match=match):
        ModelRegistry.unbundle(file, folder / "new", notify=quiet)
    assert not [*(folder / "new").glob("*"), *(folder / "new").glob(".*")]


@pytest.fixture
def forgery(made: Made, tmp_path: Path) -> Forgery:
    return Forgery(made.file, tmp_path / "forged")


def test_what_is_put_together_again_as_it_was_is_taken(
    forgery: Forgery, made: Made, tmp_path: Path
) -> None:
    forgery.write(tmp_path / "same.mlv")
    assert (tmp_path / "same.mlv").read_bytes() == made.file.read_bytes()


@pytest.mark.parametrize("length", [0, 300, 5000, -1, -1024])
def test_a_file_that_was_cut_off(made: Made, tmp_path: Path, length: int) -> None:
    made.file.write_bytes(made.file.read_bytes()[: length or None] if length else b"")
    refused(made.file, tmp_path, "cut off")


def test_a_small_file_of_another_kind_was_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import pickle\n")
    refused(tmp_path / "train.py", tmp_path, "is no bundle of mlv's", InvalidInput)


def test_a_byte_that_was_changed_anywhere(made: Made, tmp_path: Path) -> None:
    data = made.file.read_bytes()
    for at in range(0, len(data), len(data) // 23):
        made.file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        refused(made.file, tmp_path, ".", RegistryError)


def test_what_stands_behind_the_end(made: Made, tmp_path: Path) -> None:
    made.file.write_bytes(made.file.read_bytes() + bytes(512))
    refused(made.file, tmp_path, "something was added")


CHANGES: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda d: d["files"].append({**d["files"][1], "path": "files/md5/../../../evil"}),
    lambda d: d["files"].append({**d["files"][1], "path": "/etc/passwd"}),
    lambda d: d["files"].append(d["files"][-1]),
    lambda d: d["files"].insert(1, d["files"].pop()),
    lambda d: d["files"].pop(0),
    lambda d: d["files"][1].update(size=-1),
    lambda d: d["files"][1].update(size=True),
    lambda d: d["files"][1].update(sha256="0"),
    lambda d: d["files"].clear(),
    lambda d: d["versions"].update({"--upload-pack=x-v1": "0" * 40}),
    lambda d: d["versions"].update({"fraud-v3": "HEAD"}),
    lambda d: d["versions"].update({"../fraud-v3": "0" * 40}),
    lambda d: d["versions"].clear(),
    lambda d: d.pop("live"),
    lambda d: d["live"].update(d["versions"]),
    lambda d: d["live"].update({"fraud": "0" * 40}),
    lambda d: d["live"].update({"fraud-v3": "HEAD"}),
    lambda d: d.update(branch="--force"),
    lambda d: d.update(branch="x:refs/hooks/post-checkout"),
    lambda d: d.update(branch=None),
    lambda d: d.update(commit="HEAD"),
    lambda d: d.update(schema="1"),
    lambda d: d.update(more=1),
    lambda d: d.update(lacking=[1]),
)


def test_a_list_that_mlv_would_not_write(forgery: Forgery, tmp_path: Path) -> None:
    for change in CHANGES:
        document = copy.deepcopy(forgery.document)
        change(document)
        listed = (json.dumps(document, indent=1) + "\n").encode()
        archive.write(tmp_path / "odd.mlv", listed, [], lambda _: None)
        refused(tmp_path / "odd.mlv", tmp_path, "was not written by mlv")


@pytest.mark.parametrize("size", [2**63, 10**15, 77_000_000_000])
def test_sizes_that_the_file_has_not(forgery: Forgery, tmp_path: Path, size: int) -> None:
    forgery.document["files"][1]["size"] = size
    listed = (json.dumps(forgery.document, indent=1) + "\n").encode()
    archive.write(tmp_path / "huge.mlv", listed, [], lambda _: None)
    refused(tmp_path / "huge.mlv", tmp_path, "it was cut off")


@pytest.mark.parametrize(
    "change",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "mlv-bundle.json"},
        {"name": "../../evil"},
        {"mode": 0o6777},
    ],
    ids=["symlink", "hard link", "path", "mode"],
)
def test_anything_but_plain_files(
    forgery: Forgery, made: Made, tmp_path: Path, change: dict[str, Any]
) -> None:
    member = forgery.contents.members[1]
    facts = tarfile.TarInfo(member.path)
    facts.size, facts.mode = member.size, 0o444
    header = facts.tobuf(tarfile.GNU_FORMAT)
    for name, value in change.items():
        setattr(facts, name, value)
    whole = made.file.read_bytes()
    assert whole.count(header) == 1
    made.file.write_bytes(whole.replace(header, facts.tobuf(tarfile.GNU_FORMAT)))
    refused(made.file, tmp_path, "is not what its list says")


def test_a_list_without_end(tmp_path: Path) -> None:
    facts = tarfile.TarInfo(archive.LIST)
    facts.size, facts.mode = 2**33 - 1, 0o444
    (tmp_path / "odd.mlv").write_bytes(facts.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    refused(tmp_path / "odd.mlv", tmp_path, "is no bundle of mlv's", RegistryError)


def test_an_object_that_is_not_what_its_address_says(forgery: Forgery, tmp_path: Path) -> None:
    member = forgery.contents.members[1]
    path = forgery.path(md5_of(member))
    path.write_bytes(b"x" * member.size)
    forgery.write(tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, f"the object {md5_of(member)} in the bundle is damaged")


def test_an_object_that_the_version_needs_is_left_out(
    forgery: Forgery, made: Made, tmp_path: Path
) -> None:
    artifacts = made.registry.get_manifest("fraud-v2")["artifacts"]
    for role, name in (("model", r"model\.pkl"), ("tokenizer", "tokenizer")):
        md5 = artifacts[role]["md5"]
        files = forgery.document["files"]
        left = [each for each in files if not each["path"].endswith(md5[2:])]
        forgery.document["files"] = left
        forgery.write(tmp_path / "odd.mlv")
        refused(tmp_path / "odd.mlv", tmp_path, f"{name} of fraud-v2 is not in the bundle")
        forgery.document["files"] = files


# The Git part ------------------------------------------------------------------------------


def rewrite_git(forgery: Forgery, repo: Path, git: Git, refs: dict[str, str]) -> None:
    """Put other refs into the Git part than the list names."""
    forgery.document["commit"] = git(repo, "rev-parse", "refs/heads/main")
    names = [name for oid, name in ((refs[ref], ref) for ref in refs) if oid]
    git(repo, "bundle", "create", "--quiet", str(forgery.folder / "made"), *names)
    made = (forgery.folder / "made").read_bytes()
    pack = made[made.index(b"\n\n") + 2 :]
    (forgery.folder / "repository.bundle").write_bytes(git_start(refs) + pack)


def test_refs_that_the_list_does_not_name(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    refs = forgery.contents.refs()
    git(made.repo, "update-ref", "refs/hooks/x", "main")
    for ref in ("refs/heads/other", "refs/hooks/x", "HEAD"):
        git(made.repo, "branch", "--force", "other", "main")
        oid = git(made.repo, "rev-parse", "main")
        rewrite_git(forgery, made.repo, git, {**refs, ref: oid})
        forgery.write(tmp_path / "odd.mlv")
        refused(tmp_path / "odd.mlv", tmp_path, "holds other tags and branches")


def publish(forgery: Forgery, repo: Path, git: Git, file: Path) -> None:
    """Bundle what the repository's branch and tags are now, as mlv itself would refuse to."""
    refs = {"refs/heads/main": git(repo, "rev-parse", "refs/heads/main")}
    for key in ("versions", "live"):
        for tag in forgery.document[key]:
            refs[f"refs/tags/{tag}"] = git(repo, "rev-parse", f"refs/tags/{tag}")
            forgery.document[key][tag] = refs[f"refs/tags/{tag}"]
    rewrite_git(forgery, repo, git, refs)
    forgery.write(file)


def test_a_tag_of_another_version(forgery: Forgery, made: Made, tmp_path: Path, git: Git) -> None:
    git(made.repo, "update-ref", "refs/tags/fraud-v2", "refs/tags/fraud-v1")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, "is really the tag 'fraud-v1', renamed")


def test_objects_that_are_missing(forgery: Forgery, made: Made, tmp_path: Path, git: Git) -> None:
    commit = git(made.repo, "commit-tree", "-m", "Never packed", "main^{tree}", "-p", "main")
    pack = (forgery.folder / "repository.bundle").read_bytes().partition(b"\n\n")[2]
    forgery.document["commit"] = commit
    refs = {**forgery.contents.refs(), "refs/heads/main": commit}
    (forgery.folder / "repository.bundle").write_bytes(git_start(refs) + pack)
    forgery.write(tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, "the Git part of the bundle is damaged")


@pytest.mark.parametrize(
    ("path", "data", "match"),
    [
        (".dvc/config", "['remote \"s\"']\n    bearer_token_command = touch ran\n", "run a comm"),
        (".dvc/config.local", "[cache]\n    dir = /elsewhere\n", "which DVC keeps for itself"),
        (".dvc/cache", "->/elsewhere", "which DVC keeps for itself"),
        (".DVC", "->/elsewhere", "which DVC keeps for itself"),
        ("mlv.yaml", "#" * 17_000_000, "17000000 bytes in Git where"),
        ("mlv.yaml", "branch: other\n", "names 'other' as the registry branch"),
        ("registry", "->/elsewhere", "registry is a symlink"),
        ("registry/fraud/pointer.json", "{}", "pointer"),
    ],
    ids=lambda text: text[:12],
)
def test_a_branch_that_would_do_harm(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git, path: str, data: str, match: str
) -> None:
    link = data.startswith("->")
    text = data.removeprefix("->")
    blob = git(made.repo, "hash-object", "-w", "--stdin", input=text)
    git(made.repo, "rm", "--quiet", "-r", "--cached", "--ignore-unmatch", path)
    mode = "120000" if link else "100644"
    git(made.repo, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    git(made.repo, "commit", "--quiet", "--no-verify", "--message", "Do harm")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, match, RegistryError)


def test_a_folder_that_is_not_the_live_versions(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    """`dvc pull` goes by the branch's folder: it would bring another model than is live."""
    ModelRegistry.unbundle(made.file, tmp_path / "clone", notify=quiet)
    path = made.repo / "registry" / "fraud" / "model.pkl.dvc"
    other = made.registry.get_manifest("ranker-v1")["artifacts"]["model"]["md5"]
    mine = made.registry.get_manifest("fraud-v2")["artifacts"]["model"]["md5"]
    path.write_text(path.read_text().replace(mine, other))
    git(made.repo, "add", "--force", str(path))
    git(made.repo, "commit", "--quiet", "--no-verify", "--message", "Slip in another")
    with pytest.raises(ConfigError, match=r"model\.pkl\.dvc on main is not that of fraud-v2"):
        made.registry.bundle("ranker-v1", file=tmp_path / "ranker.mlv")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, r"in the bundle, registry/fraud/model\.pkl\.dvc")
    with pytest.raises(IntegrityError, match=r"in the bundle, registry/fraud/model\.pkl\.dvc"):
        ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "clone", notify=quiet)
    assert ModelRegistry(tmp_path / "clone", "fraud").status()["problems"] == []


def test_a_folder_of_what_is_live_and_was_left_out(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    """Nobody could tell whose the folder is if the tag did not come along."""
    git(made.repo, "branch", "odd", "main^")  # where ranker is not live yet
    git(tmp_path, "clone", "--quiet", "--branch=odd", "--no-tags", "repo", "clone")
    git(tmp_path / "clone", "switch", "--quiet", "--create", "main")
    git(tmp_path / "clone", "remote", "remove", "origin")
    path = made.repo / "registry" / "ranker" / "model.pkl.dvc"
    other = made.registry.get_manifest("fraud-v1")["artifacts"]["model"]["md5"]
    mine = made.registry.get_manifest("ranker-v1")["artifacts"]["model"]["md5"]
    path.write_text(path.read_text().replace(mine, other))
    git(made.repo, "commit", "--quiet", "--no-verify", "--all", "--message", "Slip in another")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    forgery.document["live"] = {}
    publish(forgery, made.repo, git, tmp_path / "without.mlv")
    for name, match in (
        ("odd.mlv", r"in the bundle, registry/ranker/model\.pkl\.dvc on main is not that of"),
        ("without.mlv", "ranker-v1 is live on the bundle's branch, and its list says otherwise"),
    ):
        refused(tmp_path / name, tmp_path, match)
        with pytest.raises(IntegrityError, match=match):
            ModelRegistry.unbundle(tmp_path / name, tmp_path / "clone", notify=quiet)
    with pytest.raises(ConfigError, match=r"ranker/model\.pkl\.dvc on main is not that of ranker"):
        made.registry.bundle("fraud-v2", file=tmp_path / "fraud.mlv")


@pytest.mark.parametrize(
    "path",
    [
        "registry/new/model.pkl.dvc",
        "registry/evil.pkl.dvc",
        "registry/Odd.Name/deeper/model.pkl.dvc",
        "registry/staged/dvc.yaml",
    ],
)
def test_what_dvc_would_bring_beside_what_is_live(
    forgery: Forgery,
    made: Made,
    tmp_path: Path,
    git: Git,
    write_model: Callable[..., Path],
    path: str,
) -> None:
    staged = ModelRegistry(made.repo, "staged", notify=quiet)
    staged.register(write_model(tmp_path / "model.pkl", 7), None)
    staged.stage("v1")
    (made.repo / "registry" / "fraud.md").write_text("# Frauds\n")  # as people may
    git(made.repo, "add", "registry/fraud.md")
    git(made.repo, "commit", "--quiet", "--message", "Say what it is")
    made.registry.bundle("fraud-v2", file=tmp_path / "fraud.mlv")
    ModelRegistry.unbundle(tmp_path / "fraud.mlv", tmp_path / "clone", notify=quiet)
    (made.repo / path).parent.mkdir(parents=True, exist_ok=True)
    (made.repo / path).write_text(git(made.repo, "show", "fraud-v1:registry/fraud/model.pkl.dvc"))
    git(made.repo, "add", "--force", path)
    git(made.repo, "commit", "--quiet", "--no-verify", "--message", "Slip in another")
    said = f"{path} on main is of no version that is live, and dvc pull goes by it"
    with pytest.raises(ConfigError, match=said):
        made.registry.bundle("fraud-v2", file=tmp_path / "fraud.mlv")
    assert [said in each["message"] for each in made.registry.status()["problems"]] == [True]
    assert [said in str(each) for each in made.registry.verify_all()].count(True) == 1
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, f"in the bundle, {said}")
    with pytest.raises(IntegrityError, match=f"in the bundle, {said}"):
        ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "clone", notify=quiet)


@pytest.mark.parametrize("more", ["", "  push: false\n"])
@pytest.mark.parametrize("path", ["registry/new/model.pkl", "registry/fraud/model.pkl", "registry"])
def test_an_output_that_a_file_elsewhere_puts_where_those_that_are_live_are(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git, path: str, more: str
) -> None:
    """Over the model that is live, DVC would put it without a word."""
    ModelRegistry.unbundle(made.file, tmp_path / "clone", notify=quiet)
    note = f"outs:\n- md5: {'a' * 32}\n  size: 5\n  hash: md5\n  path: ../{path}\n{more}"
    (made.repo / "data").mkdir()
    (made.repo / "data" / "odd.dvc").write_text(note)
    git(made.repo, "add", "data")
    git(made.repo, "commit", "--quiet", "--message", "Slip in another")
    said = f"data/odd.dvc on main has dvc pull bring {path}, where what is live lies"
    with pytest.raises(ConfigError, match=said):
        made.registry.bundle("fraud-v2", file=tmp_path / "odd.mlv")
    assert [said in str(each) for each in made.registry.verify_all()].count(True) == 1
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, f"in the bundle, {said}")
    before = git(tmp_path / "clone", "for-each-ref")
    with pytest.raises(IntegrityError, match=f"in the bundle, {said}"):
        ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "clone", notify=quiet)
    assert git(tmp_path / "clone", "for-each-ref") == before


def test_trees_that_hold_each_other_cost_little(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    note = "outs: [{md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, path: ../../registry/fraud/model.pkl}]\n"
    (made.repo / "leaf").mkdir()
    (made.repo / "leaf" / "odd.dvc").write_text(note)
    git(made.repo, "add", "leaf")
    tree = git(made.repo, "rev-parse", f"{git(made.repo, 'write-tree')}:leaf")
    git(made.repo, "rm", "-r", "--quiet", "--cached", "leaf")
    made_of = ("git", "-C", str(made.repo), "mktree")
    for _ in range(40):
        listed = "".join(f"040000 tree {tree}\t{name}\n" for name in ("a", "b"))
        done = subprocess.run(made_of, input=listed, capture_output=True, text=True, check=True)
        tree = done.stdout.strip()
    top = git(made.repo, "ls-tree", "main").strip() + f"\n040000 tree {tree}\tdeep\n"
    done = subprocess.run(made_of, input=top, capture_output=True, text=True, check=True)
    commit = git(made.repo, "commit-tree", done.stdout.strip(), "-p", "main", "-m", "Go deep")
    git(made.repo, "update-ref", "refs/heads/main", commit)
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    # As deep as it lies, it names nothing there.
    ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "new", dry_run=True, notify=quiet)


def test_another_tag_of_what_is_live_and_was_left_out(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    ModelRegistry.unbundle(made.file, tmp_path / "clone", notify=quiet)
    forged = git(made.repo, "cat-file", "tag", "ranker-v1").replace("tagger Ada", "tagger Eve")
    oid = git(made.repo, "hash-object", "-t", "tag", "-w", "--stdin", input=forged + "\n")
    git(made.repo, "update-ref", "refs/tags/ranker-v1", oid)
    git(made.repo, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    with pytest.raises(IntegrityError, match="ranker-v1 here is not the ranker-v1 of the bundle"):
        ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "clone", notify=quiet)


def test_a_cache_that_the_branch_puts_elsewhere_is_not_used(
    forgery: Forgery, made: Made, tmp_path: Path, git: Git
) -> None:
    elsewhere = tmp_path / "elsewhere"
    config = (
        f"[cache]\n    dir = {elsewhere}\n    local = s\n['remote \"s\"']\n    url = {elsewhere}\n"
    )
    (made.repo / ".dvc" / "config").write_text(config)
    git(made.repo, "commit", "--quiet", "--all", "--message", "Keep the cache elsewhere")
    publish(forgery, made.repo, git, tmp_path / "odd.mlv")
    ModelRegistry.unbundle(tmp_path / "odd.mlv", tmp_path / "new", notify=quiet)
    assert ModelRegistry(tmp_path / "new", "fraud").load()["model"]["seed"] == 2
    assert not elsewhere.exists()


def test_what_must_be_signed_comes_in_signed_alone(
    made: Made, tmp_path: Path, git: Git, forgery: Forgery
) -> None:
    policy = "require_signed: versions\nallowed_signers: signers\n"
    (made.repo / "mlv.yaml").write_text(policy)
    (made.repo / "signers").write_text("")
    git(made.repo, "add", "mlv.yaml", "signers")
    git(made.repo, "commit", "--quiet", "--message", "Ask for signatures")
    publish(forgery, made.repo, git, tmp_path / "unsigned.mlv")
    refused(tmp_path / "unsigned.mlv", tmp_path, "the tag fraud-v2 is not signed")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_what_is_live_and_was_left_out_must_be_signed_too(
    made: Made,
    tmp_path: Path,
    git: Git,
    write_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = tmp_path / "ada"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(argv, check=True)
    for name, value in {"gpg.format": "ssh", "user.signingKey": key, "tag.gpgSign": "true"}.items():
        git(made.repo, "config", name, str(value))
    (made.repo / "signers").write_text(f"ada@example.com {key.with_suffix('.pub').read_text()}")
    (made.repo / "mlv.yaml").write_text("require_signed: versions\nallowed_signers: signers\n")
    git(made.repo, "add", "mlv.yaml", "signers")
    git(made.repo, "commit", "--quiet", "--message", "Ask for signatures")
    fraud = ModelRegistry(made.repo, "fraud", notify=quiet)
    fraud.register(write_model(tmp_path / "model.pkl", 7), None)
    fraud.promote("v3")
    with pytest.raises(IntegrityError, match="the tag ranker-v1 is not signed"):
        fraud.bundle("v3", file=tmp_path / "odd.mlv")
    with monkeypatch.context() as patch:
        patch.setattr("mlv.bundling.packing.check_trusted", lambda *_: None)
        fraud.bundle("v3", file=tmp_path / "odd.mlv")
    refused(tmp_path / "odd.mlv", tmp_path, "the tag ranker-v1 is not signed")


def test_a_clones_own_policy_holds_for_the_versions_alone(
    made: Made, tmp_path: Path, git: Git
) -> None:
    clone = tmp_path / "new"
    ModelRegistry.unbundle(made.file, clone, notify=quiet)
    made.registry.bundle("fraud-v1", file=tmp_path / "first.mlv")
    (clone / "mlv.yaml").write_text("require_signed: versions\nallowed_signers: signers\n")
    (clone / "signers").write_text("")
    git(clone, "add", "mlv.yaml", "signers")
    git(clone, "commit", "--quiet", "--message", "Ask for signatures")
    with pytest.raises(IntegrityError, match="the tag fraud-v1 is not signed"):
        ModelRegistry.unbundle(tmp_path / "first.mlv", clone, branch=False, notify=quiet)
    assert git(clone, "tag", "--list").split() == ["fraud-v2", "ranker-v1"]
