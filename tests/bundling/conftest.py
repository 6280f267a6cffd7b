"""A registry that bundles are made of, and a bundle of it; both are made once."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mlv import ModelRegistry
from mlv.bundling import archive
from mlv.bundling.contents import Contents, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]


def quiet(_: str) -> None:
    """Take a note and let it go."""


class Made(NamedTuple):
    """A registry of fraud and ranker in which fraud-v2 and ranker-v1 are live, and a bundle.

    The bundle holds fraud-v2 alone, with the output of a pipeline.
    """

    repo: Path
    file: Path

    @property
    def registry(self) -> ModelRegistry:
        """Open it."""
        return ModelRegistry(self.repo, notify=quiet)


@pytest.fixture(scope="session")
def _mould(
    _repo_mould: Path,
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    dvc: Callable[..., str],
    write_model: Callable[..., Path],
) -> Path:
    mould = tmp_path_factory.mktemp("bundled")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    repo = mould / "repo"
    # Nobody is there: whatever asks the remote fails.
    config = repo / ".dvc" / "config"
    config.write_text(config.read_text().replace("/STORAGE", "http://127.0.0.1:9/never"))
    (repo / "dvc.yaml").write_text(
        "stages:\n  prepare:\n    cmd: python -c \"open('data.csv', 'w').write('1,2')\"\n"
        "    outs: [data.csv]\n"
    )
    dvc(repo, "repro", "--quiet")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Prepare the data")
    tokenizer = mould / "tokenizer"
    tokenizer.mkdir()
    for name in ("merges", "vocab"):
        (tokenizer / name).write_text(f"{name}\n")
    for model, seeds in (("fraud", (1, 2)), ("ranker", (3,))):
        registry = ModelRegistry(repo, model, notify=quiet)
        for seed in seeds:
            path = write_model(mould / "model.pkl", seed)
            registry.register(path, None, artifacts={"tokenizer": tokenizer})
            registry.promote(f"v{seeds.index(seed) + 1}")
    ModelRegistry(repo, notify=quiet).bundle("fraud@production", file=mould / "fraud.mlv")
    return mould


@pytest.fixture
def made(_mould: Path, tmp_path: Path) -> Made:
    """Return a registry of this test's own, and a bundle of it."""
    shutil.copytree(_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Made(tmp_path / "repo", tmp_path / "fraud.mlv")


class Forgery:
    """A bundle taken apart, to be put together again as nobody should."""

    def __init__(self, file: Path, folder: Path) -> None:
        self.folder = folder
        with archive.Archive(file) as opened:
            self.contents: Contents = parse(opened.listed)
            for member in self.contents.members:
                path = folder / member.path
                path.parent.mkdir(parents=True, exist_ok=True)
                opened.read(member, path, lambda _: None)
        self.document: dict[str, Any] = json.loads(self.contents.to_bytes())

    def path(self, md5: str) -> Path:
        """Say where an object lies."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def write(self, file: Path) -> Path:
        """Write it as mlv would, with the list that `document` is."""
        members = []
        for facts in self.document["files"]:
            sources: list[archive.Source] = [self.folder / facts["path"]]
            facts.update(archive.member(facts["path"], sources)._asdict())
            members.append((archive.Member(**facts), sources))
        listed = (json.dumps(self.document, indent=1) + "\n").encode()
        archive.write(file, listed, members, lambda _: None)
        return file
