"""Things that go wrong around mlv: damaged objects, foreign files, half-made set-ups, odd tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, InvalidInput, ModelRegistry, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]

POINTER = "registry/model/pointer.json"


@pytest.fixture
def live(repo: Path, tmp_path: Path, write_model: Callable[..., Path]) -> Path:
    """Return a registry with v1 live and v2 registered."""
    registry = ModelRegistry(repo, notify=lambda _: None)
    for seed in (1, 2):
        registry.register(write_model(tmp_path / "model.pkl", seed), None)
    registry.promote("v1")
    return repo


def damage(repo: Path, git: Git, name: str) -> None:
    """Empty an object, as a full disk or a crash does."""
    oid = git(repo, "rev-parse", name)
    path = repo / ".git" / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"")


@pytest.mark.parametrize("name", [f"main:{POINTER}", "main:registry/model", "main:registry"])
def test_a_damaged_object_is_never_taken_for_nothing(live: Path, git: Git, name: str) -> None:
    damage(live, git, name)
    registry = ModelRegistry(live)
    for ask in (registry.current_version, registry.current, registry.rollback):
        with pytest.raises(IntegrityError, match="damaged") as caught:
            ask()
        assert "git fsck" in caught.value.hint


def test_a_damaged_tag_is_said_to_be(live: Path, git: Git) -> None:
    damage(live, git, "refs/tags/model-v2")
    with pytest.raises(IntegrityError, match="tag model-v2 is damaged"):
        ModelRegistry(live).promote("v2")


def test_a_reason_says_what_it_likes(
    live: Path, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    registry = ModelRegistry(live)
    registry.promote("v2", reason="Mlv-Action: register")
    other = ModelRegistry(live, model="churn")
    assert other.register(write_model(tmp_path / "m.pkl", 9), None) == "v1"
    assert other.promote("v1") == "v1"


def test_a_reason_that_is_no_text_is_refused(live: Path) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        ModelRegistry(live).promote("v2", reason="\udce9")


def test_a_tag_that_leaves_no_number_is_named(
    live: Path, git: Git, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    git(live, "tag", "model-v999999999")
    with pytest.raises(InvalidInput, match="leaves no number") as caught:
        ModelRegistry(live).register(write_model(tmp_path / "m.pkl", 9), None)
    assert "git tag -d model-v999999999" in caught.value.hint


@pytest.mark.parametrize("path", ["notes.md", "docs/notes.txt"])
def test_a_file_that_was_committed_where_only_mlv_writes_is_not_deleted(
    live: Path, git: Git, path: str
) -> None:
    mine = live / "registry" / "model" / path
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine\n")
    git(live, "add", "--force", str(mine))
    git(live, "commit", "--quiet", "--message", "Notes")
    with pytest.raises(WorkspaceError, match="where only mlv writes") as caught:
        ModelRegistry(live).promote("v2")
    assert "git mv" in caught.value.hint
    assert mine.read_text() == "mine\n"


def test_a_set_up_that_was_killed_is_completed(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet", "half")
    half = tmp_path / "half"
    (half / ".dvc").mkdir()
    (half / ".dvc" / "config").write_text("")
    ModelRegistry.init(half)
    assert "/config.local" in (half / ".dvc" / ".gitignore").read_text()
    assert git(half, "status", "--porcelain") == ""


def test_verify_all_names_a_version_that_cannot_be_read(
    live: Path, git: Git, mlv: Callable[..., object]
) -> None:
    message = git(live, "tag", "--list", "--format=%(contents)", "model-v2")
    spoiled = message.replace('"schema": 1', '"schema": 9')
    git(
        live, "tag", "--force", "--annotate", "--cleanup=verbatim", "--file=-", "model-v2",
        "model-v2^{commit}", input=spoiled,
    )  # fmt: skip
    done = mlv(live, "verify", "--all")
    assert done.returncode == 4, done  # type: ignore[attr-defined]
    assert "model-v2" in done.stdout  # type: ignore[attr-defined]


def test_without_tags_status_still_says_what_is_live(live: Path, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--no-tags", live.as_uri(), "clone")
    clone = ModelRegistry(tmp_path / "clone")
    assert clone.current_version() == "v1"
    assert [model["production"] for model in clone.status()["models"]] == ["v1"]


def test_verify_fetches_what_is_missing(
    live: Path, dvc: Callable[..., str], tmp_path: Path
) -> None:
    dvc(live, "push", "--all-tags")
    registry = ModelRegistry(live)
    path = registry.artifacts("v1")["model"]
    path.unlink()
    (live / ".dvc" / "cache").rename(tmp_path / "cache-is-gone")
    assert registry.verify("v1") == {"model": "ok"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".gitignore", "!*\n"),
        ("README.md", "# Another model\n"),
        ("dvc.yaml", "stages: {train: {cmd: 'touch /tmp/owned'}}\n"),
        ("requirements.txt", "--extra-index-url https://example.org\n"),
        ("requirements.txt", "numpy @ https://example.org/numpy.whl\n"),
    ],
)
def test_what_goes_onto_the_branch_is_what_mlv_writes(
    live: Path, git: Git, name: str, content: str
) -> None:
    git(live, "checkout", "--quiet", "model-v2")
    (live / "registry" / "model" / name).write_text(content)
    git(live, "commit", "--quiet", "--all", "--amend", "--no-edit")
    message = git(live, "tag", "--list", "--format=%(contents)", "model-v2")
    git(
        live, "tag", "--force", "--annotate", "--cleanup=verbatim", "--file=-", "model-v2",
        input=message,
    )  # fmt: skip
    git(live, "switch", "--quiet", "main")
    with pytest.raises(IntegrityError, match=name):
        ModelRegistry(live).promote("v2")


@pytest.mark.parametrize("text", ["branch: " + "[" * 5000, "a: &a [x, x]\nbranch: [*a, *a]\n"])
def test_an_mlv_yaml_that_means_harm_is_refused(live: Path, text: str) -> None:
    (live / "mlv.yaml").write_text(text)
    from mlv import ConfigError

    with pytest.raises(ConfigError, match=r"mlv\.yaml"):
        ModelRegistry(live)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other.pkl"])
def test_a_path_stated_in_mlv_yaml_stays_inside(live: Path, path: str) -> None:
    from mlv import ConfigError

    (live / "mlv.yaml").write_text(f"branch: main\nmodels:\n  model:\n    model: {path}\n")
    with pytest.raises(ConfigError, match=r"mlv\.yaml:4"):
        ModelRegistry(live)
