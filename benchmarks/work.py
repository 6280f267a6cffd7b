"""What is measured: rows of work, each done by every peer that can, in turn, several times."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.measuring import Cost, Failed
from benchmarks.peers import FLOORS, MAKING, MODEL, Peer, World
from benchmarks.repositories import Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MB = 1_000_000
PAYLOADS = {
    "1 MB": MB, "100 MB": 100 * MB, "1 GB": 1000 * MB, "5 GB": 5000 * MB, "5,000 files": 0,
}  # fmt: skip
FILES, FILE = 5000, 2000
TOKENS = "tokens"
COLD, WARM = False, True
GROUPS = (
    "start",
    "register",
    "publish",
    "promote",
    "live",
    "load",
    "list",
    "past",
    "pull",
    "commits",
)
_SMALL = 100_000  # bytes: what is smaller may stay
_FRESH = 100_000  # where the numbers of versions that are made here begin


class Row(NamedTuple):
    """One kind of work; ``once`` and ``before`` are verbs that prepare it and are not timed."""

    group: str
    work: str
    verb: str
    warm: bool
    size: Size
    payload: str = ""
    once: str = ""
    before: str = ""

    @property
    def name(self) -> str:
        """Say what it is."""
        how = "in process" if self.warm else "cold"
        what = f"{self.work} {self.payload}".strip()
        return f"{what}, {how}"


class Measured(NamedTuple):
    """What a row took each peer: the costs of its rounds, or why there are none."""

    row: Row
    costs: dict[str, list[Cost]]
    failures: dict[str, str]

    def median(self, peer: str) -> float | None:
        """Give the median of a peer's seconds."""
        costs = self.costs.get(peer)
        return statistics.median(cost.seconds for cost in costs) if costs else None

    def memory(self, peer: str) -> int:
        """Give a peer's peak memory in bytes."""
        return max((cost.memory for cost in self.costs.get(peer, ())), default=0)


def rows(payloads: Sequence[str], versions: Sequence[int]) -> Iterator[Row]:
    """Give every row, those in repositories of one size together."""
    # Like no size below: what is registered here must not be there where ten are listed.
    base = Size(10, 4, 50, 1, merges=False)
    yield Row("start", "start of the command line", "start", COLD, base)
    for payload in payloads:
        yield Row("register", "register", "register", COLD, base, payload)
        yield Row("register", "register", "register", WARM, base, payload)
        yield Row("publish", "register and publish", "publish", COLD, base, payload)
    for payload in payloads:
        if payload != "5,000 files":
            yield Row("load", "load what is live", "load", WARM, base, payload, once="register")
        yield Row("pull", "reproduce elsewhere", "pull", COLD, base, payload, once="deliver")
    for count in versions:
        size, among = Size(count, 4, max(count, 100), 1, merges=False), f"among {count:,}"
        for warm in (COLD, WARM):
            yield Row("promote", f"promote {among}", "promote", warm, size)
            yield Row("promote", f"roll back {among}", "rollback", warm, size, before="promote")
            yield Row("live", f"what is live {among}", "live", warm, size, once="promote")
            yield Row("list", f"list {count:,}", "list", warm, size)
            yield Row("list", f"compare two {among}", "compare", warm, size)
        yield Row("list", f"filter and sort {count:,}", "filter", COLD, size)
    past = Size(max(versions), 2000, max(10_000, *versions), 1, merges=False)
    for warm in (COLD, WARM):
        yield Row("past", "history of 2,000 promotions", "history", warm, past)
        yield Row("past", "what was live then, of 2,000", "at", warm, past)
    many = Size(10, 4, 50_000, 1, merges=False)
    for verb, work in (("register", "register"), ("promote", "promote"), ("live", "what is live")):
        payload = "1 MB" if verb == "register" else ""
        once = "promote" if verb == "live" else ""
        yield Row("commits", f"{work} after 50,000 commits", verb, COLD, many, payload, once)


