"""What the verbs have in common: the repository, references in it, and whom to tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.domain import pointer as pointers
from mlv.domain.names import check_model
from mlv.references import References
from mlv.store import config as configs
from mlv.store.git import JOURNAL, Git, find
from mlv.store.noprogress import no_progress
from mlv.store.versions import DIVERGED, Versions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from mlv.domain.names import Version
    from mlv.domain.pointer import Pointer
    from mlv.references import Live
    from mlv.sharing.share import Share
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Record, Tip

    AnyPath = str | os.PathLike[str]


class Opened:
    """A repository whose mlv.yaml was read; interrupted work in it is finished first."""

    def __init__(
        self,
        path: AnyPath = ".",
        model: str | None = None,
        *,
        notify: Callable[[str], None] | None = None,
        progress: ProgressBar | None = None,
    ) -> None:
        self.model = None if model is None else check_model(model)
        self._notify = notify or log
        self._progress = progress or no_progress
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

    @property
    def path(self) -> Path:
        """The top of the repository."""
        return self._git.layout.folder

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

    def _live(self, model: str | None = None) -> Live:
        live = self._references.live(model)
        self._warn(live.tip)
        return live

    def _pointer(self, tip: Tip | None, model: str) -> Pointer:
        return self._references.live_at(tip, model).pointer if tip else pointers.empty(model)

    def _warn(self, tip: Tip) -> None:
        if tip.relation == DIVERGED and tip != self._warned_of:
            branch = self.config.branch
            self._warned_of = tip
            self._notify(
                f"{branch} and {self.config.remote}/{branch} have diverged: "
                "the local one was read (mlv status says more)"
            )

    def _tell(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._notify(note)

    def _share(self, *, to_publish: bool = True) -> Share:
        from mlv.sharing.share import Share
        from mlv.store.gitremote import GitRemote

        self._git.forget_config()
        remote = GitRemote(self._git, self.config.remote, to_publish=to_publish)
        remote.need()
        published = self._versions.published()
        return Share(self._versions, published, remote, self._notify, self._progress)


def log(note: str) -> None:
    """Tell a note where nobody said whom to tell."""
    import logging

    logging.getLogger("mlv").warning(note)
