"""A sample from its registration to the machine on which it is asked again."""

from __future__ import annotations

import json
import pickle
import random
from functools import partial
from operator import add, mul
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlv import InvalidInput, ModelRegistry, PredictionDiffers, RegistryError
from mlv.predicting import predictor as predictors
from mlv.predicting.predictor import Predictor
from mlv.store import lineage
from mlv.store.lineage import Packages

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlv = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """``put("m.pkl", model)`` pickles it."""

    def write(name: str, thing: object) -> Path:
        path = tmp_path / name
        path.write_bytes(pickle.dumps(thing))
        return path

    return write


def test_it_keeps_what_the_preprocessor_and_the_model_answered(
    repo: Path, put: Callable[..., Path]
) -> None:
    registry = ModelRegistry(repo)
    model, scaler = put("m.pkl", partial(add, 100)), put("s.pkl", partial(mul, 2))
    registry.register(model, scaler, sample=np.array([1.0, 2.0]))
    sample = json.loads(registry.artifacts("v1")["sample"].read_text())
    assert sample["input"] == {"data": [1.0, 2.0], "dtype": "float64"}
    assert sample["output"] == {"data": [102.0, 104.0], "dtype": "float64"}
    assert registry.get_manifest("v1")["artifacts"]["sample"]["path"] == "sample.json"
    assert registry.verify("v1", predict=True)["sample"] == "ok"
    assert registry.predictor("v1").check().rows == 2


def test_a_machine_that_answers_otherwise_is_found(
    repo: Path, put: Callable[..., Path], mlv: Mlv, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(repo)
    registry.register(put("m.pkl", partial(add, 1)), None, sample=[1.0, 2.0])
    assert mlv(repo, "verify", "v1", "--predict").returncode == 0
    real = predictors.predict
    monkeypatch.setattr(predictors, "predict", lambda loaded, given: real(loaded, given) * 1.5)
    with pytest.raises(PredictionDiffers, match="2 of 2 values differ") as found:
        registry.verify("v1", predict=True)
    assert "3.0 instead of 2.0; by 1.5 at most" in found.value.message
    monkeypatch.setattr(predictors, "predict", lambda *_: [])
    with pytest.raises(PredictionDiffers, match="answers its sample with 0, not 2"):
        registry.verify("v1", predict=True)


class Does:
    """A model that runs a line of Python when it is loaded, and is what that gives."""

    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return eval, (self.line,)


@pytest.mark.parametrize("line", ["exit(0)", "lambda given: exit(0)"])
def test_a_model_that_ends_python_does_not_pass(
    repo: Path, put: Callable[..., Path], mlv: Mlv, line: str
) -> None:
    (repo / "sample.json").write_text('{"data": [1.0]}')
    model, args = put("exits.pkl", Does(line)), ("--no-preprocessor", "--sample", "sample.json")
    done = mlv(repo, "register", str(model), *args)
    assert done.returncode in (1, 2)
    assert "SystemExit: 0" in done.stderr
    registry = ModelRegistry(repo)
    assert registry.versions() == []
    registry.register(put("m.pkl", partial(add, 1)), None, sample=[1.0])
    # As where the same bytes do something else.
    files = registry.artifacts("v1") | {"model": model}
    with pytest.raises(RegistryError, match="SystemExit: 0"):
        Predictor.load(registry.record("v1").manifest, files).check()


def test_what_a_model_prints_is_not_part_of_the_answer(
    repo: Path, put: Callable[..., Path], mlv: Mlv
) -> None:
    (repo / "sample.json").write_text('{"data": [1.0]}')
    model = put("m.pkl", Does("print('words of the model') or (lambda given: given)"))
    args = ("--no-preprocessor", "--sample", "sample.json")
    for argv in (("register", str(model), *args), ("verify", "v1", "--predict")):
        done = mlv(repo, *argv, "--json")
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
        assert "words of the model" in done.stderr


def test_a_version_without_a_sample_is_told_to_have_none(
    repo: Path, put: Callable[..., Path], mlv: Mlv
) -> None:
    ModelRegistry(repo).register(put("m.pkl", partial(add, 1)), None)
    done = mlv(repo, "verify", "v1", "--predict")
    assert done.returncode == 0
    assert "note: model-v1 has no sample: it was loaded, and asked nothing" in done.stderr


def test_the_packages_that_differ_are_named(
    repo: Path, put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(repo)
    here = lineage.packages().pins.decode()
    pins = here.replace(f"numpy=={np.__version__}", "numpy==1.0") + "never-made==2.0\n"
    for number, then in enumerate((pins, here, ""), start=1):
        monkeypatch.setattr(lineage, "packages", lambda then=then: Packages(then.encode(), ()))
        registry.register(put("m.pkl", partial(add, number)), None, sample=[1.0])
    monkeypatch.setattr(predictors, "predict", lambda *_: [])
    hints = {}
    for ref in ("v1", "v2", "v3"):
        with pytest.raises(PredictionDiffers) as found:
            registry.verify(ref, predict=True)
        hints[ref] = found.value.hint
    assert hints["v1"].endswith(f": numpy {np.__version__} (1.0 then), no never-made (2.0 then)")
    assert "something else differs" in hints["v2"]
    assert "nobody pinned them" in hints["v3"]


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ([], "no row"),
        (np.zeros((1001, 1)), "1001 rows"),
        (np.zeros((1000, 300)), "take .* bytes, of 1000000 at most"),
        (["text"], "cannot answer its sample: .*Error"),
        ({"a": 1}, "no table"),
    ],
)
def test_a_sample_that_is_none_registers_nothing(
    repo: Path, put: Callable[..., Path], sample: Any, said: str
) -> None:
    registry = ModelRegistry(repo)
    with pytest.raises(InvalidInput, match=said):
        registry.register(put("m.pkl", partial(add, 1)), None, sample=sample)
    assert registry.list_versions() == []


