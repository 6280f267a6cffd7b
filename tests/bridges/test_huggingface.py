"""A version as a folder for Hugging Face's hub, read back with the hub's own library."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import ModelCard, ModelCardData, metadata_eval_result

from mlv import InvalidInput, ModelRegistry
from mlv.bridges import huggingface
from mlv.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS = {"roc_auc": 0.9345, "log_loss": 1e-05, "rows": 12000}


@pytest.fixture
def registry(repo: Path, tmp_path: Path, write_model: Callable[..., Path]) -> ModelRegistry:
    """Return a registry with one version of `fraud`: a model, and a folder with odd names."""
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    for name in ("merges.txt", "vocab.bin", "no suffix", "#odd[1]"):
        (tokenizer / name).write_text(name)
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    registry.register(
        write_model(tmp_path / "model.pkl"),
        None,
        metrics=METRICS,
        metadata={
            "license": "mit",
            "data_window": "2026: Q1 | `all` #1",
            "tags": ["fraud", "yes"],
            "model_class": "sklearn.linear_model.LogisticRegression",
        },
        artifacts={"tokenizer": tokenizer},
    )
    return registry


def test_the_hubs_own_library_reads_the_card(registry: ModelRegistry, tmp_path: Path) -> None:
    files = huggingface.write_folder(registry, "v1", tmp_path / "out")
    loaded = ModelCard.load(files["README.md"])
    assert isinstance(loaded.data, ModelCardData)
    facts = loaded.data.to_dict()
    assert facts["license"] == "mit"
    assert facts["library_name"] == "sklearn"
    assert facts["tags"] == ["fraud", "yes", "mlv"]
    # As the library itself would write the results of this model.
    expected = [
        metadata_eval_result(
            model_pretty_name="fraud",
            task_pretty_name="",
            task_id="other",
            metrics_pretty_name=name,
            metrics_id=name,
            metrics_value=value,
            dataset_pretty_name="2026: Q1 | `all` #1",
            dataset_id="other",
        )["model-index"][0]["results"][0]["metrics"][0]
        for name, value in METRICS.items()
    ]
    [index] = facts["model-index"]
    [result] = index["results"]
    assert index["name"] == "fraud"
    assert result["metrics"] == [
        {key: value for key, value in each.items() if key != "verified"} for each in expected
    ]
    assert loaded.data.eval_results
    assert [type(each.metric_value) for each in loaded.data.eval_results] == [float, float, int]
    assert "`2026: Q1 ¦ 'all' #1`" in loaded.text


def test_it_holds_the_verified_bytes_and_says_what_goes_to_lfs(
    registry: ModelRegistry, tmp_path: Path, git: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    files = huggingface.write_folder(registry, "v1", out)
    assert sorted(path.name for path in out.iterdir()) == [
        ".gitattributes", "README.md", "manifest.json", "model.pkl", "requirements.txt",
        "tokenizer",
    ]  # fmt: skip
    sha256 = registry.record("v1").manifest.artifacts["model"].sha256
    assert hashlib.sha256(files["model"].read_bytes()).hexdigest() == sha256
    # Git itself says what the rules mean.
    git(out, "init", "--quiet")
    names = [
        "model.pkl", "README.md", "manifest.json", "requirements.txt", "tokenizer/merges.txt",
        "tokenizer/vocab.bin", "tokenizer/no suffix", "tokenizer/#odd[1]", "#odd[1]",
    ]  # fmt: skip
    told = git(out, "check-attr", "filter", "--", *names).replace('"', "").splitlines()
    lfs = [name for name, line in zip(names, told, strict=True) if line.endswith(" lfs")]
    assert lfs == ["model.pkl", *names[5:8]]


def test_text_goes_to_lfs_where_the_hub_refuses_it_in_git(tmp_path: Path) -> None:
    for name, size in (("small.json", 10_000_000), ("large.json", 10_000_001)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    files = {name: tmp_path / f"{name}.json" for name in ("small", "large")}
    found = huggingface.attributes(files, set(files))
    assert found == b"/large.json filter=lfs diff=lfs merge=lfs -text\n"


def test_written_again_it_is_the_same_and_what_is_not_ours_stays(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = huggingface.write_folder(registry, "v1", out)
    assert huggingface.write_folder(registry, "v1", out) == first
    first["README.md"].write_text("mine")
    first["model"].unlink()
    with pytest.raises(InvalidInput, match=r"README\.md exists, and is something else"):
        huggingface.write_folder(registry, "v1", out)
    assert not first["model"].exists()


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("file", "something else is there"),
        ("file/below", "a part of that path is a file"),
        ("n" * 300, "choose a shorter name"),
    ],
)
def test_a_folder_that_cannot_be_made_is_told_as_what_it_is(
    registry: ModelRegistry, tmp_path: Path, path: str, hint: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as refused:
        huggingface.write_folder(registry, "v1", tmp_path / path)
    assert refused.value.hint.startswith(hint)


def test_nothing_is_written_through_a_link_or_half(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(InvalidInput, match=r"README\.md exists, and is something else"):
        huggingface.write_folder(registry, "v1", out)
    assert not (tmp_path / "elsewhere.md").exists()
    (out / "README.md").unlink()

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(StorageError, match="No space left"):
            huggingface.write_folder(registry, "v1", out)
    files = huggingface.write_folder(registry, "v1", out)
    assert files["README.md"].read_text() == registry.card("v1")
    assert not [path for path in out.iterdir() if path.suffix == ".part"]
