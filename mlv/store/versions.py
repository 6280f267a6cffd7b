"""Reading the registry out of Git: the branch's tip, pointers, versions and their manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import Version, is_model
from mlv.errors import (
    ConfigError,
    IntegrityError,
    NotFound,
    RegistryError,
    WorkspaceError,
)
from mlv.store.naming import (
    EVERY_TAG,
    FOLDER,
    KEPT,
    TAGS,
    kept_ref,
    manifest_path,
    pointer_path,
    ref_patterns,
    tag_ref,
    version_of,
)
from mlv.store.objects import BLOB, COMMIT, FOLDER_MODE, REGULAR, TAG, parse_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mlv.domain.manifest import Manifest
    from mlv.domain.pointer import Pointer
    from mlv.store.config import Config
    from mlv.store.git import Git
    from mlv.store.objects import Entry, Object

_MOST_TREES = 256
_MANY = 500  # manifests; from there on, what reads them faster is worth its import
# How the local registry branch stands to the remote's, as far as it was fetched.
SAME, AHEAD, BEHIND, DIVERGED, LOCAL_ONLY, REMOTE_ONLY = (
    "same", "ahead", "behind", "diverged", "local only", "remote only",
)  # fmt: skip
_OBJECT = b"object "


class Tip(NamedTuple):
    """The commit that says what is live, and the two branches it was chosen from."""

    commit: str
    local: str | None
    remote: str | None
    relation: str

    @classmethod
    def at(cls, commit: str) -> Tip:
        """Take a commit for the tip of the registry branch."""
        return cls(commit, commit, None, LOCAL_ONLY)


class Tag(NamedTuple):
    """A ref that may hold a version: the object it names, the commit, and a tag's message."""

    version: Version
    oid: str
    commit: str
    message: bytes | None


class Record(NamedTuple):
    """A version as Git holds it."""

    tag: Tag
    manifest: Manifest
    data: bytes


