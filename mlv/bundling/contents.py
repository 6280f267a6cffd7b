"""What is in a bundle: the list at its start, written in one way and read strictly."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mlv.bundling.archive import Member
from mlv.domain.document import read
from mlv.domain.names import Version
from mlv.errors import IntegrityError
from mlv.store.config import is_branch
from mlv.store.naming import tag_ref

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = 1
GIT = "repository.bundle"
# As in DVC's cache and on its remotes: an unpacked bundle is a DVC remote.
OBJECTS = "files/md5"
# As git writes it, and reads it by itself (gitformat-bundle).
_GIT_START = "# v2 git bundle\n"
_is_oid = re.compile(r"[0-9a-f]{40}").fullmatch
_is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_is_object = re.compile(rf"{OBJECTS}/([0-9a-f]{{2}})/([0-9a-f]{{30}}(?:\.dir)?)").fullmatch


class Contents(NamedTuple):
    """A bundle's registry branch and its tip, its versions' tag objects, and its files.

    ``live`` are the tags of what else is live on the branch: their bytes did not come along.
    ``members`` are Git's first, then DVC's objects; ``lacking`` are outputs of pipelines of which
    nobody had a copy.
    """

    branch: str
    commit: str
    versions: dict[Version, str]
    live: dict[Version, str]
    members: Sequence[Member]
    lacking: tuple[str, ...] = ()

    @property
    def tags(self) -> dict[Version, str]:
        """The tag objects of all versions that it tells of."""
        return dict(sorted({**self.versions, **self.live}.items()))

    @property
    def objects(self) -> dict[str, Member]:
        """DVC's objects by md5."""
        return {md5_of(member): member for member in self.members[1:]}

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(member.size for member in self.members)

    def refs(self) -> dict[str, str]:
        """Give what its Git part holds: object ids by ref."""
        tags = {tag_ref(version): oid for version, oid in self.tags.items()}
        return {f"refs/heads/{self.branch}": self.commit, **tags}

    def to_bytes(self) -> bytes:
        """Write the list."""
        document = {
            "schema": SCHEMA,
            "branch": self.branch,
            "commit": self.commit,
            "versions": {v.tag: oid for v, oid in sorted(self.versions.items())},
            "live": {v.tag: oid for v, oid in sorted(self.live.items())},
            "lacking": sorted(self.lacking),
            "files": [member._asdict() for member in self.members],
        }
        return (json.dumps(document, indent=1) + "\n").encode()


def object_path(md5: str) -> str:
    """Name the file that holds one of DVC's objects."""
    return f"{OBJECTS}/{md5[:2]}/{md5[2:]}"


def md5_of(member: Member) -> str:
    """Give the address of the object that a file holds."""
    return "".join(member.path.removeprefix(f"{OBJECTS}/").split("/"))


def git_start(refs: dict[str, str]) -> bytes:
    """Write what stands in a Git bundle before its pack."""
    lines = (f"{oid} {ref}\n" for ref, oid in refs.items())
    return f"{_GIT_START}{''.join(lines)}\n".encode()


def parse(data: bytes) -> Contents:
    """Read the list of a bundle that anybody may have made."""
    try:
        document = read(data)
    except ValueError as error:
        raise _wrong(str(error)) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise IntegrityError(
            "the bundle was made by a newer mlv", hint="update mlv here, or bundle it anew there"
        )
    try:
        contents = _contents(document)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise _wrong("it lacks something") from None
    if contents.to_bytes() != data:
        raise _wrong("mlv writes it otherwise")
    return contents


def _contents(document: dict[str, Any]) -> Contents:
    versions, live = _tags(document["versions"]), _tags(document["live"])
    members = [Member(**each) for each in document["files"]]
    found = Contents(
        document["branch"],
        document["commit"],
        versions,
        live,
        members,
        tuple(document["lacking"]),
    )
    if not versions or not all(map(_is_oid, [found.commit, *found.tags.values()])):
        raise _wrong("it names no versions")
    if versions.keys() & live.keys():
        raise _wrong("it names a version twice")
    if not is_branch(found.branch):
        raise _wrong(f"{found.branch!r} is no branch")
    if not all(isinstance(path, str) for path in found.lacking):
        raise _wrong("it lacks what is no path")
    for at, member in enumerate(members):
        _check(member, is_git=not at)
    paths = [member.path for member in members[1:]]
    if not members or paths != sorted(set(paths)):
        raise _wrong("its files are out of order, or there twice")
    return found


def _tags(oids: dict[str, str]) -> dict[Version, str]:
    found = {Version.from_tag(tag): oid for tag, oid in oids.items()}
    if None in found:
        raise _wrong("it names no versions")
    return {version: oid for version, oid in found.items() if version}


def _check(member: Member, *, is_git: bool) -> None:
    is_named = member.path == GIT if is_git else _is_object(member.path)
    if not is_named:
        raise _wrong(f"it holds {member.path!r}")
    if type(member.size) is not int or member.size < 0 or not _is_sha256(member.sha256):
        raise _wrong(f"the size or the SHA-256 of {member.path} is not one")


def _wrong(what: str) -> IntegrityError:
    return IntegrityError(
        f"the list of the bundle was not written by mlv: {what}",
        hint="nothing was brought. Ask who gave it to you",
    )
