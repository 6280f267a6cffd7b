"""What was published over a real network comes back from there, byte for byte, without mlv."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.faults import did

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.sharing import Shared

    Share = Callable[..., Shared]
    Program = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    WriteModel = Callable[..., Path]


def sha256_of(path: Path) -> str:
    """Hash a file, or the list of a folder's files as `sha256sum` prints it."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    listed = "".join(f"{sha256_of(path / name)}  {name}\n" for name in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def assert_whole(clone: Path, version: str) -> None:
    """The model's folder is that version, and every artifact is what its manifest says."""
    folder = clone / "registry" / "model"
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    assert manifest["version"] == version
    for artifact in manifest["artifacts"].values():
        assert sha256_of(folder / artifact["path"]) == artifact["sha256"]


def test_versions_and_production_come_back_in_a_new_clone(
    shared: Shared, git: Program, dvc: Program, mlv: Mlv, write_model: WriteModel
) -> None:
    ada = shared.clone("ada")
    tokenizer = ada.parent / "tokenizer"
    write_model(tokenizer / "vocab.txt", 7)
    write_model(tokenizer / "more" / "merges.txt", 8)
    for seed in (1, 2):
        model, scaler = (write_model(ada.parent / f"{kind}{seed}.pkl", seed) for kind in "ms")
        artifacts = ("--preprocessor", str(scaler), "--artifact", f"tokenizer={tokenizer}")
        did(mlv(ada, "register", str(model), *artifacts))
        did(mlv(ada, "promote", f"v{seed}"))
    dvc(ada, "push", "--all-tags")
    git(ada, "push", "--quiet", "--atomic", "origin", "main", "model-v1", "model-v2")

    bob = shared.clone("bob")
    for revision, version in (("model-v1", "v1"), ("model-v2", "v2"), ("main~", "v1")):
        git(bob, "checkout", "--quiet", revision)
        dvc(bob, "pull")
        assert_whole(bob, version)
        assert git(bob, "status", "--porcelain") == ""
    assert len(shared.storage.objects()) == 5  # m1 = s1, m2 = s2; the tokenizer, and its files


@pytest.mark.parametrize("over", ["http", "s3", "ssh"])
def test_no_version_is_handed_out_that_the_dvc_remote_has_changed(
    share: Share, git: Program, dvc: Program, mlv: Mlv, write_model: WriteModel, over: str
) -> None:
    shared = share(git="ssh", dvc=over)
    ada = shared.clone("ada")
    did(mlv(ada, "register", str(write_model(ada.parent / "m.pkl")), "--no-preprocessor"))
    dvc(ada, "push", "--all-tags")
    git(ada, "push", "--quiet", "origin", "model-v1")
    [model] = shared.storage.objects()
    honest = shared.storage.read(model)

    shared.storage.write(model, honest[:-1] + b"?")
    bob = shared.clone("bob")
    refused = mlv(bob, "pull", "v1")
    assert refused.returncode == 4, refused.stderr
    shared.storage.write(model, honest)
    did(mlv(shared.clone("eve"), "pull", "v1"))
