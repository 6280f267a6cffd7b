"""A version's sample: a small input, and what the model answered when it was registered.

It is an artifact, ``sample.json``, and comes from whoever can push a tag: reading is strict.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.domain.document import read
from mlv.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = 1
ROLE, PATH = "sample", "sample.json"
MOST_ROWS, MOST_BYTES = 1000, 1_000_000
RELATIVE, ABSOLUTE = 1e-6, 1e-9  # what may lie between two machines' answers, unless it is said

# JSON has no word for these; where a float stands, a text is one of them.
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DEEPEST = 32  # numpy's own limit of dimensions
# Types that numpy and pandas may be asked for: many others name a size, of gigabytes even.
_TYPE = re.compile(
    r"""[<>=|]?[biuf]\d{1,2} | O | object | str | bool | boolean | category | string(\[\w+\])?
    | ([uU]?[iI]nt | [fF]loat)\d{0,3} | Sparse\[\w+(,\ ?[\w.-]+)?\]
    | (datetime|timedelta)64(\[\w+(,\ ?(?!dateutil)[\w/+:-]+)?\])?
    | [a-z_]+\d*(\[\w+(,\ ?[\w/+:=-]+)?\])?\[pyarrow\]""",
    re.VERBOSE,
)


class Table(NamedTuple):
    """Values as JSON writes them.

    With ``columns`` it is a frame: ``data`` are rows, ``dtypes`` the type of each column. Without,
    ``data`` is a nested list of any depth, all of one type. ``dtypes`` is empty where none is said.
    A float that is not finite stands as "NaN", "Infinity" or "-Infinity", a missing value as None.
    """

    data: list[Any]
    columns: tuple[str, ...] | None = None
    dtypes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.data)

    def to_dict(self) -> dict[str, Any]:
        """Write it as in ``sample.json``, and as `mlv serve` takes it."""
        if self.columns is None:
            return {"data": self.data, **({"dtype": self.dtypes[0]} if self.dtypes else {})}
        named = {"columns": list(self.columns)}
        return {
            **named,
            **({"dtypes": list(self.dtypes)} if self.dtypes else {}),
            "data": self.data,
        }

    @classmethod
    def parse(cls, document: object) -> Table:
        """Read what `to_dict` writes, types left out or not; `ValueError` says what is wrong."""
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            raise ValueError('a table is an object with a list "data"')  # noqa: TRY004 - as all here
        odd = document.keys() - {"data", "columns", "dtypes", "dtype"}
        if odd:
            raise ValueError(f"a table has no {min(map(repr, odd))}")
        for name in ("dtype", "dtypes"):
            _check_types(document.get(name))
        if "columns" not in document:
            return cls._array(document)
        columns, dtypes = document["columns"], document.get("dtypes", [])
        if not _is_texts(columns) or not _is_texts(dtypes):
            raise ValueError('"columns" and "dtypes" are lists of text')
        if len(set(columns)) != len(columns):
            raise ValueError("a column stands twice")
        if dtypes and len(dtypes) != len(columns):
            raise ValueError(f"{len(columns)} columns have {len(dtypes)} types")
        for at, row in enumerate(document["data"]):
            if not isinstance(row, list) or len(row) != len(columns):
                raise ValueError(f"row {at} has not {len(columns)} values, one for each column")
        return cls(document["data"], tuple(columns), tuple(dtypes))

    @classmethod
    def _array(cls, document: dict[str, Any]) -> Table:
        dtype = document.get("dtype")
        if "dtypes" in document or not (dtype is None or isinstance(dtype, str)):
            raise ValueError('an array without columns has one "dtype", a text')
        _shape(document["data"])
        return cls(document["data"], None, (dtype,) if dtype else ())


class Sample(NamedTuple):
    """What went in, what came out, and how far another answer may be from it.

    ``relative`` is of the value registered; both tolerances add up.
    """

    input: Table
    output: Table
    relative: float = RELATIVE
    absolute: float = ABSOLUTE

    def to_bytes(self) -> bytes:
        """Write ``sample.json``."""
        document = {
            "sample": SCHEMA,
            "tolerance": {"relative": self.relative, "absolute": self.absolute},
            "input": self.input.to_dict(),
            "output": self.output.to_dict(),
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse(data: bytes, tag: str) -> Sample:
    """Read the sample of the version ``tag``; `IntegrityError` if mlv did not write it."""
    try:
        return _parse(read(data))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"the sample of {tag} was not written by mlv: {error}",
            hint=f"git log {tag} shows who made it",
        ) from None


def _parse(document: Any) -> Sample:
    if not isinstance(document, dict) or document.get("sample") != SCHEMA:
        raise ValueError("its schema is not 1")
    if document.keys() != {"sample", "tolerance", "input", "output"}:
        raise ValueError("it lacks or has too many keys")
    tolerance = document["tolerance"]
    if not isinstance(tolerance, dict) or tolerance.keys() != {"relative", "absolute"}:
        raise ValueError("its tolerance is not one")
    if any(type(t) not in (int, float) or t < 0 for t in tolerance.values()):
        raise ValueError("its tolerance is not one")
    given, answered = Table.parse(document["input"]), Table.parse(document["output"])
    if not given.rows or given.rows > MOST_ROWS:
        raise ValueError(f"it has {given.rows} rows")
    for table in (given, answered):
        if table.columns and any(isinstance(v, (list, dict)) for row in table.data for v in row):
            raise ValueError("a value in it is a list or an object")
    return Sample(given, answered, tolerance["relative"], tolerance["absolute"])


class Differences(NamedTuple):
    """Of ``values`` values, ``differing`` differ; the first at ``where``, by at most ``largest``.

    ``where`` is "row 3", or "row 3, 'price'". ``largest`` is None where something else than
    numbers differs, or the shapes do, in which case ``shapes`` names both.
    """

    differing: int
    values: int
    where: str = ""
    expected: Any = None
    found: Any = None
    largest: float | None = None
    shapes: tuple[str, str] | None = None


def differences(sample: Sample, found: Table) -> Differences | None:
    """Hold an answer against the sample's; None if it is the same within the tolerance."""
    expected = sample.output
    shapes = _described(expected), _described(found)
    values = list(_leaves(expected.data))
    if shapes[0] != shapes[1] or expected.columns != found.columns:
        return Differences(len(values), len(values), shapes=shapes)
    differ, largest = [], 0.0
    for (path, before), (_, after) in zip(values, _leaves(found.data), strict=True):
        distance = _distance(before, after, sample)
        if distance:
            differ.append((path, before, after))
            largest = max(largest, distance)
    if not differ:
        return None
    path, before, after = differ[0]
    most = largest if math.isfinite(largest) else None
    return Differences(len(differ), len(values), _place(path, expected), before, after, most)


