"""Where the user's own cache lies: what was brought of other people's registries."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """Give the folder of ours in the user's cache."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("mlv"))
