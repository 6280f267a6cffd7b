"""What of somebody's Git is brought here: the branch that says what is live, and a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain import pointer as pointers
from mlv.domain.names import is_model
from mlv.errors import ConfigError, NotFound
from mlv.references import References
from mlv.store import config as configs
from mlv.store import handout
from mlv.store.mirror import HEAD, REMOTE, Mirror, shown
from mlv.store.naming import FOLDER, folder_of, tag_ref, version_of
from mlv.store.objects import BLOB, FOLDER_MODE
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.domain.names import Reference, Version
    from mlv.pulling.ahead import Ahead
    from mlv.store.versions import Record, Tip

_MOST_FOLDERS = 64  # of models that are brought where none is named
_MOST_FOREIGN = 20  # tags that are called like a version and are none
DVC_CONFIG = ".dvc/config"


class View(NamedTuple):
    """The registry as the mirror has it: what its branch says, and the tip that was read."""

    versions: Versions
    tip: Tip

    def references(self, model: str | None) -> References:
        """Understand references as a registry bound to ``model``, or to none."""
        return References(self.versions, model)

    def check(self, record: Record) -> None:
        """Refuse a version that is not signed as the registry requires, or was withdrawn."""
        from mlv.trust import check_trusted

        check_trusted(self.versions, self.tip, record)
        version = record.manifest.version
        pointer = self.references(None).live_at(self.tip, version.model).pointer
        status = pointer.status_of(version.number)
        if pointers.is_withdrawn(status):
            from mlv.moving.withdrawal import not_handed_out

            raise not_handed_out(self.versions, version, status)


def view(mirror: Mirror) -> View:
    """Read what is here; `NotFound` if nothing was ever fetched."""
    branch = mirror.state().branch
    versions = Versions(mirror.git, configs.Config(branch=branch, remote=REMOTE))
    tip = versions.tip()
    if tip is None:
        raise NotFound(
            f"nothing of {shown(mirror.url)} was fetched here yet",
            hint="once without --offline (offline=True) brings it",
        )
    config = configs.read_at(versions, tip.commit)
    if config is None:
        raise _no_registry(mirror)
    versions.config = config._replace(branch=branch, remote=REMOTE)
    return View(versions, tip)


def refresh(mirror: Mirror, model: str | None, reference: Reference | None, ahead: Ahead) -> Mirror:
    """Ask the remote for its registry branch, and for the version that is meant.

    Where that is not here yet, its DVC remote is opened ``ahead``.

    Gives the mirror that is to be used from now on: signatures need all history.
    """
    guessed = mirror.state().branch
    wanted = _tag(model, reference)
    _fetch(mirror, guessed, wanted)
    branch, config = _stated(mirror)
    if branch != guessed and not mirror.fetch([_branch(branch)]):
        raise ConfigError(
            f"mlv.yaml of {shown(mirror.url)} names {branch!r} as the registry branch, "
            "which is not there",
            hint="somebody renamed or deleted it",
        )
    if config.require_signed and not mirror.is_whole:
        mirror.note(branch, is_whole=True)
        from mlv.store.mirror import Mirror as Another

        whole = Another(mirror.folder.parents[1], mirror.url, whole=True)
        return refresh(whole, model, reference, ahead)
    mirror.note(branch, is_whole=mirror.is_whole)
    _bring_branch(mirror, model)
    if reference is not None:
        _bring_meant(mirror, model, reference, ahead)
    return mirror


def _fetch(mirror: Mirror, branch: str, wanted: Version | None) -> None:
    """Bring HEAD, the branch and a tag at once; of what is not there the others."""
    head = ("HEAD", HEAD)
    tag = [(tag_ref(wanted), tag_ref(wanted))] if wanted and not is_here(mirror, wanted) else []
    for refs in ([head, _branch(branch), *tag], [head, _branch(branch)], [head]):
        if mirror.fetch(refs):
            return
    raise ConfigError(
        f"{shown(mirror.url)} has no default branch: it is empty, or its HEAD names nothing",
        hint="push the registry branch there, or set the repository's default branch",
    )


def _branch(name: str) -> tuple[str, str]:
    return f"refs/heads/{name}", f"refs/remotes/{REMOTE}/{name}"


def _tag(model: str | None, reference: Reference | None) -> Version | None:
    from mlv.domain.names import Version

    if reference is None or reference.number is None or model is None:
        return None
    return Version(model, reference.number)


def _stated(mirror: Mirror) -> tuple[str, configs.Config]:
    """Read the mlv.yaml of the default branch; what it says of the branch holds."""
    versions = Versions(mirror.git, configs.Config(remote=REMOTE))
    head = mirror.git.objects.read(f"{HEAD}^{{commit}}")
    if head is None:
        raise _no_registry(mirror)
    mirror.bring(_files(versions, head.oid, None))
    config = configs.read_at(versions, head.oid)
    if config is None:
        raise _no_registry(mirror)
    return config.branch, config


def _no_registry(mirror: Mirror) -> ConfigError:
    return ConfigError(
        f"{shown(mirror.url)} is not a model registry: its default branch has no {configs.FILE}",
        hint="mlv init in a clone of it, then push",
    )


def _bring_branch(mirror: Mirror, model: str | None) -> None:
    versions = Versions(mirror.git, configs.Config(mirror.state().branch, REMOTE))
    tip = versions.tip()
    if tip is None:
        raise ConfigError(
            f"{shown(mirror.url)} has no branch {mirror.state().branch!r}, which says what is live",
            hint="set its default branch to the registry branch, or name it in mlv.yaml",
        )
    mirror.bring(_files(versions, tip.commit, model))


def _bring_meant(mirror: Mirror, model: str | None, reference: Reference, ahead: Ahead) -> None:
    """Bring the version that a reference means, now that it is known what is live."""
    from mlv.pulling.delivery import open_remote_of

    seen = view(mirror)
    if reference.number is not None or reference.alias != "latest":
        if not seen.versions.models_on(seen.tip) and model is None:
            _bring_newest(mirror, "*-v*")
        version = seen.references(model).resolve(str(reference))
        config = seen.versions.blob(seen.tip.commit, DVC_CONFIG)
        if config is not None and not is_handed_out(mirror, version):
            ahead.begin(config, lambda config: open_remote_of(mirror, config))
        bring_version(mirror, seen, version)
        return
    _bring_newest(mirror, f"{model or seen.references(None).one_model()}-v*")


def _bring_newest(mirror: Mirror, pattern: str) -> None:
    """Bring the newest tag of that name that is a version's."""
    found = {version: ref for ref in mirror.tags(pattern) if (version := version_of(ref))}
    seen = view(mirror)
    newest = sorted(found, key=lambda each: each.number, reverse=True)
    for version in newest[:_MOST_FOREIGN]:
        bring_version(mirror, seen, version)
        if any(seen.versions.ours([tag_ref(version)])):
            return


