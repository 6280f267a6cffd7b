"""What reads say, in every kind of clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlv import ChangedMeanwhile, IntegrityError, ModelRegistry, NotFound, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Act = Callable[[Path], None]
    Writer = Callable[..., Path]


@pytest.fixture
def clone(live: Path, git: Git) -> Path:
    """Return a clone of the registry ``live``."""
    folder = live.with_name("clone")
    git(live, "clone", "--quiet", str(live), str(folder))
    return folder


@pytest.fixture
def notes() -> list[str]:
    """Collect what the registry tells."""
    return []


# Which branch counts ------------------------------------------------------------------------


def test_without_a_local_branch_the_remotes_counts(live: Path, clone: Path, git: Git) -> None:
    """As in CI, which checks out a commit or a pull request's branch."""
    git(clone, "switch", "--quiet", "--create", "feature")
    git(clone, "branch", "--quiet", "--delete", "main")
    ModelRegistry(live).promote("v3")
    assert ModelRegistry(clone).current_version() == "v2"
    git(clone, "fetch", "--quiet")
    assert ModelRegistry(clone).current_version() == "v3"


def test_a_local_branch_behind_does_not_count(live: Path, clone: Path, git: Git) -> None:
    """As on a host that only ever fetches."""
    ModelRegistry(live).promote("v3")
    git(clone, "fetch", "--quiet")
    registry = ModelRegistry(clone)
    assert registry.current_version() == "v3"
    assert registry.get_manifest("v2")["status"] == "archived"
    assert git(clone, "status", "--porcelain") == ""


def test_a_local_branch_ahead_counts(clone: Path, git: Git) -> None:
    registry = ModelRegistry(clone)
    registry.promote("v3")
    assert registry.current_version() == "v3"
    assert git(clone, "rev-parse", "main^") == git(clone, "rev-parse", "origin/main")


def test_of_diverged_branches_the_local_one_counts_and_it_is_said(
    live: Path, clone: Path, git: Git, notes: list[str]
) -> None:
    ModelRegistry(live).promote("v3")
    ModelRegistry(clone).rollback()
    git(clone, "fetch", "--quiet")
    registry = ModelRegistry(clone, notify=notes.append)
    assert registry.current_version() == "v1"
    assert [note for note in notes if "have diverged" in note]
    assert registry.current_version() == "v1"
    assert len(notes) == 1


def test_what_is_live_changes_with_a_fetch_and_with_a_commit_at_once(
    live: Path, clone: Path, git: Git
) -> None:
    registry = ModelRegistry(clone)
    seen = [registry.current_version()]
    ModelRegistry(live).promote("v3")
    seen.append(registry.current_version())
    git(clone, "fetch", "--quiet")
    seen.append(registry.current_version())
    git(clone, "merge", "--quiet", "--ff-only", "origin/main")
    ModelRegistry(clone).promote("v1")
    seen.append(registry.current_version())
    assert seen == ["v2", "v2", "v3", "v1"]


def test_a_promotion_goes_on_top_of_what_the_remote_says(
    live: Path, clone: Path, move: Act, git: Git
) -> None:
    """Behind, and checked out nowhere: nothing stands in the way."""
    git(clone, "switch", "--quiet", "--create", "feature")
    (live / "more.py").write_text("more\n")
    git(live, "add", "more.py")
    git(live, "commit", "--quiet", "--message", "More")
    git(clone, "fetch", "--quiet")
    move(clone)
    assert git(clone, "rev-parse", "main^") == git(clone, "rev-parse", "origin/main")


def test_a_promotion_makes_the_local_branch_that_is_not_there(
    clone: Path, move: Act, git: Git
) -> None:
    git(clone, "switch", "--quiet", "--detach")
    git(clone, "branch", "--quiet", "--delete", "main")
    move(clone)
    assert git(clone, "rev-parse", "main^") == git(clone, "rev-parse", "origin/main")
    assert (
        git(clone, "log", "-1", "--format=%s", "HEAD") == "Promote model-v2 to production (was v1)"
    )


