"""What is reviewed: the commits, and every path that differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import is_model
from mlv.errors import ConfigError, NotFound, RegistryError
from mlv.store import config as configs
from mlv.store.git import NO_OBJECT
from mlv.store.naming import FOLDER
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.store.config import Config
    from mlv.store.git import Git

_HEADS, _REMOTES = "refs/heads/", "refs/remotes/"
_DIFF = (
    "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none",
)  # fmt: skip


class Leaf(NamedTuple):
    """What lies at a path: its mode, and its object's id."""

    mode: str
    oid: str


class Touched(NamedTuple):
    """A path that a change touches; None where nothing lies."""

    path: str
    before: Leaf | None
    after: Leaf | None

    @property
    def is_in_registry(self) -> bool:
        """Whether it lies in registry/, also on a disk that knows no capitals."""
        return self.path.partition("/")[0].casefold() == FOLDER

    @property
    def model(self) -> str | None:
        """The model in whose folder it lies, if it lies in one."""
        top, _, rest = self.path.partition("/")
        name, slash, _ = rest.partition("/")
        return name if top == FOLDER and slash and is_model(name) else None


class Change(NamedTuple):
    """What lies between ``start``, where ``head`` left the branch of ``base``, and ``head``.

    All three are commits; where ``head`` is built on ``base``, ``start`` is ``base``.
    """

    base: str
    start: str
    head: str
    touched: tuple[Touched, ...]

    @property
    def models(self) -> list[str]:
        """The models whose folders are touched."""
        return sorted({each.model for each in self.touched if each.model})


def between(git: Git, base: str, head: str) -> Change:
    """Compare two commits by their names, as a pull request does."""
    onto, proposed = _commit(git, base), _commit(git, head)
    start = _start(git, onto, proposed, base, head)
    found = git.run(*_DIFF, start, proposed).decode(errors="surrogateescape").split("\0")
    return Change(onto, start, proposed, tuple(_touched(found)))


def _touched(fields: list[str]) -> Iterator[Touched]:
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        mode_before, mode_after, before, after, _ = facts.removeprefix(":").split(" ")
        yield Touched(path, _leaf(mode_before, before), _leaf(mode_after, after))


def _leaf(mode: str, oid: str) -> Leaf | None:
    return None if oid == NO_OBJECT else Leaf(mode, oid)


def _commit(git: Git, name: str) -> str:
    found = git.objects.read(f"{name}^{{commit}}")
    if found is None:
        raise NotFound(f"there is no commit {name!r} here", hint="git fetch may bring it")
    return found.oid


def _start(git: Git, base: str, head: str, *names: str) -> str:
    found = git.ask("merge-base", "--all", base, head).stdout.decode().split()
    if len(found) == 1:
        return found[0]
    if found:  # what a merge would bring is then no difference between two commits
        raise ConfigError(
            f"{names[1]} and {names[0]} were merged into each other: they part at more than one "
            "commit",
            hint=f"merge {names[0]} into it, or rebase it, and review that",
        )
    said = f"{names[0]} and {names[1]} have no commit in common"
    if git.is_shallow():
        raise ConfigError(
            f"history is cut off here: {said}",
            hint="git fetch --unshallow brings the rest (actions/checkout: fetch-depth: 0)",
        )
    raise ConfigError(said, hint="a proposal starts from the registry branch")


# By whose rules ----------------------------------------------------------------------------


def at_base(git: Git, base: str) -> Versions:
    """Read the registry by the mlv.yaml of a commit, and by no other.

    A commit that has none states nothing: it is where mlv is only being set up.
    """
    nobodys = Versions(git, configs.Config())
    return Versions(git, configs.read_at(nobodys, base) or nobodys.config)


def parse_span(git: Git, span: str | None) -> tuple[str, str]:
    """Read ``BASE..HEAD``; what is left out is the registry branch, and ``HEAD``."""
    before, dots, after = (span or "").replace("...", "..").partition("..")
    base, head = (before, after) if dots else ("", before)
    return base or default_base(git), head or "HEAD"


def default_base(git: Git) -> str:
    """Find the registry branch, as it was last fetched, without believing the work tree.

    It is what the remote's default branch names in its mlv.yaml, else the one branch that names
    itself there.
    """
    refs = git.refs(_REMOTES, _HEADS)
    nobodys = Versions(git, configs.Config())
    stated = {ref: config for ref, oid in refs.items() if (config := _stated(nobodys, oid))}
    for ref, config in stated.items():
        if ref.startswith(_REMOTES) and ref.endswith("/HEAD"):
            wanted = f"{_REMOTES}{config.remote}/{config.branch}"
            if wanted in refs:
                return wanted
    for named in (
        [ref for ref, c in stated.items() if ref == f"{_REMOTES}{c.remote}/{c.branch}"],
        [ref for ref, c in stated.items() if ref == f"{_HEADS}{c.branch}"],
    ):
        if len(named) == 1:
            return named[0]
        if named:
            break
    raise ConfigError(
        "which branch says what is live cannot be told",
        hint="name what the change is held against: mlv review origin/main..HEAD",
    )


def _stated(versions: Versions, commit: str) -> Config | None:
    try:
        return configs.read_at(versions, commit)
    except RegistryError:
        return None
