"""Large repositories, made by `git fast-import`: registries of mlv, and what its peers have.

No bytes of models are in them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, NamedTuple

from mlv.domain import card, manifest, pointer
from mlv.domain.manifest import Artifact, Manifest
from mlv.domain.names import Version
from mlv.store import versionfolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START, STEP = 1_700_000_000, 600
ADA = "Ada Lovelace <ada@example.com>"
CONFIG = b"branch: main\n"
DVC = {".dvc/config": b"", ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n"}


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


def manifest_of(version: Version, seconds: int) -> Manifest:
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
    )


def build(folder: Path, size: Size) -> None:
    """Build a registry of mlv's."""
    import_by(folder, lambda write: fill(write, size))


def build_by_hand(folder: Path, size: Size, *, is_gto: bool = False) -> None:
    """Build a repository as its owner keeps it by hand, or with GTO."""
    import_by(folder, lambda write: fill_by_hand(write, size, is_gto=is_gto))


def import_by(folder: Path, write_all: Callable[[Importer], None]) -> None:
    """Build a repository by fast-import, packed as a clone would be."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", folder], check=True)
    importing = subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE
    )
    assert importing.stdin
    write_all(Importer(importing.stdin))
    importing.stdin.close()
    if importing.wait():
        sys.exit("git fast-import failed")
    subprocess.run(["git", "update-ref", "-d", "refs/import/side"], cwd=folder, check=True)
    subprocess.run(["git", "gc", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "reset", "--quiet", "--hard"], cwd=folder, check=True)


def fill(write: Importer, size: Size) -> None:
    """Write code, registrations and promotions, evenly mixed."""
    main = "refs/heads/main"
    start = {"mlv.yaml": CONFIG, "registry/.gitignore": versionfolder.GUARD, **DVC}
    start |= {f"src/part{part}/module{n}.py": b"pass\n" for part in range(20) for n in range(20)}
    tip = write.commit(main, "Set up", start)
    live = [pointer.empty(f"model{n}" if size.models > 1 else "model") for n in range(size.models)]
    latest: dict[str, dict[str, bytes]] = {}  # the folder of the version registered last
    registered = promoted = 0
    for step in range(size.commits):
        path = f"src/part{step % 20}/module{step // 20 % 20}.py"
        tip = write.commit(main, f"Change {step}", {path: b"%d\n" % step}, tip)
        while registered < (step + 1) * size.versions // size.commits:
            model = live[registered % size.models].model
            version = Version(model, registered // size.models + 1)
            latest[model] = register(write, version, tip)
            registered += 1
        while registered and promoted < (step + 1) * size.promotions // size.commits:
            which = promoted % min(size.models, registered)
            number = (registered - 1 - which) // size.models + 1
            after = live[which] = pointer.promote(live[which], number)
            tip = promote(write, after, latest[after.model], tip, merge=size.merges)
            promoted += 1


def register(write: Importer, version: Version, parent: str) -> dict[str, bytes]:
    """Write a version's commit and tag, and give its folder's files."""
    made = manifest_of(version, write.now)
    names = versionfolder.files_of(made, card.NOTHING) | {
        versionfolder.REQUIREMENTS: b"numpy==2.0.0\n"
    }
    files = {f"registry/{version.model}/{name}": data for name, data in names.items()}
    subject = f"Register {version.tag}"
    mark = write.commit("refs/import/side", subject, files, parent, remove="registry")
    write.tag(version.tag, mark, f"{subject}\n\n".encode() + made.to_bytes())
    return files


def promote(
    write: Importer, after: pointer.Pointer, files: dict[str, bytes], tip: str, *, merge: bool
) -> str:
    """Write a promotion's commit, on the branch or merged into it."""
    version = Version(after.model, after.current or 0)
    files = files | {f"registry/{after.model}/pointer.json": after.to_bytes()}
    message = f"Promote {version.tag} to production\n\nBetter\n\nMlv-Action: promote\n"
    if not merge:
        return write.commit("refs/heads/main", message, files, tip)
    proposed = write.commit("refs/import/side", message, files, tip)
    work = write.commit(
        "refs/heads/main", "Change meanwhile", {"src/meanwhile.py": proposed.encode()}, tip
    )
    return write.commit("refs/heads/main", "Merge pull request", files, work, proposed)


def fill_by_hand(write: Importer, size: Size, *, is_gto: bool) -> None:
    """Write what a person has who adds, commits and tags; or what GTO has: tags with its names."""
    main = "refs/heads/main"
    start = {".gitignore": b"/model.bin\n", "dvc.yaml": b"metrics:\n- metrics.json\n", **DVC}
    start |= {f"src/part{part}/module{n}.py": b"pass\n" for part in range(20) for n in range(20)}
    tip = write.commit(main, "Set up", start)
    for step in range(size.commits - size.versions):
        path = f"src/part{step % 20}/module{step // 20 % 20}.py"
        tip = write.commit(main, f"Change {step}", {path: b"%d\n" % step}, tip)
    tips = []
    for number in range(1, size.versions + 1):
        files = {
            "metrics.json": b'{"roc_auc": 0.9, "log_loss": 0.1, "f1": %f}' % (1 / number),
            "model.bin.dvc": b"outs:\n- md5: '%032x'\n  size: 68\n  hash: md5\n  path: model.bin\n"
            % number,
        }
        tip = write.commit(main, f"Version {number}", files, tip)
        tips.append(tip)
        write.tag(f"model@v0.0.{number}" if is_gto else f"v{number}", tip, b"Version\n")
    for number in range(1, size.promotions + 1 if is_gto else 1):
        write.tag(f"model#prod#{number}", tips[(number - 1) % len(tips)], b"Assign\n")
