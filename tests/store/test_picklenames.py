"""What a pickle names is told whole, whatever lies in between, and nothing of it is loaded."""

from __future__ import annotations

import os
import pickle
import zipfile
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlv.review.case import Look
from mlv.review.pickles import Scan
from mlv.store.picklenames import Unreadable, names_in

if TYPE_CHECKING:
    from pathlib import Path

ARRAY = np.arange(300.0).reshape(100, 3)
LABELS = (ARRAY[:, 0] > 150).astype(int)
PACKINGS = [0, "zlib", "gzip", "bz2", "lzma", "xz"]


class Evil:
    """Runs a command wherever it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def found(path: Path) -> list[str]:
    scan = Scan(Look(deep=True))
    scan.inspect("fraud-v1", path.name, path)
    return [finding.message for finding in scan._findings]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(3),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=["forest", "pipeline"],
)
def test_an_honest_model_raises_no_alarm(tmp_path: Path, model: object, packing: object) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(model.fit(ARRAY, LABELS), path, compress=(packing, 3) if packing else 0)  # type: ignore[attr-defined] # any estimator
    assert ("numpy", "dtype") in names_in(path)
    assert found(path) == []
    path.write_bytes(pickle.dumps(model))
    assert found(path) == []


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_stands_after_an_array_is_found(tmp_path: Path, packing: object) -> None:
    path = tmp_path / "model.joblib"
    things = {"weights": ARRAY, "objects": np.array([{}, None], dtype=object), "evil": Evil()}
    joblib.dump(things, path, compress=(packing, 3) if packing else 0)
    [message] = found(path)
    assert "posix.system" in message or "nt.system" in message


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_followed(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps([{"a": {1, 2}}, (ARRAY, Evil())], protocol=protocol))
    assert len(found(path)) == 1


def test_pickles_in_archives_and_arrays_are_found(tmp_path: Path) -> None:
    path = tmp_path / "weights.npy"
    np.save(path, np.array([Evil()], dtype=object), allow_pickle=True)
    assert len(found(path)) == 1
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
    assert len(found(path)) == 1
    path = tmp_path / "plain.npy"
    np.save(path, ARRAY)
    assert names_in(path) == frozenset()


def test_a_pickle_that_is_cut_off_tells_what_it_names_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([Evil(), 1])[:-2] + b"\xff")
    with pytest.raises(Unreadable) as caught:
        names_in(path)
    assert {name for _, name in caught.value.names} == {"system"}
    assert len(found(path)) == 1


def test_a_file_that_is_no_pickle_is_let_be(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("cos\nsystem\n, said nobody")
    scan = Scan(Look(deep=True))
    scan.inspect("fraud-v1", path.name, path)
    assert (scan._findings, scan._count) == ([], 0)