def test_a_branch_of_another_remote_does_not_count(live: Path, clone: Path, git: Git) -> None:
    ModelRegistry(live).promote("v3")
    git(clone, "remote", "add", "fork", str(live))
    git(clone, "fetch", "--quiet", "fork")
    assert ModelRegistry(clone).current_version() == "v2"


# What is in the clone -----------------------------------------------------------------------


def test_a_shallow_clone(live: Path, git: Git, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", live.as_uri(), str(shallow))
    assert git(shallow, "tag") == ""
    registry = ModelRegistry(shallow)
    assert registry.current_version() == "v2"
    assert registry.list_versions() == []
    with pytest.raises(NotFound, match="no version v2") as refused:
        registry.get_manifest("v2")
    assert "git fetch --depth 1 origin tag model-v2" in refused.value.hint
    git(shallow, *refused.value.hint.partition("git ")[2].split(), "--quiet")
    assert registry.get_manifest("v2")["status"] == "production"


def test_a_promotion_in_a_shallow_clone(live: Path, git: Git, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", live.as_uri(), str(shallow))
    git(shallow, "fetch", "--quiet", "--depth", "1", "origin", "tag", "model-v3")
    assert ModelRegistry(shallow).promote("v3") == "v3"
    git(shallow, "push", "--quiet", "origin", "main:promoted")
    git(live, "fsck", "--strict")
    assert git(live, "rev-parse", "promoted^") == git(live, "rev-parse", "main")


def test_a_clone_without_tags(live: Path, git: Git, tmp_path: Path) -> None:
    bare_of_tags = tmp_path / "no-tags"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(live), str(bare_of_tags))
    registry = ModelRegistry(bare_of_tags)
    assert registry.current_version() == "v2"
    assert registry.models() == ["model"]
    with pytest.raises(NotFound, match="no version v2") as refused:
        registry.load()
    assert "git fetch" in refused.value.hint


def test_a_number_is_not_given_twice_in_a_clone_without_tags(
    live: Path, git: Git, tmp_path: Path, write_model: Writer
) -> None:
    """The pointer knows of v1 and v2, and what it knows counts."""
    bare_of_tags = tmp_path / "no-tags"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(live), str(bare_of_tags))
    assert ModelRegistry(bare_of_tags).register(write_model(tmp_path / "m.pkl", 9), None) == "v3"


def test_a_bare_clone_is_read(live: Path, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(live), str(tmp_path / "bare.git"))
    registry = ModelRegistry(tmp_path / "bare.git")
    assert registry.current_version() == "v2"
    assert [manifest["version"] for manifest in registry.list_versions()] == ["v1", "v2", "v3"]


def test_the_lightweight_tags_of_a_ci_checkout(live: Path, clone: Path, git: Git) -> None:
    listed = ModelRegistry(clone).list_versions()
    for tag in git(clone, "tag").split():
        git(clone, "tag", "--force", tag, f"{tag}^{{commit}}")
    registry = ModelRegistry(clone)
    assert git(clone, "cat-file", "-t", "model-v2") == "commit"
    assert registry.list_versions() == listed
    assert registry.get_manifest("v2") == ModelRegistry(live).get_manifest("v2")
    assert registry.promote("v3") == "v3"
    assert registry.resolve("@latest").name == "v3"


# Tags that are no versions ------------------------------------------------------------------


def test_foreign_tags_are_no_versions_and_nobody_is_told(
    live: Path, git: Git, notes: list[str]
) -> None:
    git(live, "tag", "api-v1")
    git(live, "tag", "--annotate", "--message", "Release 2", "api-v2")
    git(live, "tag", "--annotate", "--message", "A file", "readme-v1", "main:train.py")
    git(live, "tag", "tree-v1", "main^{tree}")
    git(live, "tag", "v5")
    git(live, "tag", "model-v07")
    registry = ModelRegistry(live, notify=notes.append)
    assert registry.models() == ["model"]
    assert registry.current_version() == "v2"
    assert [manifest["version"] for manifest in registry.list_versions()] == ["v1", "v2", "v3"]
    assert registry.resolve("@latest").name == "v3"
    assert registry.promote("v3") == "v3"
    for ref in ("api-v1", "api-v2", "readme-v1", "tree-v1"):
        with pytest.raises(NotFound) as refused:
            registry.get_manifest(ref)
        assert refused.value.hint
    assert notes == []


