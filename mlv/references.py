"""From what people type to models, versions and what is live of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.domain.names import DEFAULT_MODEL, Reference, Version
from mlv.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from mlv.domain.pointer import Pointer
    from mlv.store.versions import Tip, Versions


class Live(NamedTuple):
    """One model as the registry branch has it, and the commit that was read."""

    model: str
    pointer: Pointer
    tip: Tip


class References:
    """References as a registry bound to ``model``, or to none, understands them."""

    def __init__(self, versions: Versions, model: str | None) -> None:
        self._versions = versions
        self.model = model

    def resolve(self, text: str, model: str | None = None) -> Version:
        """Find the version that a reference means; one without a model is of ``model``."""
        reference = Reference.parse(text)
        bound = model or self.model
        if bound and reference.model and reference.model != bound:
            raise InvalidInput(
                f"{text!r} is not of the model {bound!r}", hint="name a version of that model"
            )
        name = reference.model or bound or self.one_model()
        if reference.number is not None:
            return Version(name, reference.number)
        if reference.alias == "latest":
            return self._latest(name)
        pointer = self.live(name).pointer
        number = pointer.current if reference.alias == "production" else pointer.staging
        if number is None:
            self.need_known(name)
            verb = "promote" if reference.alias == "production" else "stage"
            raise NotFound(
                f"nothing of {name!r} is in {reference.alias}", hint=f"mlv {verb} REF puts it there"
            )
        return Version(name, number)

    def _latest(self, model: str) -> Version:
        for tag in reversed(self._versions.tags(model)):
            if self._versions.manifest_of(tag):
                return tag.version
        raise self._unknown(model)

    def live(self, model: str | None = None) -> Live:
        """Read one model's pointer."""
        tip = self._versions.need_tip()
        name = model or self.model
        if name is None:
            on_branch = self._versions.models_on(tip)
            name = on_branch[0] if len(on_branch) == 1 else self.one_model()
        return self.live_at(tip, name)

    def live_at(self, tip: Tip, model: str) -> Live:
        """Read one model's pointer at a commit."""
        pointer = self._versions.pointer(tip, model)
        if not pointer.status:
            # Rare, and a merged registration looks just like it.
            from mlv.store.vanished import check_not_merged

            check_not_merged(self._versions, tip)
        return Live(model, pointer, tip)

    def models(self) -> list[str]:
        """Name every model that has a version or a pointer."""
        tip = self._versions.tip()
        names = set(self._versions.models_on(tip) if tip else ())
        others = self._versions.refs_by_model(names)
        names.update(model for model, refs in others.items() if any(self._versions.ours(refs)))
        return sorted(names)

    def one_model(self) -> str:
        """Name the bound model, the only one there is or is stated, or that of a new registry."""
        if self.model:
            return self.model
        names = self.models() or list(self._versions.config.models)
        if len(names) > 1:
            raise InvalidInput(
                f"which model? There are {', '.join(names)}",
                hint="--model NAME, ModelRegistry(model=...), or a whole tag: fraud-v3",
            )
        return names[0] if names else DEFAULT_MODEL

    def need_known(self, model: str) -> None:
        """Raise `NotFound` if there is no such model."""
        if model not in self.models():
            raise self._unknown(model)

    def _unknown(self, model: str) -> NotFound:
        from difflib import get_close_matches  # only for an error

        names = self.models()
        close = get_close_matches(model, names, 1)
        known = f"known are {', '.join(names)}" if names else "mlv register makes one"
        return NotFound(
            f"there is no model {model!r}", hint=f"did you mean {close[0]!r}?" if close else known
        )
