"""Time commands cold beside a bare script with the same imports and the same git processes.

    .venv/bin/python -m benchmarks.bare [--versions 10,1000] [--rounds 15]

What a command imports and which gits it starts, with what they are told, is recorded while it
runs once. The bare script imports these modules, all but mlv's own, and starts the gits one after
the other; it decides, checks and prints nothing. Both begin from the same state in every round, in
turn. Prints the medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import BIN, git, surroundings
from benchmarks.repositories import Size, build

COMMANDS = (("current",), ("promote", "v1"), ("rollback",))
# Runs a command as its script would, then tells every module that was imported, in order.
_IMPORTING = """
import json, os, sys
from mlv.cli import main
sys.argv = ["mlv", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
with open(os.environ["IMPORTED"], "w") as file:
    json.dump([name for name in sys.modules if name.partition(".")[0] not in ("mlv", "__main__")],
              file)
"""
_RECORDING = """\
#!{shell}
number=$(ls {log} | wc -l)
printf '%s' "${{GIT_INDEX_FILE-}}" > {log}/$number.index
printf '%s\\n' "$@" > {log}/$number.arguments
tee {log}/$number.input | {git} "$@"
"""
_BARE = """
import json, os, shutil, subprocess
with open({gits!r}) as file:
    gits = json.load(file)
for arguments, said, index in gits:
    env = os.environ
    if index:
        env = {{**env, "GIT_INDEX_FILE": index}}
        if not os.path.exists(index):
            os.makedirs(os.path.dirname(index))
            shutil.copy(".git/index", index)
    subprocess.run(["git", *arguments], input=said.encode(), env=env, check=True,
                   stdout=subprocess.PIPE)
"""


class State(NamedTuple):
    """Where a repository stands, and what mlv remembers of it."""

    repo: Path
    commit: str
    notes: Path

    @classmethod
    def of(cls, repo: Path, beside: Path) -> State:
        """Remember it, with a copy of mlv's notes in a new folder."""
        shutil.copytree(repo / ".git" / "mlv", beside)
        return cls(repo, git(repo, "rev-parse", "HEAD"), beside)

    def restore(self) -> None:
        """Have it all as it was."""
        git(self.repo, "reset", "--quiet", "--hard", self.commit)
        for name, folder in (("mlv", self.notes), ("mlv-aside", None)):
            shutil.rmtree(self.repo / ".git" / name, ignore_errors=True)
            if folder:
                shutil.copytree(folder, self.repo / ".git" / name)


def record(state: State, command: tuple[str, ...], top: Path, env: dict[str, str]) -> Path:
    """Run a command from this state, and write the bare script that does the same."""
    log, programs = top / "log", top / "programs"
    for folder in (log, programs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    told = {"shell": shutil.which("sh"), "log": shlex.quote(str(log)), "git": shutil.which("git")}
    (programs / "git").write_text(_RECORDING.format(**told))
    (programs / "git").chmod(0o755)
    watched = {**env, "PATH": os.pathsep.join((str(programs), env["PATH"]))}
    _quietly([sys.executable, "-P", "-c", "from mlv.cli import main; main()", *command],
             state.repo, watched)  # fmt: skip
    state.restore()
    modules = top / "modules.json"
    _quietly([sys.executable, "-P", "-c", _IMPORTING, *command], state.repo,
             {**env, "IMPORTED": str(modules)})  # fmt: skip
    gits, script = top / "gits.json", top / "bare.py"
    gits.write_text(json.dumps(_recorded(log)))
    imports = "".join(f"import {name}\n" for name in json.loads(modules.read_text()))
    script.write_text(imports + _BARE.format(gits=str(gits)))
    return script


def _recorded(log: Path) -> list[tuple[list[str], str, str]]:
    found = sorted(log.glob("*.arguments"), key=lambda path: int(path.stem))
    return [
        (
            path.read_text().splitlines(),
            path.with_suffix(".input").read_text(),
            path.with_suffix(".index").read_text(),
        )
        for path in found
    ]


def _quietly(argv: list[str], repo: Path, env: dict[str, str]) -> None:
    subprocess.run(argv, cwd=repo, env=env, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def measure(
    repo: Path, command: tuple[str, ...], rounds: int, env: dict[str, str]
) -> tuple[list[float], list[float]]:
    """Give the seconds of the command and of its bare script, a round each."""
    with tempfile.TemporaryDirectory() as top:
        state = State.of(repo, Path(top, "notes"))
        script = record(state, command, Path(top), env)
        ways = ([str(BIN / "mlv"), *command], [sys.executable, "-P", str(script)])
        took: tuple[list[float], list[float]] = ([], [])
        for at in range(rounds):
            for way in (at % 2, 1 - at % 2):
                state.restore()
                start = time.perf_counter()
                _quietly(ways[way], repo, env)
                took[way].append(time.perf_counter() - start)
        state.restore()
    return took


def main() -> None:
    """Measure, and print a line a command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--versions", default="10,1000")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print("| command | versions | mlv | bare script | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as top:
        env = surroundings(Path(top, "home"))
        for count in map(int, args.versions.split(",")):
            repo = Path(top, f"of-{count}")
            build(repo, Size(count, 4, 100, 1, merges=False))
            _quietly([str(BIN / "mlv"), "promote", "v2"], repo, env)
            for command in COMMANDS:
                mlv, bare = map(statistics.median, measure(repo, command, args.rounds, env))
                print(f"| mlv {' '.join(command)} | {count:,} | {mlv * 1000:.0f} ms "
                      f"| {bare * 1000:.0f} ms | {mlv / bare:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
