"""A registry that is a folder, made by its own code, comes in with every number and byte right."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mlv import IntegrityError, InvalidInput, ModelRegistry, NotFound, RegistryError
from mlv.bridges import filestore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]


class Store:
    """A file-system registry, as teams write one: it numbers, copies, hashes and notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def register(
        self, model: object, at: str, preprocessor: object = None, number: int = 0, **facts: Any
    ) -> str:
        number = number or len(list(self.folder.glob("v*"))) + 1
        folder = self.folder / f"v{number}"
        folder.mkdir()
        for name, thing in (("model", model), ("preprocessor", preprocessor)):
            if thing is not None:
                (folder / f"{name}.pkl").write_bytes(pickle.dumps(thing))
                digest = hashlib.sha256((folder / f"{name}.pkl").read_bytes()).hexdigest()
                facts[f"{name}_sha256"] = digest
        says = {
            "version": folder.name, "registered_at": at, "preprocessor_sha256": None,
            "metrics": {}, "metadata": {}, "status": "registered", **facts,
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(says))
        return folder.name

    def promote(self, name: str) -> None:
        live = self.active()["current"]
        self.edit(name, status="production")
        if live:
            self.edit(live, status="archived")
        self.write_active(name, live)

    def active(self) -> dict[str, str | None]:
        path = self.folder / "active_version.json"
        found: dict[str, str | None] = (
            json.loads(path.read_text()) if path.exists() else {"current": None, "previous": None}
        )
        return found

    def write_active(self, current: object, previous: object) -> None:
        active = {"current": current, "previous": previous}
        (self.folder / "active_version.json").write_text(json.dumps(active))

    def edit(self, name: str, **facts: Any) -> None:
        path = self.folder / name / "manifest.json"
        says = {**json.loads(path.read_text()), **facts}
        path.write_text(json.dumps(says))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of twelve versions: v12 is live, v2 was, v3 was given up."""
    made = Store(tmp_path / "models")
    for number in range(1, 13):
        made.register(
            {"number": number},
            f"2024-03-{number:02}T10:00:00+01:00",
            preprocessor=[number] if number != 7 else None,
            metrics={"roc_auc": 0.9 + number / 1000},
            metadata={"data_window": f"last_{number}_days"},
        )
    for name in ("v1", "v2", "v12"):
        made.promote(name)
    made.edit("v3", status="Yanked")
    return made


def opened(repo: Path, notes: list[str] | None = None) -> ModelRegistry:
    return ModelRegistry(repo, "fraud", notify=(notes if notes is not None else []).append)


def test_a_store_comes_in_with_every_number_date_status_and_byte(repo: Path, store: Store) -> None:
    registry = opened(repo)
    registry.bring_in(filestore.read(store.folder))
    facts = registry.list_versions()
    assert [each["version"] for each in facts] == [f"v{n}" for n in range(1, 13)]
    for number, each in enumerate(facts, start=1):
        says = json.loads((store.folder / f"v{number}" / "manifest.json").read_text())
        assert each["registered_at"] == f"2024-03-{number:02}T09:00:00Z"
        assert each["model_sha256"] == says["model_sha256"]
        assert each["preprocessor_sha256"] == says["preprocessor_sha256"]
        assert each["metrics"] == says["metrics"]
        assert each["metadata"]["data_window"] == f"last_{number}_days"
        assert each["metadata"]["imported"] == {"from": "store", "version": f"v{number}"}
        assert registry.load(f"v{number}")["model"] == {"number": number} if number != 3 else True
    statuses = {each["version"]: each["status"] for each in facts}
    decided = {name: status for name, status in statuses.items() if status != "registered"}
    assert decided == {"v1": "archived", "v2": "archived", "v3": "yanked", "v12": "production"}
    assert registry.rollback() == "v2"


def test_its_versions_are_found_by_number_and_not_by_text(store: Store) -> None:
    read = filestore.read(store.folder)
    assert [version.number for version in read.versions] == list(range(1, 13))
    assert (read.current, read.previous) == (12, 2)
    assert read.notes == ()


def test_a_commit_that_is_here_is_the_parent_and_any_other_is_kept_as_it_is(
    repo: Path, tmp_path: Path, git: Git
) -> None:
    """Trained before DVC was here: the version's commit has DVC as it is set up now."""
    root = git(repo, "commit-tree", "-m", "Before DVC", git(repo, "mktree", input=""))
    store = Store(tmp_path / "models")
    store.register(1, "2024-03-01", metadata={"git_commit": root})
    store.register(2, "2024-03-02", metadata={"git_commit": "f" * 40})
    registry = opened(repo)
    registry.bring_in(filestore.read(store.folder))
    assert git(repo, "rev-parse", "fraud-v1^") == root
    assert git(repo, "rev-parse", "fraud-v2^") == git(repo, "rev-parse", "main")
    lineage = registry.get_manifest("v1")["lineage"]
    assert (lineage["commit"], lineage["python"]) == (root, None)
    assert ".dvc/config" in lineage["dirty"]
    assert registry.get_manifest("v2")["metadata"]["git_commit"] == "f" * 40
    assert git(repo, "show", "fraud-v1:.dvc/config") == git(repo, "show", "main:.dvc/config")


