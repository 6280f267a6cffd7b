"""A version's folder: described for DVC's tools and for people, around the user's own text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlv import IntegrityError, InvalidInput, ModelRegistry, WorkspaceError
from mlv.bridges import huggingface
from mlv.domain.card import Handwritten
from mlv.domain.findings import Ok
from mlv.store import handwritten, versionfolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]

OWN = "---\nlicense: mit\ntags: [card]\n---\n\n# Frauds\n\nFinds them.\n"


def version(repo: Path, notes: list[str] | None = None, seed: int = 1) -> ModelRegistry:
    """Register a version of `fraud` in the repository."""
    model = repo.parent / "model.pkl"
    model.write_bytes(b"model %d" % seed)
    said = [] if notes is None else notes
    registry = ModelRegistry(repo, "fraud", notify=said.append)
    registry.register(model, None, {"roc_auc": 0.9})
    return registry


def write_own(repo: Path, git: Git, text: str = OWN, name: str = "fraud") -> Path:
    path = repo / "registry" / f"{name}.md"
    path.write_text(text)
    git(repo, "add", f"registry/{name}.md")  # no --force: the guard lets it through
    git(repo, "commit", "--quiet", "--message", "Say what it is")
    return path


def test_versions_of_before_there_were_descriptions_stay_what_they_are(
    repo: Path, git: Git, dvc: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            versionfolder,
            "files_of",
            lambda manifest, _: versionfolder._plain_files(manifest),
        )
        registry = version(repo)
    assert "README.md" not in git(repo, "ls-tree", "--name-only", "fraud-v1:registry/fraud")
    version(repo, seed=2)
    registry.promote("v1")
    assert registry.verify("v1") == {"model": "ok"}
    registry.promote("v2")
    registry.rollback()
    assert registry.status()["problems"] == []
    assert {type(outcome) for outcome in registry.verify_all()} == {Ok}
    (repo / "registry" / "fraud" / "README.md").write_text("mine\n")
    git(repo, "add", "--force", "registry/fraud/README.md")
    git(repo, "commit", "--quiet", "--message", "Notes")
    with pytest.raises(WorkspaceError, match=r"README\.md is committed on main"):
        registry.promote("v2")
    git(repo, "reset", "--quiet", "--hard", "HEAD^")
    # The branch says what DVC may see for each of them.
    dvc(repo, "pull")
    assert git(repo, "status", "--porcelain") == ""
    assert (repo / "registry" / "fraud" / "model.pkl").read_bytes() == b"model 1"
    assert registry.card("v1").startswith("---\ntags:\n- mlv\n")


def test_the_users_own_text_stands_in_the_card_as_it_was_then(
    repo: Path, git: Git, tmp_path: Path
) -> None:
    write_own(repo, git, "# Another\n", name="churn")
    path = write_own(repo, git)
    registry = version(repo)
    path.write_text(OWN.replace("Finds them.", "Finds most of them."))
    version(repo, seed=2)
    assert git(repo, "ls-tree", "--name-only", "fraud-v2:registry").splitlines() == [
        ".gitignore", "fraud.md", "fraud",
    ]  # fmt: skip
    assert registry.record("v1").manifest.data["lineage"]["dirty"] == []
    assert registry.record("v2").manifest.data["lineage"]["dirty"] == ["registry/fraud.md"]
    cards = [git(repo, "show", f"fraud-v{n}:registry/fraud/README.md") for n in (1, 2)]
    assert "license: mit\ntags:\n- card\n- mlv\n" in cards[0]
    assert "\n# Frauds\n\nFinds them.\n\n## fraud-v1\n" in cards[0]
    assert "Finds most of them." in cards[1]
    assert registry.card("v2").strip() == cards[1]
    files = huggingface.write_folder(registry, "v1", tmp_path / "out")
    assert files["README.md"].read_text().strip() == cards[0]
    git(repo, "commit", "--quiet", "--all", "--message", "Say it better")
    registry.promote("v1")  # the text of the branch is not the version's, and stays
    assert "most" in path.read_text()
    assert registry.status()["problems"] == []
    assert git(repo, "status", "--porcelain") == ""


def test_a_text_that_is_not_tracked_is_told(repo: Path) -> None:
    (repo / "registry" / "fraud.md").write_text(OWN)
    notes: list[str] = []
    registry = version(repo, notes)
    assert "registry/fraud.md is not tracked" in "\n".join(notes)
    assert "license" not in registry.card("v1")


def forge(repo: Path, git: Git, change: Callable[[], object]) -> None:
    """Have the version's tag, message and all, name a commit with a change in it."""
    message = git(repo, "tag", "--list", "--format=%(contents)", "fraud-v1")
    git(repo, "checkout", "--quiet", "fraud-v1")
    change()
    git(repo, "commit", "--quiet", "--all", "--amend", "--no-edit")
    git(
        repo, "tag", "--force", "--annotate", "--cleanup=verbatim", "--file=-", "fraud-v1",
        input=message,
    )  # fmt: skip
    git(repo, "switch", "--quiet", "main")


