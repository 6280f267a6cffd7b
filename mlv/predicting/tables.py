"""Between the values that models take and give, and tables as JSON writes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlv.domain.sample import NOT_FINITE, Table
from mlv.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_FLOAT = "float"
_TIME = "datetime64"


def to_table(value: Any) -> Table:
    """Write a frame, series, array, sparse matrix or list; `InvalidInput` for anything else.

    A series becomes an array, a sparse matrix a dense one. A frame's index is left out.
    """
    if _is_pandas(value, "DataFrame"):
        return _frame(value)
    if hasattr(value, "toarray"):
        value = value.toarray()
    if _is_pandas(value, "Series"):
        value = value.to_numpy()
    import numpy as np

    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidInput(f"a {type(value).__name__} is no table: {error}") from None
    if array.ndim == 0:
        raise InvalidInput(
            f"a {type(value).__name__} is no table",
            hint="give a frame, an array or a list with a row for each input",
        )
    if array.dtype.kind not in "biufUOM":
        raise InvalidInput(
            f"an array of {array.dtype} cannot be written as JSON",
            hint="numbers, booleans, text and times can",
        )
    return Table(_plain_list(array), None, (_type(array.dtype),))


def from_table(table: Table) -> Any:
    """Give what `to_table` wrote: a frame where it has columns, else an array.

    Where no type is said, numpy and pandas choose. Raises `InvalidInput` where a value is not
    of its type.
    """
    try:
        return _array(table.data, *table.dtypes) if table.columns is None else _to_frame(table)
    except Exception as error:
        # numpy and pandas raise many kinds of exceptions at odd values and types.
        said = str(error).strip().partition("\n")[0]
        raise InvalidInput(f"the values are not what their types say: {said}") from error


def _is_pandas(value: Any, name: str) -> bool:
    kind = type(value)
    return any(
        each.__name__ == name and each.__module__.partition(".")[0] == "pandas"
        for each in kind.__mro__
    )


def _type(dtype: Any) -> str:
    # What text is 5 characters long at most is nothing that a type should say.
    return "str" if getattr(dtype, "kind", "") == "U" else str(dtype)


def _frame(frame: pd.DataFrame) -> Table:
    names = [str(name) for name in frame.columns]
    if list(frame.columns) != names:
        raise InvalidInput(
            "a column's name is not text", hint="frame.columns = frame.columns.astype(str)"
        )
    if len(set(names)) != len(names):
        raise InvalidInput("two columns bear one name", hint="rename one of them")
    columns = [_column(frame[name]) for name in names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(rows, tuple(names), tuple(_type(dtype) for dtype in frame.dtypes))


def _column(series: pd.Series) -> list[Any]:
    # Only where all are floats, NaN is a value; elsewhere it says that there is none.
    missing = series.isna() & (not str(series.dtype).startswith(_FLOAT))
    return [
        None if is_missing else _plain(value, series.name)
        for value, is_missing in zip(series, missing, strict=True)
    ]


def _plain_list(array: np.ndarray[Any, Any]) -> list[Any]:
    def plain(value: Any) -> Any:
        return [plain(each) for each in value] if isinstance(value, list) else _plain(value)

    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]").astype(str)
    listed: list[Any] = plain(array.tolist())
    return listed


def _plain(value: Any, where: object = "") -> Any:
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    if isinstance(value, float):
        return value if math.isfinite(value) else _not_finite(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    at = f" in {where!r}" if where else ""
    raise InvalidInput(
        f"a {type(value).__name__}{at} cannot be written as JSON",
        hint="numbers, booleans, text and times can",
    )


def _not_finite(value: float) -> str:
    return next(text for text, other in NOT_FINITE.items() if str(other) == str(value))


def _number(value: Any) -> Any:
    """Read a float of JSON; in an array of numbers a missing value is NaN."""
    if value is None:
        return math.nan
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _numbers(data: list[Any]) -> list[Any]:
    return [_numbers(each) if isinstance(each, list) else _number(each) for each in data]


def _array(data: list[Any], dtype: str = "") -> np.ndarray[Any, Any]:
    import numpy as np

    if dtype.startswith(_FLOAT):
        return np.asarray(_numbers(data), dtype=dtype)
    return np.asarray(data, dtype=dtype or None)


def _to_frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    assert table.columns is not None
    dtypes = table.dtypes or ("",) * len(table.columns)
    columns = {
        name: _to_series([row[at] for row in table.data], dtype)
        for at, (name, dtype) in enumerate(zip(table.columns, dtypes, strict=True))
    }
    return pd.DataFrame(columns, columns=list(table.columns))


def _to_series(values: list[Any], dtype: str) -> pd.Series:
    import pandas as pd

    if dtype.lower().startswith(_FLOAT):
        values = [_number(value) for value in values]
    if dtype.startswith(_TIME):
        return pd.to_datetime(pd.Series(values)).astype(dtype)
    return pd.Series(values, dtype=dtype or None)
