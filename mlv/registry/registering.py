"""New versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.errors import InvalidInput, RegistryError
from mlv.registry.sharing import Shares
from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlv.registering.registration import Registered
    from mlv.registry.opened import AnyPath
    from mlv.sharing.share import Fetched

_UNSAID: Any = object()


class Registers(Shares):
    """The verbs that make a version; numbers go on from the remote's."""

    def register(
        self,
        model_path: AnyPath,
        preprocessor_path: AnyPath | None = _UNSAID,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, AnyPath] | None = None,
        *,
        sample: Any = None,
        experiment: str | None = None,
        push: bool | None = None,
    ) -> str:
        """Register a trained model; give the new version's name, ``v1``.

        Paths are files or directories, which are copied, never moved. The preprocessor is given,
        or declined with None ("it is inside the model"). ``metrics`` are finite numbers by name;
        ``metadata`` JSON values (`domain.manifest.METADATA` lists what a version should carry);
        ``artifacts`` further paths by role. ``sample`` is a small input (frame, array or list):
        what the model answers to it now is kept, so that `verify`, `drill` and serving find a
        machine on which it answers something else. ``experiment`` names one of DVC's, whose result
        is registered as it is there; the work tree is not touched. ``push`` publishes it; None is
        what mlv.yaml says.
        """
        from mlv.registering.request import sources_of

        if preprocessor_path is _UNSAID:
            raise InvalidInput(
                "the preprocessor is neither given nor declined",
                hint="preprocessor_path=..., or preprocessor_path=None if it is inside the model",
            )
        sources = sources_of(model_path, preprocessor_path, artifacts or {})
        registered = self.register_all(
            sources,
            metrics or {},
            metadata or {},
            sample=sample,
            experiment=experiment,
            push=push,
        )
        return registered.manifest.version.name

    def register_all(
        self,
        sources: Mapping[str, AnyPath],
        metrics: Mapping[str, float],
        metadata: Mapping[str, Any],
        *,
        sample: Any = None,
        experiment: str | None = None,
        push: bool | None = None,
    ) -> Registered:
        """Register artifacts by role, and give the manifest that was written."""
        from mlv.registering.experiment import find
        from mlv.registering.registration import register
        from mlv.registering.request import Request

        self._git.forget_config()
        model = self._references.one_model()
        request = Request.of(model, sources, metrics, metadata, sample)
        if experiment is not None:
            request = request._replace(experiment=find(self._git, experiment))
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