# What is odd and can be said -----------------------------------------------------------------


def test_what_has_no_word_here_is_kept_and_named(repo: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    store.register(1, "2024-03-01T10:00:00", metrics={"auc": float("nan"), "f1": 0.5, "by": "hand"})
    store.register(2, "2999-01-01T00:00:00Z", status="quarantined", owner={"team": "risk"})
    (store.folder / "v2" / "features.json").write_text("[]")
    store.register(3, "2024-03-03T00:00:00Z", status="purged")
    store.register(5, "2024-03-05T00:00:00Z", number=5, version=5)
    store.edit("v5", model_sha256=None)
    store.register(6, "2024-03-06T00:00:00Z", number=6, status="purged")  # its bytes are here yet
    (store.folder / "v3" / "model.pkl").unlink()
    (store.folder / "backup").mkdir()
    store.write_active(5, "3")
    notes: list[str] = []
    registry = opened(repo, notes)
    registry.bring_in(filestore.read(store.folder))
    first, second, fifth, sixth = registry.list_versions()
    assert first["metrics"] == {"f1": 0.5}
    assert first["metadata"]["imported"]["metrics"] == {"auc": "nan", "by": "hand"}
    assert second["metadata"]["imported"]["status"] == "quarantined"
    assert second["metadata"]["imported"]["manifest"] == {"owner": {"team": "risk"}}
    assert (second["status"], second["registered_at"]) == ("registered", "2999-01-01T00:00:00Z")
    assert (fifth["version"], fifth["status"]) == ("v5", "production")
    assert (sixth["version"], sixth["status"]) == ("v6", "archived")
    assert set(notes) >= {
        "backup: no version's folder, and left out",
        "v1: no finite number, and kept in the metadata: auc, by",
        "v1: dated without a zone: UTC is taken",
        "v2: 'quarantined' there, which is no status here: registered",
        "v2 is dated in the future: its date is kept",
        "v2: no part of a version here, and left out: features.json",
        "v3: purged there, the bytes are gone: the number stays empty",
        "v5: no checksum is stated of model.pkl",
        "v3 is said to have been live before, and does not come in",
    }


def test_a_name_with_line_breaks_writes_no_line_of_its_own(store: Store) -> None:
    (store.folder / "x\nerror: all is lost").mkdir()
    (store.folder / "v1" / "y\nhint: remove it").touch()
    assert set(filestore.read(store.folder).notes) >= {
        "x error: all is lost: no version's folder, and left out",
        "v1: no part of a version here, and left out: y hint: remove it",
    }


def test_half_a_character_in_a_status_is_made_plain_as_elsewhere(repo: Path, store: Store) -> None:
    store.edit("v4", status="\ud800 odd", metadata={"of": "\ud800"})
    notes: list[str] = []
    registry = opened(repo, notes)
    registry.bring_in(filestore.read(store.folder))
    kept = registry.get_manifest("v4")["metadata"]
    assert (kept["imported"]["status"], kept["of"]) == ("? odd", "?")
    assert "v4: '? odd' there, which is no status here: registered" in notes


# What is refused -----------------------------------------------------------------------------


def hollow(store: Store) -> None:
    (store.folder / "v2" / "model.pkl").unlink()


def linked_away(store: Store) -> None:
    path = store.folder / "v2" / "model.pkl"
    path.rename(store.folder.parent / "elsewhere.pkl")
    path.symlink_to(store.folder.parent / "elsewhere.pkl")


def linked_folder(store: Store) -> None:
    (store.folder / "v2").rename(store.folder.parent / "aside")
    (store.folder / "v2").symlink_to(store.folder.parent / "aside")


def twice(store: Store) -> None:
    shutil.copytree(store.folder / "v2", store.folder / "v02")


def emptied(store: Store) -> None:
    for folder in store.folder.glob("v*"):
        shutil.rmtree(folder)


def huge(store: Store) -> None:
    with (store.folder / "v2" / "manifest.json").open("ab") as file:
        file.truncate(11_000_000)


REFUSED: dict[str, tuple[Callable[[Store], object], type[RegistryError], str]] = {
    "a model that is missing": (hollow, NotFound, "v2/model.pkl is missing"),
    "a model that is a link": (linked_away, InvalidInput, "v2/model.pkl is no plain file"),
    "a folder that is a link": (linked_folder, InvalidInput, "v2 is no folder"),
    "one number twice": (twice, InvalidInput, "v02 and v2 are the same number"),
    "a version that starts at 0": (
        lambda s: (s.folder / "v0").mkdir(), InvalidInput, "v0 has no number"),
    "a version that is a date": (
        lambda s: (s.folder / "v202501011200").mkdir(), InvalidInput, "more than nine digits"),
    "no manifest": (
        lambda s: (s.folder / "v2" / "manifest.json").unlink(), NotFound, "v2/manifest.json"),
    "half a manifest": (
        lambda s: (s.folder / "v2" / "manifest.json").write_text("{"), IntegrityError, "no JSON"),
    "a metric twice": (
        lambda s: (s.folder / "v2" / "manifest.json").write_text(
            '{"version": "v2", "metrics": {"auc": 0.1, "auc": 0.9}}'),
        IntegrityError, "v2/manifest.json .* a key stands twice"),
    "a list": (
        lambda s: (s.folder / "v2" / "manifest.json").write_text("[]"), IntegrityError, "object"),
    "a huge manifest": (huge, IntegrityError, "v2/manifest.json is huge"),
    "another number inside": (
        lambda s: s.edit("v2", version="v3"), IntegrityError, "v2/manifest.json says .* 'v3'"),
    "no date": (
        lambda s: s.edit("v2", registered_at=None), InvalidInput, "v2/manifest.json.* is no time"),
    "a checksum that is none": (
        lambda s: s.edit("v2", model_sha256="abc"), IntegrityError, "model_sha256 is no SHA-256"),
    "metrics that are a list": (
        lambda s: s.edit("v2", metrics=[1]), IntegrityError, "metrics is no object"),
    "a current that is none": (
        lambda s: s.write_active("newest", None), IntegrityError, "'newest' is no version"),
    "a current that does not exist": (
        lambda s: s.write_active("v99", None), InvalidInput, "v99 is said to be live"),
    "an empty store": (emptied, InvalidInput, "the store models/ has no version"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_before_anything_comes_in(
    repo: Path, tmp_path: Path, git: Git, case: tuple[Any, Any, str]
) -> None:
    spoil, error, message = case
    store = Store(tmp_path / "models")
    for number in (1, 2):
        store.register(number, f"2024-03-0{number}T10:00:00Z", preprocessor=[number])
    spoil(store)
    with pytest.raises(error, match=message) as refused:
        opened(repo).bring_in(filestore.read(store.folder))
    assert refused.value.hint
    assert git(repo, "tag") == ""


def test_other_bytes_than_stated_stop_it_before_the_version_is_there(
    repo: Path, store: Store, git: Git
) -> None:
    right = (store.folder / "v4" / "preprocessor.pkl").read_bytes()
    (store.folder / "v4" / "preprocessor.pkl").write_bytes(pickle.dumps("tampered"))
    registry = opened(repo)
    with pytest.raises(IntegrityError, match=r"v4 cannot come in: the preprocessor of v4") as wrong:
        registry.bring_in(filestore.read(store.folder))
    assert "the same command goes on" in wrong.value.hint
    assert git(repo, "tag").split() == ["fraud-v1", "fraud-v2", "fraud-v3"]
    assert registry.current_version() is None
    (store.folder / "v4" / "preprocessor.pkl").write_bytes(right)
    before = git(repo, "rev-parse", "fraud-v1", "fraud-v2", "fraud-v3")
    registry.bring_in(filestore.read(store.folder))
    assert git(repo, "rev-parse", "fraud-v1", "fraud-v2", "fraud-v3") == before
    assert len(registry.list_versions()) == 12
    assert registry.current_version() == "v12"
