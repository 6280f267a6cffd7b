"""The audit of what Git holds: tags, manifests, folders, pointers, signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.domain.findings import Edited, Missing, Moved, NotHere, Unpublished, Untrusted
from mlv.domain.names import Version
from mlv.errors import IntegrityError, RegistryError
from mlv.overview import check_beside, check_folder, check_guard, check_outputs
from mlv.store import versionfolder
from mlv.store.gitremote import PEELED, GitRemote
from mlv.store.naming import EVERY_TAG, folder_of, tag_ref, version_of
from mlv.store.objects import TAG
from mlv.store.vanished import check_not_merged
from mlv.trust import OFF, accept, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.domain.findings import Outcome
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Record, Tag, Tip, Versions
    from mlv.trust import Policy


def check_branch(
    versions: Versions, tip: Tip | None, model: str | None
) -> tuple[dict[str, Pointer], list[Outcome]]:
    """Read every pointer; give those that can be read, and what is wrong on the branch."""
    name = versions.config.branch
    live: dict[str, Pointer] = {}
    if tip is None:
        return live, [NotHere(name, "the registry branch is not here", "git fetch brings it")]
    found: list[Outcome] = []
    for check in (check_not_merged, check_guard, check_beside, check_outputs):
        try:
            check(versions, tip)
        except RegistryError as error:
            found.append(Edited(name, error.message, error.hint))
    for each in versions.models_on(tip):
        if model not in (None, each):
            continue
        try:
            live[each] = versions.pointer(tip, each)
            check_folder(versions, tip, live[each])
        except RegistryError as error:
            found.append(Edited(f"{folder_of(each)} on {name}", error.message, error.hint))
    return live, found


def check_policy(versions: Versions, tip: Tip | None) -> tuple[Policy, list[Outcome]]:
    """Give the policy that versions are held against, and say if the branch is not trusted."""
    try:
        return accept(versions, tip), []
    except IntegrityError as error:
        return OFF, [Untrusted(versions.config.branch, error.message, error.hint)]


def check_versions(
    versions: Versions, policy: Policy, model: str | None, live: dict[str, Pointer]
) -> tuple[list[Record], list[Outcome]]:
    """Read every version whole; give those that are, and what is wrong with any."""
    whole: list[Record] = []
    found: list[Outcome] = []
    known = set()
    for tag, manifest in versions.manifests(model):
        known.add(tag.version)
        try:
            if isinstance(manifest, RegistryError):
                raise manifest
            record = versions.record(tag.version)
            versionfolder.read(versions, record)
        except RegistryError as error:
            found.append(_fault(versions, tag, error))
            continue
        whole.append(record)
        try:
            if policy.required:
                check_version(versions, policy, record)
        except IntegrityError as error:
            found.append(Untrusted(tag.version.tag, error.message, error.hint))
    listed = {Version(m, number) for m, pointer in live.items() for number in pointer.status}
    for version in sorted(listed - known):
        remote = versions.config.remote
        found.append(
            Missing(
                version.tag,
                "the registry branch lists it, and its tag is not here",
                f"git fetch {remote} tag {version.tag} brings it, if it was not deleted there",
            )
        )
    return whole, found


def _fault(versions: Versions, tag: Tag, error: RegistryError) -> Outcome:
    name, read = tag.version.tag, versions.git.objects.read
    if read(f"{tag.commit}^{{tree}}") is None:
        return Missing(name, error.message, error.hint)
    itself = read(tag.oid)
    own = itself.data.partition(b"\n\n")[0].split(b"\n") if itself else []
    is_renamed = itself and itself.kind == TAG and f"tag {name}".encode() not in own
    return (Moved if is_renamed else Edited)(name, error.message, error.hint)


def compare_tags(
    versions: Versions, whole: list[Record], model: str | None
) -> tuple[set[str] | None, list[Outcome]]:
    """Compare tags with the Git remote's.

    Gives the tags that it has (None where there is no Git remote to ask), and what differs.
    """
    remote = GitRemote(versions.git, versions.config.remote)
    if not remote.exists:
        return None, []
    refs = remote.refs(EVERY_TAG, f"{EVERY_TAG}{PEELED}")
    found: list[Outcome] = []
    for record in whole:
        found += compare(record.tag, refs, remote.name)
    there = {version for version in map(version_of, refs) if version}
    here = {record.tag.version for record in whole} | set(versions.names(model))
    models = {version.model for version in here}
    theirs = {version for version in there if version.model in models}
    found += [
        NotHere(v.tag, f"{remote.name} has this tag", f"git fetch {remote.name} --tags")
        for v in sorted(theirs - here)
        if model in (None, v.model)
    ]
    return {version.tag for version in there}, found


def compare(tag: Tag, refs: dict[str, str], remote: str) -> Iterator[Outcome]:
    """Say how a tag differs from the remote's, whose ``refs`` are given with what they name."""
    name, ref = tag.version.tag, tag_ref(tag.version)
    theirs = refs.get(ref)
    if theirs is None:
        yield Unpublished(name, f"{remote} does not have this tag", "mlv push publishes it")
        return
    peeled = refs.get(f"{ref}{PEELED}")
    # A lightweight tag at the same commit is what CI's checkouts leave: no tampering.
    is_light = tag.message is None or peeled is None
    if theirs == tag.oid or (is_light and (peeled or theirs) == tag.commit):
        return
    what = "was made anew" if peeled == tag.commit else "names another commit"
    yield Moved(
        name,
        f"the tag {name} {what} on {remote}: {theirs[:10]} there, {tag.oid[:10]} here",
        "a version's tag never changes: find out who moved it, and which one was promoted; "
        f"git fetch {remote} {ref}:refs/audit/{name} brings theirs to look at",
    )
