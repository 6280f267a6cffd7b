"""Many mlv at once, each a process of its own, and warm; a script as well, which they run in.

A cold DVC takes seconds, and most of a race would be imports. So a driver imports what mlv and its
remotes need, says that it is ready, and waits. Then it forks a child for each worker, which runs
its commands one after the other, and tells what became of them.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Command = Sequence[str]
    Worker = Sequence[Command]

PATIENCE = 500  # seconds, on a machine that does something else as well
NEEDED = (
    *("mlv.cli.sharing", "mlv.cli.registering", "mlv.cli.moving"),
    *("mlv.sharing.branch", "mlv.sharing.pushing", "mlv.promotion", "mlv.registration"),
    *("dvc.repo", "dvc.repo.checkout", "dvc_data.hashfile.build", "dvc_data.hashfile.transfer"),
    *("dvc_ssh", "dvc_ssh.client", "sshfs", "dvc_s3", "s3fs", "aiobotocore.session", "dvc_http"),
)


class Ended(NamedTuple):
    """What became of one command."""

    argv: list[str]
    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.stdout)


# In the driver ------------------------------------------------------------------------------


def drive() -> None:
    """Be a driver: import, wait, fork, tell."""
    for name in NEEDED:
        importlib.import_module(name)
    say("ready")
    workers: list[list[list[str]]] = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        notes = [Path(folder, str(at)) for at in range(len(workers))]
        started = [fork(*each) for each in zip(workers, notes, strict=True)]
        for pid in started:
            os.waitpid(pid, 0)
        ended = [json.loads(note.read_text()) for note in notes]
    say(json.dumps(ended))


def say(line: str) -> None:
    """Answer whoever started the driver."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fork(commands: list[list[str]], note: Path) -> int:
    """Run commands in a child, which leaves a note of them, and give its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        note.write_text(json.dumps([run(argv, note) for argv in commands]))
    finally:
        os._exit(0)


def run(argv: list[str], note: Path) -> Ended:
    """Run mlv in this process, as its script does."""
    from mlv.cli import main

    files = [note.with_suffix(suffix) for suffix in (".out", ".err")]
    for descriptor, path in enumerate(files, start=1):
        into = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(into, descriptor)
        os.close(into)
    sys.argv = ["mlv", *argv]
    code = 99
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    sys.stdout.flush()
    sys.stderr.flush()
    return Ended(argv, code, *(path.read_text() for path in files))


# In the tests -------------------------------------------------------------------------------


def crowd(clones: Sequence[tuple[Path, Sequence[Worker]]]) -> list[Ended]:
    """Run all workers of all clones at once, one driver a clone; give how each command ended."""
    driver = (sys.executable, "-P", __file__)
    pipe = subprocess.PIPE
    drivers = [
        subprocess.Popen(driver, cwd=clone, stdin=pipe, stdout=pipe, text=True)
        for clone, _ in clones
    ]
    deadline = time.monotonic() + PATIENCE
    try:
        for each in drivers:
            assert each.stdout
            assert each.stdout.readline() == "ready\n"
        for each, (_, workers) in zip(drivers, clones, strict=True):
            assert each.stdin
            each.stdin.write(json.dumps(workers) + "\n")
            each.stdin.flush()
        answers = [each.communicate(timeout=deadline - time.monotonic())[0] for each in drivers]
    finally:
        for each in drivers:
            each.kill()
            each.communicate()
    told = [worker for answer in answers for worker in json.loads(answer)]
    return [Ended(*command) for worker in told for command in worker]


if __name__ == "__main__":
    drive()
