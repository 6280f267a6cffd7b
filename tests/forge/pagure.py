"""A Pagure of our own: a forge with projects, people, pull requests, and a merge button."""

from __future__ import annotations

import json
import secrets
import shutil
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.servers.processes import LOOPBACK, free_port, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE = ("ada", "grace", "robot")

CONFIG = """\
SECRET_KEY = {secret!r}
SALT_EMAIL = {secret!r}
DB_URL = "sqlite:////srv/pagure.sqlite"
REDIS_SOCKET = "/srv/redis"
APP_URL = "{url}/"
GIT_URL_GIT = "{url}/"
GIT_URL_SSH = None
DOC_APP_URL = None
GIT_AUTH_BACKEND = "pagure"
PAGURE_AUTH = "local"
GIT_FOLDER = "/srv/repositories"
TICKETS_FOLDER = "/srv/repositories/tickets"
REQUESTS_FOLDER = "/srv/repositories/requests"
DOCS_FOLDER = "/srv/repositories/docs"
REMOTE_GIT_FOLDER = "/srv/remotes"
ATTACHMENTS_FOLDER = "/srv/attachments"
UPLOAD_FOLDER_PATH = "/srv/releases"
ENABLE_TICKETS = False
ENABLE_DOCS = False
EMAIL_SEND = False
ALLOW_HTTP_PUSH = True
HTTP_REPO_ACCESS_GITOLITE = None
LOGGING = {{"version": 1}}
"""

# $0 is the chroot, $1 the folder that is its /srv, $2 the port. The mounts, and all that runs,
# end with the namespaces.
ENTER = """\
mount -t proc proc "$0/proc"
mount --bind "$1" "$0/srv"
exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC HOME=/srv \
    python3 -W ignore /srv/inside.py "$2"
"""


@dataclass(frozen=True)
class Pagure:
    """A running server; ``folder`` holds its repositories and its log."""

    folder: Path
    url: str
    tokens: dict[str, str]

    def api(self, who: str, path: str, **form: object) -> Any:
        """Ask the REST API as somebody; with form fields it is a POST."""
        data = urlencode({key: str(value) for key, value in form.items()}).encode()
        headers = {"Authorization": f"token {self.tokens[who]}"}
        ask = urllib.request.Request(f"{self.url}/api/0/{path}", data or None, headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(ask, timeout=120) as answer:  # noqa: S310 - ours
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise

    def page(self, path: str) -> str:
        """Return a page as anybody sees it."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=60) as answer:  # noqa: S310 - ours
            text: str = answer.read().decode()
            return text

    def git_url(self, project: str, who: str) -> str:
        """Return where somebody clones and pushes."""
        return self.url.replace("//", f"//{who}:{self.tokens[who]}@") + f"/{project}.git"

    def repository(self, project: str) -> Path:
        """Return the bare repository as the server's administrator sees it."""
        return self.folder / "repositories" / f"{project}.git"


@contextmanager
def serving(root: Path, folder: Path) -> Iterator[Pagure]:
    """Run a server while the block lasts."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    for name in ("repositories", "remotes", "attachments", "releases"):
        (folder / name).mkdir()
    (folder / "pagure.cfg").write_text(CONFIG.format(secret=secrets.token_hex(), url=url))
    (folder / "users.json").write_text(json.dumps({who: secrets.token_hex() for who in PEOPLE}))
    # Hooks are programs of their own; what Python warns of would be told to whoever pushes.
    (folder / "sitecustomize.py").write_text("import warnings\nwarnings.simplefilter('ignore')\n")
    shutil.copy(Path(__file__).with_name("inside.py"), folder)
    namespaces = ("--mount", "--pid", "--fork", "--kill-child")
    enter = ("sh", "-ec", ENTER, str(root), str(folder), str(port))
    argv = [program("unshare", "apt-get install util-linux"), *namespaces, *enter]
    tokens = folder / "tokens.json"
    with running(argv, folder, answers=lambda: tokens.exists() and answers(url)):
        yield Pagure(folder, url, json.loads(tokens.read_text()))


def answers(url: str) -> bool:
    """Say whether a Pagure answers there."""
    try:
        with urllib.request.urlopen(f"{url}/api/0/version", timeout=10):  # noqa: S310 - ours
            return True
    except OSError:
        return False
