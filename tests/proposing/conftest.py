"""A protected registry, and the programs that open pull requests: fakes, for there is no forge.

The real gh and glab need GitHub and GitLab. The fakes take what mlv gives them, keep a list of
pull requests as a forge does, and note their arguments and standard input. `ssh` is one as well:
it runs what git asks for right here, so that a remote's address can be any forge's.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

# Fixtures are found by name where a conftest has them.
from tests.sharing.conftest import ada, bob, hub, new_hub  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]

PROTECT_MAIN = 'test "$1" != refs/heads/main || { echo "main is protected" >&2; exit 1; }'

FORGE = """\
#!{python} -S
import json, os, sys, time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

name, argv = Path(sys.argv[0]).name, sys.argv[1:]
folder = Path(sys.argv[0]).parent
state = json.loads((folder / (name + ".json")).read_text())
asked = "" if argv[0] == "auth" else sys.stdin.read()
with (folder / (name + ".log")).open("a") as log:
    log.write(json.dumps([argv, asked]) + "\\n")
if argv[0] == "auth":
    sys.exit(0 if argv[argv.index("--hostname") + 1] == state["host"] else 1)
if state["mode"] == "hang":
    time.sleep(60)
if state["mode"] == "fail":
    errors = [{{"message": "no \\x1b[31mway"}}]
    print(json.dumps({{"message": "Validation Failed", "errors": errors}}))
    print(name + ": HTTP 422", file=sys.stderr)
    sys.exit(1)
if state["mode"] == "nonsense":
    print("<html>")
    sys.exit(0)
method, endpoint = argv[argv.index("--method") + 1], argv[-1]
requests = state["requests"]
if method == "GET":
    query = {{k: v[0] for k, v in parse_qs(urlsplit(endpoint).query).items()}}
    print(json.dumps([each for each in requests if each["state"] == query["state"]]))
    sys.exit(0)
given = json.loads(asked)
if method == "POST":
    if name == "gh":
        made = {{
            **given, "number": len(requests) + 1, "state": "open",
            "head": {{"ref": given["head"]}}, "base": {{"ref": given["base"]}},
            "html_url": f"https://{{state['host']}}/acme/payments/pull/{{len(requests) + 1}}",
        }}
    else:
        page = f"https://{{state['host']}}/acme/payments/-/merge_requests/{{len(requests) + 1}}"
        made = {{**given, "iid": len(requests) + 1, "state": "opened", "web_url": page}}
    requests.append(made)
else:
    key = "number" if name == "gh" else "iid"
    made = next(each for each in requests if each[key] == int(endpoint.rpartition("/")[2]))
    made.update(given)
(folder / (name + ".json")).write_text(json.dumps(state))
print(json.dumps(made))
"""

SSH = """\
#!/bin/sh
if test "$1" = -G; then echo "hostname github.com"; exit 0; fi
for command; do :; done
command=$(printf '%s' "$command" | sed "s#'/#'#")
cd '{hub}' && exec sh -c "$command"
"""


class Forge:
    """A fake gh or glab, logged in for ``host``."""

    def __init__(self, folder: Path, name: str, host: str, mode: str) -> None:
        self.folder, self.name, self.host = folder, name, host
        self._write(folder / name, FORGE.format(python=sys.executable))
        self.set(mode, [])

    def set(self, mode: str, requests: list[dict[str, Any]] | None = None) -> None:
        """Have it work ("ok"), fail, hang or talk nonsense."""
        kept = self.requests if requests is None else requests
        state = {"host": self.host, "mode": mode, "requests": kept}
        (self.folder / f"{self.name}.json").write_text(json.dumps(state))

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The pull requests that there are."""
        state = json.loads((self.folder / f"{self.name}.json").read_text())
        return list(state["requests"])

    @property
    def calls(self) -> list[tuple[list[str], str]]:
        """Every call so far: arguments, and standard input."""
        log = self.folder / f"{self.name}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(argv, asked) for argv, asked in map(json.loads, lines)]

    @staticmethod
    def _write(path: Path, script: str) -> None:
        path.write_text(script)
        path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is first on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def fake(programs: Path) -> Callable[..., Forge]:
    """``fake("gh", "github.com")`` puts a fake of that program on PATH."""

    def make(name: str, host: str, mode: str = "ok") -> Forge:
        return Forge(programs, name, host, mode)

    return make


@pytest.fixture
def at(hub: Hub, programs: Path, git: Git) -> Callable[[Machine, str], None]:  # noqa: F811
    """``at(ada, "git@github.com:acme/payments.git")`` has her remote be at that address."""
    Forge._write(programs / "ssh", SSH.format(hub=hub.folder))
    (hub.folder / "acme").mkdir()
    (hub.folder / "acme" / "payments.git").symlink_to(hub.bare)

    def move(machine: Machine, url: str) -> None:
        git(machine.top, "remote", "set-url", "origin", url)

    return move


@pytest.fixture(scope="session")
def _mould(
    tmp_path_factory: pytest.TempPathFactory,
    new_hub: Callable[[Path], Hub],  # noqa: F811
    git: Git,
) -> Hub:
    """Make the machines of `three` once; what a push to the DVC remote takes is half a second."""
    hub = new_hub(tmp_path_factory.mktemp("three"))  # noqa: F811
    ada, bob = hub.machine("ada"), hub.machine("bob")  # noqa: F811
    git(bob.top, "config", "user.name", "Bob")
    for seed in (1, 2, 3):
        ada.registry.register(hub.model(seed), None, push=True)
    for version in ("v1", "v2"):
        ada.registry.promote(version, push=True)
    hub.forbid("update", PROTECT_MAIN)
    shutil.copytree(hub.storage, hub.folder / "stored")
    return hub


@pytest.fixture
def three(_mould: Hub, hub: Hub, git: Git) -> tuple[Machine, Machine]:  # noqa: F811
    """Return two machines: v1 was live, v2 is, v3 is registered; main is protected."""
    for made, part in (
        (_mould.bare, hub.bare),
        (_mould.folder / "stored", hub.storage),
        (_mould.folder / "ada", hub.folder / "ada"),
        (_mould.folder / "bob", hub.folder / "bob"),
    ):
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(made, part, symlinks=True)
    # Where the bytes are is committed, and cannot be said anew: what is there leads on.
    if _mould.storage.is_symlink():
        _mould.storage.unlink()
    else:
        shutil.rmtree(_mould.storage)
    _mould.storage.symlink_to(hub.storage)
    for name in ("ada", "bob"):
        git(hub.folder / name, "remote", "set-url", "origin", str(hub.bare))
        git(hub.folder / name, "update-index", "--refresh")  # the copies are other files
    return hub.open(hub.folder / "ada"), hub.open(hub.folder / "bob")
