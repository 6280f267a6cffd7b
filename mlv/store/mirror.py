"""A bare repository of our own that holds as much of somebody's registry as was asked for.

It belongs to nobody's work: nothing is checked out, no hook and no filter runs. Reads never ask
the network, since its configuration on disk has no promisor: what was not fetched is missing.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ChangedMeanwhile, IntegrityError, InvalidInput, NotFound, ProgramError
from mlv.store.bare import make_bare
from mlv.store.disk import on_disk, remove_tree
from mlv.store.git import Git, Layout
from mlv.store.gitremote import PEELED, GitRemote
from mlv.store.lineage import without_credentials
from mlv.store.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mlv.store.process import Result

REMOTE = "origin"
HEAD = "refs/mlv-head"
_SCHEMES = ("https", "http", "ssh", "git", "file", "git+ssh", "ssh+git")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_LARGEST = 16 * 1024 * 1024  # bytes of a file of Git's that anybody could mean
_PATIENCE = 600.0  # seconds; another process may be fetching over a slow line
_NO_REF = "couldn't find remote ref"
# Of a server that speaks an old protocol: it gives what refs name, and nothing by its id.
_NOT_BY_ID = ("unadvertised object", "not our ref")
# Of a server that can filter no file comes unless it is asked for by its id. These settings hold
# for a fetch alone.
_PARTIAL = (
    "-c", "protocol.version=2", "-c", f"remote.{REMOTE}.promisor=true",
    "-c", f"remote.{REMOTE}.partialCloneFilter=blob:none",
)  # fmt: skip
_FILES = ("--filter=blob:none",)
# Without it git holds a file's id against the branches that are here, and takes it for missing.
_NO_HAVES = ("-c", "fetch.negotiationAlgorithm=noop")
_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
    "--recurse-submodules=no", "--update-shallow",
)  # fmt: skip


def shown(url: str) -> str:
    """Give an address as it may be printed."""
    return without_credentials(url) or "an address"


class State(NamedTuple):
    """What is known of the remote: its registry branch, whether all history is needed, and when.

    ``asked`` are seconds since 1970 when it last answered; 0 where it never did. ``gives_files``:
    whether it may be asked for single files, so that folders need not come with theirs.
    """

    branch: str = "main"
    is_whole: bool = False
    asked: float = 0.0
    gives_files: bool = True


def check_url(url: str) -> str:
    """Give an address back that git may be told, else raise `InvalidInput`."""
    scheme, colon, _ = url.partition("://")
    is_odd = not url.strip() or url.startswith("-") or any(c < " " or c == "\x7f" for c in url)
    if is_odd or _HELPER.match(url) or (colon and scheme.lower() not in _SCHEMES):
        raise InvalidInput(
            f"{shown(url)!r} is no address of a repository that is read here",
            hint="https://host/repo, ssh://user@host/repo, user@host:repo, or a folder",
        )
    return url


class Mirror:
    """The mirror of ``url`` below ``cache``; it is made where it is not there yet.

    ``whole`` is another one, with all history of the branch.
    """

    def __init__(self, cache: Path, url: str, *, whole: bool = False) -> None:
        name = sha256(url.encode()).hexdigest()[:32]
        self.url = url
        self.is_whole = whole
        self.folder = cache / "git" / (f"{name}-whole" if whole else name)
        self._note = self.folder / "mlv" / "remote.json"
        with on_disk(self.folder):
            self._make()
        self.git = Git(Layout(None, self.folder, self.folder))
        self._remote = _Far(self.git, url)

    def _make(self) -> None:
        """Make an empty bare repository, as git init would, and with nothing of its templates."""
        if (self.folder / "HEAD").is_file():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = self.folder.with_name(f".{uuid.uuid4().hex}")
        make_bare(aside, _config(self.url))
        try:
            aside.rename(self.folder)
        except OSError:
            remove_tree(aside)
            if not (self.folder / "HEAD").is_file():
                raise

    # What is known ------------------------------------------------------------------------

    def state(self) -> State:
        """Read what was last noted of the remote."""
        try:
            facts = json.loads(self._note.read_bytes())
            return State(
                str(facts["branch"]),
                bool(facts["is_whole"]),
                float(facts["asked"]),
                bool(facts["gives_files"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return State()

    def note(self, branch: str, *, is_whole: bool) -> None:
        """Note what the remote just said."""
        self._write(self.state()._replace(branch=branch, is_whole=is_whole, asked=time.time()))

    def _write(self, facts: State) -> None:
        beside = self._note.with_name(uuid.uuid4().hex)
        with on_disk(self._note):
            beside.write_text(json.dumps(facts._asdict()), encoding="utf-8")
            beside.replace(self._note)

    def age(self) -> float | None:
        """Seconds since the remote last answered; None if it never did."""
        asked = self.state().asked
        return max(0.0, time.time() - asked) if asked else None

    def has(self, ref: str) -> bool:
        """Whether a ref is here."""
        return self.git.objects.read(ref) is not None

    # Fetching -----------------------------------------------------------------------------

    def fetch(self, refs: Iterable[tuple[str, str]]) -> bool:
        """Bring refs, each from its name there to that here; False if one of them is not there.

        Where the server can filter, folders come without their files: see `bring`.
        """
        specs = [f"+{there}:{here}" for there, here in refs]
        return self._fetch(self._amount(), specs)

    def _amount(self) -> tuple[str, ...]:
        depth = () if self.is_whole else ("--depth=1",)
        is_filtered = not self.is_whole and self.state().gives_files
        return (*depth, *(_FILES if is_filtered else ("--no-filter",)))

    def bring(self, oids: Iterable[str]) -> None:
        """Bring the files of these ids that are not here; one that is too large is refused."""
        wanted = sorted(set(oids))
        missing = self._missing(wanted)
        if not missing:
            return
        try:
            self._fetch(_FILES, missing)
        except ProgramError as error:
            if not any(said in error.stderr for said in _NOT_BY_ID):
                raise
            self._bring_all()
        if self._missing(missing):
            raise NotFound(
                f"{shown(self.url)} names files that it does not have",
                hint="its administrator's git fsck says more",
            )

    def _bring_all(self) -> None:
        """Bring what the refs here name with all their files: this server gives none alone."""
        self._write(self.state()._replace(gives_files=False))
        specs = []
        for here in self.git.refs():
            there = here.replace(f"refs/remotes/{REMOTE}/", "refs/heads/", 1)
            specs.append(f"+{'HEAD' if here == HEAD else there}:{here}")
        self._fetch(("--refetch", *self._amount()), specs)

    def _missing(self, oids: Sequence[str]) -> list[str]:
        if not oids:
            return []
        lines = "".join(f"{oid}\n" for oid in oids).encode()
        said = self.git.run("cat-file", "--batch-check", stdin=lines).decode().splitlines()
        missing = []
        for oid, line in zip(oids, said, strict=True):
            words = line.split()
            if words[-1] == "missing":
                missing.append(oid)
            elif int(words[-1]) > _LARGEST:
                raise IntegrityError(
                    f"{shown(self.url)} has {words[-1]} bytes where mlv keeps a small file",
                    hint="mlv did not write it so; nothing was loaded",
                )
        return missing

    def _fetch(self, options: Sequence[str], specs: Sequence[str]) -> bool:
        with exclusive(self.folder / "mlv" / ".fetch.lock", patience=_PATIENCE):
            self._sweep()
            # Another process may have brought it while this one waited.
            if all(":" not in spec for spec in specs):
                specs = self._missing(specs)
            return not specs or self._remote.bring(options, specs)

    def _sweep(self) -> None:
        """Remove the packs that fetches which were killed left half written."""
        for pack in (self.folder / "objects" / "pack").glob("tmp_*"):
            pack.unlink(missing_ok=True)

    def tags(self, pattern: str) -> list[str]:
        """Ask which tags there are whose name matches."""
        return [
            ref for ref in self._remote.refs(f"refs/tags/{pattern}") if not ref.endswith(PEELED)
        ]


class _Far(GitRemote):
    """The remote of a mirror; it is spoken of by its URL."""

    def __init__(self, git: Git, url: str) -> None:
        super().__init__(git, REMOTE)
        self._url = shown(url)

    def bring(self, options: Sequence[str], specs: Sequence[str]) -> bool:
        """Fetch; False if the remote has no ref of a name."""
        settings = (*_PARTIAL, *(_NO_HAVES if options == _FILES else ()))
        argv = (*settings, *_FETCH, *options, "--stdin", self.name)
        lines = "".join(f"{spec}\n" for spec in specs)
        result = self._ask(argv, stdin=lines.encode())
        if result.code and _NO_REF in result.stderr:
            return False
        if result.code == 1 and not result.stderr.strip():
            raise ChangedMeanwhile(
                f"a ref changed while {self._url} was fetched", hint="run the command again"
            )
        if result.code:
            raise self._failed(("fetch",), result, "cannot be used", "ls-remote")
        return True

    def _failed(self, argv: tuple[str, ...], result: Result, how: str, check: str) -> ProgramError:
        error = super()._failed(argv, result, how, check)
        said = error.message.partition(f"{how}: ")[2]
        return ProgramError(
            f"the Git repository {self._url} {how}: {said}",
            hint=f"check it with git {check} {self._url}; what was fetched before stays",
            argv=error.argv, code=error.code, stderr=error.stderr,
        )  # fmt: skip


def _config(url: str) -> str:
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    return f'[remote "{REMOTE}"]\n\turl = "{quoted}"\n'
