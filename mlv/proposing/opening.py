"""Opening a pull request: with gh, glab or GitLab's push options; else a person does.

Whatever fails here leaves a proposal that is pushed. Text travels as JSON on standard input or as
one argument of git; no shell sees it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from mlv.errors import ProgramError
from mlv.proposing.forge import address_of, forge_of
from mlv.proposing.text import cut
from mlv.store.config import GITHUB, GITLAB
from mlv.store.process import run_within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlv.proposing.forge import Forge
    from mlv.proposing.text import Text
    from mlv.sharing.share import Share

GH, GLAB, PUSH_OPTIONS = "gh", "glab", "push options"
_SECONDS = 30.0
_LONGEST_TITLE = 250  # characters; GitHub takes 256, GitLab 255
_LONGEST_BODY = {GH: 65_000, GLAB: 1_000_000}  # characters; GitHub takes 65,536, GitLab 1,048,576
_LONGEST_OPTION = 60_000  # bytes; git sends it in one packet of 65,520
_DRAFT = "Draft: "
_QUIET = {
    "NO_COLOR": "1", "CLICOLOR_FORCE": "0", "GH_FORCE_TTY": "", "GH_DEBUG": "", "DEBUG": "",
    "GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_PROMPT": "1",
    "GLAB_CHECK_UPDATE": "false",
}  # fmt: skip
_URL = re.compile(r"https?://[!-~]+")
_OPENED = re.compile(r"https?://[!-~]+/(?:pulls?|merge_requests|pull-requests|pull-request)/\d+")


class Door(NamedTuple):
    """How pull requests are opened on a remote: `GH`, `GLAB`, `PUSH_OPTIONS`, or "" by hand."""

    forge: Forge | None
    via: str = ""


class Asking(NamedTuple):
    """The pull request that is asked for; with ``is_draft`` nobody can merge it yet."""

    branch: str
    base: str
    text: Text
    is_draft: bool


def find_door(share: Share) -> Door:
    """Find how a pull request can be opened; asks gh and glab who is logged in."""
    stated, folder = share.here.config.forge, share.git.layout.folder
    address = address_of(share.remote.url)
    if address is None:
        return Door(None)
    if address.is_ssh and "." not in address.host:
        address = address._replace(host=_meant_by_ssh(address.host, folder))
    forge = forge_of(address, stated)
    for program, kind in ((GH, GITHUB), (GLAB, GITLAB)):
        if forge.kind in (kind, "") and _is_logged_in(program, forge.host, folder):
            return Door(forge_of(address, kind), program)
    return Door(forge, PUSH_OPTIONS if forge.kind == GITLAB else "")


def _meant_by_ssh(name: str, folder: Path) -> str:
    """Look up what host a short name stands for in the user's SSH configuration."""
    try:
        answer = run_within(_SECONDS, ["ssh", "-G", name], cwd=folder)
    except ProgramError:
        return name
    lines = answer.stdout.decode(errors="replace").splitlines()
    host = next((line.partition(" ")[2] for line in lines if line.startswith("hostname ")), name)
    known = address_of(f"https://{host}/x")
    return known.host if known else name


def _is_logged_in(program: str, host: str, folder: Path) -> bool:
    argv = [program, "auth", "status", "--hostname", host]
    try:
        return run_within(_SECONDS, argv, cwd=folder, env=_QUIET).code == 0
    except ProgramError:
        return False


# By push options ---------------------------------------------------------------------------


def push_options(asking: Asking) -> list[str]:
    """Give what has a GitLab open a merge request, or update it, when the branch is pushed."""
    escaped = asking.text.body.replace("\\n", "&#92;n").replace("\r", "").replace("\0", "")
    body = cut(escaped, _LONGEST_OPTION, len_of=lambda text: len(text.encode()) + text.count("\n"))
    options = [
        "merge_request.create",
        f"merge_request.target={asking.base}",
        f"merge_request.title={_title(asking.text.title)}",
        "merge_request.description=" + body.replace("\n", "\\n"),
    ]
    return [*options, *(["merge_request.draft"] if asking.is_draft else [])]


def url_in(said: Sequence[str]) -> str | None:
    """Find the pull request that a forge names when its branch is pushed."""
    return next((match[0] for line in said if (match := _OPENED.search(line))), None)


def invitation_in(said: Sequence[str]) -> str | None:
    """Find where a forge invites to open one, by what an unknown forge says of its own accord."""
    about = [i for i, line in enumerate(said) if "request" in line.lower()]
    near = (said[i + step] for i in about for step in (0, 1) if i + step < len(said))
    return next((match[0] for line in near if (match := _URL.search(line))), None)


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 3]}..."


