"""The Git remote and the DVC remote: there, reachable, and writable."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from mlv.doctor.checks import note, ok, problem
from mlv.errors import RegistryError
from mlv.store.dvcfiles import credential_in
from mlv.store.git import SCRATCH
from mlv.store.gitremote import GitRemote
from mlv.store.naming import FOLDER
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlv.doctor.checks import Check
    from mlv.store.dvc.remote import Remote
    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.versions import Versions

_GIT, _DVC = "git remote", "dvc remote"


def check_git(versions: Versions) -> Iterator[Check]:
    """Ask the Git remote for the registry branch, and for the right to push."""
    remote, branch = GitRemote(versions.git, versions.config.remote), versions.config.branch
    if not remote.exists:
        yield note(
            _GIT,
            f"there is no Git remote {remote.name!r}: nobody else sees this registry",
            f"git remote add {remote.name} URL, or name another in mlv.yaml",
        )
        return
    ref = f"refs/heads/{branch}"
    try:
        there = remote.refs(ref).get(ref)
    except RegistryError as error:
        yield problem(_GIT, error.message, error.hint)
        return
    known = versions.git.objects.read(versions.remote_ref)
    if there is None:
        yield note(_GIT, f"{remote.name} has no branch {branch} yet", "mlv push publishes it")
    elif known is None or known.oid != there:
        yield note(
            _GIT, f"{branch} on {remote.name} has moved since it was last fetched", "mlv fetch"
        )
    else:
        yield ok(_GIT, f"{remote.name} is reachable, and {branch} there is known here")
    yield from _push_rights(versions, remote)


def _push_rights(versions: Versions, remote: GitRemote) -> Iterator[Check]:
    head = versions.git.objects.read("HEAD^{commit}")
    if head is None:
        return
    try:
        remote.rehearse(head.oid, f"refs/tags/mlv-doctor-{uuid.uuid4().hex[:8]}")
    except RegistryError as error:
        yield problem(
            "push rights",
            f"pushing to {remote.name} would fail: {error.message}",
            "to read only, nothing is missing; else ask for the right to push",
        )
    else:
        yield ok(
            "push rights",
            f"{remote.name} lets this user push (rehearsed with a tag; a "
            "protected branch or a hook may still refuse)",
        )


def check_dvc(git: Git) -> Iterator[Check]:
    """Check that DVC is set up, that a new machine finds the remote, and that it takes objects."""
    from mlv.store.dvc.repository import open_dvc

    committed = git.objects.read("HEAD:.dvc/config")
    found = credential_in(committed.data) if committed else None
    if found:
        yield problem(
            "credentials",
            f".dvc/config:{found.line} is committed with a credential ({found.key})",
            "dvc remote modify --local NAME keeps it out of Git; and "
            "change it, for history keeps what was committed",
        )
    try:
        dvc = open_dvc(git.layout)
    except RegistryError as error:
        yield problem("dvc set-up", error.message, error.hint)
        return
    with dvc:
        yield from _hidden(git, dvc)
        yield from _configured(git, dvc, committed.data if committed else b"")


def _hidden(git: Git, dvc: Dvc) -> Iterator[Check]:
    assert git.layout.top
    hidden = dvc.hidden([git.layout.top / FOLDER / "model" / "model.pkl"])
    if hidden:
        yield problem(
            "ignored",
            f"{hidden.relative_to(git.layout.top)} is hidden from DVC: dvc "
            "pull would bring nothing",
            "take the rule out of .dvcignore or .gitignore",
        )
    else:
        yield ok("dvc set-up", "DVC sees what lies in registry/")


def _configured(git: Git, dvc: Dvc, committed: bytes) -> Iterator[Check]:
    name = dvc.remote_name()
    if name is None:
        yield note(
            _DVC,
            "there is no DVC remote: the bytes are on this machine only",
            "dvc remote add -d NAME URL, and commit .dvc/config",
        )
        return
    try:
        dvc.check_remote()
        remote = dvc.remote()
    except RegistryError as error:
        yield problem(_DVC, error.message, error.hint)
        return
    objection = dvc.remote_objection(committed)
    if objection:
        yield problem(_DVC, objection, "then commit .dvc/config")
    yield from _writable(git, remote)


def _writable(git: Git, remote: Remote) -> Iterator[Check]:
    """Write an object that no version can name, look for it, and delete it."""
    data = f"written by mlv doctor, and safe to delete: {uuid.uuid4()}\n".encode()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    try:
        remote.sizes([md5])
    except RegistryError as error:
        yield problem(
            _DVC, f"{remote.name} ({remote.url}) cannot be read: {error.message}", error.hint
        )
        return
    try:
        with scratch(git.layout.common_dir / SCRATCH) as folder:
            (folder / "object").write_bytes(data)
            remote.push({md5: folder / "object"}, lambda _: None)
        is_there = md5 in remote.sizes([md5])
    except RegistryError as error:
        yield problem(
            _DVC,
            f"{remote.name} ({remote.url}) cannot be written: {error.message}",
            "to read only, nothing is missing; else ask for the right to write",
        )
        return
    if not is_there:
        yield problem(
            _DVC,
            f"{remote.name} ({remote.url}) took an object and does not have it",
            "ask whoever keeps it",
        )
        return
    try:
        remote.delete([md5])
    except RegistryError as error:
        yield note(
            _DVC,
            f"{remote.name} can be written, and nothing deleted there: {error.message}",
            "mlv purge would fail",
        )
    else:
        yield ok(_DVC, f"{remote.name} ({remote.url}) can be read and written")