@pytest.mark.parametrize("kind", [(), ("--annotate", "--message", "Release 9")])
def test_a_release_of_the_software_that_bears_a_models_name(
    live: Path, git: Git, write_model: Writer, kind: tuple[str, ...]
) -> None:
    """Its commit is one of the branch, where the live version's folder lies with the pointer."""
    git(live, "tag", *kind, "model-v9", "main")
    registry = ModelRegistry(live, notify=lambda _: None)
    assert registry.current_version() == "v2"
    assert [manifest["version"] for manifest in registry.list_versions()] == ["v1", "v2", "v3"]
    assert registry.promote("v3") == "v3"
    with pytest.raises((NotFound, IntegrityError)):
        registry.promote("v9")
    assert registry.register(write_model(live.parent / "new.pkl", 4), None) == "v10"


@pytest.mark.parametrize("kind", [(), ("--annotate", "--message", "Release 9")])
def test_a_release_of_the_software_is_not_the_latest_version(
    live: Path, git: Git, kind: tuple[str, ...]
) -> None:
    git(live, "tag", *kind, "model-v9", "main")
    assert ModelRegistry(live).resolve("@latest").name == "v3"


def test_a_models_foreign_tags_count_for_its_next_number(
    live: Path, git: Git, write_model: Writer
) -> None:
    git(live, "tag", "api-v6")
    registry = ModelRegistry(live, "api")
    assert registry.register(write_model(live.parent / "new.pkl", 4), None) == "v7"
    assert [manifest["version"] for manifest in registry.list_versions()] == ["v7"]


def test_a_tag_that_was_renamed_is_refused(live: Path, move: Act, git: Git) -> None:
    """A signature on it would verify all the same."""
    for ref in ("v1", "v3"):
        git(live, "update-ref", f"refs/tags/model-{ref}", git(live, "rev-parse", "model-v2"))
    with pytest.raises(IntegrityError, match="really the tag 'model-v2', renamed"):
        move(live)
    assert ModelRegistry(live).current_version() == "v2"


def test_a_version_under_a_new_number_is_refused(live: Path, git: Git) -> None:
    """A light tag bears no name of its own, but the manifest does."""
    git(live, "tag", "model-v4", "model-v2^{commit}")
    registry = ModelRegistry(live, notify=lambda _: None)
    with pytest.raises(IntegrityError):
        registry.promote("v4")
    assert registry.current_version() == "v2"


def test_a_merged_registration_is_never_taken_for_what_is_live(
    live: Path, move: Act, git: Git
) -> None:
    git(live, "reset", "--quiet", "--hard", "model-v3^")
    git(live, "merge", "--quiet", "--ff-only", "model-v3")
    registry = ModelRegistry(live)
    with pytest.raises(IntegrityError, match="a registration was merged into main") as refused:
        registry.current_version()
    assert refused.value.hint
    with pytest.raises(IntegrityError, match="a registration was merged into main"):
        move(live)


def test_what_the_caller_saw_is_what_counts_in_a_clone_too(
    live: Path, clone: Path, git: Git
) -> None:
    ModelRegistry(live).promote("v3")
    git(clone, "switch", "--quiet", "--detach")
    git(clone, "fetch", "--quiet")
    with pytest.raises(ChangedMeanwhile, match="model-v3 is live, not model-v2"):
        ModelRegistry(clone).rollback(from_="v2")


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_tag_whose_object_is_gone_fails_the_listing(live: Path, where: str) -> None:
    name = {"first": "model-v1", "last": "zoo-v1"}[where]  # git names them in falling order
    oid = "1" * 40
    (live / ".git" / "refs" / "tags" / name).write_text(f"{oid}\n")
    with pytest.raises(ProgramError, match=f"missing object {oid}"):
        ModelRegistry(live).list_versions()
