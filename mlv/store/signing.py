"""Signed tags. Git makes one only together with its ref, so it makes both where nobody looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlv.store.git import SCRATCH, failed
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.git import Git

# The settings that say who signs, and how.
_SECTIONS = ("author", "committer", "gpg", "tag", "user")


def signs_tags(git: Git) -> bool:
    """Whether the user's git signs each tag that it annotates."""
    return git.is_on("tag.gpgsign") or git.is_on("tag.forcesignannotated")


def signed_tag(git: Git, name: str, commit: str, message: str) -> str:
    """Write a tag object that git signs as the user's configuration says; give its id.

    No ref names it yet: whoever publishes it moves all refs that belong together at once.
    """
    argv = ("tag", "-s", "--cleanup=verbatim", "-F", "-", name, commit)
    with scratch(git.layout.common_dir / SCRATCH) as folder:
        (folder / "refs").mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        result = git.ask(*argv, stdin=message.encode(), env=_environment(git, folder))
        ref = folder / "refs" / "tags" / name
        oid = "" if result.code else ref.read_text(encoding="ascii").strip()
    made = git.objects.read(oid) if oid else None
    # Git 2.39 makes an unsigned tag, and says that all is well, where an SSH key is missing.
    if made is None or made.data.endswith(message.encode()):
        raise failed(("git", *argv), result)
    return made.oid


def _environment(git: Git, folder: Path) -> dict[str, str]:
    """Have git work in a repository of refs alone, with this one's objects and settings.

    What is set for this repository, or on condition of being in it, would not be found there.
    """
    settings = {**git.settings(*_SECTIONS), "core.hooksPath": os.devnull}
    env = {
        "GIT_DIR": str(folder),
        "GIT_OBJECT_DIRECTORY": str(git.layout.common_dir / "objects"),
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env
