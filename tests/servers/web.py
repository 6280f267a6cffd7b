"""HTTP servers of our own, in threads of the test process: Git's, and a DVC remote."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from tests.servers.processes import LOOPBACK, environment
from tests.servers.storage import FolderStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORDS = {"writer": "may-write", "reader": "may-read"}


class Server(ThreadingHTTPServer):
    """One thread a connection; clients that leave are nothing to tell of."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    """Basic authentication, and bodies of every length and transfer."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def who(self) -> str:
        """Return who asks; nobody whose password is wrong is anybody."""
        _, _, token = self.headers.get("Authorization", "").partition("Basic ")
        try:
            name, _, password = base64.b64decode(token).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return name if PASSWORDS.get(name) == password else ""

    def admitted(self, *, writing: bool) -> str:
        """Return who asks if that one may; else answer, and return nothing."""
        who = self.who()
        if not who or (writing and who == "reader"):
            self.close_connection = True  # the body stays unread
            if who:
                self.answer(HTTPStatus.FORBIDDEN, b"you may only read\n")
            else:
                realm = 'Basic realm="tests"'
                self.answer(HTTPStatus.UNAUTHORIZED, WWW_Authenticate=realm)
            return ""
        return who

    def pour_body(self, into: IO[bytes]) -> None:
        """Copy the request's body as it comes."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            self._pour(int(self.headers.get("Content-Length", 0)), into)
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            self._pour(size, into)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _pour(self, size: int, into: IO[bytes]) -> None:
        while size:
            data = self.rfile.read1(min(size, 1 << 16))
            if not data:
                raise ConnectionResetError
            into.write(data)
            size -= len(data)


@contextmanager
def listening(handler: type[Handler]) -> Iterator[int]:
    """Serve while the block lasts, and give the port."""
    with Server((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class GitHandler(Handler):
    """Git's own ``http-backend``, which serves any repository on this disk."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        who = self.admitted(writing="git-receive-pack" in self.path)
        if not who:
            return
        url = urlsplit(self.path)
        env = {
            **environment(Path(os.devnull)),
            "GIT_PROJECT_ROOT": "/",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": who,
            "REMOTE_ADDR": LOOPBACK,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        with TemporaryFile() as said:
            backend = subprocess.Popen(
                ("git", "http-backend"), env=env, stdin=subprocess.PIPE, stdout=said
            )
            assert backend.stdin is not None
            try:
                # Straight into it: what is cut off in the middle is git's to judge.
                self.pour_body(backend.stdin)
            finally:
                try:
                    backend.stdin.close()
                finally:
                    backend.wait()
            said.seek(0)
            self._pass_on(said)

    def _pass_on(self, said: IO[bytes]) -> None:
        """Answer what the backend said: a CGI's headers, an empty line, the body."""
        headers = {}
        while line := said.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        start = said.tell()
        size = said.seek(0, os.SEEK_END) - start
        said.seek(start)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        shutil.copyfileobj(said, self.wfile)


@dataclass(frozen=True)
class GitOverHttp:
    """A running server; any repository on this disk has its URL there."""

    port: int

    def git_url(self, bare: Path, port: int | None = None) -> str:
        return f"http://{LOOPBACK}:{port or self.port}{quote(str(bare))}"

    def git_config(self, who: str, home: Path, url: str) -> dict[str, str]:
        """Return what a clone must be configured with; ``who`` is writer, reader or stranger."""
        notes = home / "git-credentials"
        password = PASSWORDS.get(who, "a-guess")
        notes.write_text(f"http://{who}:{password}@{urlsplit(url).netloc}\n")
        return {"credential.helper": f"store --file={notes}"}


@contextmanager
def serving_git() -> Iterator[GitOverHttp]:
    """Serve while the block lasts."""
    with listening(GitHandler) as port:
        yield GitOverHttp(port)


class DvcHandler(Handler):
    """Any folder on this disk as a DVC remote, which believes what it is given."""

    def _file(self) -> Path:
        return Path(unquote(urlsplit(self.path).path))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.admitted(writing=False):
            try:
                self.answer(HTTPStatus.OK, self._file().read_bytes())
            except OSError:
                self.answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if self.admitted(writing=True):
            file = self._file()
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"{file.name}.{threading.get_ident()}.part")
            with part.open("wb") as into:
                self.pour_body(into)
            part.rename(file)
            self.answer(HTTPStatus.CREATED)


@dataclass(frozen=True)
class DvcOverHttp:
    """A running server; any folder on this disk is a DVC remote there."""

    port: int

    def remote(self, place: Path, port: int | None = None) -> dict[str, str]:
        """Return the DVC remote's options that everybody shares."""
        return {"url": f"http://{LOOPBACK}:{port or self.port}{place}", "auth": "basic"}

    def credentials(self, who: str) -> dict[str, str]:
        """Return the DVC remote's options that are for ``.dvc/config.local``."""
        return {"user": who, "password": PASSWORDS.get(who, "a-guess")}

    def storage(self, place: Path) -> FolderStorage:
        place.mkdir()
        return FolderStorage(place)


@contextmanager
def serving_dvc() -> Iterator[DvcOverHttp]:
    """Serve while the block lasts."""
    with listening(DvcHandler) as port:
        yield DvcOverHttp(port)
