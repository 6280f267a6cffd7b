"""What mlv refuses, it refuses clearly, and with nothing changed."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import mlv
from mlv import (
    ConfigError,
    IntegrityError,
    InvalidInput,
    ModelRegistry,
    NotFound,
    ProgramError,
    RegistryError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[..., str]

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
# Caches of what was seen, and the lock that a step takes: neither is anybody's data.
OURS = {"mlv/.lock", "mlv/.looked-through"}


class State(NamedTuple):
    """All that a refused command must leave as it was."""

    refs: str
    staged: str
    status: str
    files: dict[str, bytes]
    git_dir: set[str]
    cache: set[str]


def state(repo: Path, git: Program) -> State:
    def below(folder: Path) -> set[str]:
        return {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() or path.name.startswith("mlv-")
        }

    in_git = below(repo / ".git")
    return State(
        refs=git(repo, "for-each-ref") + (repo / ".git" / "HEAD").read_text(),
        staged=git(repo, "ls-files", "--stage"),
        status=git(repo, "status", "--porcelain", "--untracked-files=all"),
        files={
            path.relative_to(repo).as_posix(): path.read_bytes()
            for path in repo.rglob("*")
            if path.is_file() and path.relative_to(repo).parts[0] not in (".git", ".dvc")
        },
        # Objects that nothing refers to are git's to sweep up, as it does.
        git_dir={path for path in in_git if not path.startswith(("objects/", "logs/"))} - OURS,
        cache=below(repo / ".dvc" / "cache") - {"mlv-partial"},
    )


@pytest.fixture(scope="module")
def _mould(
    _repo_mould: Path, tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., Path]
) -> Path:
    """Return a folder with a registry in which v1 is live and v2 is not, made once."""
    mould = tmp_path_factory.mktemp("two")
    shutil.copytree(_repo_mould, mould, symlinks=True, dirs_exist_ok=True)
    registry = ModelRegistry(mould / "repo")
    registry.register(write_model(mould / "model.pkl", 1), None)
    registry.promote("v1")
    registry.register(write_model(mould / "model.pkl", 2), None)
    return mould


@pytest.fixture
def repo(_mould: Path, tmp_path: Path, git: Program) -> Path:
    """Return a registry in which v1 is live and v2 is not; beside it lie model.pkl and storage."""
    shutil.copytree(_mould, tmp_path, symlinks=True, dirs_exist_ok=True)
    git(tmp_path / "repo", "update-index", "--refresh")  # the copies are other inodes
    return tmp_path / "repo"


def refused(kind: type[RegistryError], match: str, act: Callable[[], object]) -> RegistryError:
    """Act, and give the error: of just this class, with a message that says it, and a hint."""
    with pytest.raises(RegistryError, match=match) as caught:
        act()
    assert type(caught.value) is kind
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


def test_every_class_of_error_has_the_exit_code_that_is_documented() -> None:
    names = set(mlv.__all__) - {"LiveModel", "ModelRegistry", "load"}
    assert {name: getattr(mlv, name).exit_code for name in names} == {
        "RegistryError": 1,
        "ConfigError": 1,
        "WorkspaceError": 1,
        "StatusError": 1,
        "NoPreviousVersion": 1,
        "ProgramError": 1,
        "RefusedByRemote": 1,
        "StorageError": 1,
        "InvalidInput": 2,
        "GateFailed": 3,
        "IntegrityError": 4,
        "PredictionDiffers": 4,
        "ChangedMeanwhile": 5,
        "NotFound": 6,
    }


# What is given to register ------------------------------------------------------------------


def symlink(path: Path, target: object) -> Path:
    path.symlink_to(str(target))
    return path


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def linked_folder(path: Path) -> Path:
    folder(path)
    symlink(path / "weights", folder(path.with_name("elsewhere"), w="w"))
    return path


Make = "Callable[[Path, Path], Path]"  # from a folder and the repository, a path to register
SOURCES: dict[str, tuple[type[RegistryError], str, Any]] = {
    "missing": (InvalidInput, "no file .*gone.pkl", lambda tmp, _: tmp / "gone.pkl"),
    "empty": (InvalidInput, "void.pkl is empty", lambda tmp, _: write(tmp / "void.pkl", b"")),
    "a symlink": (
        InvalidInput, "link.pkl is a symlink to model.pkl",
        lambda tmp, _: symlink(tmp / "link.pkl", "model.pkl"),
    ),
    "a broken symlink": (
        InvalidInput, "link.pkl is a broken symlink",
        lambda tmp, _: symlink(tmp / "link.pkl", "nowhere"),
    ),
    "a loop of symlinks": (
        StorageError, "loop.pkl: Too many levels of symbolic links",
        lambda tmp, _: symlink(tmp / "loop.pkl", "loop.pkl"),
    ),
    "below a file": (StorageError, "Not a directory", lambda tmp, _: tmp / "model.pkl" / "x"),
    "an empty folder": (InvalidInput, "bert holds no file", lambda tmp, _: folder(tmp / "bert")),
    "a folder with a symlink out": (
        InvalidInput, "bert/w is a symlink to .*model.pkl",
        lambda tmp, _: symlink(folder(tmp / "bert") / "w", tmp / "model.pkl").parent,
    ),
    "a folder with a linked folder": (
        InvalidInput, "bert/weights is a symlink", lambda tmp, _: linked_folder(tmp / "bert"),
    ),
    "a folder with a pipe": (
        InvalidInput, "bert/pipe is neither a file nor a folder",
        lambda tmp, _: fifo(folder(tmp / "bert", a="a") / "pipe").parent,
    ),
    "a pipe": (InvalidInput, "pipe is neither a file nor", lambda tmp, _: fifo(tmp / "pipe")),
    "a folder that hides its files": (
        InvalidInput, "dvcignore would hide files from DVC",
        lambda tmp, _: folder(tmp / "bert", **{".dvcignore": "*", "w": "w"}),
    ),
    "DVC's note": (
        InvalidInput, "model.pkl.dvc is DVC's note",
        lambda tmp, _: write(tmp / "model.pkl.dvc", b"outs: []"),
    ),
    "in the registry": (
        InvalidInput, "manifest.json lies in registry/",
        lambda _, repo: repo / "registry" / "model" / "manifest.json",
    ),
    "in the registry, by a detour": (
        InvalidInput, "lies in registry/",
        lambda _, repo: repo / ".dvc" / ".." / "registry" / "model" / "manifest.json",
    ),
    "the registry": (InvalidInput, "lies in registry/", lambda _, repo: repo / "registry"),
    "the repository": (InvalidInput, "holds the repository", lambda _, repo: repo),
    "a path that holds nothing": (InvalidInput, r"a(\\x00|\0)b", lambda _, __: "a\0b"),
}  # fmt: skip


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@POSIX
@pytest.mark.parametrize(("kind", "match", "make"), SOURCES.values(), ids=SOURCES.keys())
def test_no_artifact_is(
    repo: Path, tmp_path: Path, git: Program, kind: Any, match: str, make: Any
) -> None:
    registry, good = ModelRegistry(repo), write(tmp_path / "good.pkl", b"never stored before")
    path = make(tmp_path, repo)
    before = state(repo, git)
    refused(kind, match, lambda: registry.register(path, None))
    refused(kind, match, lambda: registry.register(good, None, artifacts={"extra": path}))
    assert state(repo, git) == before


@POSIX
def test_a_socket_in_a_folder_is_no_artifact(
    repo: Path, tmp_path: Path, git: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder(tmp_path / "bert", w="w"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("server")  # relative: the name of a socket may not be long
        before = state(repo, git)
        act = lambda: ModelRegistry(repo).register(tmp_path / "bert", None)  # noqa: E731
        refused(InvalidInput, "bert/server is neither a file nor a folder", act)
    assert state(repo, git) == before


def test_an_artifact_that_cannot_be_read_is_named(
    repo: Path, tmp_path: Path, git: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(repo, git)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may read anything
    act = lambda: ModelRegistry(repo).register(tmp_path / "model.pkl", None)  # noqa: E731
    refused(InvalidInput, "model.pkl cannot be read", act)
    monkeypatch.undo()
    assert state(repo, git) == before


@POSIX
@pytest.mark.parametrize("name", ["12:30.json", "back\\slash", "new\nline", "caf\udce9"], ids=repr)
def test_a_folder_with_odd_names_is_refused_or_comes_back(
    repo: Path, tmp_path: Path, name: str
) -> None:
    source = folder(tmp_path / "bert", **{name: "x"})
    registry = ModelRegistry(repo)
    try:
        registry.register(source, None)
    except InvalidInput:
        return
    assert (registry.artifacts("v3")["model"] / name).read_text() == "x"
    assert registry.verify("v3") == {"model": "ok"}


BAD_METRICS: dict[str, tuple[Any, str]] = {
    "NaN": ({"auc": math.nan}, "'auc' is nan"),
    "infinite": ({"auc": -math.inf}, "'auc' is -inf"),
    "nested": ({"auc": {"mean": 0.5}}, "'auc' is nested"),
    "a list": ({"auc": [0.5]}, "'auc' is nested"),
    "text": ({"auc": "0.5"}, "'auc' is '0.5'"),
    "true": ({"auc": True}, "'auc' is True"),
    "null": ({"auc": None}, "'auc' is None"),
    "huge": ({"rows": 10**400}, "'rows'"),
    "an escape sequence": ({"\x1b[2J": 1}, r"x1b\[2J"),
    "no names": ([0.5], "names with numbers, not list"),
}


@pytest.mark.parametrize(("metrics", "match"), BAD_METRICS.values(), ids=BAD_METRICS.keys())
def test_no_metrics_are(repo: Path, tmp_path: Path, git: Program, metrics: Any, match: str) -> None:
    before = state(repo, git)
    act = lambda: ModelRegistry(repo).register(tmp_path / "model.pkl", None, metrics)  # noqa: E731
    refused(InvalidInput, match, act)
    assert state(repo, git) == before


@pytest.mark.parametrize(
    "value",
    [math.nan, b"x", {1}, {1: 2}, 10**400, len],
    ids=["NaN", "bytes", "set", "key", "huge", "function"],
)
def test_no_metadata_are(repo: Path, tmp_path: Path, git: Program, value: object) -> None:
    before = state(repo, git)
    with pytest.raises(InvalidInput, match="window"):
        ModelRegistry(repo).register(tmp_path / "model.pkl", None, metadata={"window": value})
    assert state(repo, git) == before


@pytest.mark.parametrize("name", ["../x", "-x", "a-v1", "Fraud", "con", "", "a/b"], ids=repr)
def test_bad_names_are_refused_for_models_roles_and_in_references(
    repo: Path, tmp_path: Path, git: Program, name: str
) -> None:
    registry, model = ModelRegistry(repo), tmp_path / "model.pkl"
    before = state(repo, git)
    refused(InvalidInput, "cannot name a model", lambda: ModelRegistry(repo, name))
    for ref in (f"{name}-v1-v1", f"{name}@staging-"):
        refused(InvalidInput, "not a reference", partial(registry.promote, ref))
    if name != "a-v1":  # for a role that is as good as any
        act = lambda: registry.register(model, None, artifacts={name: model})  # noqa: E731
        refused(InvalidInput, "role", act)
    assert state(repo, git) == before


# References ---------------------------------------------------------------------------------

REFERENCES: dict[str, tuple[type[RegistryError], str, str]] = {
    "v9": (NotFound, "no version v9 of 'model'", "v1, v2"),
    "model-v9": (NotFound, "no version v9 of 'model'", "v1, v2"),
    "fraud-v1": (NotFound, "'fraud'", ""),
    "modle@latest": (NotFound, "no model 'modle'", "did you mean 'model'?"),
    "fraud@production": (NotFound, "no model 'fraud'", "known are model"),
    "@staging": (NotFound, "nothing of 'model' is in staging", "mlv stage"),
    "v0": (InvalidInput, "'v0' is not a reference", "fraud-v3"),
    "model": (InvalidInput, "'model' is not a reference", "fraud-v3"),
    "model@prod": (InvalidInput, "'model@prod' is not a reference", "fraud@production"),
    "--force": (InvalidInput, "'--force' is not a reference", "fraud-v3"),
    "": (InvalidInput, "'' is not a reference", "fraud-v3"),
    "HEAD": (InvalidInput, "'HEAD' is not a reference", "fraud-v3"),
}


@pytest.mark.parametrize("ref", REFERENCES, ids=repr)
def test_no_version_is_meant_by(repo: Path, git: Program, ref: str) -> None:
    kind, message, hint = REFERENCES[ref]
    registry = ModelRegistry(repo)
    before = state(repo, git)
    for ask in (
        registry.promote,
        registry.stage,
        lambda ref: registry.rollback(to=ref),
        registry.get_manifest,
        registry.artifacts,
        registry.load,
        registry.verify,
        lambda ref: registry.compare("v1", ref),
    ):
        error = refused(kind, message, partial(ask, ref))
        assert hint in error.hint
    assert state(repo, git) == before


# A folder that is no registry ---------------------------------------------------------------


def test_a_folder_outside_git_is_told_to_init(tmp_path: Path) -> None:
    plain = folder(tmp_path / "plain")
    error = refused(ConfigError, "plain is not in a Git repository", lambda: ModelRegistry(plain))
    assert "mlv init" in error.hint
    with pytest.raises(ConfigError, match="there is no folder"):
        ModelRegistry(tmp_path / "gone")
    assert list(plain.iterdir()) == []


def test_a_repository_that_is_not_initialised_is_told_to_init(tmp_path: Path, git: Program) -> None:
    git(tmp_path, "init", "--quiet", "plain")
    plain = tmp_path / "plain"
    error = refused(ConfigError, "plain is not a model registry yet", lambda: ModelRegistry(plain))
    assert "mlv init" in error.hint
    assert [path.name for path in plain.iterdir()] == [".git"]


def test_a_repository_without_a_commit_has_nothing_to_start_from(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    fresh = tmp_path / "fresh"
    git(tmp_path, "init", "--quiet", "fresh")
    for name in ("mlv.yaml", ".dvc/config"):
        (fresh / name).parent.mkdir(exist_ok=True)
        shutil.copy(repo / name, fresh / name)
    registry = ModelRegistry(fresh)
    before = state(fresh, git)
    act = lambda: registry.register(tmp_path / "model.pkl", None)  # noqa: E731
    assert "git commit" in refused(ConfigError, "fresh has no commit yet", act).hint
    for ask in (registry.current_version, registry.rollback, lambda: registry.promote("v1")):
        refused(ConfigError, "branch 'main' does not exist here", ask)
    assert registry.list_versions() == []
    assert state(fresh, git) == before


def test_without_dvc_nothing_is_registered_but_all_is_read(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    shutil.rmtree(repo / ".dvc")
    registry = ModelRegistry(repo)
    before = state(repo, git)
    act = lambda: registry.register(tmp_path / "model.pkl", None)  # noqa: E731
    assert "mlv init" in refused(ConfigError, "DVC is not set up in .*repo", act).hint
    refused(ConfigError, "DVC is not set up", lambda: registry.artifacts("v1"))
    assert registry.current_version() == "v1"
    assert [each["version"] for each in registry.list_versions()] == ["v1", "v2"]
    assert state(repo, git) == before


def test_dvc_that_is_set_up_but_not_committed_would_not_reproduce(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    git(repo, "rm", "--quiet", "-r", "--cached", ".dvc")
    git(repo, "commit", "--quiet", "--message", "Forget DVC")
    registry = ModelRegistry(repo)
    before = state(repo, git)
    act = lambda: registry.register(tmp_path / "model.pkl", None)  # noqa: E731
    error = refused(ConfigError, "config is not committed", act)
    assert "mlv init" in error.hint
    refused(ConfigError, "DVC is not set up on main", lambda: registry.promote("v2"))
    assert state(repo, git) == before
    ModelRegistry.init(repo)
    assert registry.register(tmp_path / "model.pkl", None) == "v3"
    assert registry.promote("v3") == "v3"


def notes_of_registering(repo: Path, model: Path) -> list[str]:
    notes: list[str] = []
    ModelRegistry(repo, notify=notes.append).register(model, None)
    return [note for note in notes if "same model bytes" not in note]


def test_a_dvc_remote_that_others_will_not_see_is_noted(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    config = repo / ".dvc" / "config"
    (repo / ".dvc" / "config.local").write_text(config.read_text())
    config.write_text("")
    git(repo, "commit", "--quiet", "--all", "--message", "Keep the remote to myself")
    [note] = notes_of_registering(repo, tmp_path / "model.pkl")
    assert "'storage' is not in the committed .dvc/config" in note
    (repo / ".dvc" / "config.local").unlink()
    [note] = notes_of_registering(repo, tmp_path / "model.pkl")
    assert note.startswith("no DVC remote is set up")


def test_a_remote_that_numbers_its_versions_itself_is_refused(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    config = repo / ".dvc" / "config"
    config.write_text(
        "[core]\n    remote = cloud\n"
        "['remote \"cloud\"']\n    url = s3://bucket/x\n    version_aware = true\n"
    )
    git(repo, "commit", "--quiet", "--all", "--message", "Move to the cloud")
    before = state(repo, git)
    act = lambda: ModelRegistry(repo).register(tmp_path / "model.pkl", None)  # noqa: E731
    assert "version_aware false" in refused(ConfigError, "'cloud' is version_aware", act).hint
    assert state(repo, git) == before


# Programs and formats -----------------------------------------------------------------------


def test_without_git_on_the_path_that_is_said(
    repo: Path, tmp_path: Path, git: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(repo, git)
    empty = folder(tmp_path / "bin")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(empty))
        registry = ModelRegistry(repo)
        for ask in (
            registry.current_version,
            registry.list_versions,
            lambda: registry.promote("v2"),
            lambda: registry.register(tmp_path / "model.pkl", None),
            lambda: ModelRegistry.init(tmp_path / "new"),
        ):
            error = refused(ProgramError, "git is not installed, or not on PATH", ask)
            assert "install git" in error.hint
    assert state(repo, git) == before
    assert not (tmp_path / "new").exists()


def test_a_dvc_that_cannot_be_imported_is_named(
    repo: Path, tmp_path: Path, git: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(repo, git)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "dvc.repo", None)
        with pytest.raises(ProgramError, match=r"DVC could not.*dvc\.repo"):
            ModelRegistry(repo).register(tmp_path / "model.pkl", None)
    assert state(repo, git) == before


def test_reftable_refs_are_refused(repo: Path, git: Program) -> None:
    git(repo, "config", "extensions.refStorage", "reftable")  # which git 2.39 does not look at
    before = state(repo, git)
    for act in (
        lambda: ModelRegistry(repo),
        lambda: ModelRegistry.init(repo),
    ):
        error = refused(ConfigError, "uses reftable refs, which DVC cannot read", act)
        assert "--ref-format=files" in error.hint
    assert state(repo, git) == before


def test_sha256_objects_are_refused(repo: Path, tmp_path: Path, git: Program) -> None:
    other = tmp_path / "sha256"
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "sha256")
    refused(ConfigError, "uses SHA-256 objects", lambda: ModelRegistry.init(other))
    for name in ("mlv.yaml", ".dvc/config", "registry/.gitignore"):
        (other / name).parent.mkdir(exist_ok=True)
        shutil.copy(repo / name, other / name)
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message", "Converted")
    before = state(other, git)

    def ask(question: Callable[[ModelRegistry], object]) -> Callable[[], object]:
        return lambda: question(ModelRegistry(other))

    for question in (
        ask(lambda registry: registry.register(tmp_path / "model.pkl", None)),
        ask(lambda registry: registry.promote("v1")),
        ask(lambda registry: registry.current_version()),
        ask(lambda registry: registry.status()),
    ):
        error = refused(ConfigError, "uses SHA-256 objects, which DVC cannot read", question)
        assert "--object-format=sha1" in error.hint
    assert state(other, git) == before


# mlv.yaml -----------------------------------------------------------------------------------

YAML: dict[str, tuple[str, str]] = {
    "broken": ("branch: main\nmodels: {fraud\n", r"mlv\.yaml:\d+ is not YAML"),
    "a tab": ("branch: main\nmodels:\n\tfraud: {}\n", r"mlv\.yaml:3 is not YAML"),
    "a list": ("- branch\n", r"mlv\.yaml:1: the file must be keys with values"),
    "an unknown key": ("branch: main\nbrnach: main\n", r"mlv\.yaml:2: brnach is not known"),
    "no branch": ("remote: origin\nbranch: -x\n", r"mlv\.yaml:2: branch '-x' is not a branch"),
    "a branch with dots": ("branch: a..b\n", r"mlv\.yaml:1: branch 'a\.\.b' is not a branch"),
    "a branch that is a number": ("branch: 3\n", r"mlv\.yaml:1: branch must be text, not 3"),
    "a remote that is an option": ("remote: --upload-pack=x\n", r"mlv\.yaml:1: remote"),
    "a bad model": ("models:\n  ../x: {}\n", r"mlv\.yaml:2: models\.\.\./x is wrong"),
    "a model like a version": ("models:\n  a-v1: {}\n", r"mlv\.yaml:2: models\.a-v1 is wrong"),
    "an unknown key of a model": (
        "models:\n  fraud:\n    model: m.pkl\n    metric: m.json\n",
        r"mlv\.yaml:4: models\.fraud\.metric is not known",
    ),
    "a path that is none": (
        "models:\n  fraud:\n    model: [m.pkl]\n",
        r"mlv\.yaml:3: models\.fraud\.model must be text",
    ),
    "a bad role": (
        "models:\n  fraud:\n    artifacts:\n      ../x: a\n",
        r"mlv\.yaml:4: models\.fraud\.artifacts\.\.\./x is wrong",
    ),
    "a yes that is none": (
        "require_clean: perhaps\n", r"mlv\.yaml:1: require_clean must be true or false",
    ),
    "keys that are none": (
        "models:\n  fraud:\n    require_metadata: owner\n",
        r"mlv\.yaml:3: models\.fraud\.require_metadata must be a list",
    ),
    "a program": ("branch: !!python/object/apply:os.system [id]\n", r"mlv\.yaml:1 is not YAML"),
    "a day that never was": ("branch: 2026-02-30\n", r"mlv\.yaml"),
    "a control character": ("branch: \x07\n", r"mlv\.yaml"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "match"), YAML.values(), ids=YAML.keys())
def test_a_wrong_mlv_yaml_is_named_by_line_and_key(
    repo: Path, git: Program, text: str, match: str
) -> None:
    (repo / "mlv.yaml").write_text(text)
    before = state(repo, git)
    for act in (lambda: ModelRegistry(repo), lambda: ModelRegistry.init(repo)):
        with pytest.raises(ConfigError, match=match):
            act()
    assert state(repo, git) == before


def test_an_mlv_yaml_that_is_not_text_is_said_so(repo: Path, git: Program) -> None:
    (repo / "mlv.yaml").write_bytes(b"branch: \xff\n")
    before = state(repo, git)
    for act in (lambda: ModelRegistry(repo), lambda: ModelRegistry.init(repo)):
        with pytest.raises(ConfigError, match=r"mlv\.yaml is not UTF-8 text"):
            act()
    assert state(repo, git) == before


def test_a_date_among_the_metadata_of_mlv_yaml_is_told_from_text(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    (repo / "mlv.yaml").write_text("models: {model: {metadata: {trained: 2026-01-01}}}\n")
    before = state(repo, git)
    act = lambda: ModelRegistry(repo).register(tmp_path / "model.pkl", None)  # noqa: E731
    refused(InvalidInput, "'trained'", act)
    assert state(repo, git) == before


# What was changed by hand -------------------------------------------------------------------

POINTER = "registry/model/pointer.json"


def commit_by_hand(repo: Path, git: Program, path: str, text: str | None) -> None:
    if text is None:
        (repo / path).unlink()
    else:
        (repo / path).write_text(text)
    git(repo, "add", "--all", "--force", "registry")
    git(repo, "commit", "--quiet", "--message", "By hand")


def pointer(**changes: Any) -> str:
    document = {
        "model": "model",
        "current": "v1",
        "previous": None,
        "status": {"v1": "production"},
    }
    return json.dumps({**document, **changes})


POINTERS = {
    "not JSON": "current: v2\n",
    "current alone": pointer(current="v2"),
    "an unknown status": pointer(status={"v1": "production", "v2": "hot"}),
    "two live": pointer(status={"v1": "production", "v2": "production"}),
    "of another model": pointer(model="fraud"),
    "conflict markers": "<<<<<<< ours\n" + pointer(),
}


@pytest.mark.parametrize("text", POINTERS.values(), ids=POINTERS.keys())
def test_a_pointer_that_was_edited_by_hand_says_nothing_any_more(
    repo: Path, tmp_path: Path, git: Program, text: str
) -> None:
    commit_by_hand(repo, git, POINTER, text)
    registry = ModelRegistry(repo)
    before = state(repo, git)
    for ask in (
        registry.current_version,
        registry.current_artifacts,
        registry.rollback,
        lambda: registry.promote("v2"),
        lambda: registry.register(tmp_path / "model.pkl", None),
    ):
        error = refused(IntegrityError, "registry/model/pointer.json was not written by mlv", ask)
        assert "git revert" in error.hint
    [problem] = registry.status()["problems"]
    assert POINTER in problem["message"]
    assert state(repo, git) == before
    git(repo, "revert", "--no-edit", "HEAD")
    assert registry.current_version() == "v1"
    assert registry.promote("v2") == "v2"


def test_a_pointer_that_names_a_version_that_never_was_is_no_model(
    repo: Path, git: Program
) -> None:
    text = pointer(current="v7", status={"v7": "production"})
    commit_by_hand(repo, git, POINTER, text)
    registry = ModelRegistry(repo)
    before = state(repo, git)
    refused(NotFound, "no version v7 of 'model'", registry.load)
    assert registry.status()["problems"]
    assert state(repo, git) == before


@pytest.mark.parametrize("name", ["manifest.json", "model.pkl.dvc", "requirements.txt"])
@pytest.mark.parametrize("text", ["{}\n", None], ids=["edited", "removed"])
def test_a_version_that_was_edited_on_the_branch_is_a_problem_which_a_promotion_mends(
    repo: Path, git: Program, name: str, text: str | None
) -> None:
    commit_by_hand(repo, git, f"registry/model/{name}", text)
    registry = ModelRegistry(repo)
    [problem] = registry.status()["problems"]
    assert f"registry/model/{name} on main is not that of model-v1" in problem["message"]
    assert registry.get_manifest("@production")["version"] == "v1"  # its tag tells
    registry.promote("v2")
    registry.rollback()
    assert registry.status()["problems"] == []
    assert git(repo, "rev-parse", f"main:registry/model/{name}") == git(
        repo, "rev-parse", f"model-v1:registry/model/{name}"
    )


def forge(repo: Path, git: Program, name: str, change: Callable[[str], str]) -> None:
    """Make a tag model-v3 like model-v2's, with a file of its folder changed."""
    git(repo, "switch", "--quiet", "--detach", "model-v2")
    path = repo / "registry" / "model" / name
    manifest = repo / "registry" / "model" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"v2"', '"v3"'))
    path.write_text(change(path.read_text() if path.exists() else ""))
    git(repo, "add", "--force", "--all", "registry")
    git(repo, "commit", "--quiet", "--message", "Forge")
    message = f"model-v3\n\n{manifest.read_text()}"
    git(
        repo, "tag", "--annotate", "--cleanup=verbatim", "--file=-", "model-v3", input=message,
    )  # fmt: skip
    git(repo, "switch", "--quiet", "main")


