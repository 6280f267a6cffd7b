"""The registry from which all proposals start, and what its versions are."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from mlv.domain import pointer as pointers
from tests.review.proposals import COMMAND, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.domain.pointer import Pointer

    Git = Callable[..., str]

MLV_YAML = """\
branch: main
gate:
  max_regression: 0.05
  metrics:
    roc_auc: {goal: max, min: 0.8, max_regression: 0.01}
    latency_ms: {goal: min, max: 50}
"""
SIGNED_YAML = MLV_YAML + "require_signed: all\nallowed_signers: keys/signers\n"
FILES = {
    "mlv.yaml": MLV_YAML,
    "train.py": "print('train')\n",
    "README.md": "# Payments\n",
    "CODEOWNERS": "registry/*/pointer.json @reviewers\n",
    ".github/workflows/review.yml": "on: pull_request\n",
}
# fraud: v2 is live, v1 was, v6 is yanked, v7 is purged.
BETTER, WORSE, LACKING, YANKED, PURGED, FOLDER = 3, 4, 5, 6, 7, 8
EVIL = {"plain": 9, "compressed": 10, "after an array": 11}
METRICS = {
    ("fraud", 1): {"roc_auc": 0.905, "latency_ms": 20},
    ("fraud", 2): {"roc_auc": 0.91, "latency_ms": 20},
    ("fraud", WORSE): {"roc_auc": 0.70, "latency_ms": 20},
    ("fraud", LACKING): {"roc_auc": 0.95},
    ("churn", 1): {"roc_auc": 0.60, "latency_ms": 20},
}
GOOD = {"roc_auc": 0.93, "latency_ms": 19}
SIZES = {"fraud": 11, "ranker": 2, "churn": 2}


class Evil:
    """What runs a command in whoever unpickles it."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.system, (COMMAND,)


def build(folder: Path, repo_mould: Path, git: Git) -> Desk:
    """Make the registry that `FILES`, `METRICS` and what stands beside them describe."""
    desk = _set_up(folder, repo_mould, git, FILES)
    for model, size in SIZES.items():
        registry = desk.registry(model)
        for number in range(1, size + 1):
            registry.register(**_version(folder, model, number))
    desk.registry("fraud").promote("v1")
    desk.registry("fraud").promote("v2", reason="More data")
    desk.registry("ranker").promote("v1")
    desk.registry("fraud").yank("v6", reason="Trained on the wrong table")
    desk.point(_purged(desk.pointer()))
    desk.commit("Purge fraud-v7")
    _publish(desk)
    return desk


def _purged(pointer: Pointer) -> Pointer:
    """Say that v7 was purged, without deleting anything."""
    archived = pointers.unyank(pointers.yank(pointer, PURGED), PURGED)
    return pointers.purge(archived, PURGED)


def build_signed(folder: Path, repo_mould: Path, git: Git) -> Desk:
    """Make a registry that wants all signed: v2 is live; v4 is not signed, v5 by a stranger."""
    (folder / "keys").mkdir()
    signers = f"ada@example.com {make_key(folder / 'keys' / 'ada')}"
    make_key(folder / "keys" / "eve")
    desk = _set_up(folder, repo_mould, git, {"mlv.yaml": MLV_YAML, "keys/signers": signers})
    sign(desk, "ada")
    desk.write("mlv.yaml", SIGNED_YAML)
    desk.commit("Want all signed")
    for number in (1, 2, 3, 4, 5):
        if number == 4:
            desk.git("config", "tag.gpgSign", "false")
        if number == 5:
            sign(desk, "eve")
        desk.registry("fraud").register(**_version(folder, "fraud", 8 if number > 3 else number))
    sign(desk, "ada")
    desk.registry().promote("v1")
    desk.registry().promote("v2")
    _publish(desk)
    return desk


def make_key(path: Path) -> str:
    """Make an SSH key without a passphrase, and give its public half."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path.with_suffix(".pub").read_text()


def sign(desk: Desk, who: str) -> None:
    """Have the author's git sign, with the key of ``who``."""
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": str(desk.folder / "keys" / f"{who}.pub"),
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
    }.items():
        desk.git("config", name, value)


def _set_up(folder: Path, repo_mould: Path, git: Git, files: dict[str, str]) -> Desk:
    desk = Desk(folder, git)
    shutil.copytree(repo_mould / "repo", desk.author, symlinks=True)
    desk.storage.mkdir()
    # Seen from .dvc, so that a copy of all this has bytes of its own.
    desk.edit(".dvc/config", "/STORAGE", "../../storage")
    for path, text in files.items():
        desk.write(path, text)
    desk.commit("Write the code")
    git(folder, "init", "-q", "--bare", "--template=", "hub.git")
    desk.git("remote", "add", "origin", "../hub.git")
    return desk


def _publish(desk: Desk) -> None:
    desk.registry().push()
    desk.git("push", "-q", "origin", "--tags")  # mlv publishes none that is purged
    desk.git("fetch", "-q")
    desk.git("branch", "-q", "--set-upstream-to=origin/main", "main")
    desk.clone("reviewer")
    desk.git("switch", "-q", "-c", "proposal")


def _version(folder: Path, model: str, number: int) -> dict[str, Any]:
    """Write a version's artifacts; give what `register` is called with."""
    made = folder / "made" / f"{model}-{number}"
    made.mkdir(parents=True, exist_ok=True)
    what = {"weights": np.arange(number * 10.0), "of": f"{model} {number}"}
    suffix = "joblib" if model == "fraud" and number in EVIL.values() else "pkl"
    model_path, scaler = made / f"model.{suffix}", made / "scaler.pkl"
    if number == EVIL["plain"]:
        model_path.write_bytes(pickle.dumps(Evil()))
    elif number == EVIL["compressed"]:
        joblib.dump(Evil(), model_path, compress=3)
    elif number == EVIL["after an array"]:
        joblib.dump([np.arange(1000.0), Evil()], model_path)
    else:
        model_path.write_bytes(pickle.dumps(what, protocol=5))
    scaler.write_bytes(pickle.dumps({"mean": float(number), "of": model}, protocol=5))
    version: dict[str, Any] = {
        "model_path": model_path,
        "preprocessor_path": scaler,
        "metrics": METRICS.get((model, number), GOOD),
        "metadata": {"data_window": "last_90_days"},
    }
    if (model, number) == ("fraud", FOLDER):
        (made / "tokenizer").mkdir(exist_ok=True)
        (made / "tokenizer" / "vocab.txt").write_text("a\nb\n")
        version["artifacts"] = {"tokenizer": made / "tokenizer"}
    return version
