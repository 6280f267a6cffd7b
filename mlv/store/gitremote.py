"""A Git remote: what it has, bringing it here, and publishing there by compare-and-swap."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlv.errors import ChangedMeanwhile, ConfigError, ProgramError, RefusedByRemote
from mlv.store.git import NO_OBJECT, failed
from mlv.store.locks import exclusive
from mlv.store.process import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlv.store.git import Git, RefUpdate
    from mlv.store.process import Result

# A connection that says nothing for so long is dead; what the user's configuration says wins.
_PATIENCE = 30  # seconds
_SSH_FAILED = "Could not read from remote repository"
_IS_SSH = re.compile(r"\s*(?:\S*/)?ssh(?:\s|$)")
_LOCK = "mlv/.fetch.lock"
_REFS_REFUSED = 1  # git fetch's exit code where a ref here is not what it was; quietly
_FETCH_PATIENCE = 600.0  # seconds; another mlv may be fetching over a slow line
PEELED = "^{}"  # after a tag's name: what it names
# Says to a pre-push hook of ours that the bytes were seen to already.
DELIVERED = "MLV_DELIVERED"
_SAID = re.compile(r"^remote: (?:error: |fatal: )?(.*\S)", re.MULTILINE)
_LONGEST_REASON = 500  # characters of what a remote says to a refused push
_TAKES_NO_OPTIONS = "does not support push options"


class GitRemote:
    """The Git remote called ``name``; it is asked at each call.

    With ``to_publish`` it is read where it is pushed to: what is compared must be what is swapped.
    """

    def __init__(self, git: Git, name: str, *, to_publish: bool = False) -> None:
        self._git = git
        self.name = name
        self._to_publish = to_publish

    @property
    def exists(self) -> bool:
        """Whether the configuration has such a remote."""
        return self._git.config(f"remote.{self.name}.url") is not None

    def need(self) -> None:
        """Raise `ConfigError` unless there is such a remote."""
        if not self.exists:
            raise ConfigError(
                f"there is no Git remote {self.name!r} to publish to",
                hint=f"git remote add {self.name} URL, or name another in mlv.yaml (remote:)",
            )

    def _source(self) -> str:
        """Say where to read from, as git is told: by name, unless it is pushed to elsewhere."""
        if not self._to_publish or not self._may_differ():
            return self.name
        urls = self._git.line("remote", "get-url", "--push", "--all", self.name).split("\n")
        if len(urls) > 1:
            raise ConfigError(
                f"the Git remote {self.name!r} is pushed to {len(urls)} places at once: which of "
                "them says what is live cannot be told",
                hint=f"git remote get-url --push --all {self.name} lists them; keep one, or name "
                "another remote in mlv.yaml (remote:)",
            )
        is_same = urls == [self._git.line("remote", "get-url", self.name)]
        return self.name if is_same else urls[0]

    def _may_differ(self) -> bool:
        settings = self._git.settings("remote", "url")
        return f"remote.{self.name}.pushurl" in settings or any(
            key.endswith(".pushinsteadof") for key in settings
        )

    def refs(self, *patterns: str) -> dict[str, str]:
        """Ask which refs it has, of those that match a pattern: object id by full name.

        What an annotated tag names comes too, under the tag's name and `PEELED`.
        """
        self.need()
        argv = ("ls-remote", "--quiet", self._source(), *patterns)
        result = self._ask(argv)
        if result.code:
            raise self._unreachable(argv, result)
        lines = result.stdout.decode(errors="surrogateescape").split("\n")
        pairs = (line.partition("\t") for line in lines)
        return {ref: oid for oid, _, ref in pairs if ref}

    def fetch(self, refspecs: Sequence[str], *, whole: bool = False) -> None:
        """Bring refs here; those that are named must exist there.

        ``whole``: with all their history, in a clone where it was cut off.
        """
        if not refspecs:
            return
        argv = (
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--recurse-submodules=no", *(["--unshallow"] if whole else []), "--stdin",
            self._source(),
        )  # fmt: skip
        lines = "".join(f"{refspec}\n" for refspec in refspecs)  # too many for a command line
        # Two fetches of one clone would lock each other's refs out.
        with exclusive(self._git.layout.common_dir / _LOCK, patience=_FETCH_PATIENCE):
            result = self._ask(argv, stdin=lines.encode(errors="surrogateescape"))
        if result.code == _REFS_REFUSED and not result.stderr.strip():
            raise ChangedMeanwhile(
                f"a ref changed here while {self.name} was fetched",
                hint="run the command again: it decides anew",
            )
        if result.code:
            raise self._unreachable(argv, result)

    @property
    def url(self) -> str:
        """Where it is pushed to, as the configuration has it: it may hold a password."""
        return self._git.line("remote", "get-url", "--push", self.name).partition("\n")[0]

    def push(self, updates: Sequence[RefUpdate], options: Sequence[str] = ()) -> list[str]:
        """Publish all updates or none, each only if its ref is there as ``old`` says.

        ``new`` is an object id. A remote that takes no push ``options`` is pushed to without.
        Gives the lines that the remote said. `ChangedMeanwhile` if somebody was faster,
        `RefusedByRemote` if a rule of the remote says no, `ProgramError` if it cannot be told.
        """
        self.need()
        leases = (f"--force-with-lease={u.ref}:{'' if u.old == NO_OBJECT else u.old}"
                  for u in updates)  # fmt: skip
        argv = (
            "push", "--porcelain", "--atomic", "--no-follow-tags", "--recurse-submodules=no",
            *(f"--push-option={option}" for option in options),
            *leases, self.name, *(f"{u.new}:{u.ref}" for u in updates),
        )  # fmt: skip
        result = self._ask(argv)
        if result.code and options and _TAKES_NO_OPTIONS in result.stderr:
            return self.push(updates)
        if result.code:
            self._judge(argv, updates, result)
        elif _told(result, "="):  # another machine of this user made the very same commit
            raise self._changed(updates[0])
        return _SAID.findall(result.stderr)

    def rehearse(self, oid: str, ref: str) -> None:
        """Ask whether a new ref could be pushed, and push nothing; `ProgramError` if it could not.

        The remote is asked for the right to push at all; its rules and hooks speak up only when
        something is really pushed.
        """
        self.need()
        argv = (
            "push", "--dry-run", "--porcelain", "--no-verify", "--no-follow-tags",
            "--recurse-submodules=no", self.name, f"{oid}:{ref}",
        )  # fmt: skip
        result = self._ask(argv)
        if result.code:
            raise self._unreachable(argv, result)

    def _judge(self, argv: tuple[str, ...], updates: Sequence[RefUpdate], result: Result) -> None:
        """Ask what became of a push that failed; a cut line may have hidden that it succeeded.

        What git itself saw to be another there needs no asking.
        """
        for update in updates:
            if f":{update.ref}\t[rejected] (stale info)".encode() in result.stdout:
                raise self._changed(update)
        try:
            there = self.refs(*(u.ref for u in updates))
        except ProgramError:
            raise self._unreachable(argv, result) from None
        was_refused = any("rejected]" in line for line in _told(result, "!"))
        if not was_refused and all(there.get(u.ref, NO_OBJECT) == u.new for u in updates):
            return
        for update in updates:
            if there.get(update.ref, NO_OBJECT) != update.old:
                raise self._changed(update)
        raise self._refusal(argv, updates, result)

    def _changed(self, update: RefUpdate) -> ChangedMeanwhile:
        return ChangedMeanwhile(
            f"{_short(update.ref)} changed meanwhile on {self.name}",
            hint="run the command again: it decides anew",
        )

    def _refusal(
        self, argv: tuple[str, ...], updates: Sequence[RefUpdate], result: Result
    ) -> Exception:
        rejected = [line.split("\t") for line in _told(result, "!")]
        if not rejected and "fatal: " in result.stderr:
            return self._failed(argv, result, "does not take the push", "push --dry-run")
        if not rejected:  # it was not even sent, such as by the user's own pre-push hook
            return failed(("git", *argv), result)
        refs = [words[1].rpartition(":")[2] for words in rejected if "atomic" not in words[-1]]
        names = ", ".join(map(_short, refs or [u.ref for u in updates]))
        return RefusedByRemote(
            f"{self.name} refuses {names}: {_said(result) or rejected[0][-1]}",
            hint="nothing was published there; see what its rules ask for",
            refs=tuple(refs),
        )

    def _ask(self, args: Iterable[str], stdin: bytes = b"") -> Result:
        options = []
        if self._git.config("http.lowspeedlimit") is None:
            options += ["-c", "http.lowSpeedLimit=1"]
        if self._git.config("http.lowspeedtime") is None:
            options += ["-c", f"http.lowSpeedTime={_PATIENCE}"]
        env = {DELIVERED: "1"}
        stated = environment().get("GIT_SSH_COMMAND") or self._git.config("core.sshcommand")
        if stated or "GIT_SSH" not in environment():
            env["GIT_SSH_COMMAND"] = _patient(stated or "ssh")
        return self._git.ask(*options, *args, stdin=stdin, env=env)

    def _unreachable(self, argv: tuple[str, ...], result: Result) -> ProgramError:
        return self._failed(argv, result, "cannot be used", "ls-remote")

    def _failed(self, argv: tuple[str, ...], result: Result, how: str, check: str) -> ProgramError:
        error = failed(("git", *argv), result)
        said = error.message.partition(": ")[2]
        before = result.stderr.partition(f"fatal: {_SSH_FAILED}")[0].strip().splitlines()
        if said.startswith(_SSH_FAILED) and before:
            said = before[-1]  # what ssh said, or the server
        return ProgramError(
            f"the Git remote {self.name!r} {how}: {said}",
            hint=f"check it with git {check} {self.name}; what is here stays, and running the "
            "command again goes on",
            argv=error.argv,
            code=error.code,
            stderr=error.stderr,
        )


def _told(result: Result, flag: str) -> list[str]:
    """Give the lines of ``git push --porcelain`` about refs that bear a flag."""
    lines = result.stdout.decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(f"{flag}\t")]


def _said(result: Result) -> str:
    """Give what the remote itself said, in a line: a forge gives its reason first, last or amid."""
    lines = dict.fromkeys(_SAID.findall(result.stderr))
    words = "; ".join(line for line in lines if any(map(str.isalnum, line)))
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}..."


def _patient(command: str) -> str:
    """Have an SSH command end when nobody answers; of two options OpenSSH takes the first."""
    if not _IS_SSH.match(command):
        return command
    return (
        f"{command} -o ConnectTimeout={_PATIENCE} -o ServerAliveInterval={_PATIENCE // 3 or 1} "
        "-o ServerAliveCountMax=2"
    )


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