FORGED: dict[str, tuple[str, Callable[[str], str]]] = {
    "other bytes": ("model.pkl.dvc", lambda text: text.replace("md5: ", "md5: 0", 1)),
    "a file more": ("model.py", lambda _: "import os\n"),
    "a metric that is none": (
        "manifest.json", lambda text: text.replace('"metrics": {}', '"metrics": {"auc": NaN}'),
    ),
    "a path that leaves": (
        "manifest.json", lambda text: text.replace('"path": "model.pkl"', '"path": "../m.pkl"'),
    ),
    "a newer schema": ("manifest.json", lambda text: text.replace('"schema": 1', '"schema": 2')),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change"), FORGED.values(), ids=FORGED.keys())
def test_a_version_that_mlv_did_not_write_is_neither_promoted_nor_verified(
    repo: Path, git: Program, name: str, change: Callable[[str], str]
) -> None:
    forge(repo, git, name, change)
    notes: list[str] = []
    registry = ModelRegistry(repo, notify=notes.append)
    before = state(repo, git)
    for act in (registry.promote, registry.verify):
        refused(IntegrityError, "model-v3", partial(act, "v3"))
    assert state(repo, git) == before
    assert registry.promote("v2") == "v2"


# A registration that was merged -------------------------------------------------------------


def merge(repo: Path, git: Program, how: str) -> None:
    """Merge model-v2 into main, by fast-forward or with a commit."""
    if how == "a merge commit":
        (repo / "train.py").write_text("# code\n")
        git(repo, "add", "train.py")
        git(repo, "commit", "--quiet", "--message", "Code")
    git(repo, "merge", "--quiet", "--no-edit", "model-v2")
    assert not (repo / POINTER).exists()


MERGES = pytest.mark.parametrize("how", ["a fast-forward", "a merge commit"])


@MERGES
def test_merging_a_version_is_called_an_error(
    repo: Path, tmp_path: Path, git: Program, how: str
) -> None:
    merge(repo, git, how)
    registry = ModelRegistry(repo)
    before = state(repo, git)
    for ask in (
        registry.current_version,
        registry.load,
        registry.rollback,
        lambda: registry.promote("v2"),
        lambda: registry.register(tmp_path / "model.pkl", None),
    ):
        error = refused(IntegrityError, "a registration was merged into main", ask)
        assert "git reset --keep" in error.hint
        assert "git revert" in error.hint
    assert any("was merged into main" in p["message"] for p in registry.status()["problems"])
    assert state(repo, git) == before


@MERGES
def test_the_command_that_the_hint_names_shows_the_merge_and_the_commit_before_it(
    repo: Path, git: Program, how: str
) -> None:
    before = git(repo, "rev-parse", "--short", "main")
    merge(repo, git, how)
    error = refused(IntegrityError, "merged", ModelRegistry(repo).current_version)
    command = error.hint.partition("git log ")[2].partition(" names it")[0]
    shown = git(repo, "log", *command.split())
    assert git(repo, "rev-parse", "--short", "main") in shown
    if how == "a fast-forward":
        assert before in shown


@MERGES
@pytest.mark.parametrize("remedy", ["reset", "revert"])
def test_following_the_hint_mends_it(repo: Path, git: Program, how: str, remedy: str) -> None:
    merge(repo, git, how)
    if remedy == "reset":
        git(repo, "reset", "--quiet", "--keep", "HEAD~1")  # the commit before the merge
    elif how == "a fast-forward":
        git(repo, "revert", "--no-edit", "HEAD")
    else:
        git(repo, "revert", "--no-edit", "--mainline", "1", "HEAD")
    registry = ModelRegistry(repo)
    assert registry.current_version() == "v1"
    assert registry.status()["problems"] == []
    assert registry.promote("v2") == "v2"
    assert registry.rollback() == "v1"


def test_a_merge_before_anything_was_live_is_called_an_error_as_well(
    repo: Path, git: Program
) -> None:
    git(repo, "reset", "--quiet", "--keep", "HEAD~1")
    git(repo, "merge", "--quiet", "model-v1")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "And on")
    registry = ModelRegistry(repo)
    for ask in (registry.current_version, lambda: registry.promote("v1")):
        refused(IntegrityError, "a registration was merged into main", ask)


