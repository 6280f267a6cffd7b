"""mlv, in process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.drivers.acting import drive
from mlv import ModelRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.drivers.acting import Verbs


def open_world(folder: Path) -> Verbs:
    """Open a registry."""
    registry = ModelRegistry(folder, notify=lambda _: None)

    def load() -> int:
        return len(registry.current_artifacts()["model"].read_bytes())

    return {
        "register": lambda path: registry.register(folder / path, None, {"roc_auc": 0.9}),
        "promote": lambda number: registry.promote(f"v{number}"),
        "rollback": lambda _: registry.rollback(),
        "live": registry.current_version,
        "load": load,
        "list": lambda: len(registry.list_versions()),
        "compare": lambda a, b: registry.compare(f"v{a}", f"v{b}"),
        "history": lambda: len(registry.history()),
        "at": lambda: registry.at("2024-05-01"),
    }


if __name__ == "__main__":
    drive(open_world)
