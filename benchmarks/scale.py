"""Time reading commands beside the git commands they need, in one large repository.

    .venv/bin/python benchmarks/scale.py [--versions 10000] [--promotions 2000] [--commits 50000]
                                         [--models 1] [--merges] [--keep DIR]

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
from typing import IO, NamedTuple

from mlv.domain import manifest, pointer
from mlv.domain.manifest import Artifact
from mlv.domain.names import Version

START, STEP = 1_700_000_000, 600
ADA = "Ada Lovelace <ada@example.com>"
CONFIG = b"branch: main\n"


class Size(NamedTuple):
    """How much is in the repository."""

    versions: int
    promotions: int
    commits: int
    models: int
    merges: bool


class Importer:
    """Writes commits and tags for `git fast-import`, each a step later than the one before."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._mark = 0

    @property
    def now(self) -> int:
        """The time of the latest commit, in seconds since 1970."""
        return START + STEP * self._mark

    def write(self, *lines: str | bytes) -> None:
        """Write commands; what is bytes is data, with its length before it."""
        for line in lines:
            is_data = isinstance(line, bytes)
            text = line if isinstance(line, bytes) else line.encode()
            self._stream.write(b"data %d\n%b\n" % (len(text), text) if is_data else text + b"\n")

    def commit(
        self, branch: str, subject: str, files: dict[str, bytes], *parents: str, remove: str = ""
    ) -> str:
        """Write a commit and give its mark; without parents it follows the branch's last."""
        self._mark += 1
        who = f"{ADA} {self.now} +0000"
        self.write(f"commit {branch}", f"mark :{self._mark}", f"committer {who}", subject.encode())
        self.write(*[f"{'merge' if at else 'from'} {p}" for at, p in enumerate(parents)])
        self.write(*([f"D {remove}"] if remove else []))
        for path, data in files.items():
            self.write(f"M 644 inline {path}", data)
        return f":{self._mark}"

    def tag(self, name: str, target: str, message: bytes) -> None:
        """Write an annotated tag."""
        self.write(f"tag {name}", f"from {target}", f"tagger {ADA} {self.now} +0000", message)


def manifest_of(version: Version, seconds: int) -> bytes:
    """Write a manifest of ordinary size."""
    artifact = Artifact(
        "model", "model.pkl", 68, f"{version.number:032x}", f"{version.number:064x}"
    )
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return manifest.create(
        version,
        {
            "model": artifact,
            "preprocessor": artifact._replace(role="preprocessor", path="preprocessor.pkl"),
        },
        registered_at=when,
        registered_by=ADA,
        metrics={"roc_auc": 0.9, "log_loss": 0.1, "f1": 0.8},
        metadata={"data_window": "last_90_days", "training_samples": 10_000},
        lineage={"commit": f"{version.number:040x}", "branch": "main", "dirty": []},
    ).to_bytes()


def build(folder: Path, size: Size) -> None:
    """Build the repository."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", folder], check=True)
    importing = subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE
    )
    assert importing.stdin
    fill(Importer(importing.stdin), size)
    importing.stdin.close()
    if importing.wait():
        sys.exit("git fast-import failed")
    subprocess.run(["git", "update-ref", "-d", "refs/import/side"], cwd=folder, check=True)
    subprocess.run(["git", "gc", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "reset", "--quiet", "--hard"], cwd=folder, check=True)


def fill(write: Importer, size: Size) -> None:
    """Write code, registrations and promotions, evenly mixed."""
    main = "refs/heads/main"
    start = {"mlv.yaml": CONFIG, ".dvc/config": b"", "registry/.gitignore": b"*\n"}
    start |= {f"src/part{part}/module{n}.py": b"pass\n" for part in range(20) for n in range(20)}
    tip = write.commit(main, "Set up", start)
    live = [pointer.empty(f"model{n}" if size.models > 1 else "model") for n in range(size.models)]
    registered = promoted = 0
    for step in range(size.commits):
        path = f"src/part{step % 20}/module{step // 20 % 20}.py"
        tip = write.commit(main, f"Change {step}", {path: b"%d\n" % step}, tip)
        while registered < (step + 1) * size.versions // size.commits:
            model = live[registered % size.models].model
            version = Version(model, registered // size.models + 1)
            register(write, version, tip)
            registered += 1
        while promoted < (step + 1) * size.promotions // size.commits:
            which = promoted % size.models
            latest = (registered - 1 - which) // size.models + 1
            live[which] = pointer.promote(live[which], max(latest, 1))
            tip = promote(write, live[which], tip, merge=size.merges)
            promoted += 1


def register(write: Importer, version: Version, parent: str) -> None:
    """Write a version's commit and tag."""
    data = manifest_of(version, write.now)
    files = {f"registry/{version.model}/manifest.json": data}
    subject = f"Register {version.tag}"
    mark = write.commit("refs/import/side", subject, files, parent, remove="registry")
    write.tag(version.tag, mark, f"{subject}\n\n".encode() + data)


def promote(write: Importer, after: pointer.Pointer, tip: str, *, merge: bool) -> str:
    """Write a promotion's commit, on the branch or merged into it."""
    folder = f"registry/{after.model}"
    version = Version(after.model, after.current or 0)
    files = {
        f"{folder}/pointer.json": after.to_bytes(),
        f"{folder}/manifest.json": manifest_of(version, write.now),
    }
    message = f"Promote {version.tag} to production\n\nBetter\n\nMlv-Action: promote\n"
    if not merge:
        return write.commit("refs/heads/main", message, files, tip)
    proposed = write.commit("refs/import/side", message, files, tip)
    work = write.commit(
        "refs/heads/main", "Change meanwhile", {"src/meanwhile.py": proposed.encode()}, tip
    )
    return write.commit("refs/heads/main", "Merge pull request", files, work, proposed)


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