def test_a_model_that_answers_by_chance_cannot_have_one(
    repo: Path, put: Callable[..., Path]
) -> None:
    registry = ModelRegistry(repo)
    model = put("m.pkl", random.choices)
    with pytest.raises(InvalidInput, match="differently each time"):
        registry.register(model, None, sample=np.arange(1000.0))
    with pytest.raises(RegistryError, match="has no predict and cannot be called"):
        registry.register(put("m.pkl", {"weights": 1}), None, sample=[1.0])


def test_the_role_is_taken(repo: Path, put: Callable[..., Path]) -> None:
    registry = ModelRegistry(repo)
    model = put("m.pkl", partial(add, 1))
    with pytest.raises(InvalidInput, match="'sample' is that of a version's sample") as refused:
        registry.register(model, None, artifacts={"sample": model})
    assert "--sample FILE" in refused.value.hint


@pytest.mark.parametrize("kind", ["csv", "npy", "json"])
def test_it_is_read_from_a_file(
    repo: Path, put: Callable[..., Path], tmp_path: Path, mlv: Mlv, kind: str
) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        path.write_text("x,y\n1,2.5\n3,4.5\n")
    elif kind == "npy":
        np.save(path, np.array([[1, 2.5], [3, 4.5]]))
    else:
        path.write_text('{"data": [[1, 2.5], [3, 4.5]]}')
    model = put("m.pkl", partial(add, 1))
    done = mlv(repo, "register", str(model), "--no-preprocessor", "--sample", str(path))
    assert done.returncode == 0, done.stderr
    sample = json.loads(ModelRegistry(repo).artifacts("v1")["sample"].read_text())
    assert sample["output"]["data"] == [[2.0, 3.5], [4.0, 5.5]]


@pytest.mark.parametrize(("name", "data"), [("a.txt", b""), ("a.json", b"{"), ("a.npy", b"no")])
def test_a_file_that_is_no_table_is_named(
    repo: Path, put: Callable[..., Path], tmp_path: Path, mlv: Mlv, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    args = ("--no-preprocessor", "--sample", str(tmp_path / name))
    done = mlv(repo, "register", str(put("m.pkl", partial(add, 1))), *args)
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_packages_that_no_index_has_are_not_pinned(repo: Path, put: Callable[..., Path]) -> None:
    notes: list[str] = []
    registry = ModelRegistry(repo, notify=notes.append)
    registry.register(put("m.pkl", partial(add, 1)), None)
    pins = registry.artifacts("v1")["requirements"].read_text().splitlines()
    names = {pin.partition("==")[0].lower() for pin in pins}
    assert "dvc" in names
    assert "mlv" not in names
