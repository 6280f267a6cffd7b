"""GTO's artifacts in this repository: each version with the bytes that its commit names.

GTO's tags are read, and left alone.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mlv.bridges import gtotags
from mlv.domain import arriving
from mlv.domain import pointer as pointers
from mlv.errors import InvalidInput, NotFound
from mlv.importing.incoming import IncomingModel, IncomingVersion, Notes, person
from mlv.store import config as configs
from mlv.store import yamlread
from mlv.store.dvc.repository import open_dvc
from mlv.store.git import Git, find
from mlv.store.objects import BLOB, TAG, TREE
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mlv.bridges.gtotags import Artifact, Assigned, Registered
    from mlv.store.dvc.repository import Dvc
    from mlv.store.objects import Object

# What stages are commonly called, and what each means here.
STAGES = {
    "prod": pointers.PRODUCTION,
    "production": pointers.PRODUCTION,
    "staging": pointers.STAGING,
    "stage": pointers.STAGING,
}
STATUSES = (pointers.PRODUCTION, pointers.STAGING, pointers.REGISTERED)
_TAGGER = re.compile(r"(?P<by>.*) (?P<at>[0-9]{1,12}) [+-][0-9]{4}")
_LARGEST = 1_000_000  # bytes of a file that names artifacts
_SHOWN = 5
_NO_MODEL = re.compile(r"[^a-z0-9_-]+")
_FETCH = "git fetch --tags brings those that others made"


class Wanted(NamedTuple):
    """What to read: ``names`` of artifacts (all without one), statuses by stage, paths by name.

    ``skip`` are versions that stay out: ``fraud@v1.0.0``.
    """

    names: Sequence[str]
    stages: Mapping[str, str]
    paths: Mapping[str, str]
    skip: Sequence[str]


class Found(NamedTuple):
    """An artifact of GTO's, as a model that comes in."""

    name: str
    incoming: IncomingModel

    @property
    def model(self) -> str:
        """What a model of its name is called here."""
        return _NO_MODEL.sub("-", self.name.lower()).strip("-_")


@contextlib.contextmanager
def reading(
    folder: Path, wanted: Wanted, notify: Callable[[str], None] = lambda _: None
) -> Iterator[list[Found]]:
    """Read GTO's tags of the repository at ``folder``; bytes can be brought as long as it is open.

    `NotFound` if there is no artifact of a name that is wanted, or none at all. Where no name is,
    ``notify`` is told which have no version, and these are left out.
    """
    git = Git(find(folder))
    known = gtotags.read_all(_tags(git))
    _check(wanted, known)
    names = list(wanted.names) or _with_versions(wanted, known, notify)
    if not names:
        raise NotFound(
            f"{git.layout.folder} has no tag of GTO's that registers anything",
            hint=_FETCH,
        )
    versions = Versions(git, configs.read(git))
    with open_dvc(git.layout) as dvc:
        reader = _Reader(versions, dvc, wanted)
        yield [Found(name, reader.model(known[name])) for name in names]


def _check(wanted: Wanted, known: Mapping[str, Artifact]) -> None:
    """Refuse names of artifacts and versions that there are not: they are mistyped."""
    for name in (*wanted.names, *wanted.paths):
        if name not in known:
            raise NotFound(
                f"no tag of GTO's speaks of {name!r}",
                hint=f"there are {', '.join(known)}" if known else _FETCH,
            )
    labels = {_label(artifact, each) for artifact in known.values() for each in artifact.versions}
    for label in wanted.skip:
        if label not in labels:
            name = label.partition("@")[0]
            of = [each for each in labels if each.startswith(f"{name}@")] or labels
            raise NotFound(
                f"GTO has no version {label!r} that could be skipped",
                hint=f"there are {', '.join(sorted(of)[:_SHOWN])}" if of else _FETCH,
            )


def _with_versions(
    wanted: Wanted, known: Mapping[str, Artifact], notify: Callable[[str], None]
) -> list[str]:
    names = []
    for name, artifact in known.items():
        if artifact.is_deprecated:
            continue
        if all(_label(artifact, each) in wanted.skip for each in artifact.versions):
            notify(f"GTO has no version of {name} that comes in: it is left out")
        else:
            names.append(name)
    return names


