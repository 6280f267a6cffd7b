"""ModelRegistry: one verb, one method.

The verbs stand by what they are about in a module each; here is what needs no registry yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlv.registry.bundling import Bundles
from mlv.registry.files import HandsOut
from mlv.registry.importing import Imports
from mlv.registry.moving import Moves
from mlv.registry.reading import Reads
from mlv.registry.registering import Registers
from mlv.store import config as configs
from mlv.store.disk import on_disk
from mlv.store.git import Git, find
from mlv.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlv.doctor.checks import Check
    from mlv.initialisation import Initialised
    from mlv.registry.opened import AnyPath
    from mlv.review.report import Report
    from mlv.store.hashing import ProgressBar


class ModelRegistry(Registers, Imports, Moves, Reads, HandsOut, Bundles):
    """The registry that a Git repository is.

    ``path`` is the repository or any folder in it, in which ``mlv init`` ran. ``model`` binds the
    registry to one model; bound to none, it takes the only one there is. ``notify`` is told, in
    one line each, what the user should know besides the result; it logs unless given.
    ``progress`` may give a bar for long work (see `store.hashing.ProgressBar`).

    Everything is read anew at each call. Every error is a `RegistryError`.
    """

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

        ``with_hooks`` adds those of Git. ``templates`` are `github`, `gitlab`, `pipeline`, `docker`
        and `kubernetes`, whose files are written and not committed; ``may_replace`` is asked of a
        file that is there.
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
