"""Git: finding a repository, running git in it, and publishing refs."""

from __future__ import annotations

import itertools
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlv.errors import ChangedMeanwhile, ConfigError, ProgramError
from mlv.store import process
from mlv.store.objects import ObjectReader, read_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlv.store.objects import Object

NO_OBJECT = "0" * 40
_MOST_NAMED = 3
_NAME = ("for-each-ref", "--sort=-refname", "--format=%(objectname) %(refname)")
_READ = ("cat-file", "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)", "--buffer")
# In the common directory: what an mlv that is publishing has begun (`store.publishing`).
JOURNAL = "mlv/.journal.json"
# There too: what is half made.
SCRATCH = "mlv/.scratch"


class Layout(NamedTuple):
    """Where a repository's parts lie.

    ``top`` is the work tree (None in a bare repository), ``git_dir`` belongs to this work tree,
    ``common_dir`` to all work trees of the repository.
    """

    top: Path | None
    git_dir: Path
    common_dir: Path

    @property
    def folder(self) -> Path:
        """Where git is run."""
        return self.top or self.git_dir


def find(path: Path) -> Layout:
    """Find the repository that ``path`` lies in, without asking git."""
    start = path.resolve()
    if not start.is_dir():
        raise ConfigError(f"there is no folder {path}")
    for folder in (start, *start.parents):
        dot_git = folder / ".git"
        if dot_git.is_dir() and (dot_git / "HEAD").is_file():
            return _layout(folder, dot_git)
        if dot_git.is_file():
            target = dot_git.read_text(encoding="utf-8", errors="surrogateescape")
            return _layout(folder, folder / target.removeprefix("gitdir:").strip())
        if _is_git_dir(folder):
            top = folder.parent if folder.name == ".git" else None
            return _layout(top, folder)
    raise ConfigError(
        f"{path} is not in a Git repository",
        hint="mlv init sets one up here; -C DIR looks elsewhere",
    )