# Bytes that are nowhere ---------------------------------------------------------------------


def test_bytes_that_are_neither_here_nor_on_the_remote_are_not_found(
    repo: Path, git: Program
) -> None:
    shutil.rmtree(repo / ".dvc" / "cache")
    registry = ModelRegistry(repo)
    before = state(repo, git)
    for ask in (registry.load, registry.current_artifacts, lambda: registry.verify("v1")):
        error = refused(NotFound, r"model-v1.*'storage'", ask)
        assert "mlv push" in error.hint
    assert state(repo, git).files == before.files
    assert not list((repo / ".git" / "mlv").glob("**/*v1*"))


def test_bytes_that_are_not_here_and_no_remote_to_ask(repo: Path, git: Program) -> None:
    shutil.rmtree(repo / ".dvc" / "cache")
    (repo / ".dvc" / "config").write_text("")
    registry = ModelRegistry(repo)
    for ask in (registry.load, registry.current_artifacts, lambda: registry.verify("v1")):
        error = refused(NotFound, r"model-v1.*no DVC remote", ask)
        assert "dvc remote add" in error.hint
    assert registry.verify("v1", fetch=False) == {"model": "not here"}
    assert git(repo, "status", "--porcelain") == " M .dvc/config"


# Other kinds of repository ------------------------------------------------------------------


