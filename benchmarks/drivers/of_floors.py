"""What no registry can do without: hashing and copying the bytes, and a commit with its ref."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.drivers.acting import Took, drive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.drivers.acting import Verbs


def open_world(folder: Path) -> Verbs:
    """Work on files in a folder."""

    def commit(*_: object) -> None:
        made = git("commit-tree", "-m", "x", "-p", "main", "main^{tree}")
        git("update-ref", "refs/heads/floor", made)

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
        return done.stdout.decode().strip()

    return {"register": lambda path: slowest(folder / path), "promote": commit, "rollback": commit}


def slowest(source: Path) -> Took:
    """Take the MD5, the SHA-256 and a copy of a file or folder, and give the slowest of these."""
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    copies = source.with_name("copies")
    copies.mkdir()

    def digests(kind: str) -> None:
        for path in files:
            with path.open("rb") as file:
                hashlib.file_digest(file, kind)

    def copy() -> None:
        for number, path in enumerate(files):
            copied = copies / str(number)
            with path.open("rb") as reader, copied.open("wb") as writer:
                while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                    pass

    took = max(timed(lambda: digests("md5")), timed(lambda: digests("sha256")), timed(copy))
    shutil.rmtree(copies)
    return Took(took)


def timed(work: Callable[[], None]) -> float:
    """Say how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    drive(open_world)