def _is_git_dir(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and all((folder / n).is_dir() for n in ("objects", "refs"))


def _layout(top: Path | None, git_dir: Path) -> Layout:
    git_dir = Path(os.path.normpath(git_dir))
    try:
        common = (git_dir / "commondir").read_text(encoding="utf-8").strip()
    except OSError:
        return Layout(top, git_dir, git_dir)
    return Layout(top, git_dir, Path(os.path.normpath(git_dir / common)))


def _parse_config(listing: bytes) -> dict[str, str]:
    """Read ``git config --list -z``: a name without a value means true."""
    config = {}
    for item in listing.decode(errors="replace").split("\0"):
        name, newline, value = item.partition("\n")
        section, dot, last = name.rpartition(".")
        config[section + dot + last.lower()] = value if newline else "true"
    return config


class RefUpdate(NamedTuple):
    """Move ``ref`` from ``old`` (`NO_OBJECT`: it must not exist) to ``new``."""

    ref: str
    new: str
    old: str


class Git:
    """One repository's git."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.objects = ObjectReader(layout.folder)
        self._config: dict[str, str] | None = None

    def ask(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> process.Result:
        """Run git to its end, whatever its exit code."""
        return process.run(["git", *args], cwd=self.layout.folder, stdin=stdin, env=env)

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git and give what it prints; `ProgramError` if it fails."""
        result = self.ask(*args, stdin=stdin, env=env)
        if result.code:
            raise failed(("git", *args), result)
        return result.stdout

    def begin(self, *args: str) -> Callable[[], bytes]:
        """Start git, and give what waits for its end and then gives what it printed."""
        ended: list[bytes | BaseException] = []

        def work() -> None:
            try:
                ended.append(self.run(*args))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                ended.append(error)

        def wait() -> bytes:
            thread.join()
            if isinstance(ended[0], BaseException):
                raise ended[0]
            return ended[0]

        thread = threading.Thread(target=work)
        thread.start()
        return wait

    def read_refs(self, *patterns: str) -> Iterator[tuple[str, Object]]:
        """Give refs, in falling order, each with the object it names, while git still reads.

        One git names them and another reads them: alone it would read all before it gives one.
        """
        naming = process.start(["git", *_NAME, *patterns], cwd=self.layout.folder)
        reading = process.start(["git", *_READ], cwd=self.layout.folder, stdin=naming.stdout)
        assert reading.stdout
        is_whole = True
        try:
            while found := read_named(reading.stdout):
                yield found
        except BrokenPipeError:
            is_whole = False
        finally:
            process.stop(reading)
            process.stop(naming)
        code = naming.returncode or reading.returncode
        if code or not is_whole:
            self.run("for-each-ref", "--format=%(contents)", *patterns)  # it says why
            raise failed(("git", *_READ), process.Result(code, b"", "an object cannot be read"))

    def refs(self, *args: str) -> dict[str, str]:
        """Read refs: object id by full name; ``args`` are patterns and options of for-each-ref.

        A name may hold what Python takes for a blank or a line's end, and be no UTF-8.
        """
        listing = self.run("for-each-ref", "--format=%(objectname) %(refname)", *args)
        lines = listing.decode(errors="surrogateescape").split("\n")
        return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines) if ref}

    def line(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git and give the one line it prints."""
        return self.run(*args, stdin=stdin, env=env).decode(errors="surrogateescape").rstrip("\n")

    def forget_config(self) -> None:
        """Read the configuration anew when it is next asked: it may have changed."""
        self._config = None

    def config(self, key: str) -> str | None:
        """Look a setting up in the user's own configuration (``commit.gpgsign``)."""
        return self._settings().get(key)

    def settings(self, *sections: str) -> dict[str, str]:
        """Give all settings of some sections, by name."""
        every = self._settings().items()
        return {key: value for key, value in every if key.partition(".")[0] in sections}

    def _settings(self) -> dict[str, str]:
        if self._config is None:
            self._config = _parse_config(self.run("config", "--list", "-z"))
        return self._config

    def is_on(self, key: str) -> bool:
        """Whether a yes-or-no setting is on."""
        return (self.config(key) or "").lower() in ("true", "yes", "on", "1")

    def identity(self) -> str:
        """Who is committing, by the user's own configuration: ``Name <mail> seconds zone``."""
        return self.line("var", "GIT_COMMITTER_IDENT")

    def is_shallow(self) -> bool:
        """Whether history was cut off when this repository was cloned."""
        return (self.layout.common_dir / "shallow").is_file()

    def check_formats(self) -> None:
        """Refuse the storage formats on which ``dvc init`` and so DVC fail."""
        common = self.layout.common_dir
        text = (common / "config").read_text(encoding="utf-8", errors="replace")
        for name, pattern in (
            ("reftable refs", r"refstorage\s*=\s*\"?reftable"),
            ("SHA-256 objects", r"objectformat\s*=\s*\"?sha256"),
        ):
            if re.search(rf"(?im)^\s*{pattern}", text):
                raise ConfigError(
                    f"{common} uses {name}, which DVC cannot read",
                    hint="make a repository with git init --ref-format=files --object-format=sha1",
                )

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether commit ``new`` descends from ``old``, or is it."""
        return self.ask("merge-base", "--is-ancestor", old, new).code == 0

    def is_first_ancestor(self, old: str, new: str) -> bool:
        """Whether it does so along first parents alone: the branch went from there to here."""
        if old == new:
            return True
        chain = self.ask("rev-list", "--first-parent", "--parents", new, f"^{old}")
        # The oldest commit that is new must stand on the old one itself.
        oldest = chain.stdout.decode().rstrip("\n").rpartition("\n")[2]
        return chain.code == 0 and oldest.split()[1:2] == [old]

    def write_blob(self, data: bytes) -> str:
        """Write a blob and give its id."""
        return self.line("hash-object", "-w", "--stdin", stdin=data)

    def write_blobs(self, contents: Sequence[bytes], scratch: Path) -> list[str]:
        """Write several blobs with one git, by way of files in an empty folder ``scratch``."""
        paths = [scratch / f"blob-{number}" for number in range(len(contents))]
        for path, data in zip(paths, contents, strict=True):
            path.write_bytes(data)
        listing = "".join(f"{path}\n" for path in paths).encode(errors="surrogateescape")
        ids = self.line("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listing)
        return ids.split("\n")

    def write_commit(self, tree: str, parent: str, message: str) -> str:
        """Write a commit in the user's name, signed if the user's commits are."""
        sign = ["-S"] if self.is_on("commit.gpgsign") else []
        utf8 = ("-c", "i18n.commitEncoding=UTF-8")  # which is what the message is
        return self.line(
            *utf8, "commit-tree", tree, "-p", parent, *sign, "-F", "-", stdin=message.encode()
        )

    def update_refs(self, updates: Sequence[RefUpdate], reason: str | None = None) -> None:
        """Move all refs or none; `ChangedMeanwhile` if one is not at its old value.

        With a reason each ref's log is begun if it has none.
        """
        commands = "".join(f"update {u.ref}\0{u.new}\0{u.old}\0" for u in updates)
        log = ("--create-reflog", "-m", reason) if reason else ()
        result = self.ask("update-ref", *log, "--stdin", "-z", stdin=commands.encode())
        if result.code == 0:
            return
        for update in updates:
            found = self.objects.read(update.ref)
            if (found.oid if found else NO_OBJECT) != update.old:
                raise ChangedMeanwhile(f"{update.ref} changed meanwhile")
        raise failed(("git", "update-ref"), result)


def failed(argv: tuple[str, ...], result: process.Result) -> ProgramError:
    """Say in one line what a git that failed said, and in another what may help."""
    said = [line for line in result.stderr.strip().splitlines() if line.strip()]
    what = next((line for line in said if line.startswith(("fatal:", "error:"))), "")
    what = what or (said[-1] if said else f"exit code {result.code}")
    files = _files_after(what, said)
    return ProgramError(
        f"git {argv[1]} failed: {what.removeprefix('fatal: ').removeprefix('error: ')}{files}",
        hint=_hint(result.stderr),
        argv=argv,
        code=result.code,
        stderr=result.stderr,
    )


def _files_after(line: str, said: list[str]) -> str:
    """Give the files that git lists, each on a line of its own, after one that announces them."""
    if not line.endswith(":"):
        return ""
    after = said[said.index(line) + 1 :]
    files = [each.strip() for each in itertools.takewhile(lambda each: each[0] == "\t", after)]
    more = len(files) - _MOST_NAMED
    return f" {', '.join(files[:_MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")


_ELSE = "nothing was changed; git's own words say what it needs"
_HINTS = (
    ("Please tell me who you are", 'git config --global user.name "..." and user.email "..."'),
    ("empty ident", 'git config --global user.name "..." and user.email "..."'),
    ("dubious ownership", "git config --global --add safe.directory <the folder>"),
    ("No space left", "free some space and run the command again; nothing was changed"),
    ("Permission denied", "the repository cannot be written by this user"),
    ("Read-only file system", "the repository cannot be written here"),
    ("insufficient permission", "the repository cannot be written by this user"),
    (".lock': File exists", "another git is at work here; if it died: mlv doctor --fix"),
    ("failed to sign", "signing is switched on in your git configuration, and failed"),
    ("gpg failed", "signing is switched on in your git configuration, and failed"),
    ("public key", "signing is switched on in your git configuration: see user.signingKey"),
    ("private key", "signing is switched on in your git configuration: see user.signingKey"),
    ("would be overwritten by", "commit what was edited there, or put it aside (git stash)"),
    ("aborted by hook", "a hook of this repository said no"),
)


def _hint(stderr: str) -> str:
    return next((hint for said, hint in _HINTS if said in stderr), _ELSE)


def init_git(path: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
    """Make a Git repository, by the user's own defaults but for ``options`` and ``env``."""
    argv = ["git", "init", "--quiet", *options, "--", str(path.absolute())]
    result = process.run(argv, cwd=Path.cwd(), env=env)
    if result.code:
        raise failed(("git", "init"), result)
