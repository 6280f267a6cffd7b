"""The hook of git that keeps a push from rewriting what was live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.git import Git

COMMAND = "mlv check-push"
# Of a hook that is there already; it may want to read the same lines.
_LINE = f'pushed=$(cat); echo "$pushed" | {COMMAND} || exit 1'
_HOOK = f"""\
#!/bin/sh
# Refuses a push that would rewrite what was live; git push --no-verify goes without.
command -v mlv >/dev/null || {{ echo "pre-push: mlv is not on PATH" >&2; exit 1; }}
exec {COMMAND}
"""


def install_pre_push(git: Git) -> tuple[bool, str | None]:
    """Install the hook; give whether that was needed and done, and else what the user should do.

    A hook that is there is left as it is, and so is a folder of hooks outside the repository.
    """
    folder = git.layout.folder / git.line("rev-parse", "--git-path", "hooks")
    hook = folder / "pre-push"
    with on_disk(hook):
        if _is_there(hook):
            there = COMMAND in hook.read_text(encoding="utf-8", errors="replace")
            return False, None if there else f"{hook} is yours: add this line to it: {_LINE}"
        if not folder.resolve().is_relative_to(git.layout.common_dir.resolve()):
            return False, f"hooks lie in {folder} (core.hooksPath): put into its pre-push: {_LINE}"
        folder.mkdir(exist_ok=True)
        hook.write_text(_HOOK, encoding="utf-8", newline="\n")
        hook.chmod(0o755)
    return True, None


def _is_there(hook: Path) -> bool:
    return hook.is_symlink() or hook.exists()
