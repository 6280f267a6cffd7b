"""The hooks of git that keep commits and pushes from harming the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.store.disk import on_disk

if TYPE_CHECKING:
    from pathlib import Path

    from mlv.store.git import Git


class _Hook(NamedTuple):
    """A hook: what it runs, what it refuses, and the line for a hook that is there already."""

    name: str
    command: str
    refuses: str
    line: str

    @property
    def script(self) -> str:
        """What mlv writes as the hook."""
        return (
            "#!/bin/sh\n"
            f"# Refuses {self.refuses}; --no-verify goes without.\n"
            "command -v mlv >/dev/null || "
            f'{{ echo "{self.name}: mlv is not on PATH" >&2; exit 1; }}\n'
            f"exec {self.command}\n"
        )


_HOOKS = (
    _Hook(
        "pre-commit",
        "mlv check-commit",
        "a commit that edits the registry by hand",
        "mlv check-commit || exit 1",
    ),
    _Hook(
        "pre-push",
        "mlv check-push",
        "a push that would rewrite what was live, or bring a version before its bytes",
        # The other hook may want to read the same lines.
        'pushed=$(cat); echo "$pushed" | mlv check-push || exit 1',
    ),
)


class Installed(NamedTuple):
    """The hooks that were missing and are there now, and what the user should do about others."""

    made: tuple[str, ...]
    notes: tuple[str, ...]


def install(git: Git) -> Installed:
    """Install the hooks that are missing.

    One that is there is left as it is, and so is a folder of hooks outside the repository.
    """
    folder = git.layout.folder / git.line("rev-parse", "--git-path", "hooks")
    is_ours = folder.resolve().is_relative_to(git.layout.common_dir.resolve())
    made, notes = [], []
    for hook in _HOOKS:
        path = folder / hook.name
        with on_disk(path):
            if path.is_symlink() or path.exists():
                if hook.command not in path.read_text(encoding="utf-8", errors="replace"):
                    notes.append(f"{path} is yours: add this line to it: {hook.line}")
            elif is_ours:
                _write(path, hook.script)
                made.append(f"{hook.name} hook")
            else:
                where = f"hooks lie in {folder} (core.hooksPath)"
                notes.append(f"{where}: put into its {hook.name}: {hook.line}")
    return Installed(tuple(made), tuple(notes))


def _write(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(script, encoding="utf-8", newline="\n")
    path.chmod(0o755)