def test_another_text_at_the_tag_than_the_card_was_made_of_is_a_forgery(
    repo: Path, git: Git
) -> None:
    write_own(repo, git)
    registry = version(repo)
    forge(repo, git, lambda: (repo / "registry" / "fraud.md").write_text("# Certified\n"))
    with pytest.raises(IntegrityError, match=r"README\.md of fraud-v1 does not say"):
        registry.promote("v1")


@pytest.mark.parametrize("name", ["README.md", "model.pkl.dvc"])
def test_a_folder_that_lacks_a_file_is_a_forgery(repo: Path, git: Git, name: str) -> None:
    registry = version(repo)
    forge(repo, git, (repo / "registry" / "fraud" / name).unlink)
    with pytest.raises(IntegrityError, match=f"the folder of fraud-v1 lacks '{name}'"):
        registry.promote("v1")


HOSTILE = {
    "a bomb of aliases": "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n",
    "no end of nesting": "---\na: " + "[" * 5000 + "\n---\n",
    "an object of Python's": "---\na: !!python/object/apply:os.system [id]\n---\n",
    "what is no number": "---\na: .nan\n---\n",
    "what is no header": "---\n- a\n---\n",
    "too much": "x" * 200_001,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_text_that_means_harm_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^registry/fraud\.md "):
        handwritten.parse(text.encode(), "registry/fraud.md")


def test_a_broken_header_is_told_before_anything_is_stored(repo: Path, git: Git) -> None:
    write_own(repo, git, "---\nlicense: [mit\n---\n")
    with pytest.raises(InvalidInput, match=r"registry/fraud\.md has a broken header"):
        version(repo)
    assert git(repo, "tag") == ""


@pytest.mark.parametrize("line", ["language: no", "tags: [fraud, 2026]", "license: {name: mit}"])
def test_what_yaml_takes_for_no_text_is_told_before_it_is_lost(
    repo: Path, git: Git, line: str
) -> None:
    write_own(repo, git, f"---\n{line}\n---\n")
    with pytest.raises(
        InvalidInput, match=rf"^{line.partition(':')[0]} in the header of registry/"
    ):
        version(repo)
    write_own(repo, git, '---\nlanguage: "no"\ntags: []\nlicense:\n---\n')
    assert 'language: "no"\n' in version(repo).card("v1")


def test_a_header_is_read_as_the_hub_reads_it() -> None:
    read = handwritten.parse(b"\xef\xbb\xbf---\r\ndate: 2026-01-01\r\n---\r\nText\r\n---\r\n", "x")
    assert read == Handwritten({"date": "2026-01-01"}, "Text\n---\n")
    assert handwritten.parse(b"---\n---\n", "x") == Handwritten({}, "")
    assert handwritten.parse(b"\n\n---\na: 1\n---\nb", "x") == Handwritten({"a": 1}, "b")
    assert handwritten.parse(b"Text --- text\n", "x").body == "Text --- text\n"


def test_a_text_that_is_a_link_is_left_out_of_the_card_for_good(repo: Path, git: Git) -> None:
    write_own(repo, git).rename(repo / "MODEL.md")
    (repo / "registry" / "fraud.md").symlink_to("../MODEL.md")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Link")
    notes: list[str] = []
    registry = version(repo, notes=notes)
    assert any("registry/fraud.md is a link" in note for note in notes)
    registry.promote("v1")
    assert "MODEL.md" not in registry.card("v1")


def test_dvcs_own_tools_see_what_the_manifest_says(
    repo: Path, git: Git, dvc: Callable[..., str]
) -> None:
    version(repo).promote("v1")
    for command in ("pull", "status", "repro --all-pipelines"):
        dvc(repo, *command.split())
    assert git(repo, "status", "--porcelain") == ""
    # What an editor asks DVC for, to show what is tracked.
    tracked = json.loads(dvc(repo, "data", "status", "--granular", "--unchanged", "--json"))
    assert tracked == {"unchanged": ["registry/fraud/model.pkl"]}
    shown = json.loads(dvc(repo, "metrics", "show", "--json"))
    assert shown[""]["data"] == {"registry/fraud/metrics.json": {"data": {"roc_auc": 0.9}}}
