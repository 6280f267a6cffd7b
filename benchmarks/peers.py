"""mlv, what people would pick instead, and the floors: how each is set up and what it is told.

A peer that has no place beside mlv gets an environment of its own below the cache folder. What a
peer has no way to do stands in neither of its two lists of verbs, and is left out of the table.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import repositories
from benchmarks.measuring import BIN, Cost, Failed, Talker, cost_of, git

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.repositories import Size

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlv-benchmarks"
ROOT = Path(__file__).parents[1]
MODEL = "model.bin"
MAKING = {"register", "publish", "deliver"}  # verbs that make a version
_START = 120.0  # seconds for a server to answer


class Peer(NamedTuple):
    """A way to keep models.

    ``typed`` is what a person types for a verb, in a shell; what is not there, but among ``verbs``,
    is a script of a few lines. ``verbs`` are those of its driver, which runs in the environment
    that holds ``packages``; in mlv's own where there are none.
    """

    name: str
    build: Callable[[Path, Size], None]
    typed: Mapping[str, str]
    driver: str = ""
    verbs: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    has_server: bool = False

    @property
    def python(self) -> Path:
        """The Python that its driver runs with."""
        if not self.packages:
            return Path(sys.executable)
        return CACHE / self.packages[0].partition("=")[0].rstrip("<>") / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Whether its environment is there."""
        return (self.python.is_file() and (self.python.parents[1] / ".ready").exists()) or not (
            self.packages
        )

    def install(self) -> None:
        """Make its environment."""
        if self.is_ready:
            return
        folder = self.python.parents[1]
        print(f"setting up {self.name} in {folder}, once", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.packages], check=True)
        (folder / ".ready").touch()

    def version(self) -> str | None:
        """Name the version of its package."""
        if not self.packages:
            return None
        name = self.python.parents[1].name
        ask = f"from importlib.metadata import version; print(version({name!r}))"
        done = subprocess.run([self.python, "-c", ask], check=True, capture_output=True)
        return done.stdout.decode().strip()

    def drive(self, *arguments: object) -> list[str]:
        """Call its driver; the folder of this repository must be on the path of Python."""
        words = ("-m", f"benchmarks.drivers.{self.driver}", *arguments)
        return [str(self.python), *map(str, words)]

    def has(self, verb: str, *, warm: bool) -> bool:
        """Whether it can do this."""
        return verb in self.verbs or (not warm and verb in self.typed)