class Versions:
    """What one repository says; every method reads anew, at the moment it is called."""

    def __init__(self, git: Git, config: Config, *, published: bool = False) -> None:
        self.git = git
        self.config = config
        self._published = published
        self._relations: dict[tuple[str, str], str] = {}
        # Trees never change, so what was read of a commit holds.
        self._trees: dict[tuple[str, str], list[Entry]] = {}

    def published(self) -> Versions:
        """Give the same repository as the remote has it: what is only local does not count."""
        return Versions(self.git, self.config, published=True)

    def tip(self) -> Tip | None:
        """Find the commit that counts: the local branch's unless the remote's is ahead of it."""
        local, remote = (
            self.git.objects.read(f"{ref}^{{commit}}") for ref in (self.local_ref, self.remote_ref)
        )
        if remote and self._published:
            relation = REMOTE_ONLY
        elif local and remote:
            relation = self._relation(local.oid, remote.oid)
        else:
            relation = LOCAL_ONLY if local else REMOTE_ONLY
        chosen = remote if relation in (BEHIND, REMOTE_ONLY) else local
        if chosen is None:
            return None
        return Tip(chosen.oid, local and local.oid, remote and remote.oid, relation)

    @property
    def local_ref(self) -> str:
        """The local registry branch."""
        return f"refs/heads/{self.config.branch}"

    @property
    def remote_ref(self) -> str:
        """The remote's registry branch, as it was last fetched."""
        return f"refs/remotes/{self.config.remote}/{self.config.branch}"

    def need_tip(self) -> Tip:
        """Find the commit that counts, or say that the branch is not there."""
        tip = self.tip()
        if tip is None:
            raise ConfigError(
                f"the registry branch {self.config.branch!r} does not exist here",
                hint=f"git fetch {self.config.remote} {self.config.branch}, or name another "
                "branch in mlv.yaml, or make the first commit",
            )
        return tip

    def _relation(self, local: str, remote: str) -> str:
        if local == remote:
            return SAME
        known = self._relations.get((local, remote))
        if known is None:
            counts = self.git.line("rev-list", "--left-right", "--count", f"{local}...{remote}")
            ahead, behind = (int(count) for count in counts.split())
            one_sided = AHEAD if ahead else BEHIND
            known = DIVERGED if ahead and behind else one_sided
            self._relations = {(local, remote): known}
        return known

    def entries(self, commit: str, folder: str = "") -> list[Entry] | None:
        """Read a folder of a commit's tree; None if it has no such folder.

        What the tree names and git cannot read is an `IntegrityError`, never "not there".
        """
        known = self._trees.get((commit, folder))
        if known is not None:
            return known
        if folder:
            entry = self._entry(commit, folder)
            if entry is None or entry.mode != FOLDER_MODE:
                return None
            found = self.git.objects.read(entry.oid)
        else:
            found = self.git.objects.read(f"{commit}^{{tree}}")
            itself = None if found else self.git.objects.read(commit)
            if itself and itself.kind in (BLOB, TAG):
                return None  # what a foreign tag names need not be a commit
        if found is None:
            raise self._damaged(f"{commit[:10]}:{folder}")
        if len(self._trees) >= _MOST_TREES:
            self._trees.clear()
        self._trees[commit, folder] = parse_tree(found.data)
        return self._trees[commit, folder]

    def blob(self, commit: str, path: str, *, links: bool = True) -> bytes | None:
        """Read a file of a commit's tree, of a link where it leads; None if it has no such file.

        Without ``links``, one is no file.
        """
        entry = self._entry(commit, path)
        if entry is None or entry.kind != BLOB or (entry.mode not in REGULAR and not links):
            return None
        found = self.git.objects.read(entry.oid)
        if found is None:
            raise self._damaged(f"{commit[:10]}:{path}")
        return found.data

    def _entry(self, commit: str, path: str) -> Entry | None:
        parent, _, name = path.rpartition("/")
        return next((e for e in self.entries(commit, parent) or [] if e.name == name), None)

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"the git object of {what} is damaged, or not here",
            hint=f"git fsck names it; git fetch --refetch {self.config.remote} brings it back",
        )

    def models_on(self, tip: Tip) -> list[str]:
        """Name the models that have a folder on the branch."""
        entries = self.entries(tip.commit, FOLDER) or []
        return [e.name for e in entries if e.mode == FOLDER_MODE and is_model(e.name)]

    def pointer(self, tip: Tip, model: str) -> Pointer:
        """Read a model's pointer; that of a model never staged or promoted is empty."""
        data = self.blob(tip.commit, pointer_path(model))
        if data is not None:
            return pointers.parse(data, model)
        if self.blob(tip.commit, manifest_path(model)) is not None:
            from mlv.store.vanished import vanished  # for an error alone

            raise vanished(self, tip, pointer_path(model))
        return pointers.empty(model)

    def tags(self, model: str | None = None) -> list[Tag]:
        """Read every ref that may hold a version, of all models or one, in numeric order.

        A tag seen only under ``refs/mlv`` counts.
        """
        return sorted(self._tags(model), key=lambda tag: tag.version)

    def _tags(self, model: str | None) -> Iterator[Tag]:
        """Read these refs while git is still writing of them, so that both work at once."""
        # By this order a tag comes before the second ref of its version.
        seen: set[Version] = set()
        for ref, found in self.git.read_refs(*ref_patterns(model)):
            version = version_of(ref)
            if version is None or version in seen or (model and version.model != model):
                continue
            seen.add(version)
            yield _tag(version, found)

    def names(self, model: str | None = None) -> list[Version]:
        """Name every version whose tag or kept ref is here, without reading what it holds."""
        return sorted(v for v in self._ids(*ref_patterns(model)) if model in (None, v.model))

    def refs_by_model(self, known: Collection[str]) -> dict[str, list[str]]:
        """Give the refs that may hold versions, by model, of every model that is not ``known``."""
        found: dict[str, list[str]] = {}
        listing = self.git.run("for-each-ref", "--format=%(refname)", *ref_patterns())
        for ref in listing.decode(errors="surrogateescape").split("\n"):
            if ref.removeprefix(TAGS).rpartition("-v")[0] in known:
                continue  # as nearly all are
            version = version_of(ref)
            if version and version.model not in known:
                found.setdefault(version.model, []).append(ref)
        return found

    def tag_ids(self) -> dict[Version, str]:
        """Give the object id of every tag that may hold a version, without reading one."""
        return self._ids(EVERY_TAG)

    def kept_ids(self) -> dict[Version, str]:
        """Give the object id of every version that is not published yet."""
        return self._ids(KEPT)

    def _ids(self, *patterns: str) -> dict[Version, str]:
        named = ((version_of(ref), oid) for ref, oid in self.git.refs(*patterns).items())
        return {version: oid for version, oid in named if version}

    def manifest_of(self, tag: Tag, *, many: bool = False) -> Manifest | None:
        """Read the manifest a tag bears; None where the tag is not a version of ours.

        A tag's message bears it; that of a lightweight tag (CI's checkouts make them) is in
        its tree. ``many``: as one of thousands.
        """
        from mlv.domain import manifest

        data = _manifest_in(tag.message) or self._manifest_below(tag)
        return manifest.parse(data, tag.version, many=many) if data else None

    def manifests(self, model: str | None = None) -> Iterator[tuple[Tag, Manifest | RegistryError]]:
        """Read every version, in numeric order; one that cannot be read comes as its error."""
        found = [
            (tag, read)
            for at, tag in enumerate(self._tags(model))
            if (read := self._try(tag, many=at >= _MANY))
        ]
        return iter(sorted(found, key=lambda each: each[0].version))

    def _try(self, tag: Tag, *, many: bool) -> Manifest | RegistryError | None:
        try:
            return self.manifest_of(tag, many=many)
        except RegistryError as error:
            return error

    def ours(self, refs: Iterable[str]) -> Iterator[Version]:
        """Give the versions among these refs, past foreign tags that are only called like one."""
        for ref in refs:
            version = version_of(ref)
            commit = self.git.objects.read(f"{ref}^{{commit}}") if version else None
            if version and commit:
                tag = Tag(version, commit.oid, commit.oid, None)
                if self._manifest_below(tag) is not None:
                    yield version

    def record(self, version: Version) -> Record:
        """Read one version whole; its tag, name and manifest must agree."""
        from mlv.domain import manifest

        tag = self.find(version)
        data = self._manifest_below(tag) if tag else None
        if tag is None or data is None:
            raise self._unknown(version)
        if tag.message is not None and _manifest_in(tag.message) != data:
            raise IntegrityError(
                f"the tag {version.tag} and the commit it names bear different manifests",
                hint="somebody moved or rewrote it; compare with the remote's: "
                f"git ls-remote {self.config.remote} refs/tags/{version.tag}",
            )
        return Record(tag, manifest.parse(data, version), data)

    def find(self, version: Version) -> Tag | None:
        """Find the ref that may hold a version: its tag, else what keeps it."""
        for ref in (tag_ref(version), kept_ref(version)):
            found = self.git.objects.read(ref)
            if found is None:
                continue
            if found.kind == COMMIT:
                return Tag(version, found.oid, found.oid, None)
            head, _, message = found.data.partition(b"\n\n")
            # Of a header that stands twice, git takes the first.
            lines = reversed(head.decode(errors="replace").split("\n"))
            facts = dict(line.split(" ", 1) for line in lines if " " in line)
            if found.kind != TAG or facts.get("type") != COMMIT:
                return None
            if facts.get("tag") != version.tag:
                raise IntegrityError(
                    f"the tag {version.tag} is really the tag {facts.get('tag')!r}, renamed",
                    hint="it was not registered under this number: fetch the tag anew",
                )
            return Tag(version, found.oid, facts.get("object", ""), message)
        return None

    def _manifest_below(self, tag: Tag) -> bytes | None:
        """Read the manifest in a tag's tree; None if the tag is no version's.

        A release of the software may be called like a version; its tree has the pointer too.
        """
        model = tag.version.model
        if self.blob(tag.commit, pointer_path(model)) is not None:
            return None
        return self.blob(tag.commit, manifest_path(model))

    def _unknown(self, version: Version) -> RegistryError:
        """Say why a version cannot be read: its tag is foreign, damaged, or not here."""
        if any(self.git.objects.read(ref) for ref in (tag_ref(version), kept_ref(version))):
            return NotFound(
                f"the tag {version.tag} holds no version that mlv registered",
                hint="mlv list shows the versions",
            )
        known = self.names(version.model)
        if version in known:
            return self._damaged(f"the tag {version.tag}")
        shown = ", ".join(v.name for v in known[-5:])
        hint = f"known are {shown}" if known else "mlv list shows the versions"
        tip = self.tip()
        listed = tip and version.number in self.pointer(tip, version.model).status
        if listed or self.git.is_shallow() or not known:
            depth = "--depth 1 " if self.git.is_shallow() else ""
            hint += (
                f"; not all tags may be in this clone: "
                f"git fetch {depth}{self.config.remote} tag {version.tag}"
            )
        return NotFound(f"there is no version {version.name} of {version.model!r}", hint=hint)


