"""GTO, in process. It registers names of commits; bytes and metrics are not its business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gto import api

from benchmarks.drivers.acting import drive, numbered

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.drivers.acting import Verbs


def open_world(folder: Path) -> Verbs:
    """Open a repository."""
    repo = str(folder)

    def promote(number: Any) -> object:
        version = f"v0.0.{numbered(number)}"
        return api.assign(repo, "model", "prod", version=version, force=True)

    return {
        "promote": promote,
        "rollback": promote,
        "live": lambda: api.show(repo, "model#prod"),
        "list": lambda: api.show(repo, "model"),
        "history": lambda: api.history(repo, "model"),
    }


if __name__ == "__main__":
    drive(open_world)