class World:
    """A peer's own folder with so many versions in it; close it in the end."""

    def __init__(
        self, peer: Peer, folder: Path, size: Size, env: dict[str, str], patience: float
    ) -> None:
        self.peer, self.folder, self.size, self._patience = peer, folder, size, patience
        path = os.pathsep.join((str(peer.python.parent), env["PATH"]))
        self._env = {**env, "PATH": path, "PYTHONPATH": str(ROOT)}
        self.count = size.versions  # the number of the version registered last
        self._server: subprocess.Popen[bytes] | None = None
        folder.parent.mkdir(parents=True, exist_ok=True)
        peer.build(folder, size)
        if peer.has_server:
            try:
                self._serve()
            except BaseException:  # nobody has this world yet, to close it
                self._end_server()
                raise
        driver = peer.drive(".")
        self._talker = Talker([*driver, "--serve"], folder, self._env, patience)
        self._script = " ".join(driver)

    def do(self, verb: str, *arguments: object, warm: bool) -> Cost:
        """Do it: in a process that runs already, or from a cold start."""
        self.count += verb in MAKING
        if warm:
            return self._talker.ask(verb, *arguments)
        typed = self.peer.typed.get(verb)
        words = " ".join(str(each) for each in arguments)
        script = typed.format(*arguments) if typed else f"{self._script} {verb} {words}"
        return cost_of(script, self.folder, self._env, self._patience)

    def sleep(self) -> None:
        """End the process that runs, if one does: its memory is what it did last."""
        self._talker.__exit__()

    def close(self) -> None:
        """End what runs, and remove the folder."""
        self.sleep()
        self._end_server()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_server(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait()

    def _serve(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        store = (self.folder / "uri").read_text()
        self._server = subprocess.Popen(
            [self.peer.python, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1",
             "--port", str(port), "--backend-store-uri", store,
             "--artifacts-destination", str(self.folder / "stored")],
            cwd=self.folder, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        (self.folder / "uri").write_text(f"http://127.0.0.1:{port}")
        end = time.monotonic() + _START
        while time.monotonic() < end and self._server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.5)
        raise Failed(f"the server of {self.peer.name} did not start")


# How a world is made -------------------------------------------------------------------------


def _publishable(folder: Path) -> None:
    """Give a repository a Git remote and a DVC remote beside it."""
    bare, storage = folder.with_name(f"{folder.name}.git"), folder.with_name(f"{folder.name}.bytes")
    for old in (bare, storage):
        shutil.rmtree(old, ignore_errors=True)
    storage.mkdir()
    text = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {storage}\n"
    (folder / ".dvc" / "config").write_text(text)
    git(folder, "commit", "--quiet", "--all", "--message", "Say where the bytes go")
    git(folder.parent, "clone", "--quiet", "--bare", str(folder), str(bare))
    git(folder, "remote", "add", "origin", str(bare))
    git(folder, "fetch", "--quiet")


def _ignoring(folder: Path) -> None:
    """Keep the model that lies in the repository out of Git, as whoever trains there does."""
    with (folder / ".git" / "info" / "exclude").open("a") as file:
        file.write(f"/{MODEL}\n/tokens/\n")


def _mlv(folder: Path, size: Size) -> None:
    repositories.build(folder, size)
    _ignoring(folder)
    _publishable(folder)


def _by_hand(folder: Path, size: Size) -> None:
    repositories.build_by_hand(folder, size)
    _publishable(folder)


def _gto(folder: Path, size: Size) -> None:
    repositories.build_by_hand(folder, size, is_gto=True)


def _folder(folder: Path, size: Size) -> None:
    metrics = {"roc_auc": 0.9, "log_loss": 0.1, "f1": 0.8}
    for number in range(1, size.versions + 1):
        version = folder / "fraud" / str(number)
        version.mkdir(parents=True)
        manifest = {"sha256": {MODEL: f"{number:064x}"}, "metrics": metrics}
        (version / "manifest.json").write_text(json.dumps(manifest))
    (folder / "fraud" / "live.json").write_text('{"live": 1}')


def _mlflow(folder: Path, size: Size) -> None:
    folder.mkdir()
    (folder / "uri").write_text(f"sqlite:///{folder}/mlflow.db")
    (folder / MODEL).write_bytes(b"first")
    orders: list[tuple[Any, ...]] = [
        ("create",), ("register", MODEL), ("promote", 1), ("fill", size.versions)
    ]  # fmt: skip
    for order in orders:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        argv = MLFLOW.drive(".", *order)
        subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True)


# Who they are --------------------------------------------------------------------------------

DVC = BIN / "dvc"
_ADD = (
    f"{DVC} add -q {{0}} && git add {{0}}.dvc .gitignore && git commit -qm Version "
    "&& git tag -m Version v{1}"
)
_PUSH = f"{DVC} push -q {{0}}.dvc && git push -q origin main v{{1}}"
_REGISTER = "mlv register {0} --no-preprocessor --metric roc_auc=0.9"
_VERBS = frozenset(("register", "promote", "rollback", "live", "load", "list", "compare"))
MLV = Peer(
    "mlv", _mlv,
    {
        "start": "mlv --version",
        "register": _REGISTER, "publish": f"{_REGISTER} --push",
        "deliver": f"{_REGISTER} --push && mlv promote @latest --push",
        "promote": "mlv promote v{0}", "rollback": "mlv rollback", "live": "mlv current",
        "list": "mlv list", "filter": "mlv list --where 'roc_auc>0.5' --sort=-roc_auc --limit 100",
        "compare": "mlv compare v{0} v{1}", "history": "mlv history", "at": "mlv at 2024-05-01",
        "pull": "mlv pull -q {0} @production --cache cache",
    },
    "of_mlv", _VERBS | {"history", "at"},
)  # fmt: skip
BY_HAND = Peer(
    "dvc + git", _by_hand,
    {
        "start": f"{DVC} --version",
        "register": _ADD,
        "publish": f"{_ADD} && {_PUSH}", "deliver": f"{_ADD} && {_PUSH}",
        "list": f"{DVC} metrics show -T", "compare": f"{DVC} metrics diff v{{0}} v{{1}}",
        "pull": f"git clone -q {{0}} out && cd out && {DVC} pull -q {{1}}.dvc",
    },
)  # fmt: skip
GTO = Peer(
    "GTO", _gto,
    {
        "start": "gto --version",
        "promote": "gto assign model --version v0.0.{0} --stage prod --force",
        "rollback": "gto assign model --version v0.0.{0} --stage prod --force",
        "live": "gto show model#prod", "list": "gto show model", "history": "gto history model",
    },
    "of_gto", frozenset(("promote", "rollback", "live", "list", "history")),
    ("gto==1.10.*",),
)  # fmt: skip
MLFLOW = Peer(
    "MLflow", _mlflow, {"start": "mlflow --version"}, "of_mlflow", _VERBS, ("mlflow>=3,<4",)
)
SERVER = MLFLOW._replace(name="MLflow server", typed={}, has_server=True)
FOLDER = Peer("folder", _folder, {}, "of_folder", _VERBS)
_FILES = "find -L {0} -type f -print0 | xargs -0"
FLOORS = Peer(
    "floor", _mlv,
    {
        "start": f"{sys.executable} -c pass",
        "register": f"{_FILES} md5sum & {_FILES} sha256sum & cp -r {{0}} copied-$$ & wait; "
        "git update-ref refs/heads/floor $(git commit-tree -m x -p main main^{{tree}})",
        "live": "git cat-file -p main:registry/model/pointer.json",
        "promote": "git update-ref refs/heads/floor $(git commit-tree -m x -p main main^{{tree}})",
        "rollback": "git update-ref refs/heads/floor $(git commit-tree -m x -p main main^{{tree}})",
        "publish": "git push -q -f origin $(git commit-tree -m $$ main^{{tree}}):refs/heads/pushed",
        "list": "git for-each-ref --format='%(refname)%(objectname)%(contents)' refs/tags",
        "filter": "git for-each-ref --format='%(refname)%(objectname)%(contents)' refs/tags",
        "history": "git log --first-parent --raw --no-abbrev --format='%H %an %ae %ct %B' main"
        " -- registry",
        "at": "git log --first-parent --raw --no-abbrev --format='%H %an %ae %ct %B' main"
        " -- registry",
    },
    "of_floors", frozenset(("register", "promote", "rollback")),
)  # fmt: skip
PEERS = (MLV, BY_HAND, GTO, MLFLOW, SERVER, FOLDER, FLOORS)