# By gh and glab ----------------------------------------------------------------------------


class _Api(NamedTuple):
    """What one forge calls things, and the program that asks it.

    ``owner`` stands before a branch's name where pull requests are looked up.
    """

    program: str
    host: str
    folder: Path
    requests: str
    opened: str
    owner: str
    source: str
    target: str
    body: str
    number: str
    url: str
    update: str

    def ask(self, method: str, endpoint: str, document: object = None) -> Any:
        """Ask the forge; give what it answers, or raise `ProgramError` with what it says."""
        argv = [self.program, "api", "--hostname", self.host, "--method", method]
        if document is not None:
            argv += ["--header", "Content-Type: application/json", "--input", "-"]
        stdin = b"" if document is None else json.dumps(document).encode()
        done = run_within(_SECONDS, [*argv, endpoint], cwd=self.folder, stdin=stdin, env=_QUIET)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if done.code or not isinstance(answer, (dict, list)):
            raise ProgramError(
                f"{self.program} failed: {_why(done.stderr, answer)}", code=done.code
            )
        return answer

    def find(self, asking: Asking) -> dict[str, Any] | None:
        """Find the open pull request of the branch; a forge may answer with others as well."""
        source = f"{self.owner}{asking.branch}"
        where = {"state": self.opened, self.source: source, self.target: asking.base}
        found = self.ask("GET", f"{self.requests}?{urlencode(where)}")
        every = found if isinstance(found, list) else []
        return next((each for each in every if self._is_it(each, asking)), None)

    def _is_it(self, each: Any, asking: Asking) -> bool:
        if not isinstance(each, dict):
            return False
        sides = (each.get(self.source), each.get(self.target))
        names = [side.get("ref") if isinstance(side, dict) else side for side in sides]
        return names == [asking.branch, asking.base]

    def url_of(self, answer: Any) -> str:
        """Give the address of a pull request's page."""
        url = answer.get(self.url) if isinstance(answer, dict) else None
        if not isinstance(url, str) or not _URL.fullmatch(url):
            raise ProgramError(f"{self.program} did not say where the pull request is")
        return url


def _why(stderr: str, answer: Any) -> str:
    told = answer if isinstance(answer, dict) else {}
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    inner = first.get("message") if isinstance(first, dict) else first
    said = inner or told.get("message") or stderr.strip().partition("\n")[0] or "it said nothing"
    return " ".join(str(said).split())[:300]


def _api(door: Door, folder: Path) -> _Api:
    assert door.forge
    host, path = door.forge.host, door.forge.path
    if door.via == GH:
        return _Api(
            GH, host, folder, f"repos/{quote(path)}/pulls", "open", f"{path.partition('/')[0]}:",
            "head", "base", "body", "number", "html_url", "PATCH",
        )  # fmt: skip
    return _Api(
        GLAB, host, folder, f"projects/{quote(path, safe='')}/merge_requests", "opened", "",
        "source_branch", "target_branch", "description", "iid", "web_url", "PUT",
    )  # fmt: skip


def open_request(share: Share, door: Door, asking: Asking, *, is_new: bool) -> str:
    """Open the pull request of a branch that is pushed, and give its address.

    One that is open already gets the new text where ``is_new``; else it stays as people left it.
    """
    api = _api(door, share.git.layout.folder)
    found = api.find(asking)
    if found is None:
        try:
            return api.url_of(api.ask("POST", api.requests, _document(api, asking)))
        except ProgramError:
            found = api.find(asking)  # somebody else may have opened it just then
            if found is None:
                raise
            is_new = False
    if is_new:
        changed = _text(api, asking, _DRAFT if _is_draft_by_title(found) else "")
        api.ask(api.update, f"{api.requests}/{int(found[api.number])}", changed)
    return api.url_of(found)


def _document(api: _Api, asking: Asking) -> dict[str, Any]:
    by_title = api.program == GLAB
    text = _text(api, asking, _DRAFT if asking.is_draft and by_title else "")
    sides = {api.source: asking.branch, api.target: asking.base}
    return {**sides, **text, **({} if by_title else {"draft": asking.is_draft})}


def _text(api: _Api, asking: Asking, prefix: str) -> dict[str, str]:
    body = cut(asking.text.body, _LONGEST_BODY[api.program])
    return {"title": _title(prefix + asking.text.title), api.body: body}


def _is_draft_by_title(found: dict[str, Any]) -> bool:
    return str(found.get("title", "")).startswith(_DRAFT)
