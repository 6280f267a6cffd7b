"""Measure mlv beside what people would pick instead, on the same work, in one run.

    .venv/bin/python -m benchmarks [--quick] [--peers mlv,GTO] [--groups list,promote]
                                   [--payloads "1 MB,1 GB"] [--versions 10,100,1000,10000]
                                   [--rounds 5] [--json FILE] [--keep DIR]
    .venv/bin/python -m benchmarks --from FILE --write-docs

Prints a table: mlv's seconds, each peer as a multiple of these, and mlv as a multiple of the
floor: the git command, the hashing or the copying that the work cannot do without. Every round does
a row's work once with each peer, in turn; medians count. --json writes all seconds, peak memory,
the machine and the versions. --write-docs puts the tables into README.md and docs/performance.md
and draws docs/benchmarks.svg. Peers that cannot live beside mlv are installed into a folder of
their own below the user's cache, once.
--quick leaves out MLflow, whose start alone takes seconds. A peer that cannot be installed, as
where there is no network, is left out too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measuring import machine, surroundings
from benchmarks.peers import MLFLOW, MLV, PEERS, SERVER, Peer
from benchmarks.work import GROUPS, PAYLOADS, Bench, rows
from mlv import __version__

_ROOT = Path(__file__).parents[1]
_LEAST = 2
_QUICK = {"payloads": "1 MB", "versions": "100", "rounds": 2}
_QUICK_GROUPS = "start,register,promote,live,list"
_FULL = {"payloads": "1 MB,100 MB,1 GB,5,000 files", "versions": "10,100,1000,10000", "rounds": 5}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="a short form of some minutes")
    parser.add_argument("--peers", help=f"of {', '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--groups", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--payloads", help=f"of {', '.join(PAYLOADS)}")
    parser.add_argument("--versions", help="how many there are, in the rows that grow with them")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--patience", type=float, default=300, help="seconds for one act")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came out")
    parser.add_argument("--from", type=Path, metavar="FILE", help="take what came out before")
    parser.add_argument("--write-docs", action="store_true", help="tables and chart, in the docs")
    parser.add_argument("--keep", metavar="DIR", help="work below this folder")
    found = parser.parse_args()
    for name, value in (_QUICK if found.quick else _FULL).items():
        if getattr(found, name) is None:
            setattr(found, name, value)
    found.groups = found.groups or (_QUICK_GROUPS if found.quick else ",".join(GROUPS))
    counts = found.versions.split(",")
    if not all(count.strip().isdecimal() and int(count) >= _LEAST for count in counts):
        parser.error(f"--versions are numbers from {_LEAST} on, for two are compared")
    if found.rounds < 1:
        parser.error("--rounds is 1 at least")
    for folder in filter(None, (found.json and found.json.parent, found.keep)):
        if not Path(folder).is_dir():
            parser.error(f"there is no folder {folder}")
    return found


def chosen(known: list[str], wanted: str) -> list[str]:
    """Read a list of names, of which each must be known."""
    names = [name.strip() for name in wanted.replace("5,000", "5;000").split(",")]
    names = [name.replace(";", ",") for name in names]
    for name in names:
        if name not in known:
            raise SystemExit(f"there is no {name!r}: known are {', '.join(known)}")
    return names


def peers_of(args: argparse.Namespace) -> list[Peer]:
    """Choose the peers, and install what they need."""
    known = {peer.name: peer for peer in PEERS}
    if args.peers:
        names = chosen(list(known), args.peers)
    elif args.quick:
        names = [peer.name for peer in PEERS if peer not in (MLFLOW, SERVER)]
        print("left out: MLflow, MLflow server (--peers names them)", file=sys.stderr)
    else:
        names = list(known)
    ready = [MLV.name]
    for name in names:
        try:
            known[name].install()
        except subprocess.CalledProcessError as error:
            print(f"left out: {name}, which cannot be installed: {error}", file=sys.stderr)
        else:
            ready.append(name)
    return [known[name] for name in dict.fromkeys(ready)]


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and print each row when it is done."""
    peers = peers_of(args)
    facts: dict[str, Any] = {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "versions": {MLV.name: __version__, **{p.name: p.version() for p in peers if p is not MLV}},
        "rounds": args.rounds,
    }
    groups = chosen(list(GROUPS), args.groups)
    payloads = chosen(list(PAYLOADS), args.payloads)
    versions = [int(count) for count in args.versions.split(",")]
    named = [peer.name for peer in peers if peer.name not in {report.OURS, report.FLOOR}]
    print(report.heading(named), flush=True)
    done = []
    with tempfile.TemporaryDirectory(dir=args.keep) as top:
        env = surroundings(Path(top) / "home")
        with closing(Bench(Path(top), env, peers, args.rounds, args.patience)) as bench:
            for row in rows(payloads, versions):
                if row.group in groups:
                    done.append(bench.measure(row))
                    [told] = report.to_dict(done[-1:], {})["rows"]
                    print(report.line(told, named), flush=True)
    return report.to_dict(done, facts)


def main() -> None:
    """Measure or read, and write what was asked for."""
    args = options()
    result = report.read(getattr(args, "from")) if getattr(args, "from") else run(args)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if args.write_docs:
        report.write_docs(result, _ROOT)


if __name__ == "__main__":
    main()
