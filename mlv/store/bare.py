"""Bare repositories of our own: nothing in them runs, and nothing is checked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.store.git import Git, Layout

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = (
    "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\thooksPath = /dev/null\n"
    "[gc]\n\tauto = 0\n"
)


def make_bare(folder: Path, config: str = "") -> None:
    """Make an empty bare repository, as git init would, with nothing of the user's template.

    ``config`` is added to its configuration.
    """
    for part in ("objects/pack", "objects/info", "refs/heads", "mlv"):
        (folder / part).mkdir(parents=True)
    # The configuration may hold an address with a password.
    (folder / "config").touch(mode=0o600)
    (folder / "config").write_text(_CONFIG + config, encoding="utf-8")
    (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")


def make_aside(folder: Path, objects_of: Git | None = None) -> Git:
    """Make one in an empty folder that sees another's objects too, and none of its refs."""
    make_bare(folder)
    if objects_of is not None:
        objects = (objects_of.layout.common_dir / "objects").resolve()
        path = folder / "objects" / "info" / "alternates"
        path.write_text(f"{objects}\n", encoding="utf-8", errors="surrogateescape")
    return Git(Layout(None, folder, folder))
