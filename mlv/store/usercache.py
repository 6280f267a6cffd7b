"""Where the user's own cache lies: what was brought of other people's registries."""

from __future__ import annotations

from pathlib import Path

from mlv.store.process import environment


def folder() -> Path:
    """Give the folder of ours in the user's cache, or the one that ``MLV_CACHE`` names.

    As with ``XDG_CACHE_HOME``: where home is read-only, every way to a registry needs to know.
    """
    named = environment().get("MLV_CACHE")
    if named:
        return Path(named).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("mlv"))