def test_a_bare_repository_is_read_and_promoted_in_but_has_no_place_to_register(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "bare.git")
    registry = ModelRegistry(tmp_path / "bare.git")
    assert registry.current_version() == "v1"
    assert [each["version"] for each in registry.list_versions()] == ["v1", "v2"]
    act = lambda: registry.register(tmp_path / "model.pkl", None)  # noqa: E731
    assert "clone" in refused(ConfigError, r"bare\.git is a bare repository", act).hint
    assert "clone" in refused(ConfigError, "bare", lambda: registry.load("v1")).hint
    refused(ConfigError, "bare", lambda: ModelRegistry.init(tmp_path / "bare.git"))
    assert registry.promote("v2") == "v2"
    assert git(tmp_path / "bare.git", "log", "-1", "--format=%s", "main").startswith("Promote")


@pytest.mark.parametrize(
    "options", [["--depth", "1"], ["--no-tags"]], ids=["shallow", "without tags"]
)
def test_a_clone_that_lacks_tags_says_what_is_live_and_how_to_fetch_the_rest(
    repo: Path, tmp_path: Path, git: Program, options: list[str]
) -> None:
    git(tmp_path, "clone", "--quiet", *options, repo.as_uri(), "clone")
    clone = ModelRegistry(tmp_path / "clone")
    assert clone.current_version() == "v1"
    assert clone.list_versions() == []
    for ask in (clone.load, lambda: clone.get_manifest("v2")):
        assert "git fetch" in refused(NotFound, "no version v[12] of 'model'", ask).hint
    hint = refused(NotFound, "no version v2 of 'model'", lambda: clone.promote("v2")).hint
    git(tmp_path / "clone", *hint[hint.index("git fetch") :].split()[1:])
    assert clone.get_manifest("v2")["version"] == "v2"
    assert clone.promote("v2") == "v2"
    assert clone.status()["problems"] == []


