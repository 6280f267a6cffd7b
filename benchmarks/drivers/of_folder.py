"""A plain registry in a folder: copies of the files, and JSON. It keeps no history.

fraud/live.json         the number that is live
fraud/<number>/         the files, and manifest.json: SHA-256, size and metrics
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from benchmarks.drivers.acting import drive

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.drivers.acting import Verbs


def open_world(folder: Path) -> Verbs:
    """Open a registry."""
    model = folder / "fraud"

    def read(number: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((model / str(number) / "manifest.json").read_bytes())
        return found

    def live() -> int:
        number: int = json.loads((model / "live.json").read_bytes())["live"]
        return number

    def promote(number: Any) -> None:
        write(model / "live.json", {"live": int(number)})

    def load() -> int:
        path = model / str(live()) / "model.bin"
        if digest(path) != read(live())["sha256"]["model.bin"]:
            raise SystemExit("it is not what was registered")
        return len(path.read_bytes())

    def every() -> int:
        return len([read(each.name) for each in model.iterdir() if each.name.isdigit()])

    def compare(a: Any, b: Any) -> dict[str, float]:
        left, right = read(a)["metrics"], read(b)["metrics"]
        return {name: right[name] - left[name] for name in left}

    return {
        "register": lambda path: register(model, folder / path),
        "promote": promote,
        "rollback": promote,
        "live": live,
        "load": load,
        "list": every,
        "compare": compare,
    }


def register(model: Path, source: Path) -> int:
    """Copy a file or a folder in, hashed."""
    numbers = (int(each.name) for each in model.iterdir() if each.name.isdigit())
    number = max(numbers, default=0) + 1
    target = model / str(number)
    if source.is_dir():
        shutil.copytree(source, target / source.name)
    else:
        target.mkdir()
        shutil.copyfile(source, target / source.name)
    files = [path for path in sorted(target.rglob("*")) if path.is_file()]
    sums = {path.relative_to(target).as_posix(): digest(path) for path in files}
    write(target / "manifest.json", {"sha256": sums, "metrics": {"roc_auc": 0.9}})
    return number


def digest(path: Path) -> str:
    """Give a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, document: object) -> None:
    """Write JSON, and rename it to where it belongs."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(document))
    beside.replace(path)


if __name__ == "__main__":
    drive(open_world)
