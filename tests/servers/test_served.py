"""`mlv serve` under load while production moves, and while things break: it goes on serving."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from mlv import ModelRegistry
from tests.servers.test_full_disks import can_mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.sharing import Shared

    Mlv = Callable[..., subprocess.CompletedProcess[str]]

PATIENCE = 120  # seconds until something that never comes is given up
_MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"'
ROWS = [[1.0, 2.0], [30.0, -4.0]]


class Server:
    """A running `mlv serve`."""

    def __init__(self, repo: Path, log: Path, *args: str, disk: Path | None = None) -> None:
        """Serve; with ``disk`` it finds an empty small disk of its own mounted there."""
        self.log = log
        argv = ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", str(disk)] if disk else []
        argv += [sys.executable, "-P", "-m", "mlv", "serve", "--port", "0", "--quiet", *args]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                argv, cwd=repo, stdout=subprocess.PIPE, stderr=file, text=True
            )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        assert self.url, log.read_text()
        self.wait(lambda: self.get("/live")[0] == 200)

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError as error:
            return 0, str(error)

    def text(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as response:  # noqa: S310
            return str(response.read().decode())

    def post(self, body: bytes) -> tuple[int, Any]:
        request = urllib.request.Request(f"{self.url}/predict", body)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def close(self) -> None:
        """Tell it to end, and wait until it has."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()

    def workers(self) -> list[int]:
        """The processes that answer: those of the server that have the model in them."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        children = [int(pid) for pid in listed.split()]
        spawned = [
            pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        return spawned or [self.process.pid]

    def memory(self) -> int:
        """Pages of memory that the workers hold, together."""
        sizes = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.workers())
        return sum(int(pages) for pages in sizes)


class Reply(NamedTuple):
    start: float
    end: float
    code: int
    version: str | None
    predictions: tuple[float, ...]


class Load:
    """Clients that ask without a pause, each over one connection."""

    def __init__(self, server: Server, clients: int) -> None:
        self.replies: list[Reply] = []
        self.broken: list[str] = []
        self._host = server.url.removeprefix("http://")
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        body = json.dumps({"data": ROWS})
        connection = HTTPConnection(self._host, timeout=PATIENCE)
        while not self._over.is_set():
            start = time.monotonic()
            try:
                connection.request("POST", "/predict", body)
                response = connection.getresponse()
                found = json.load(response)
            except OSError as error:
                self.broken.append(repr(error))
                connection.close()
                continue
            predictions = tuple(found.get("predictions", ()))
            version = found.get("version")
            end = time.monotonic()
            self.replies.append(Reply(start, end, response.status, version, predictions))
        connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> ModelRegistry:
    """Return a registry with v1, which is live, and v2, whose halves fit each other alone."""
    registry = ModelRegistry(repo)
    chance = np.random.default_rng(1)
    for number in (1, 2):
        given = chance.normal(size=(50, 2)) * 10 * number
        scaler = StandardScaler().fit(given)
        model = LinearRegression().fit(scaler.transform(given), given.sum(axis=1) ** 2 * number)
        joblib.dump(model, tmp_path / "m.pkl")
        joblib.dump(scaler, tmp_path / "s.pkl")
        registry.register(tmp_path / "m.pkl", tmp_path / "s.pkl", sample=given[:5])
    registry.promote("v1")
    return registry


@pytest.fixture
def serve(repo: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``serve("--workers", "2")`` serves what is live, on a free port."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, disk: Path | None = None) -> Server:
            server = Server(repo, tmp_path / "serve.log", *args, disk=disk)
            return stack.enter_context(closing(server))

        yield start


def answers(registry: ModelRegistry) -> dict[str, list[float]]:
    return {ref: registry.predictor(ref).predict(ROWS).tolist() for ref in ("v1", "v2")}


def check(replies: list[Reply], right: dict[str, list[float]]) -> None:
    """Every reply is of one version that was live, whole."""
    assert {reply.code for reply in replies} == {200}
    for version in {reply.version for reply in replies}:
        assert version in right
        given = {reply.predictions for reply in replies if reply.version == version}
        for predictions in given:
            assert predictions == pytest.approx(right[version], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_fifty_promotions_and_rollbacks_under_load(
    registry: ModelRegistry, repo: Path, mlv: Mlv, serve: Callable[..., Server], workers: str
) -> None:
    server = serve("--workers", workers, "--watch", "1")
    server.wait(lambda: server.get("/ready")[1].get("workers") == ["v1"] * int(workers))
    right, settled, memory = answers(registry), [], []
    with Load(server, 4) as load:
        for turn in range(50):
            version = "v2" if turn % 2 == 0 else "v1"
            if turn % 10 == 0:  # as a person does it
                done = mlv(repo, "promote", version, "--wait", f"{server.url}/ready")
                assert done.returncode == 0, done.stderr
                assert re.search(rf"/ready serves model-{version} after \d+\.\d s", done.stdout)
            else:
                registry.promote(version) if version == "v2" else registry.rollback()
                code, facts = server.get(f"/ready?version={version}&timeout={PATIENCE}")
                assert (code, facts["loaded"], facts["wanted"]) == (200, version, version)
            since = time.monotonic()
            server.get("/live")
            settled.append((version, since, time.monotonic()))
            if turn in (9, 49):
                memory.append(server.memory())
    check(load.replies, right)
    assert not load.broken
    assert {reply.version for reply in load.replies} == {"v1", "v2"}
    for version, since, until in settled:
        within = [r for r in load.replies if r.start >= since and r.end <= until]
        assert {reply.version for reply in within} <= {version}
    assert memory[1] < memory[0] * 1.2, memory


def test_a_worker_that_is_killed_is_replaced_and_the_others_go_on(
    registry: ModelRegistry, serve: Callable[..., Server]
) -> None:
    server = serve("--workers", "2")
    server.wait(lambda: server.get("/ready")[1].get("workers") == ["v1", "v1"])
    right, before = answers(registry), server.workers()
    with Load(server, 4) as load:
        server.wait(lambda: len(load.replies) > 50)
        os.kill(before[0], signal.SIGKILL)
        server.wait(lambda: before[0] not in server.workers() and len(server.workers()) == 2)
        server.wait(lambda: server.get("/ready")[1].get("workers") == ["v1", "v1"])
        count = len(load.replies)
        server.wait(lambda: len(load.replies) > count + 50)
    check(load.replies, right)
    # What that worker had in its hands is lost with it: a request of a connection at most.
    assert len(load.broken) <= 4, load.broken


def has_trouble(code: int, facts: dict[str, Any], said: str) -> bool:
    """Whether a worker serves v1, and has said why not the other one: not only that it loads."""
    serves = (code, facts["loaded"], facts["ready"]) == (503, "v1", False)
    return serves and said in facts.get("trouble", "")


@pytest.mark.parametrize(
    "trouble",
    [
        "raises",
        "damaged",
        pytest.param("full", marks=pytest.mark.skipif(not can_mount(), reason="mounts a disk")),
    ],
)
def test_what_cannot_be_loaded_leaves_the_old_version_serving(
    registry: ModelRegistry,
    repo: Path,
    tmp_path: Path,
    serve: Callable[..., Server],
    trouble: str,
) -> None:
    raises = tmp_path / "raises.pkl"
    raises.write_bytes(b"cbuiltins\nexec\n(S'raise RuntimeError(\"no memory for weights\")'\ntR.")
    registry.register(raises, None)
    right = answers(registry)
    server = serve("--workers", "2", disk=repo / ".git" / "mlv" if trouble == "full" else None)
    server.wait(lambda: server.get("/ready")[1].get("workers") == ["v1", "v1"])
    said = {
        "raises": "no memory for weights", "damaged": "not what was registered",
        "full": "No space left",
    }[trouble]  # fmt: skip
    handed_out = repo / ".git" / "mlv" / "model"
    md5 = registry.get_manifest("v2")["artifacts"]["model"]["md5"]
    cached = repo / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    if trouble == "damaged":
        _remove(handed_out / "v2")
        cached.chmod(0o644)
        cached.write_bytes(b"tampered")
    elif trouble == "full":
        _fill(Path(f"/proc/{server.workers()[0]}/root{repo}/.git/mlv"))
    with Load(server, 2) as load:
        registry.promote("v3" if trouble == "raises" else "v2")
        server.wait(lambda: has_trouble(*server.get("/ready"), said))
        assert said in server.log.read_text()
        registry.rollback()
        code, facts = server.get(f"/ready?version=v1&timeout={PATIENCE}")
        assert (code, facts["loaded"], "trouble" in facts) == (200, "v1", False)
    check(load.replies, right)
    assert {reply.version for reply in load.replies} == {"v1"}


@pytest.mark.skipif(not can_mount(), reason="mounts a disk")
def test_a_full_disk_under_the_counts_ends_no_worker(
    registry: ModelRegistry,
    tmp_path: Path,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "small").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "small"))
    server = serve(disk=tmp_path / "small")
    server.wait(lambda: server.get("/ready")[0] == 200)
    _fill(Path(f"/proc/{server.process.pid}/root{tmp_path}/small"))
    for version in ("v2", "v1") * 3:
        registry.promote(version)
        assert server.get(f"/ready?version={version}&timeout={PATIENCE}")[0] == 200
        assert server.post(json.dumps({"data": ROWS}).encode())[1]["version"] == version
        for _ in range(20):  # each code is a count of its own
            assert server.post(b"")[0] == 400
    assert 'code="400",model="model",version="v2"} 60.0' in server.text("/metrics")


def test_a_client_that_goes_away_is_no_failure_of_the_model(served: Server) -> None:
    with closing(HTTPConnection(served.url.removeprefix("http://"), timeout=PATIENCE)) as client:
        client.putrequest("POST", "/predict")
        client.putheader("Content-Length", "100")
        client.endheaders(b"{")
    served.wait(
        lambda: re.search(r'requests_total\{code="400"', served.text("/metrics")) is not None
    )
    assert "failed" not in served.log.read_text()


def _fill(folder: Path) -> None:
    """Write until there is no space left."""
    with (folder / "fill").open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_rollback_on_another_machine_ends_when_it_is_served_and_a_remote_that_lies_is_not(
    share: Callable[..., Shared], tmp_path: Path, mlv: Mlv
) -> None:
    shared = share(git="http", dvc="http")
    ada, serving = shared.clone("ada"), shared.clone("serving")
    registry = ModelRegistry(ada)
    for number in (1, 2, 3):
        joblib.dump(partial(add, 100 * number), tmp_path / "m.pkl")
        registry.register(tmp_path / "m.pkl", None, sample=[1.0], push=True)
    registry.promote("v1", push=True)
    # It asks the remote every hour: whoever waits has it asked at once.
    with closing(Server(serving, tmp_path / "log", "--workers", "2", "--watch", "3600")) as server:
        waiting = ("--push", "--wait", f"{server.url}/ready")
        for command in (("promote", "v2"), ("rollback",)):
            done = mlv(ada, *command, *waiting)
            assert done.returncode == 0, done.stderr
            assert re.search(r"/ready serves model-v[12] after \d+\.\d s", done.stdout)
        assert server.post(b'{"data": [1]}')[1]["predictions"] == [101]
        md5 = registry.get_manifest("v3")["artifacts"]["model"]["md5"]
        shared.storage.write(md5, b"x" * len(shared.storage.read(md5)))
        done = mlv(ada, "promote", "v3", *waiting, "--wait-timeout", "20")
        assert done.returncode == 1
        assert "it serves v1 (model-v3 cannot be served: model.pkl of model-v3" in done.stderr
        assert server.post(b'{"data": [1]}')[1] == {
            "model": "model", "version": "v1", "predictions": [101],
        }  # fmt: skip


def test_running_requests_are_answered_when_it_is_told_to_end(
    registry: ModelRegistry, serve: Callable[..., Server]
) -> None:
    server = serve("--workers", "2")
    host = server.url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=PATIENCE)
    body = json.dumps({"data": ROWS}).encode()
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:5])
    server.wait(lambda: server.get("/live")[0] == 200)
    server.process.terminate()
    time.sleep(1)
    connection.send(body[5:])
    response = connection.getresponse()
    found = json.load(response)
    connection.close()
    assert found["predictions"] == pytest.approx(answers(registry)["v1"], rel=1e-12)
    assert server.process.wait(PATIENCE) == 0


def test_a_request_that_comes_slowly_is_answered_by_what_is_live_at_its_end(
    registry: ModelRegistry, serve: Callable[..., Server]
) -> None:
    server, body = serve(), json.dumps({"data": ROWS}).encode()
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:5])
    assert server.get("/live")[0] == 200
    registry.promote("v2")
    assert server.get(f"/ready?version=v2&timeout={PATIENCE}")[0] == 200
    connection.send(body[5:])
    assert json.load(connection.getresponse())["version"] == "v2"
    connection.close()


class Does:
    """A model that is what a line of Python gives."""

    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return eval, (self.line,)


@pytest.fixture
def does(registry: ModelRegistry, tmp_path: Path) -> Callable[[str], None]:
    """``does("lambda X: X")`` puts such a model live, as v3."""

    def make(line: str) -> None:
        joblib.dump(Does(line), tmp_path / "does.pkl")
        registry.register(tmp_path / "does.pkl", None)
        registry.promote("v3")

    return make


def test_whatever_a_model_raises_or_answers_is_told_and_ends_nothing(
    does: Callable[[str], None], serve: Callable[..., Server]
) -> None:
    does("lambda X: [exit(0), (_ for _ in ()).throw(KeyboardInterrupt), object()][int(X[0])]"
         " if X[0] else {'a': 1}")  # fmt: skip
    server = serve()
    for body, said in (
        (b'{"data": [1]}', "RuntimeError: the model raised SystemExit"),
        (b'{"data": [0]}', "a dict is no table"),
    ):
        code, answer = server.post(body)
        assert (code, answer["detail"].startswith("the model failed")) == (500, True)
        assert said in server.log.read_text()
    assert server.get("/ready")[0] == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_that_hangs_while_it_is_loaded_stands_in_no_end(
    does: Callable[[str], None], repo: Path, tmp_path: Path, workers: str
) -> None:
    reached = tmp_path / "reached"
    does(f"[open({str(reached)!r}, 'w').close(), __import__('time').sleep(600)]")
    argv = [sys.executable, "-P", "-m", "mlv", "serve", "--port", "0", "--workers", workers]
    log, folder = tmp_path / "log", tmp_path / "temporary"
    folder.mkdir()
    env = {**os.environ, "TMPDIR": str(folder)}
    with log.open("wb") as file, subprocess.Popen(argv, cwd=repo, stderr=file, env=env) as process:
        end = time.monotonic() + PATIENCE
        while not reached.exists():
            assert time.monotonic() < end
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert "Traceback" not in log.read_text()
    assert list(folder.glob("mlv-serve-*")) == []


def test_workers_whose_parent_was_killed_end(
    registry: ModelRegistry, serve: Callable[..., Server]
) -> None:
    server = serve("--workers", "2")
    server.wait(lambda: server.get("/ready")[1].get("workers") == ["v1", "v1"])
    workers = server.workers()
    server.process.kill()
    server.process.wait(PATIENCE)
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.get("/live")[0] == 0
    del registry


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b'{"data": [["a"]], "dtype": "U2000000000"}', 422, "is no type of values"),
        (b"", 400, "not JSON"),
        (b'{"data": [[NaN, 1]]}', 400, "NaN is not a number"),
        (b"[1, 2]", 422, "not an object"),
        (b'{"data": []}', 422, "no row"),
        (b'{"data": [[1, 2], [3]]}', 422, "not all of one length"),
        (b'{"data": [["a", "b"]]}', 422, "not what their types say"),
        (b'{"data": [[1, 2, 3]]}', 422, "3 features"),
        (b'{"rows": [[1, 2]]}', 422, '"data"'),
        (b'{"instances": [{"a": 1}, {"b": 1}]}', 422, "not the same names"),
        (b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "nested"),
        (b'{"data": [[' + b"1," * 60_000 + b"1]]}", 413, "larger than 100000 bytes"),
    ],
)
def test_bad_input_is_answered_in_a_line(served: Server, body: bytes, code: int, said: str) -> None:
    found = served.post(body)
    assert found[0] == code, found
    assert said in found[1]["detail"]
    assert "Traceback" not in found[1]["detail"]
    assert served.get("/live") == (200, {"status": "alive"})


@pytest.fixture(scope="module")
def served(_repo_mould: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server of one version, for the tests that change nothing."""
    import shutil

    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(_repo_mould / "repo", folder / "repo", symlinks=True)
    made = ModelRegistry(folder / "repo")
    given = np.arange(10.0).reshape(5, 2)
    joblib.dump(LinearRegression().fit(given, given.sum(axis=1)), folder / "m.pkl")
    made.register(folder / "m.pkl", None, sample=given)
    made.promote("v1")
    server = Server(folder / "repo", folder / "log", "--no-fetch", "--max-body", "100000")
    server.wait(lambda: server.get("/ready")[0] == 200)
    yield server
    server.close()


def test_what_it_says_of_itself(served: Server) -> None:
    assert served.get("/ready") == (
        200,
        {"ready": True, "model": "model", "loaded": "v1", "wanted": "v1", "workers": ["v1"]},
    )
    codes = {v: served.get(f"/ready?version={v}")[0] for v in ("v9", "v1", "model-v1", "other-v1")}
    assert codes == {"v9": 503, "v1": 200, "model-v1": 200, "other-v1": 503}
    assert served.get("/version")[1]["version"] == "v1"
    api = served.get("/openapi.json")[1]
    assert set(api["paths"]) == {"/predict", "/live", "/ready", "/version", "/metrics"}
    body = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"]["data"][0] == [0.0, 1.0]
    assert served.post(b'{"instances": [[1, 2]]}')[1]["predictions"] == pytest.approx([3.0])
    metrics = served.text("/metrics")
    assert 'mlv_model_workers{model="model",version="v1"} 1.0' in metrics
    assert re.search(r'mlv_predict_requests_total\{code="200",.*version="v1"\} [1-9]', metrics)
