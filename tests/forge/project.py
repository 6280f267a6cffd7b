"""A project on the forge: who may push what, its pull requests, and the CI that judges them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers.processes import PATIENCE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.forge.pagure import Pagure

# Pagure's hook runner runs every `update.*` of a repository, as its administrator put it there.
# Only a merge of its own names a pull request.
PROTECTION = """\
#!/bin/sh
case "$1" in
refs/heads/main)
    test -n "$pull_request_uid" && exit 0
    echo "main takes changes through pull requests only" ;;
refs/tags/*-v[0-9]*)
    expr "$2" : '0*$' >/dev/null && exit 0
    echo "$1 is there, and stays as it is" ;;
*)
    exit 0 ;;
esac
exit 1
"""

UID = "mlv-review"  # one flag a pull request, changed by the next review


@dataclass(frozen=True)
class Project:
    """A project that belongs to ada; grace and robot may push to it and merge."""

    forge: Pagure
    name: str
    folder: Path
    git: Callable[..., str]
    mlv: Callable[..., subprocess.CompletedProcess[str]]

    @classmethod
    def made(cls, forge: Pagure, name: str, *rest: Any) -> Project:
        """Make an empty project."""
        about = {"description": "Finds fraud", "default_branch": "main"}
        forge.api("ada", "new", name=name, wait=True, **about)
        for who in ("grace", "robot"):
            acl = {"user_type": "user", "name": who, "acl": "commit"}
            forge.api("ada", f"{name}/git/modifyacls", **acl)
        return cls(forge, name, *rest)

    def api(self, who: str, path: str, **form: object) -> Any:
        return self.forge.api(who, f"{self.name}/{path}", **form)

    def setting(self, **settings: bool) -> None:
        """Change settings; Pagure takes those that are not named for its own defaults."""
        self.api("ada", "options/update", pull_requests=True, **settings)

    def protect(self) -> None:
        """Let `main` change by pull requests only, and no tag of a version once it is there."""
        hook = self.forge.repository(self.name) / "hooks" / "update.protected"
        hook.write_text(PROTECTION)
        hook.chmod(0o755)

    def clone(self, who: str, name: str = "") -> Path:
        """Return a new clone of somebody who may push."""
        clone = self.folder / (name or who)
        config = {"user.name": who.title(), "user.email": f"{who}@example.com"}
        options = [part for item in config.items() for part in ("--config", "=".join(item))]
        url = self.forge.git_url(self.name, who)
        self.git(self.folder, "clone", "--quiet", *options, url, str(clone))
        return clone

    def fresh_clone(self, name: str) -> Path:
        """Return a new clone of somebody who may only read."""
        clone = self.folder / name
        self.git(self.folder, "clone", "--quiet", f"{self.forge.url}/{self.name}.git", str(clone))
        return clone

    def refs(self) -> dict[str, str]:
        """Return what the forge has: references and what they name."""
        told = self.git(self.folder, "ls-remote", f"{self.forge.url}/{self.name}.git")
        pairs = (line.split() for line in told.splitlines())
        return {ref: name for name, ref in pairs}

    def open(self, who: str, branch: str, title: str, body: str = "") -> int:
        """Open a pull request to `main`, and return its number."""
        about = {"title": title, "branch_from": branch, "branch_to": "main"}
        if body:
            about["initial_comment"] = body
        number: int = self.api(who, "pull-request/new", **about)["id"]
        return number

    def review(self, number: int, branch: str) -> subprocess.CompletedProcess[str]:
        """Judge a pull request as its CI does: a flag says how it went, a comment why."""
        self._wait_for(number, branch)
        clone = self.fresh_clone(f"ci-{uuid.uuid4().hex[:8]}")
        self.git(clone, "fetch", "--quiet", "origin", f"refs/pull/{number}/head")
        self.git(clone, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        done = self.mlv(clone, "review", "origin/main..HEAD", "--format", "md")
        status = {0: "success", 3: "failure"}.get(done.returncode, "error")
        at = f"pull-request/{number}"
        flag = {"username": "mlv review", "uid": UID, "url": self.forge.url, "status": status}
        self.api("robot", f"{at}/flag", comment=f"exit code {done.returncode}", **flag)
        self.api("robot", f"{at}/comment", comment=done.stdout)
        return done

    def _wait_for(self, number: int, branch: str) -> None:
        """Wait until a pull request is at its branch's tip: a worker of Pagure's sees to that."""
        deadline = time.monotonic() + PATIENCE
        while True:
            refs = self.refs()
            if refs.get(f"refs/pull/{number}/head") == refs[f"refs/heads/{branch}"]:
                return
            assert time.monotonic() < deadline, f"Pagure leaves pull request {number} behind"
            time.sleep(0.2)

    def flags(self, number: int) -> list[str]:
        """Return the state of each flag of a pull request."""
        return [flag["status"] for flag in self.api("ada", f"pull-request/{number}/flag")["flags"]]

    def merge(self, who: str, number: int) -> None:
        """Press the merge button."""
        self.api(who, f"pull-request/{number}/merge", wait=True)