def check_writable(versions: Versions, tip: Tip) -> None:
    """Refuse to build on a branch where ``registry`` is not a folder."""
    root = versions.entries(tip.commit) or []
    odd = next((e for e in root if e.name == FOLDER and e.mode != FOLDER_MODE), None)
    if odd:
        raise WorkspaceError(
            f"{FOLDER} is {'a symlink' if odd.mode == '120000' else 'a file'} on "
            f"{versions.config.branch}, not a folder",
            hint=f"remove it there: {FOLDER}/ belongs to mlv",
        )


def _tag(version: Version, found: Object) -> Tag:
    """Read a tag as git hands it out; of anything else take the thing itself."""
    if found.kind != TAG or not found.data.startswith(_OBJECT):
        return Tag(version, found.oid, found.oid, None)
    named = found.data[len(_OBJECT) :].partition(b"\n")[0]
    message = found.data.partition(b"\n\n")[2].lstrip(b"\n")
    return Tag(version, found.oid, named.decode(errors="replace"), message)


def _manifest_in(message: bytes | None) -> bytes | None:
    """Cut the manifest out of a tag's message: subject, empty line, manifest, signature."""
    body = (message or b"").partition(b"\n\n")[2]
    body = body.partition(b"\n-----BEGIN ")[0]
    return body.rstrip(b"\n") + b"\n" if body.startswith(b"{") else None
