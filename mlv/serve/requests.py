"""From what a client sends to what a model takes, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.domain.document import read
from mlv.domain.sample import Table
from mlv.errors import RegistryError
from mlv.predicting.tables import from_table, to_table

if TYPE_CHECKING:
    from mlv.domain.sample import Sample

FORMS = (
    'send {"data": [[...], ...]}, with "columns" where the model takes a frame, or '
    '{"instances": [{...}, ...]}'
)


class BadRequest(ValueError):
    """The client sent what cannot be used; ``code`` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse(body: bytes, sample: Sample | None) -> Any:
    """Make of a request's body what a model takes: a frame or an array.

    Types that it leaves out are those of the version's sample, if that has the same columns.
    `BadRequest` says what is wrong: 400 if it is no JSON, 422 if it is no table.
    """
    try:
        document = read(body)
    except ValueError as error:
        raise BadRequest(400, f"the body is not JSON: {error}") from None
    try:
        return from_table(_typed(_table(document), sample))
    except RegistryError as error:
        raise BadRequest(422, error.message) from None
    except ValueError as error:
        raise BadRequest(422, f"{error}; {FORMS}") from None


def answer(found: Any) -> dict[str, Any]:
    """Write what a model answered."""
    table = to_table(found)
    columns = {} if table.columns is None else {"columns": list(table.columns)}
    return {"predictions": table.data, **columns}


def _table(document: Any) -> Table:
    table = _read_table(document)
    if not table.rows:
        raise ValueError("there is no row")
    return table


def _read_table(document: Any) -> Table:
    if not isinstance(document, dict):
        raise ValueError("the body is not an object")  # noqa: TRY004 - as what `Table` raises
    if "instances" not in document:
        return Table.parse(document)
    instances = document["instances"]
    if not isinstance(instances, list) or document.keys() != {"instances"}:
        raise ValueError('"instances" is a list, and stands alone')
    if not instances or not isinstance(instances[0], dict):
        return Table.parse({"data": instances})
    columns = list(instances[0])
    for at, record in enumerate(instances):
        if not isinstance(record, dict) or record.keys() != instances[0].keys():
            raise ValueError(f"instance {at} has not the same names as the first")
    rows = [[record[name] for name in columns] for record in instances]
    return Table.parse({"columns": columns, "data": rows})


def _typed(table: Table, sample: Sample | None) -> Table:
    if sample is None:
        return table
    known = sample.input
    if (known.columns is None) != (table.columns is None):
        if known.columns is None:
            return table
        if any(not isinstance(row, list) or len(row) != len(known.columns) for row in table.data):
            raise ValueError(f"a row has the {len(known.columns)} columns {_names(known.columns)}")
        table = Table(table.data, known.columns)
    if table.columns is None or known.columns is None:
        return table if table.dtypes else table._replace(dtypes=known.dtypes)
    missing = [name for name in known.columns if name not in table.columns]
    if missing:
        raise ValueError(f"the column {missing[0]!r} is missing: {_names(known.columns)}")
    if table.dtypes or set(table.columns) != set(known.columns):
        return table
    places = [table.columns.index(name) for name in known.columns]
    rows = [[row[at] for at in places] for row in table.data]
    return Table(rows, known.columns, known.dtypes)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(repr, columns))