def test_a_clone_without_the_registry_branch_says_how_to_fetch_it(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    git(repo, "branch", "feature")
    git(tmp_path, "clone", "--quiet", "--single-branch", "--branch", "feature", "repo", "clone")
    clone = ModelRegistry(tmp_path / "clone")
    for ask in (clone.current_version, lambda: clone.promote("v2")):
        error = refused(ConfigError, "branch 'main' does not exist here", ask)
        assert "git fetch origin main" in error.hint
    assert [each["version"] for each in clone.list_versions()] == ["v1", "v2"]


# Disks that are full or read-only -----------------------------------------------------------

TRY = """\
import sys
from mlv import ModelRegistry, RegistryError
registry = ModelRegistry(sys.argv[1], notify=lambda note: None)
try:
    {act}
except RegistryError as error:
    print(type(error).__name__, error.message, error.hint, sep="\\n")
"""


def attempt(repo: Path, act: str, *before: str) -> list[str]:
    """Try it in a process of its own, and give its error's class, message and hint."""
    script = [*before, sys.executable, "-P", "-c", TRY.format(act=act), str(repo)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


# From here on, no file may become larger than so many blocks of 512 or 1024 bytes.
LIMITED = ("sh", "-c", 'trap "" XFSZ; ulimit -f "$0"; exec "$@"')


@POSIX
def test_a_file_that_does_not_fit_leaves_nothing_behind(
    repo: Path, tmp_path: Path, git: Program
) -> None:
    large = write(tmp_path / "large.pkl", bytes(6_000_000))
    before = state(repo, git)
    said = attempt(repo, f"registry.register({str(large)!r}, None)", *LIMITED, "4096")
    assert said[0] == "StorageError"
    assert "File too large" in said[1]
    assert said[2]  # a hint
    assert state(repo, git) == before


@POSIX
def test_a_step_that_cannot_be_written_leaves_nothing_behind(repo: Path, git: Program) -> None:
    before = state(repo, git)
    said = attempt(repo, "registry.promote('v2')", *LIMITED, "0")
    assert said[0] in ("ProgramError", "StorageError")
    assert state(repo, git) == before
    assert ModelRegistry(repo).promote("v2") == "v2"


# In a namespace of mounts of its own, so that nothing stays mounted whatever happens.
PRIVATE = ("unshare", "--map-root-user", "--mount", "sh", "-e", "-c")
FULL = """\
mount -t tmpfs -o size=3m tmpfs "$0"
cp -a "$0-seed/." "$0"
git -C "$0" update-index --refresh
cat /dev/zero > "$0/.git/filler" 2>/dev/null || true
"$@"
echo ---
rm "$0/.git/filler"
git -C "$0" status --porcelain --untracked-files=all
git -C "$0" for-each-ref
find "$0/.git" "$0/.dvc" -name 'mlv-?*' -not -empty -o -name '?*.lock' ! -name .bytes.lock \\
    -o -name .journal.json
"""
READ_ONLY = """\
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
"$@"
"""


def can_mount() -> bool:
    try:
        probe = [*PRIVATE, 'mount -t tmpfs tmpfs "$0"', "/tmp"]  # noqa: S108 - its own mounts
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


MOUNTS = pytest.mark.skipif(not can_mount(), reason="needs a mount namespace of its own")
ACTS = [
    "registry.register('{model}', None)",
    "registry.promote('v2')",
    "registry.stage('v2')",
]


@MOUNTS
@pytest.mark.parametrize("act", [*ACTS, "registry.load('v2')"])
def test_a_full_disk_changes_nothing(repo: Path, tmp_path: Path, git: Program, act: str) -> None:
    refs = git(repo, "for-each-ref")
    repo.rename(tmp_path / "repo-seed")
    repo.mkdir()
    act = act.format(model=tmp_path / "model.pkl")
    done = attempt(repo, act, *PRIVATE, FULL, str(repo))
    said, left = done[: done.index("---")], done[done.index("---") + 1 :]
    assert said[0] in ("StorageError", "ProgramError")
    assert any("space" in line for line in said[1:])
    assert left == refs.splitlines()


@MOUNTS
@pytest.mark.parametrize("act", ACTS)
def test_a_read_only_repository_is_not_written_to(
    repo: Path, tmp_path: Path, git: Program, act: str
) -> None:
    before = state(repo, git)
    said = attempt(repo, act.format(model=tmp_path / "model.pkl"), *PRIVATE, READ_ONLY, str(repo))
    assert said[0] in ("StorageError", "ProgramError")
    assert any("read-only" in line.lower() for line in said[1:])
    assert state(repo, git) == before


@MOUNTS
def test_a_read_only_repository_is_read(repo: Path, git: Program) -> None:
    ModelRegistry(repo).artifacts("v1")
    before = state(repo, git)
    act = (
        "print(registry.current_version(), len(registry.list_versions()), "
        "registry.load('v1')['model']['seed'], registry.verify('v1'), "
        "registry.status()['problems'])"
    )
    said = attempt(repo, act, *PRIVATE, READ_ONLY, str(repo))
    assert said == ["v1 2 1 {'model': 'ok'} []"]
    assert state(repo, git) == before


@pytest.mark.parametrize("text", [None, "\n"], ids=["gone", "empty"])
def test_the_guard_of_the_registry_that_is_gone_is_named(
    repo: Path, git: Program, text: str | None
) -> None:
    commit_by_hand(repo, git, "registry/.gitignore", text)
    said = "registry/.gitignore on main is gone or empty"
    problems = ModelRegistry(repo).status()["problems"]
    assert [said in each["message"] for each in problems] == [True]
    assert [said in each.message for each in ModelRegistry(repo).verify_all()][:2] == [True, False]
