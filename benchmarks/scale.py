"""Time reading commands beside the git commands they need, in one large repository.

    .venv/bin/python -m benchmarks.scale [--versions 10000] [--promotions 2000]
                                         [--commits 50000] [--models 1] [--merges] [--keep DIR]

Builds the repository with `git fast-import` (about a minute), then runs each command and its
yardstick in turn, several times, and prints the best times and their ratio. ``--merges`` lands
every promotion by a merge commit, as pull requests do. ``--keep`` builds in a folder of yours, and
uses what a former run has built there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.repositories import Size, build

GIT_LOG = ("git", "log", "--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev",
           "--format=%H %an %ae %ct %B", "--", "registry")  # fmt: skip
GIT_REFS = ("git", "for-each-ref", "--format=%(refname)%(objectname)%(contents)", "refs/tags/")
COMPARED = {
    ("list",): (GIT_REFS,),
    ("list", "--json"): (GIT_REFS,),
    ("history", "--json"): (GIT_LOG, GIT_REFS),
    ("history",): (GIT_LOG, GIT_REFS),
    ("at", "2024-05-01"): (GIT_LOG,),
    ("at", "2024-05-01", "--json"): (GIT_LOG,),
}


def seconds(folder: Path, *commands: tuple[str, ...]) -> float:
    """Run commands, and give how long they took."""
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)
    return time.perf_counter() - start


def measure(folder: Path, rounds: int) -> None:
    """Print a line for each command: its time, that of its yardstick, and their ratio."""
    mlv = (sys.executable, "-P", "-m", "mlv")
    for args, needed in COMPARED.items():
        times = [(seconds(folder, (*mlv, *args)), seconds(folder, *needed)) for _ in range(rounds)]
        ours, gits = (min(column) for column in zip(*times, strict=True))
        yardstick = " + ".join(" ".join(command[:2]) for command in needed)
        print(
            f"mlv {' '.join(args):24} {ours:6.2f} s   {yardstick:28} {gits:6.2f} s   "
            f"{ours / gits:.1f}x"
        )


def main() -> None:
    """Build and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, count in (
        ("versions", 10_000),
        ("promotions", 2_000),
        ("commits", 50_000),
        ("models", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--merges", action="store_true", help="land promotions by merge commits")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="build here, or use what is here")
    args = parser.parse_args()
    size = Size(args.versions, args.promotions, args.commits, args.models, args.merges)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch) / "repo"
        if not (folder / ".git").exists():
            build(folder, size)
        measure(folder, args.rounds)


if __name__ == "__main__":
    main()