def bring_version(mirror: Mirror, seen: View, version: Version) -> None:
    """Bring a version's tag and the small files of its folder, unless they are here."""
    ref = tag_ref(version)
    if not is_here(mirror, version) and not mirror.fetch([(ref, ref)]):
        known = seen.references(None).live_at(seen.tip, version.model).pointer
        listed = ", ".join(f"v{number}" for number in sorted(known.status)[-5:])
        raise NotFound(
            f"{shown(mirror.url)} has no version {version.name} of {version.model!r}",
            hint=f"its branch knows {listed}" if listed else "git ls-remote --tags lists its tags",
        )
    found = mirror.git.objects.read(f"{ref}^{{commit}}")
    if found is not None:
        mirror.bring(_files(seen.versions, found.oid, version.model))


def is_handed_out(mirror: Mirror, version: Version) -> bool:
    """Whether a version's files are here."""
    return handout.folder_of(mirror.folder, version).is_dir()


def is_here(mirror: Mirror, version: Version) -> bool:
    """Whether a version's tag was fetched."""
    return mirror.has(tag_ref(version))


def _files(versions: Versions, commit: str, model: str | None) -> Iterator[str]:
    """Name the files of a commit that matter: what mlv and DVC are told, and models' folders."""
    for entry in versions.entries(commit) or []:
        if entry.name == configs.FILE and entry.kind == BLOB:
            yield entry.oid
    dvc, _, name = DVC_CONFIG.partition("/")
    for entry in versions.entries(commit, dvc) or []:
        if entry.name == name and entry.kind == BLOB:
            yield entry.oid
    for folder in [model] if model else _models(versions, commit):
        for entry in versions.entries(commit, folder_of(folder)) or []:
            if entry.kind == BLOB:
                yield entry.oid


def _models(versions: Versions, commit: str) -> list[str]:
    entries = versions.entries(commit, FOLDER) or []
    names = [e.name for e in entries if e.mode == FOLDER_MODE and is_model(e.name)]
    return names[:_MOST_FOLDERS]
