"""Hooks that refuse, as a forge does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

UPDATE = """\
#!/bin/sh
case "$1" in
{patterns})
    echo "$1 is protected: changes go through a pull request" >&2
    exit 1
    ;;
esac
"""

PRE_RECEIVE = """\
#!/bin/sh
while read -r old new ref; do
    case "$ref" in
    {patterns})
        echo "$ref is protected: changes go through a pull request" >&2
        exit 1
        ;;
    esac
done
"""


def protect(
    bare: Path,
    how: Literal["update", "pre-receive"] = "update",
    *,
    refs: tuple[str, ...] = ("refs/heads/main",),
) -> Path:
    """Refuse every push to some references (shell patterns); return the hook.

    An `update` hook refuses each for itself, so that without ``--atomic`` a tag may land beside a
    refused branch. A `pre-receive` hook refuses the whole push. Removing the hook is the end of it.
    """
    text = UPDATE if how == "update" else PRE_RECEIVE
    hook = bare / "hooks" / how
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text.format(patterns="|".join(refs)))
    hook.chmod(0o755)
    return hook
