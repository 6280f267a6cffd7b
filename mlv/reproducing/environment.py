"""A virtual environment of the packages that a version was registered with."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import InvalidInput, ProgramError
from mlv.store import process
from mlv.store.lineage import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.store.process import Result
    from mlv.store.versions import Record, Versions

_NAME = ".venv"
_ASK = "import platform; print(platform.python_version())"
_BIN = "Scripts" if os.name == "nt" else "bin"
# Python would import from the folder that it runs in, before all else.
_APART = "-I"


class Environment(NamedTuple):
    """``python`` is the interpreter in it; ``notes`` say how it differs from what was registered.

    ``packages`` counts those installed.
    """

    folder: Path
    python: Path
    version: str
    packages: int
    notes: tuple[str, ...]

    @property
    def programs(self) -> Path:
        """Where its programs are."""
        return self.python.parent


def check(versions: Versions, record: Record, *, wanted: bool) -> None:
    """Refuse a version whose own tree has a ``.venv``: what lies there would be run."""
    entries = versions.entries(record.tag.commit) if wanted else None
    if any(entry.name.lower() == _NAME for entry in entries or []):
        tag = record.manifest.version.tag
        raise InvalidInput(
            f"the tree of {tag} has a {_NAME} of its own, which anybody may have filled",
            hint="without --env it is reproduced as it is",
        )


def make(
    top: Path, record: Record, pins: str, python: str | None, show: Callable[[str], None]
) -> Environment:
    """Make ``.venv`` in a work tree, with uv where that is installed, else with venv and pip.

    What is installed is just what is pinned; nothing of the tree is run, or taken for
    configuration. `ProgramError` names what cannot be installed.
    """
    folder = top / _NAME
    elsewhere = Path(folder.anchor)  # uv would read what the tree's pyproject.toml tells it
    uv = shutil.which("uv", path=process.environment().get("PATH"))
    maker = _absolute(python) if python else sys.executable
    own = folder / _BIN / ("python.exe" if os.name == "nt" else "python")
    if not own.exists():
        make_it = (
            [uv, "venv", "--quiet", "--python", maker] if uv else [maker, _APART, "-m", "venv"]
        )
        _need(process.run_shown([*make_it, str(folder)], cwd=elsewhere, show=show), "make", folder)
    (folder / ".gitignore").write_text("*\n", encoding="ascii")
    lines = [line for line in pins.splitlines() if line.partition("==")[0].lower() != OURS]
    listed = folder / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    # Pins are whole: asking for what they need might bring something else.
    install = (
        [uv, "pip", "install", "--quiet", "--python", str(own)]
        if uv
        else [str(own), _APART, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    )
    if lines:
        argv = [*install, "--no-deps", "--requirement", str(listed)]
        _need(process.run_shown(argv, cwd=elsewhere, show=show), "install the packages in", folder)
    version = process.run([str(own), _APART, "-c", _ASK], cwd=elsewhere).stdout.decode().strip()
    return Environment(folder, own, version, len(lines), tuple(_notes(record, pins, version)))


def _absolute(python: str) -> str:
    """Give a path as seen from everywhere; a name stays one."""
    return str(Path(python).absolute()) if Path(python).name != python else python


def _notes(record: Record, pins: str, version: str) -> list[str]:
    notes = []
    then = str(record.manifest.data["lineage"].get("python") or version)
    if then.split(".")[:2] != version.split(".")[:2]:
        notes.append(
            f"registered with Python {then}, and this is {version}: --python takes another"
        )
    if any(line.partition("==")[0].lower() == OURS for line in pins.splitlines()):
        notes.append(f"{OURS} itself was left out: no version needs it")
    return notes


def _need(result: Result, what: str, folder: Path) -> None:
    if result.code:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        named = [line for line in said if "error" in line.lower() or "no version" in line.lower()]
        raise ProgramError(
            f"could not {what} {folder}: {(named or said or ['no word'])[-1].strip()}",
            hint="the work tree is there: mend that, and run the same command again",
            code=result.code,
            stderr=result.stderr,
        )
