"""What is live, what there is, and what was: from Git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlv.domain.comparison import compare
from mlv.domain.names import name_of
from mlv.errors import RegistryError
from mlv.registry.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mlv.domain.manifest import Manifest
    from mlv.domain.pointer import Pointer
    from mlv.notebook import Comparison, VersionFacts
    from mlv.references import Live
    from mlv.store.versions import Tag


class Reads(Opened):
    """The verbs that tell of versions, pointers and their past."""

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

    def get_manifest(self, ref: str) -> VersionFacts:
        """Give a version's manifest, with ``status`` and the two checksums at hand."""
        from mlv.notebook import VersionFacts

        record = self.record(ref)
        pointer = self._references.live(record.manifest.version.model).pointer
        status = pointer.status_of(record.manifest.version.number)
        return VersionFacts(record.manifest.to_dict(status))

    def card(self, ref: str) -> str:
        """Give a version's model card: Markdown, with a header as Hugging Face's hub reads it."""
        from mlv.domain import card
        from mlv.store import versionfolder

        record = self.record(ref)
        own = versionfolder.own_text(self._versions, record)
        return card.write(record.manifest, own).decode()

    def list_versions(
        self,
        *,
        limit: int | None = None,
        status: str | Sequence[str] = (),
        where: str | Sequence[str] = (),
        sort: str | None = None,
    ) -> list[dict[str, Any]]:
        """Give the manifests of versions as `get_manifest` does; of all, in numeric order.

        Or of those that have one of the statuses, and meet every condition of ``where``:
        ``roc_auc>0.95 and metadata.data_window=last_90_days``. ``sort`` is a metric, ``number`` or
        ``date``, with a ``-`` before it for the largest first. ``limit`` leaves the first of
        these; without ``sort``, those that were registered last.
        """
        chosen = self.versions(limit=limit, status=status, where=where, sort=sort)
        return [manifest.to_dict(status) for manifest, status in chosen]

    def versions(
        self,
        *,
        limit: int | None = None,
        status: str | Sequence[str] = (),
        where: str | Sequence[str] = (),
        sort: str | None = None,
    ) -> list[tuple[Manifest, str]]:
        """Give versions' manifests and statuses, of the bound model or of all.

        The arguments are those of `list_versions`. A tag that cannot be read is told to ``notify``
        and left out; so is a key of ``where`` or ``sort`` that no version states.
        """
        if limit is None and sort is None and not (status or where):
            return self._all()
        from mlv.domain import selection

        wanted = selection.parse(limit=limit, status=status, where=where, sort=sort)
        versions = self._all()
        self._tell(wanted.unstated(versions))
        return wanted.of(versions)

    def _all(self) -> list[tuple[Manifest, str]]:
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

    def every(self) -> list[tuple[Tag, Manifest | RegistryError]]:
        """Read every version's tag; one that cannot be read comes with its error."""
        self.need_known()
        return list(self._versions.manifests(self.model))

    def compare(self, a: str, b: str) -> Comparison:
        """Give the metrics of two versions, and b - a; None where one side lacks a metric.

        The keys are the versions' names, or their tags if they are of two models.
        """
        from mlv.notebook import Comparison

        return Comparison(compare(self.record(a).manifest, self.record(b).manifest))

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

    def _repr_html_(self) -> str:
        from mlv.notebook import registry_html

        return registry_html(repr(self), self.versions())

    def status(self) -> dict[str, Any]:
        """Describe every model, the registry branch, and what needs attention."""
        from mlv.overview import overview

        self.need_known()

        return overview(self._versions, self.model)

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
