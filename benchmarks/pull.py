"""Time `mlv pull URL REF` beside `git clone`, `git checkout` and `dvc pull`, on real servers.

    .venv/bin/python benchmarks/pull.py [--rounds 3] [--only ssh] [--size small] [--keep DIR]

Over a folder, SSH and S3 (Git over SSH there); a model of 1 MB, one of 1 GB, and a directory of
5,000 files. Prints, for each, the median times and their ratio (with the lowest and the highest of
a round), the bytes between the client and the servers, and the peak memory of one process. Run as
root, with `nft` installed, it has a network of its own that counts; else the wire is not counted.
Needs what `make .venv/.servers` installs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from mlv import ModelRegistry
from tests.servers import s3, sshd
from tests.servers.sharing import DvcServer, dvc_config

BIN = Path(sys.executable).parent
FILES, COMMITS, SOURCES = 5000, 200, 100
SIZES = ("small", "large", "many")
WHERE = ("folder", "ssh", "s3")
NAMES = {"small": "1 MB", "large": "1 GB", "many": f"{FILES:,} files"}
WATCH = """
import os, sys
pid = os.posix_spawn("/bin/sh", ["sh", "-e", "-c", "exec >/dev/null; " + sys.argv[1]], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(1 if status else 0)
"""
TABLE = """
add table inet wire
add counter inet wire clients
add chain inet wire out { type filter hook output priority 0; }
"""
INSIDE = "MLV_BENCHMARK_INSIDE"


class Cost(NamedTuple):
    """Seconds, those of them on a core, bytes over the wire, the largest process's memory."""

    seconds: float
    cpu: float
    wire: int
    memory: int


def count(port: int) -> None:
    """Count what goes to and from a server: not what its own processes say to each other."""
    if INSIDE in os.environ:
        rules = "".join(
            f"add rule inet wire out tcp {end} {port} counter name clients\n"
            for end in ("sport", "dport")
        )
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def on_wire() -> int:
    """Read how many bytes have passed between the clients and the servers."""
    if INSIDE not in os.environ:
        return 0
    argv = ["nft", "-j", "list", "counter", "inet", "wire", "clients"]
    said = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    return sum(each["counter"]["bytes"] for each in said["nftables"] if "counter" in each)


def cost_of(script: str, cwd: Path, env: dict[str, str]) -> Cost:
    """Run a shell script to its end."""
    wire, start = on_wire(), time.perf_counter()
    # A small process starts it: a program begins with the peak of the one that forked it.
    watcher = [sys.executable, "-S", "-c", WATCH, script]
    said = subprocess.run(watcher, cwd=cwd, env=env, stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - start
    if said.returncode:
        raise SystemExit(f"failed: {script}")
    memory, cpu = said.stdout.split()
    return Cost(seconds, float(cpu), on_wire() - wire, int(memory) * 1024)


def git(cwd: Path, *args: str) -> None:
    """Run git."""
    subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True)


def build(folder: Path, size: str, remote: dict[str, str], local: dict[str, str]) -> Path:
    """Make a registry with some code and history, and one version of that size, live."""
    repo, bare, chance = folder / "repo", folder / "bare.git", random.Random(1)  # noqa: S311 - no secret
    ModelRegistry.init(repo)
    for number in range(SOURCES):
        (repo / f"module{number}.py").write_bytes(chance.randbytes(4000).hex().encode())
    git(repo, "add", "--all")
    for number in range(COMMITS):
        path = repo / f"module{number % SOURCES}.py"
        path.write_bytes(chance.randbytes(4000).hex().encode())
        git(repo, "commit", "--quiet", "--all", "--message", f"Step {number}")
    (repo / ".dvc/config").write_text(dvc_config(remote, default=True))
    git(repo, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    (repo / ".dvc/config.local").write_text(dvc_config(local))
    model, artifacts = folder / "model.bin", {}
    with model.open("wb") as file:
        for _ in range(1024 if size == "large" else 1):
            file.write(chance.randbytes(1024 * 1024))
    if size == "many":
        tokens = folder / "tokens"
        tokens.mkdir()
        for number in range(FILES):
            (tokens / f"{number:05}.bin").write_bytes(chance.randbytes(2000))
        artifacts = {"tokens": tokens}
    git(folder, "clone", "--quiet", "--bare", str(repo), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(repo, "remote", "add", "origin", str(bare))
    registry = ModelRegistry(repo, "fraud", notify=lambda _: None)
    registry.register(model, preprocessor_path=None, artifacts=artifacts)
    registry.promote("v1")
    registry.push()
    shutil.rmtree(repo)
    return bare


def compare(folder: Path, url: str, env: dict[str, str], rounds: int) -> list[list[Cost]]:
    """Run both in turn, each from nothing, and mlv's a second time."""
    plain: list[Cost] = []
    ours: list[Cost] = []
    again: list[Cost] = []

    def run_plain() -> None:
        plain.append(
            cost_of(f"git clone -q {url} clone && cd clone && git checkout -q fraud-v1 && "
                    f"{BIN}/dvc pull -q", folder, env)
        )  # fmt: skip

    def run_ours() -> None:
        pull = f"{BIN}/mlv pull -q {url} fraud@production --cache cache"
        ours.append(cost_of(pull, folder, env))
        again.append(cost_of(pull, folder, env))

    for turn in range(rounds):
        for run in (run_plain, run_ours) if turn % 2 else (run_ours, run_plain):
            for name in ("clone", "cache", "out"):
                shutil.rmtree(folder / name, ignore_errors=True)
            os.sync()
            run()
    return [plain, ours, again]


def surroundings(home: Path) -> dict[str, str]:
    """Keep the user's own configuration out."""
    config = home / "dvc"
    config.mkdir(parents=True)
    (config / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    changes = {
        "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "DVC_GLOBAL_CONFIG_DIR": str(config), "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DVC_NO_ANALYTICS": "1", "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    os.environ.update(changes)
    return dict(os.environ)


def measure(top: Path, where: str, size: str, rounds: int, stack: ExitStack) -> None:
    """Build one registry, and print how both do."""
    folder = top / f"{where}-{size}"
    env = surroundings(folder / "home")
    place = folder / "storage"
    remote, local = {"url": str(place)}, {}
    if where != "folder":
        (folder / "sshd").mkdir()
        # As forges do: without it git falls back to a protocol in which it must send everything.
        sshd.CONFIG += "AcceptEnv GIT_PROTOCOL\n" * ("GIT_PROTOCOL" not in sshd.CONFIG)
        server = stack.enter_context(sshd.serving(folder / "sshd"))
        count(server.port)
        env["GIT_SSH_COMMAND"] = server.git_config("writer", folder, "")["core.sshCommand"]
        known = Path(env["HOME"]) / ".ssh"
        known.mkdir(mode=0o700)
        shutil.copy(server.folder / "known_hosts", known / "known_hosts")
        dvc: DvcServer = server
        if where == "s3":
            (folder / "s3").mkdir()
            dvc = gateway = stack.enter_context(s3.serving(folder / "s3"))
            count(gateway.port)
        dvc.storage(place)
        remote, local = dvc.remote(place), dvc.credentials("writer")
        own = Path(env["DVC_GLOBAL_CONFIG_DIR"]) / "config"
        own.write_text(own.read_text() + dvc_config({**remote, **local}))
        bare = build(folder, size, remote, local)
        url = server.git_url(bare)
    else:
        place.mkdir()
        bare = build(folder, size, remote, local)
        url = str(bare)
    print(row(where, size, *compare(folder, url, env, rounds)), flush=True)
    shutil.rmtree(folder, ignore_errors=True)


def row(where: str, size: str, plain: list[Cost], ours: list[Cost], again: list[Cost]) -> str:
    """Write one line of the table."""
    pairs = [b.seconds / a.seconds for a, b in zip(plain, ours, strict=True)]
    theirs, mine = (statistics.median(each.seconds for each in costs) for costs in (plain, ours))
    cores = [statistics.median(each.cpu for each in costs) for costs in (ours, plain)]
    second = statistics.median(each.seconds for each in again)
    wires = [min(each.wire for each in costs) / 1e6 for costs in (ours, plain)]
    peaks = [max(each.memory for each in costs) / 1e6 for costs in (ours, plain)]
    return " | ".join((
        f"| {where}", NAMES[size], f"{theirs:.2f} s", f"{mine:.2f} s",
        f"{mine / theirs:.2f} ({min(pairs):.2f}-{max(pairs):.2f})", f"{second / theirs:.2f}",
        f"{cores[0]:.1f} of {cores[1]:.1f} s",
        f"{wires[0]:.1f} of {wires[1]:.1f} MB" if wires[1] else "-",
        f"{peaks[0]:.0f} of {peaks[1]:.0f} MB |",
    ))  # fmt: skip


def main() -> None:
    """Measure each pair."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=WHERE)
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--keep", metavar="DIR", help="work below this folder")
    options = parser.parse_args()
    if os.geteuid() == 0 and shutil.which("nft") and INSIDE not in os.environ:
        argv = " ".join(f"'{arg}'" for arg in (sys.executable, *sys.argv))
        os.environ[INSIDE] = "1"
        up = f"ip link set lo up 2>/dev/null || ifconfig lo up; exec {argv}"
        os.execvp("unshare", ["unshare", "--net", "sh", "-c", up])  # noqa: S606 - our own words
    if INSIDE in os.environ:
        subprocess.run(["nft", "-f", "-"], input=TABLE, text=True, check=True)
    heads = ("where", "what", "clone, checkout, dvc pull", "mlv pull", "ratio", "again", "cores")
    print(f"| {' | '.join((*heads, 'wire', 'memory'))} |\n{'|---' * 9}|")
    with tempfile.TemporaryDirectory(dir=options.keep) as top:
        for where in [options.only] if options.only else WHERE:
            for size in [options.size] if options.size else SIZES:
                with ExitStack() as stack:
                    measure(Path(top), where, size, options.rounds, stack)


if __name__ == "__main__":
    main()
