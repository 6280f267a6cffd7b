"""Waiting for a server that may be slow, wrong, somebody else's, or not there."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from mlv.domain.names import Version
from mlv.errors import InvalidInput, ProgramError
from mlv.moving.waiting import Served, wait_served

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answers = Callable[[str], tuple[int, Any]]

FRAUD = Version("fraud", 1)
READY = {"model": "fraud", "loaded": "v1", "ready": True}


@pytest.fixture
def server() -> Iterator[Callable[[Answers], str]]:
    """``server(answers)`` answers a path with what ``answers(path)`` gives; returns its address."""
    running = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, document = answers(self.path)
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((made, thread))
        return f"http://127.0.0.1:{made.server_port}/ready"

    yield start
    for made, thread in running:
        made.shutdown()
        made.server_close()
        thread.join()


def wait(urls: list[str], *versions: Version, timeout: float = 60) -> list[Served]:
    return wait_served(urls, versions or (FRAUD,), timeout, lambda _: None)


def test_it_asks_for_the_version_until_that_is_served(
    server: Callable[[Answers], str],
) -> None:
    asked: list[str] = []

    def answers(path: str) -> tuple[int, Any]:
        asked.append(path)
        loaded = "v2" if len(asked) < 3 else "v1"
        return (200 if loaded == "v1" else 503), {**READY, "loaded": loaded}

    [served] = wait([f"{server(answers)}?token=x"])
    assert (served.version, len(asked)) == (FRAUD, 3)
    assert served.seconds > 0
    assert asked[0].startswith("/ready?token=x&version=v1&timeout=")


def test_several_models_have_a_server_each(server: Callable[[Answers], str]) -> None:
    ranker = Version("ranker", 7)
    one = server(lambda _: (200, READY))
    other = server(lambda _: (200, {"model": "ranker", "loaded": "v7"}))
    served = wait([other, one], FRAUD, ranker)
    assert [each.version for each in served] == [ranker, FRAUD]


@pytest.mark.parametrize(
    ("code", "document", "said"),
    [
        (503, {**READY, "loaded": "v2", "trouble": "no memory"}, r"it serves v2 \(no memory\)"),
        (200, {**READY, "model": "ranker"}, "it serves the model 'ranker'"),
        (200, b"<html>welcome</html>", "not as mlv serve does"),
        (200, [1], "not as mlv serve does"),
        (500, b"", "it answers 500"),
        (200, {}, "it serves the model None"),
    ],
)
def test_what_does_not_serve_it_is_named_when_the_time_is_over(
    server: Callable[[Answers], str], code: int, document: Any, said: str
) -> None:
    url = server(lambda _: (code, document))
    with pytest.raises(ProgramError, match=said) as over:
        wait([url], timeout=0.3)
    assert url in over.value.message
    assert "the pointer moved all the same" in over.value.hint


def test_a_server_that_is_down_is_said_to_be(server: Callable[[Answers], str]) -> None:
    del server
    with pytest.raises(ProgramError, match="it does not answer"):
        wait(["http://127.0.0.1:9/ready"], timeout=0.1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "host/ready", "", "http://", "ftp://h/x"])
def test_what_is_no_address_stops_the_promotion_before_it_moves(
    repo: Path, mlv: Callable[..., subprocess.CompletedProcess[str]], url: str
) -> None:
    with pytest.raises(InvalidInput, match="no http"):
        wait([url])
    done = mlv(repo, "promote", "v1", "--wait", url)
    assert (done.returncode, "is no http(s) address" in done.stderr) == (2, True)