# Tags --------------------------------------------------------------------------------------


def _tags(git: Git) -> Iterator[gtotags.Tag]:
    """Read every annotated tag of a commit; GTO makes no others."""
    for ref, found in git.read_refs("refs/tags"):
        tag = _tag(ref.removeprefix("refs/tags/"), found) if found.kind == TAG else None
        if tag:
            yield tag


def _tag(name: str, found: Object) -> gtotags.Tag | None:
    head, _, message = found.data.decode(errors="replace").partition("\n\n")
    facts = dict(line.split(" ", 1) for line in reversed(head.split("\n")) if " " in line)
    tagger = _TAGGER.fullmatch(facts.get("tagger", ""))
    if facts.get("type") != "commit" or tagger is None:
        return None
    said = message.partition("-----BEGIN ")[0].strip()
    return gtotags.Tag(name, facts.get("object", ""), int(tagger["at"]), tagger["by"], said)


# Models ------------------------------------------------------------------------------------


class _Reader:
    """Makes models of artifacts, and brings their bytes from Git or DVC."""

    def __init__(self, versions: Versions, dvc: Dvc, wanted: Wanted) -> None:
        self._versions, self._dvc, self._wanted = versions, dvc, wanted
        self._stages = {**STAGES, **wanted.stages}

    def model(self, artifact: Artifact) -> IncomingModel:
        """Number an artifact's versions in the order in which they were registered."""
        notes = Notes()
        if artifact.is_deprecated:
            notes.add("deprecated there", artifact.name)
        if not artifact.versions:
            raise NotFound(f"{artifact.name} has no version", hint="gto show lists versions")
        numbered = list(enumerate(artifact.versions, start=1))
        come = [
            (number, each)
            for number, each in numbered
            if _label(artifact, each) not in self._wanted.skip
        ]
        for stage in dict.fromkeys(each.stage for each in artifact.assigned):
            if stage not in self._stages:
                notes.add("a stage that has no status here, and is kept in the metadata", stage)
        # A stage is a commit's: of several versions there it is the newest's.
        holders = {each.tag.commit: n for n, each in numbered if not each.is_withdrawn}
        live = [each for each in self._in(artifact, pointers.PRODUCTION) if each.commit in holders]
        now = [holders[each.commit] for each in live if each.is_now]
        current = now[-1] if now else None
        was = [number for each in live if (number := holders[each.commit]) != current]
        staged = [each for each in self._in(artifact, pointers.STAGING) if each.is_now]
        status = dict.fromkeys(was, pointers.ARCHIVED)
        status |= {holders[e.commit]: pointers.STAGING for e in staged[-1:] if e.commit in holders}
        versions = tuple(
            self._version(artifact, each, n, status.get(n, pointers.REGISTERED), notes)
            for n, each in come
        )
        previous = was[-1] if was and current else None
        return IncomingModel(f"GTO's {artifact.name}", versions, current, previous, notes.all)

    def _in(self, artifact: Artifact, status: str) -> list[Assigned]:
        return [each for each in artifact.assigned if self._stages.get(each.stage) == status]

    def _version(
        self, artifact: Artifact, each: Registered, number: int, status: str, notes: Notes
    ) -> IncomingVersion:
        label, commit = _label(artifact, each), each.tag.commit
        if each.is_withdrawn:
            notes.add("its registration was taken back: yanked", label)
        annotation = self._annotation(artifact.name, commit)
        path = _path(self._wanted.paths.get(artifact.name) or annotation.get("path"), label)
        told = {key: value for key, value in annotation.items() if key != "path" and value}
        remarks = {"path": path, "tag": each.tag.name, "message": each.tag.message, **told}
        if each.stages:
            remarks["stages"] = list(each.stages)
        metadata = {"git_commit": commit, **({"semver": each.semver} if each.semver else {})}
        return IncomingVersion(
            number,
            _date(each.tag, label),
            {"model": None},
            partial(self._bring, commit, path, label),
            {"from": "gto", "version": label},
            status=pointers.YANKED if each.is_withdrawn else status,
            registered_by=person(each.tag.by),
            metadata=metadata,
            remarks=arriving.tidy_metadata(remarks).kept,
            commit=commit,
        )

    # Bytes ---------------------------------------------------------------------------------

    def _annotation(self, name: str, commit: str) -> dict[str, Any]:
        """Read what a commit's ``dvc.yaml``, or ``artifacts.yaml``, says of an artifact."""
        folder, _, last = name.rpartition(":")
        folder = folder.strip("/")
        for file, key in ((f"{folder}/dvc.yaml".lstrip("/"), last), ("artifacts.yaml", name)):
            document: Any = self._yaml(commit, file)
            if file != "artifacts.yaml":
                document = document.get("artifacts")
            found = document.get(key) if isinstance(document, dict) else None
            if isinstance(found, dict):
                path = found.get("path")
                where = folder if file != "artifacts.yaml" else ""
                full = posixpath.join(where, path) if isinstance(path, str) else None
                return {**found, "path": full}
        return {}

    def _yaml(self, commit: str, path: str) -> dict[str, Any]:
        data = self._versions.blob(commit, path)
        if data is None or len(data) > _LARGEST:
            return {}
        try:
            document = yamlread.load(data)
        except yaml.YAMLError:
            return {}
        return document if isinstance(document, dict) else {}

    def _bring(self, commit: str, path: str, label: str, folder: Path) -> Mapping[str, Path]:
        path = path.removesuffix(".dvc")  # DVC's note of it stands for the artifact itself
        target = folder / posixpath.basename(path)
        is_there = self._from_git(commit, path, target) or self._dvc.bring_committed(
            commit, path, target, lambda _: None
        )
        if not is_there:
            raise NotFound(
                f"{path} is neither in the commit {commit[:10]} nor kept by DVC there",
                hint=f"--path NAME=PATH says where the artifact lies; --skip {label} leaves it out",
            )
        return {"model": target}

    def _from_git(self, commit: str, path: str, target: Path) -> bool:
        """Write what the commit's tree itself has at a path, without links; whether it has any."""
        parent, _, name = path.rpartition("/")
        entries = self._versions.entries(commit, parent) or []
        entry = next((each for each in entries if each.name == name), None)
        if entry is None or entry.kind not in (BLOB, TREE):
            return False
        if entry.kind == BLOB:
            self._write(entry.mode, commit, path, target)
            return True
        target.mkdir()
        inner = self._versions.entries(commit, path) or []
        # A folder that DVC keeps a part of is whole only by way of DVC.
        if any(each.name.endswith(".dvc") or each.name == ".gitignore" for each in inner):
            target.rmdir()
            return False
        for each in inner:
            if not self._from_git(commit, f"{path}/{each.name}", target / each.name):
                raise InvalidInput(f"{path}/{each.name} is no file", hint="leave it out: --skip")
        return True

    def _write(self, mode: str, commit: str, path: str, target: Path) -> None:
        data = self._versions.blob(commit, path)
        if mode == "120000" or data is None:
            raise InvalidInput(
                f"{path} at {commit[:10]} is a link", hint="--path NAME=PATH names the file itself"
            )
        target.write_bytes(data)


def _label(artifact: Artifact, each: Registered) -> str:
    return f"{artifact.name}@{each.semver or each.tag.commit}"


def _date(tag: gtotags.Tag, label: str) -> str:
    try:
        return arriving.moment(tag.at).text
    except InvalidInput as error:
        raise InvalidInput(
            f"the tag {tag.name} is dated {tag.at}, which is no time",
            hint=f"--skip {label} leaves the version out",
        ) from error


def _path(path: object, label: str) -> str:
    """Check where an artifact lies, as seen from the top."""
    if not isinstance(path, str) or not path:
        raise NotFound(
            f"nothing at the commit of {label} says where the artifact lies",
            hint="--path NAME=PATH says it; neither dvc.yaml nor artifacts.yaml does",
        )
    normal = posixpath.normpath(path)
    is_plain = normal.isprintable() and "\\" not in normal and "$" not in normal
    if not is_plain or normal.startswith(("/", "..")) or normal == ".":
        raise InvalidInput(
            f"{label} is said to lie at {path!r}, which is no path in the repository",
            hint="--path NAME=PATH says where it really is",
        )
    return normal
