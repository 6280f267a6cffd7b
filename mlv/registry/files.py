"""A version's files: handed out, loaded, verified, and audited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlv.domain import pointer as pointers
from mlv.registry.opened import Opened
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlv.domain.findings import Outcome
    from mlv.domain.names import Version
    from mlv.drill.report import Drill
    from mlv.predicting.predictor import Predictor
    from mlv.registry.opened import AnyPath
    from mlv.reproducing import Reproduced
    from mlv.trust import Trust


class HandsOut(Opened):
    """The verbs that give out bytes, or hold them against what was registered."""

    def current_artifacts(self) -> dict[str, Path]:
        """Give the files of the version in production, as `artifacts` does."""
        return self.artifacts("@production")

    def artifacts(self, ref: str) -> dict[str, Path]:
        """Give a version's files by role, its manifest and requirements: verified, read-only.

        They lie in a folder of this version alone, and are fetched from the DVC remote if they
        are not here. A version that was yanked or purged is refused, and one that is not signed
        as the registry requires.
        """
        from mlv.store import files, versionfolder
        from mlv.trust import check_trusted

        record = self.record(ref)
        check_trusted(self._versions, self._versions.tip(), record)
        self._refuse_withdrawn(record.manifest.version)
        pins = versionfolder.requirements(self._versions, record)
        return files.hand_out(self._git.layout, record, self._progress, pins)

    def copy_out(self, ref: str, target: AnyPath) -> dict[str, Path]:
        """Copy a version's verified files into a folder of the user's.

        A file there that is something else is never overwritten.
        """
        from mlv.store import handout

        out = Path(target).absolute()
        with on_disk(out):
            return handout.copy_out(self.artifacts(ref), out)

    def load(
        self,
        ref: str = "@production",
        *,
        loaders: Mapping[str, Callable[[Path], Any]] | None = None,
    ) -> dict[str, Any]:
        """Load a version, that in production unless one is named; every byte is verified first.

        ``model`` and ``preprocessor`` are the objects (None for a preprocessor that was declined;
        a Path where nothing loads such a file), further roles are Paths. ``loaders`` are the
        caller's own, by suffix (``.onnx``) or role.
        """
        from mlv.predicting.loaders import load_files

        return load_files(self.artifacts(ref), loaders)

    def predictor(
        self,
        ref: str = "@production",
        *,
        loaders: Mapping[str, Callable[[Path], Any]] | None = None,
    ) -> Predictor:
        """Load a version as `load` does, to be asked: ``registry.predictor().predict(X)``."""
        from mlv.predicting.predictor import Predictor

        files = self.artifacts(ref)
        return Predictor.load(self.record(ref).manifest, files, loaders)

    def reproduce(
        self,
        ref: str,
        folder: AnyPath | None = None,
        *,
        env: bool = False,
        retrain: bool = False,
        python: str | None = None,
        show: Callable[[str], None] | None = None,
    ) -> Reproduced:
        """Bring a version back in a linked work tree at its tag, with its verified bytes.

        ``folder`` is beside the repository unless one is given. ``env`` makes ``.venv`` in it, of
        the version's packages, with ``python``. ``retrain`` runs the stage that made the version,
        and says whether the same came out. ``show`` gets what programs print, line by line.
        """
        from mlv.reproducing import Order, reproduce

        files = self.artifacts(ref)
        where = None if folder is None else Path(folder)
        order = Order(where, env, retrain, python, show or (lambda _: None))
        with on_disk(self.path):
            return reproduce(self._versions, self.record(ref), files, order)

    def verify(
        self,
        ref: str,
        *,
        fetch: bool = True,
        predict: bool = False,
        loaders: Mapping[str, Callable[[Path], Any]] | None = None,
    ) -> dict[str, str]:
        """Hash a version's bytes here anew, wherever they lie: ``{role: "ok" | "not here"}``.

        `IntegrityError` names the artifact, the SHA-256 expected and the one found. ``fetch``
        brings bytes that are not here from the DVC remote first. ``predict`` also loads the
        version, with ``loaders`` as `load` does, and asks it its sample, which `PredictionDiffers`
        if it answers something else.
        """
        from mlv.store import files, versionfolder

        record = self.record(ref)
        versionfolder.read(self._versions, record)
        # Of what was purged, nothing is to be found elsewhere.
        fetch = fetch and self._status(record.manifest.version) != pointers.PURGED
        states = files.verify(self._git.layout, record, self._progress, fetch=fetch)
        if predict:
            self.predictor(record.manifest.version.tag, loaders=loaders).check()
        return states

    def drill(
        self,
        models: Sequence[str] = (),
        budget: float = 300.0,
        loaders: Iterable[tuple[str, str]] = (),
    ) -> Drill:
        """Rehearse the rollback of these models, of the bound one, or of all that are live.

        Decided as `rollback` decides; then the bytes come from the DVC remote into an empty
        cache, are verified, loaded, and asked the version's sample, in a process of their own.
        Nothing in the repository changes. ``budget`` is in seconds a model; ``loaders`` are pairs
        of a suffix or role and ``module:function``. What stopped it stands in the result: see
        `drill.report`.
        """
        from mlv.drill import Terms, drill

        terms = Terms(budget, self._progress, tuple(loaders))
        return drill(self._versions, self._references, models, terms)

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