def _distance(before: Any, after: Any, sample: Sample) -> float:
    """How far a value is from what it should be; 0 within the tolerance, else infinite."""
    a, b = NOT_FINITE.get(before, before), NOT_FINITE.get(after, after)
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return 0.0 if a == b else math.inf
    if a == b or (a != a and b != b):  # noqa: PLR0124 - only NaN is not itself
        return 0.0
    try:
        far = abs(float(a) - float(b))
        is_near = math.isfinite(far) and far <= sample.absolute + sample.relative * abs(float(a))
    except OverflowError:
        return math.inf
    return 0.0 if is_near else (far if math.isfinite(far) else math.inf)


def _leaves(data: list[Any], path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    for at, value in enumerate(data):
        if isinstance(value, list):
            yield from _leaves(value, (*path, at))
        else:
            yield (*path, at), value


def _place(path: tuple[int, ...], table: Table) -> str:
    row, *inside = path
    if table.columns is not None:
        return f"row {row}, {table.columns[inside[0]]!r}"
    return f"row {row}" + (f", {', '.join(map(str, inside))}" if inside else "")


def _described(table: Table) -> str:
    if table.columns is not None:
        return f"{table.rows} rows of {', '.join(table.columns)}"
    return " x ".join(map(str, _shape(table.data)))


def _shape(data: Any) -> tuple[int, ...]:
    """Give the lengths of a nested list; `ValueError` if it is ragged or holds an object."""
    shape: list[int] = []
    level: list[Any] = [data]
    while level and isinstance(level[0], list):
        if len(shape) == _DEEPEST:
            raise ValueError("it is nested too deeply")
        lengths = {len(each) if isinstance(each, list) else -1 for each in level}
        if len(lengths) > 1:
            raise ValueError("its rows are not all of one length")
        shape.append(lengths.pop())
        level = [value for each in level for value in each]
    if any(isinstance(value, (list, dict)) for value in level):
        raise ValueError("its rows are not all of one shape")
    return tuple(shape)


def _check_types(said: object) -> None:
    for text in said if isinstance(said, list) else [said]:
        if isinstance(text, str) and text and not _TYPE.fullmatch(text):
            raise ValueError(f"{text[:50]!r} is no type of values")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
