"""ModelRegistry: one verb, one method."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.domain import pointer as pointers
from mlv.domain.comparison import compare
from mlv.domain.names import check_model, name_of
from mlv.errors import InvalidInput, RegistryError
from mlv.references import References
from mlv.store import config as configs
from mlv.store.disk import on_disk
from mlv.store.git import JOURNAL, Git, find
from mlv.store.versions import DIVERGED, Versions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from mlv.doctor.checks import Check
    from mlv.domain.findings import Outcome
    from mlv.domain.gate import Verdict
    from mlv.domain.manifest import Manifest
    from mlv.domain.names import Version
    from mlv.domain.pointer import Pointer
    from mlv.initialisation import Initialised
    from mlv.keeping.purging import Purge
    from mlv.moving.promotion import Change
    from mlv.proposing.proposal import Proposed
    from mlv.references import Live
    from mlv.registering.registration import Registered
    from mlv.review.report import Report
    from mlv.sharing.pushing import Pushed
    from mlv.sharing.share import Fetched, Share
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tag, Tip
    from mlv.trust import Trust

    AnyPath = str | os.PathLike[str]

_UNSAID: Any = object()


class ModelRegistry:
    """The registry that a Git repository is.

    ``path`` is the repository or any folder in it, in which ``mlv init`` ran. ``model`` binds the
    registry to one model; bound to none, it takes the only one there is. ``notify`` is told, in
    one line each, what the user should know besides the result; it logs unless given.
    ``progress`` may give a bar for long work (see `store.hashing.ProgressBar`).

    Everything is read anew at each call. Every error is a `RegistryError`.
    """

    def __init__(
        self,
        path: AnyPath = ".",
        model: str | None = None,
        *,
        notify: Callable[[str], None] | None = None,
        progress: ProgressBar | None = None,
    ) -> None:
        self.model = None if model is None else check_model(model)
        self._notify = notify or _log
        self._progress = progress or _no_progress
        self._git = Git(find(Path(path)))
        self._git.check_formats()
        self.config = configs.read(self._git)
        self._versions = Versions(self._git, self.config)
        self._warned_of: Tip | None = None
        self._references = References(self._versions, self.model)
        if (self._git.layout.common_dir / JOURNAL).is_file():
            from mlv.store.publishing import recover_if_allowed

            self._tell(recover_if_allowed(self._git))

    def __repr__(self) -> str:
        """Name the repository and the model."""
        return f"ModelRegistry({str(self.path)!r}, model={self.model!r})"

    @classmethod
    def init(cls, path: AnyPath = ".", model: str | None = None) -> ModelRegistry:
        """Set up Git, DVC and mlv.yaml in ``path``, whatever of these is missing."""
        cls.initialise(path)
        return cls(path, model)

    @staticmethod
    def initialise(
        path: AnyPath = ".",
        *,
        with_hooks: bool = False,
        templates: Sequence[str] = (),
        may_replace: Callable[[str], bool] | None = None,
    ) -> Initialised:
        """Do what `init` does, and tell what was made.

        ``with_hooks`` adds those of Git. ``templates`` are `github`, `gitlab` and `pipeline`, whose
        files are written and not committed; ``may_replace`` is asked of a file that is there.
        """
        from mlv.initialisation import Extras, initialise

        with on_disk(Path(path)):
            return initialise(
                Path(path), Extras(with_hooks, templates, may_replace or (lambda _: False))
            )

    @staticmethod
    def diagnose(path: AnyPath = ".", *, fix: bool = False, any_age: bool = False) -> list[Check]:
        """Check the set-up, from the programs to the remotes, and say how to mend each finding.

        ``fix`` mends what can be mended safely: locks of a git that died (those younger than ten
        minutes only with ``any_age``), interrupted work, half-made files, tags not fetched.
        """
        from mlv.doctor import diagnose

        return list(diagnose(Path(path), fix=fix, any_age=any_age))

    @property
    def path(self) -> Path:
        """The top of the repository."""
        return self._git.layout.folder

    # Registering --------------------------------------------------------------------------

    def register(
        self,
        model_path: AnyPath,
        preprocessor_path: AnyPath | None = _UNSAID,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, AnyPath] | None = None,
        *,
        push: bool | None = None,
    ) -> str:
        """Register a trained model; give the new version's name, ``v1``.

        Paths are files or directories, which are copied, never moved. The preprocessor is given,
        or declined with None ("it is inside the model"). ``metrics`` are finite numbers by name;
        ``metadata`` JSON values (`domain.manifest.METADATA` lists what a version should carry);
        ``artifacts`` further paths by role. ``push`` publishes it; None is what mlv.yaml says.
        """
        from mlv.registering.request import sources_of

        if preprocessor_path is _UNSAID:
            raise InvalidInput(
                "the preprocessor is neither given nor declined",
                hint="preprocessor_path=..., or preprocessor_path=None if it is inside the model",
            )
        sources = sources_of(model_path, preprocessor_path, artifacts or {})
        registered = self.register_all(sources, metrics or {}, metadata or {}, push=push)
        return registered.manifest.version.name

    def register_all(
        self,
        sources: Mapping[str, AnyPath],
        metrics: Mapping[str, float],
        metadata: Mapping[str, Any],
        *,
        push: bool | None = None,
    ) -> Registered:
        """Register artifacts by role, and give the manifest that was written."""
        from mlv.registering.registration import register
        from mlv.registering.request import Request

        self._git.forget_config()
        model = self._references.one_model()
        request = Request.of(model, sources, metrics, metadata)
        is_pushed = self.config.push if push is None else push
        # Numbers go on from the remote's.
        fetched = self.fetch() if is_pushed else None
        with on_disk(self.path):
            registered = register(self._versions, request, self.config.of(model), self._progress)
        self._tell(registered.notes)
        return self._publish(registered, fetched) if fetched else registered

    def _publish(self, registered: Registered, fetched: Fetched) -> Registered:
        from mlv.sharing import pushing

        tag = registered.manifest.version.tag
        order = pushing.Order((registered.manifest.version,), branch=False)
        try:
            with on_disk(self.path):
                pushed = pushing.push(self._share(), order, fetched)
        except RegistryError:
            self._notify(f"{tag} is registered here, and not published: mlv push {tag} does that")
            raise
        [version] = pushed.versions or pushed.checked  # another process here may have been faster
        return registered._replace(manifest=self._versions.record(version).manifest)

    # Moving the pointer -------------------------------------------------------------------

    def gate(self, ref: str, against: str | None = None) -> Verdict:
        """Judge a version by the gate of the registry branch's mlv.yaml, and change nothing.

        It is held against what is live, or ``against`` another version of its model.
        """
        from mlv import gating

        tip, version = self._versions.need_tip(), self.resolve(ref)
        self._warn(tip)
        other = None if against is None else self._references.resolve(against, version.model)
        return gating.verdict(self._versions, tip.commit, version, other)

    def stage(
        self,
        ref: str,
        *,
        reason: str | None = None,
        force: bool = False,
        push: bool | None = None,
    ) -> str:
        """Put a version in staging; the one staged before returns to registered.

        `GateFailed` if it does not meet the gate, unless ``force``, which needs a ``reason``.
        """
        return _only(self.move("stage", [ref], reason=reason, force=force, push=push))

    def promote(
        self,
        ref: str,
        *,
        reason: str | None = None,
        from_: str | None = None,
        force: bool = False,
        push: bool | None = None,
    ) -> str:
        """Put a version in production; the one that was live is archived and becomes previous.

        Promoting what is live changes nothing. ``from_`` is the version that the caller believes
        to be live: `ChangedMeanwhile` if it is not. `GateFailed` if the version does not meet the
        gate, unless ``force``, which needs a ``reason``; commit and history keep both.
        """
        seen = [] if from_ is None else [from_]
        change = self.move("promote", [ref], reason=reason, from_=seen, force=force, push=push)
        return _only(change)

    def rollback(
        self,
        *,
        to: str | None = None,
        reason: str | None = None,
        from_: str | None = None,
        push: bool | None = None,
    ) -> str:
        """Go back to the previous version, or ``to`` one that was live before; give its name."""
        refs, seen = ([] if ref is None else [ref] for ref in (to, from_))
        return _only(self.move("rollback", refs, reason=reason, from_=seen, push=push))

    def yank(self, ref: str, *, reason: str, push: bool | None = None) -> str:
        """Withdraw a version that is not live: it is never promoted, staged or loaded again.

        Its bytes are kept. ``reason`` is told to whoever asks for it.
        """
        return _only(self.move("yank", [ref], reason=reason, push=push))

    def unyank(self, ref: str, *, reason: str | None = None, push: bool | None = None) -> str:
        """Take a yank back; the version is archived."""
        return _only(self.move("unyank", [ref], reason=reason, push=push))

    def move(
        self,
        action: str,
        refs: str | Sequence[str] = (),
        *,
        models: Sequence[str] = (),
        reason: str | None = None,
        from_: Sequence[str] = (),
        force: bool = False,
        push: bool | None = None,
    ) -> Change:
        """Do what `stage`, `promote`, `rollback` and `yank` do, for several models in one commit.

        ``models`` are those to roll back to their previous versions. ``force`` goes past the gate.
        ``push`` publishes on the Git remote; None is what mlv.yaml says. Gives what changed.
        """
        from mlv.moving.planning import Asked, plan
        from mlv.moving.promotion import carry_out

        self._git.forget_config()
        named = (refs,) if isinstance(refs, str) else tuple(refs)
        asked = Asked(action, named, tuple(models), tuple(from_), reason, force)
        with on_disk(self._git.layout.common_dir):
            if self.config.push if push is None else push:
                from mlv.sharing import branch

                change = branch.move(self._share(), self.model, asked)
            else:
                self._warn(self._versions.need_tip())
                change = carry_out(self._versions, plan(self._versions, self._references, asked))
        self._tell(change.told)
        return change

    def propose(
        self,
        refs: str | Sequence[str] = (),
        *,
        action: str = "promote",
        models: Sequence[str] = (),
        reason: str | None = None,
        from_: Sequence[str] = (),
        force: bool = False,
        draft: bool = False,
    ) -> Proposed:
        """Propose what `move` would do, as a pull request: nothing goes live.

        ``action`` is ``promote`` or ``rollback``. The commit stands on the Git remote's registry
        branch and is pushed to a branch of its own; the pull request is opened with gh, glab or
        GitLab's push options, where that is possible. Proposing again brings it up to date.
        """
        from mlv.moving.planning import Asked
        from mlv.proposing.proposal import propose

        named = (refs,) if isinstance(refs, str) else tuple(refs)
        asked = Asked(action, named, tuple(models), tuple(from_), reason, force)
        with on_disk(self._git.layout.common_dir):
            proposed = propose(self._share(), self.model, asked, is_draft=draft)
        self._tell(proposed.told)
        return proposed

    # Keeping and deleting -----------------------------------------------------------------

    def purge_archived(self, keep_last_n: int = 2, *, dry_run: bool = False) -> list[str]:
        """Delete the bytes of all but the newest archived versions; give their names.

        They go from the DVC cache and the DVC remote, oldest first by number, except those that
        something else needs. Tags and manifests stay. ``dry_run`` only says which it would be.
        """
        done = self.purge(keep_last_n, lambda _: not dry_run)
        return [version.name for version in done.versions]

    def purge(self, keep_last_n: int, confirm: Callable[[Purge], bool]) -> Purge:
        """Do what `purge_archived` does, once ``confirm`` agrees to what it is shown; tell all."""
        from mlv.keeping.purging import purge

        self.need_known()
        model = self._live().pointer.model
        self._git.forget_config()
        sharing = self._share() if self.has_remote() else None
        with on_disk(self.path):
            done = purge(self._versions, sharing, model, keep_last_n, confirm)
        self._tell(done.notes)
        return done

    # Sharing ------------------------------------------------------------------------------

    def push(self, *refs: str, whole: bool = False, partial: bool = False) -> Pushed:
        """Publish versions and the registry branch: bytes to the DVC remote, then tags and branch.

        Without references: every version that the Git remote lacks, and the branch. ``whole`` sees
        to the bytes of published versions too; ``partial`` goes without pipeline outputs that
        nobody has. A version whose number somebody else published first is registered anew.
        """
        from mlv.sharing import pushing

        sharing = self._share()
        named = tuple(self.resolve(ref) for ref in refs)
        order = pushing.Order(named, whole, partial, branch=not named)
        with on_disk(self.path):
            return pushing.push(sharing, order)

    def fetch(self) -> Fetched:
        """Bring the registry branch and every version's tag here; warn of a tag that was moved."""
        from mlv.sharing import share

        fetched = share.fetch(self._share(to_publish=False))
        self._tell(fetched.warnings)
        return fetched

    def _share(self, *, to_publish: bool = True) -> Share:
        from mlv.sharing.share import Share
        from mlv.store.gitremote import GitRemote

        self._git.forget_config()
        remote = GitRemote(self._git, self.config.remote, to_publish=to_publish)
        remote.need()
        published = self._versions.published()
        return Share(self._versions, published, remote, self._notify, self._progress)

    def _tell(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._notify(note)

    # Reading ------------------------------------------------------------------------------

    def current_version(self) -> str | None:
        """Name the version in production, ``v2``, or None."""
        return name_of(self._live().pointer.current)

    def current(self) -> list[Live]:
        """Give every model that has something live, or the bound one."""
        if self.model:
            return [self._live()]
        tip = self._versions.need_tip()
        self._warn(tip)
        every = [self._references.live_at(tip, m) for m in self._versions.models_on(tip)]
        return [live for live in every if live.pointer.current is not None]

    def _live(self, model: str | None = None) -> Live:
        live = self._references.live(model)
        self._warn(live.tip)
        return live

    def _warn(self, tip: Tip) -> None:
        if tip.relation == DIVERGED and tip != self._warned_of:
            branch = self.config.branch
            self._warned_of = tip
            self._notify(
                f"{branch} and {self.config.remote}/{branch} have diverged: "
                "the local one was read (mlv status says more)"
            )

    def get_manifest(self, ref: str) -> dict[str, Any]:
        """Give a version's manifest, with ``status`` and the two checksums at hand."""
        record = self.record(ref)
        pointer = self._references.live(record.manifest.version.model).pointer
        return record.manifest.to_dict(pointer.status_of(record.manifest.version.number))

    def list_versions(self) -> list[dict[str, Any]]:
        """Give the manifests of all versions as `get_manifest` does, in numeric order."""
        return [manifest.to_dict(status) for manifest, status in self.versions()]

    def versions(self) -> list[tuple[Manifest, str]]:
        """Give every version's manifest and status: of the bound model, or of all.

        A tag that cannot be read is told to ``notify`` and left out.
        """
        tip = self._versions.tip()
        known: dict[str, Pointer] = {}
        found = []
        for tag, manifest in self.every():
            if isinstance(manifest, RegistryError):
                self._notify(manifest.message)
                continue
            model = tag.version.model
            if model not in known:
                known[model] = self._pointer(tip, model)
            found.append((manifest, known[model].status_of(tag.version.number)))
        return found

    def _pointer(self, tip: Tip | None, model: str) -> Pointer:
        return self._references.live_at(tip, model).pointer if tip else pointers.empty(model)

    def every(self) -> list[tuple[Tag, Manifest | RegistryError]]:
        """Read every version's tag; one that cannot be read comes with its error."""
        self.need_known()
        return list(self._versions.manifests(self.model))

    def compare(self, a: str, b: str) -> dict[str, dict[str, Any]]:
        """Give the metrics of two versions, and b - a; None where one side lacks a metric.

        The keys are the versions' names, or their tags if they are of two models.
        """
        return compare(self.record(a).manifest, self.record(b).manifest)

    def goals(self, ref: str) -> dict[str, str]:
        """Say of which metrics the gate of a version's model states whether more is better.

        ``"max"`` or ``"min"`` by metric; of the others their names tell.
        """
        from mlv import gating

        tip = self._versions.tip()
        if tip is None:
            return {}
        gate = gating.gate_at(self._versions, tip.commit, self.resolve(ref).model)
        return {name: rule.goal for name, rule in gate.metrics.items() if rule.goal}

    def status(self) -> dict[str, Any]:
        """Describe every model, the registry branch, and what needs attention."""
        from mlv.overview import overview

        self.need_known()

        return overview(self._versions, self.model)

    # Remembering --------------------------------------------------------------------------

    def history(self) -> list[dict[str, Any]]:
        """Tell every registration and every change of a pointer, oldest first (docs/json.md)."""
        from mlv.remembering import timeline

        tip = self._versions.need_tip()
        self._warn(tip)
        events = timeline.events(self._versions, tip, self.model, self._notify)
        if not events:
            self.need_known()
        return [event.to_dict() for event in events]

    def at(self, when: str | date) -> dict[str, Any]:
        """Say what was live at a moment, since when and by whom, and its hashes (docs/json.md).

        ``when`` is a time as RFC 3339 writes it, or a datetime; without a zone it is local time. A
        date alone means the end of that day.
        """
        from mlv.remembering import moment

        asked = moment.parse_when(when)
        tip = self._versions.need_tip()
        self._warn(tip)
        found = moment.at(self._versions, tip, asked, self.model)
        if not found.models:
            self.need_known()
        return found.to_dict()

    @staticmethod
    def review(
        path: AnyPath = ".",
        span: str | None = None,
        *,
        remote: bool = True,
        deep: bool = False,
        force: bool = False,
        progress: ProgressBar | None = None,
    ) -> Report:
        """Judge what ``span`` (``BASE..HEAD``) would bring to the registry branch; change nothing.

        Without a base it is the registry branch as it was last fetched, without a head ``HEAD``.
        The mlv.yaml of the base judges, and neither that of the work tree nor of the head.
        ``remote`` asks the remotes for tags and bytes, ``deep`` downloads, hashes and scans what
        would be loaded, ``force`` accepts what is proposed as forced past the gate.
        """
        from mlv.review import Look, review
        from mlv.review.change import parse_span

        git = Git(find(Path(path)))
        git.check_formats()
        base, head = parse_span(git, span)
        look = Look(remote, deep, force, progress)
        with on_disk(git.layout.common_dir):
            return review(Versions(git, configs.Config()), base, head, look)

    def check_push(
        self, lines: Iterable[str] | None = None, *, are_bytes_there: bool = False
    ) -> None:
        """Refuse a push that would rewrite what was live, or publish a merged registration.

        ``lines`` are what git writes to a pre-push hook; without them the registry branch is held
        against the remote's as it was last fetched. New tags of versions are refused as well
        whose bytes are not on the DVC remote, unless the caller knows that they are.
        """
        from mlv.sharing import pushcheck

        if lines is None:
            pushcheck.check_branch(self._versions)
            return
        pushes = list(pushcheck.parse(lines))
        pushcheck.check_pushes(self._versions, pushes)
        if not are_bytes_there:
            pushcheck.check_bytes(self._versions, pushes)

    def check_commit(self, index: AnyPath | None = None) -> None:
        """Refuse a commit of what is staged where it edits the registry by hand.

        ``index`` is the index's file, where a hook of git is told one.
        """
        from mlv.review.staged import check_staged

        check_staged(self._git, None if index is None else Path(index).absolute())

    # Files --------------------------------------------------------------------------------

    def current_artifacts(self) -> dict[str, Path]:
        """Give the files of the version in production, as `artifacts` does."""
        return self.artifacts("@production")

    def artifacts(self, ref: str) -> dict[str, Path]:
        """Give a version's files by role and its manifest: verified, read-only.

        They lie in a folder of this version alone, and are fetched from the DVC remote if they
        are not here. A version that was yanked or purged is refused, and one that is not signed
        as the registry requires.
        """
        from mlv.store import files
        from mlv.trust import check_trusted

        record = self.record(ref)
        check_trusted(self._versions, self._versions.tip(), record)
        self._refuse_withdrawn(record.manifest.version)
        return files.hand_out(self._git.layout, record, self._progress)

    def copy_out(self, ref: str, target: AnyPath) -> dict[str, Path]:
        """Copy a version's verified files into a folder of the user's.

        A file there that is something else is never overwritten.
        """
        from mlv.store import handout

        out = Path(target).absolute()
        with on_disk(out):
            return handout.copy_out(self.artifacts(ref), out)

    def load(self, ref: str = "@production") -> dict[str, Any]:
        """Load a version, that in production unless one is named; every byte is verified first.

        ``model`` and ``preprocessor`` are the objects (None for a preprocessor that was declined;
        a Path where the file is no pickle), further roles are Paths.
        """
        from mlv.store import files

        return files.load(self.artifacts(ref))

    def verify(self, ref: str, *, fetch: bool = True) -> dict[str, str]:
        """Hash a version's bytes here anew, wherever they lie: ``{role: "ok" | "not here"}``.

        `IntegrityError` names the artifact, the SHA-256 expected and the one found. ``fetch``
        brings bytes that are not here from the DVC remote first.
        """
        from mlv.store import files, versionfolder

        record = self.record(ref)
        versionfolder.read(self._versions, record)
        # Of what was purged, nothing is to be found elsewhere.
        fetch = fetch and self._status(record.manifest.version) != pointers.PURGED
        return files.verify(self._git.layout, record, self._progress, fetch=fetch)

    def verify_all(self, *, remote: bool = False, deep: bool = False) -> list[Outcome]:
        """Audit every version, of the bound model or of all, and the registry branch.

        Nothing is fetched. ``remote`` asks the Git remote for its tags and the DVC remote for
        every object; ``deep`` also downloads and hashes those of versions. See `domain.findings`.
        """
        from mlv.audit import verify_all

        self.need_known()
        with on_disk(self._git.layout.common_dir):
            return verify_all(self._versions, self.model, self._progress, remote=remote, deep=deep)

    def trust(self, commit: str | None = None) -> Trust:
        """Say what this clone trusts; with ``commit``, start from that one from now on.

        It is a commit of the registry branch that an administrator knows to be good.
        """
        from mlv import trust

        with on_disk(self._git.layout.common_dir):
            return trust.trust(self._versions, commit)

    def _refuse_withdrawn(self, version: Version) -> None:
        status = self._status(version)
        if pointers.is_withdrawn(status):
            from mlv.moving.withdrawal import not_handed_out

            raise not_handed_out(self._versions, version, status)

    def _status(self, version: Version) -> str:
        return self._pointer(self._versions.tip(), version.model).status_of(version.number)

    # References ---------------------------------------------------------------------------

    def record(self, ref: str) -> Record:
        """Read the version that a reference means, whole and consistent."""
        return self._versions.record(self.resolve(ref))

    def resolve(self, ref: str) -> Version:
        """Find the version that a reference means: ``fraud-v3``, ``v3``, ``fraud@production``."""
        return self._references.resolve(ref)

    def models(self) -> list[str]:
        """Name every model that has a version or a pointer."""
        return self._references.models()

    def need_known(self) -> None:
        """Raise `NotFound` if the bound model does not exist."""
        if self.model:
            self._references.need_known(self.model)

    def stated(self) -> configs.ModelConfig:
        """Give what mlv.yaml states of the model that `register` would take."""
        return self.config.of(self._references.one_model())

    def has_remote(self) -> bool:
        """Whether the Git remote that mlv.yaml names exists."""
        from mlv.store.gitremote import GitRemote

        return GitRemote(self._git, self.config.remote).exists


def _only(change: Change) -> str:
    return change.moved[0].version.name


def _log(note: str) -> None:
    import logging

    logging.getLogger("mlv").warning(note)


@contextlib.contextmanager
def _no_progress(what: str, size: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG001
    yield lambda _: None
