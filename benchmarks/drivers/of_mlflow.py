"""MLflow, as a script of its user: on SQLite in this process, or through a server.

The world's ``uri`` says which. A version is a run with its metrics and files, and a model version.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow import MlflowClient

from benchmarks.drivers.acting import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.drivers.acting import Verbs

NAME, ALIAS = "fraud", "production"
_PAGE = 1000


def open_world(folder: Path) -> Verbs:
    """Open what the world's ``uri`` names."""
    uri = (folder / "uri").read_text().strip()
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)

    def live() -> Any:
        return client.get_model_version_by_alias(NAME, ALIAS)

    def load() -> int:
        path = mlflow.artifacts.download_artifacts(artifact_uri=live().source)
        return len(Path(path).read_bytes())

    def promote(number: Any) -> None:
        client.set_registered_model_alias(NAME, ALIAS, str(number))

    def metrics(number: Any) -> dict[str, float]:
        run = client.get_model_version(NAME, str(number)).run_id
        found: dict[str, float] = client.get_run(run).data.metrics
        return found

    def compare(a: Any, b: Any) -> dict[str, float]:
        left, right = metrics(a), metrics(b)
        return {name: right[name] - left[name] for name in left}

    return {
        "create": lambda: client.create_registered_model(NAME).name,
        "fill": lambda count: fill(folder / "mlflow.db", int(count)),
        "register": lambda path: register(client, folder / path),
        "promote": promote,
        "rollback": promote,
        "live": lambda: live().version,
        "load": load,
        "list": lambda: len(listed(client)),
        "compare": compare,
    }


def register(client: MlflowClient, source: Path) -> str:
    """Log a run with a file or a folder, and make it a version."""
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "roc_auc", 0.9)
    if source.is_dir():
        client.log_artifacts(run.info.run_id, str(source), source.name)
    else:
        client.log_artifact(run.info.run_id, str(source))
    client.set_terminated(run.info.run_id)
    where = f"{run.info.artifact_uri}/{source.name}"
    return str(client.create_model_version(NAME, where, run.info.run_id).version)


def listed(client: MlflowClient) -> list[tuple[str, dict[str, float]]]:
    """Give every version with its metrics."""
    runs = pages(lambda token: client.search_runs(["0"], max_results=_PAGE, page_token=token))
    metrics = {run.info.run_id: run.data.metrics for run in runs}
    versions = pages(
        lambda token: client.search_model_versions(
            f"name='{NAME}'", max_results=_PAGE, page_token=token
        )
    )
    return [(version.version, metrics[version.run_id]) for version in versions]


def pages(ask: Callable[[Any], Any]) -> Iterator[Any]:
    """Go through all pages of an answer."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def fill(database: Path, count: int) -> int:
    """Make ``count`` versions out of the first, row by row: its own way takes 30 ms for each."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        [(first,)] = connection.execute("SELECT run_id FROM model_versions WHERE version = 1")
        for number in range(2, count + 1):
            run = uuid.uuid4().hex
            for table in ("runs", "metrics", "latest_metrics"):
                copy(connection, table, f"run_uuid = '{first}'", {"run_uuid": run})
            changes = {"version": number, "run_id": run}
            copy(connection, "model_versions", "version = 1", changes)
    return count


def copy(connection: sqlite3.Connection, table: str, where: str, changes: dict[str, Any]) -> None:
    """Copy rows of a table with some columns changed."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join("?" if name in changes else name for name in names)
    values = [changes[name] for name in names if name in changes]
    words = f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {where}"  # noqa: S608 - our own
    connection.execute(words, values)


if __name__ == "__main__":
    drive(open_world)
