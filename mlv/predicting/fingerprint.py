"""Making a version's sample: what its model answers to a small input, at registration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlv.domain import sample as samples
from mlv.domain.sample import MOST_BYTES, MOST_ROWS, Sample, Table
from mlv.errors import InvalidInput, RegistryError
from mlv.predicting.loaders import load_files
from mlv.predicting.predictor import predict
from mlv.predicting.tables import from_table, to_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FEWER = "a few rows that differ are enough: sample=X[:20]"


def input_table(given: Any) -> Table:
    """Write a sample's input; `InvalidInput` if it is none, or too large."""
    table = given if isinstance(given, Table) else to_table(given)
    if not table.rows:
        raise InvalidInput("the sample has no row", hint="give a few rows that the model takes")
    if table.rows > MOST_ROWS:
        raise InvalidInput(f"the sample has {table.rows} rows, of {MOST_ROWS} at most", hint=_FEWER)
    return table


def make(files: Mapping[str, Path], given: Table) -> Sample:
    """Ask the model in ``files`` what it answers to ``given``, twice, and keep the answer.

    `InvalidInput` if it cannot answer, answers something else the second time, or too much.
    """
    loaded = load_files(files)
    sample = Sample(given, _answer(loaded, given))
    found = samples.differences(sample, _answer(loaded, given))
    if found:
        raise InvalidInput(
            f"the model answers its sample differently each time ({found.differing} of "
            f"{found.values} values, first in {found.where}): nobody could tell by it whether a "
            "machine is right",
            hint="fix the model's seed, or register without a sample",
        )
    size = len(sample.to_bytes())
    if size > MOST_BYTES:
        raise InvalidInput(
            f"the sample and its answer take {size} bytes, of {MOST_BYTES} at most", hint=_FEWER
        )
    return sample


def _answer(loaded: Mapping[str, Any], given: Table) -> Table:
    try:
        answer = predict(loaded, from_table(given))
    except (RegistryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # What a model raises can be anything, SystemExit too.
        raise InvalidInput(
            f"the model cannot answer its sample: {type(error).__name__}: {error}",
            hint="the sample is what goes into the preprocessor: the same columns and types as in "
            "training, without the label",
        ) from error
    return to_table(answer)


def read_table(path: Path) -> Table:
    """Read a table from ``.csv``, ``.parquet``, ``.npy``, or ``.json`` as `Table.to_dict` writes.

    `InvalidInput` says what is wrong with it.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InvalidInput(
            f"{path.name} is no table that mlv reads", hint=f"one of {', '.join(_READERS)}"
        )
    try:
        return _READERS[suffix](path)
    except RegistryError:
        raise
    except ImportError as error:
        raise InvalidInput(
            f"{path.name} cannot be read: {error}", hint="pip install pandas pyarrow"
        ) from error
    except Exception as error:
        raise InvalidInput(
            f"the sample {path} cannot be read: {error}", hint="see the file"
        ) from error


def _csv(path: Path) -> Table:
    import pandas as pd

    return to_table(pd.read_csv(path))


def _parquet(path: Path) -> Table:
    import pandas as pd

    return to_table(pd.read_parquet(path))


def _npy(path: Path) -> Table:
    import numpy as np

    return to_table(np.load(path, allow_pickle=False))


def _json(path: Path) -> Table:
    return Table.parse(json.loads(path.read_bytes()))


_READERS = {".csv": _csv, ".parquet": _parquet, ".npy": _npy, ".json": _json}