class Bench:
    """Measures rows one after the other; worlds are kept while rows of their size go on."""

    def __init__(
        self, top: Path, env: dict[str, str], peers: Sequence[Peer], rounds: int, patience: float
    ) -> None:
        self._top, self._env, self._peers = top, env, peers
        self._rounds, self._patience = rounds, patience
        self._worlds: dict[str, World] = {}
        self._size: Size | None = None
        self._made = _FRESH

    def measure(self, row: Row) -> Measured:
        """Do a row's work with each peer in turn, as many times as there are rounds."""
        if row.size != self._size:
            self.close()
            self._size = row.size
        measured = Measured(row, {}, {})
        able = [peer for peer in self._peers if peer.has(row.verb, warm=self._warm(peer, row))]
        for at in range(-1, self._rounds):
            turned = at % len(able)
            for peer in [*able[turned:], *able[:turned]]:
                if peer.name in measured.failures:
                    continue
                try:
                    cost = self._once(peer, row, at)
                except Failed as failure:
                    measured.failures[peer.name] = str(failure)
                    print(f"{row.name}: {peer.name}: {failure}", file=sys.stderr, flush=True)
                else:
                    # The first time is for what is done once, and for what a disk has to fetch.
                    if at >= 0:
                        measured.costs.setdefault(peer.name, []).append(cost)
        for world in self._worlds.values():
            world.sleep()
        return measured

    def close(self) -> None:
        """Remove every world."""
        for world in self._worlds.values():
            world.close()
        self._worlds.clear()

    def _warm(self, peer: Peer, row: Row) -> bool:
        """Whether it is asked in process; a floor also where it has no other way."""
        return row.warm or (peer is FLOORS and row.verb not in peer.typed)

    def _once(self, peer: Peer, row: Row, at: int) -> Cost:
        world = self._world(peer, row.size)
        path = _renewed(world.folder, row.payload) if row.payload else ""
        if at < 0 and row.once:
            self._prepare(world, row.once, path, at)
        if row.before:
            self._prepare(world, row.before, path, at)
        shutil.rmtree(world.folder / "out", ignore_errors=True)
        shutil.rmtree(world.folder / "cache", ignore_errors=True)
        warm = self._warm(peer, row)
        arguments = self._arguments(world, row.verb, path, at, warm=warm)
        cost = world.do(row.verb, *arguments, warm=warm)
        if row.verb in {"register", "publish"}:
            _forget(world.folder, path)
        return cost

    def _prepare(self, world: World, verb: str, path: str, at: int) -> None:
        peer = world.peer
        if not peer.has(verb, warm=False):
            return
        arguments = self._arguments(world, verb, path, at)
        if verb == "promote":
            arguments = (2,)
        world.do(verb, *arguments, warm=False)
        if verb == "register" and peer is not FLOORS:  # it is to be live
            world.do("promote", world.count, warm=False)

    def _arguments(
        self, world: World, verb: str, path: str, at: int, *, warm: bool = False
    ) -> tuple[Any, ...]:
        if verb in MAKING:
            self._made += 1
            return (path, self._made) if verb in world.peer.typed and not warm else (path,)
        if verb == "pull":
            return (world.folder.with_name(f"{world.folder.name}.git"), path)
        by_verb: dict[str, tuple[Any, ...]] = {
            "promote": (1 + at % 2,), "rollback": (1,), "compare": (1, 2)
        }  # fmt: skip
        return by_verb.get(verb, ())

    def _world(self, peer: Peer, size: Size) -> World:
        if peer.name not in self._worlds:
            name = peer.name.replace(" ", "-").replace("+", "and")
            folder = self._top / name
            self._worlds[peer.name] = World(peer, folder, size, self._env, self._patience)
        return self._worlds[peer.name]


def _renewed(folder: Path, payload: str) -> str:
    """Have the payload in a folder, other than it was before; give its name there."""
    size = PAYLOADS[payload]
    if not size:
        tokens = folder / TOKENS
        tokens.mkdir(exist_ok=True)
        for number in range(FILES):
            (tokens / f"{number:05}.bin").write_bytes(os.urandom(FILE))
        return TOKENS
    path = folder / MODEL
    if not path.is_file() or path.stat().st_size != size:
        block = os.urandom(MB)
        with path.open("wb") as file:
            for _ in range(size // MB):
                file.write(block)
    with path.open("r+b") as file:
        file.write(os.urandom(16))
    return MODEL


def _forget(folder: Path, payload: str) -> None:
    """Remove the bytes that were kept, so that the disk holds out; what says so may stay."""
    for top in (folder, folder.with_name(f"{folder.name}.bytes")):
        for where, names, files in os.walk(top):
            names[:] = [name for name in names if name not in {".git", payload}]
            for name in files:
                path = Path(where, name)
                if not name.endswith((".db", payload)) and path.stat().st_size > _SMALL:
                    path.unlink()
