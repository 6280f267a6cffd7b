"""The demo: what it leaves is a real registry, and where it stops it says why."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from mlv.cli import cli, demo
from mlv.errors import ConfigError, InvalidInput, ProgramError, RegistryError
from mlv.store import templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Whoever wants signed commits and runs hooks everywhere, and has not said who they are.
OBSTINATE = """\
[commit]
    gpgsign = true
[tag]
    gpgsign = true
[core]
    hooksPath = {hooks}
[init]
    defaultBranch = trunk
"""


def stopped(*argv: str) -> tuple[RegistryError, str]:
    """Run the demo to where it stops; return the error and all that was printed before it."""
    result = CliRunner().invoke(cli, ["demo", *argv])
    assert isinstance(result.exception, RegistryError), result.output
    return result.exception, result.output


@pytest.mark.slow
def test_it_leaves_a_registry_and_a_clone_that_has_the_same_model(
    tmp_path: Path,
    home: Path,
    git: Callable[..., str],
    mlv: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (home / "hooks").mkdir()
    (home / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (home / "hooks" / "pre-commit").chmod(0o755)
    (home / ".gitconfig").write_text(OBSTINATE.format(hooks=(home / "hooks").as_posix()))
    without_ours = os.environ["PATH"].split(os.pathsep)[1:]  # as where nothing is activated
    monkeypatch.setenv("PATH", os.pathsep.join(without_ours))

    done = mlv(home, "demo", "--dir", str(tmp_path / "my demo"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    folder = tmp_path / "my demo"
    project, clone = folder / "project", folder / "new-machine"

    assert told.pop("seconds") > 1
    first, second = told.pop("versions")
    assert told == {
        "folder": str(folder.resolve()),
        "kept": True,
        "live": "model-v1",
        "reproduced": True,
    }
    assert (first["tag"], second["tag"]) == ("model-v1", "model-v2")
    assert (first["metrics"]["roc_auc"], first["metrics"]["accuracy"]) == (0.9939, 0.9561)
    assert (second["metrics"]["roc_auc"], second["metrics"]["accuracy"]) == (0.9854, 0.9386)

    assert git(project, "tag").split() == ["model-v1", "model-v2"]
    manifests = {
        tag: json.loads(git(project, "show", f"{tag}:registry/model/manifest.json"))
        for tag in ("model-v1", "model-v2")
    }
    assert manifests["model-v1"]["metrics"] == first["metrics"]
    assert manifests["model-v2"]["metrics"] == second["metrics"]
    pointer = json.loads(git(project, "show", "main:registry/model/pointer.json"))
    assert (pointer["current"], pointer["previous"]) == ("v1", None)
    assert pointer["status"] == {"v2": "archived", "v1": "production"}
    assert pointer["forced"] == ["v2"]  # the gate refused it
    moves = git(project, "log", "--format=%s", "main", "--", "registry/model/pointer.json")
    assert moves.splitlines() == [
        "Roll back to model-v1 (was v2)",
        "Promote model-v2 to production (was v1)",
        "Promote model-v1 to production",
    ]

    # Everybody is at the same tip, clean, and has the bytes.
    tip = git(project, "rev-parse", "main")
    assert git(folder / "origin.git", "rev-parse", "main") == tip
    assert git(clone, "rev-parse", "HEAD") == tip
    assert git(project, "status", "--porcelain") == git(clone, "status", "--porcelain") == ""
    for role, path in (("model", "model.pkl"), ("preprocessor", "preprocessor.pkl")):
        found = hashlib.sha256((clone / "registry/model" / path).read_bytes()).hexdigest()
        assert found == manifests["model-v1"]["artifacts"][role]["sha256"]
    for manifest in manifests.values():
        md5 = manifest["artifacts"]["model"]["md5"]
        assert (folder / "storage/files/md5" / md5[:2] / md5[2:]).is_file()

    # Whoever goes on in either is somebody, by that repository's own settings.
    for repository in (project, clone):
        assert git(repository, "config", "--local", "user.name") == "demo"
        assert git(repository, "config", "--local", "commit.gpgsign") == "false"


def test_a_missing_package_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "sklearn" else name)
    error, printed = stopped("--dir", str(tmp_path / "demo"))
    assert isinstance(error, ConfigError)
    assert "scikit-learn" in error.message
    assert "pandas" not in error.message
    assert error.hint == "pip install 'mlv[demo]'"
    assert printed == ""
    assert not (tmp_path / "demo").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    error, _ = stopped("--dir", str(tmp_path))
    assert isinstance(error, InvalidInput)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_step_that_fails_is_shown_with_what_it_said_and_its_folder_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "train.py").write_text("raise SystemExit('no data')\n")
    (template / "dvc.yaml").write_text("stages:\n  train:\n    cmd: python train.py\n")
    monkeypatch.setattr(templates, "folder", lambda _: template)
    temporary = tmp_path / "a b"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    error, printed = stopped()
    assert isinstance(error, ProgramError)
    assert error.message.startswith("exit code 255 from: dvc repro\n")
    assert "no data" in error.message
    assert "$ mlv init\n    ✓ DVC\n" in printed
    assert "\x1b" not in printed
    [kept] = temporary.iterdir()
    assert f"note: the demo stopped half-way; look around in {kept.resolve()}" in printed
    assert (kept / "project" / "mlv.yaml").is_file()


def test_what_is_read_only_is_removed_too(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "version").mkdir(parents=True)
    (folder / "version" / "model.pkl").write_text("bytes")
    (folder / "version" / "model.pkl").chmod(0o444)
    (folder / "version").chmod(0o555)
    (tmp_path / "elsewhere").write_text("not the demo's")
    (tmp_path / "elsewhere").chmod(0o444)
    if os.name != "nt":  # where a link takes a privilege
        (folder / "link").symlink_to(tmp_path / "elsewhere")
    demo._remove(folder)
    assert not folder.exists()
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o444
