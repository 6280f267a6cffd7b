"""What a git leaves in a work tree that died while it fast-forwarded it: taken back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from mlv.store.edits import hash_files

if TYPE_CHECKING:
    from mlv.store.git import Git


class _Changed(NamedTuple):
    """A file that differs between two commits: its blob ids, all zeros where it is absent."""

    path: str
    old: str
    new: str


def put_back(tree: Git, old: str, new: str) -> None:
    """Give files that are already those of ``new`` back as the index has them, which is at ``old``.

    A file with other contents is somebody's work, and stays.
    """
    top = tree.layout.top
    assert top
    changed = _changed(tree, old, new)
    there = [each for each in changed if os.path.lexists(top / each.path)]
    lying = hash_files(tree, [each.path for each in there])
    lost = [each.path for each in changed if each not in there and each.old.strip("0")]
    for each in there:
        if lying.get(each.path) != each.new:
            continue
        if each.old.strip("0"):
            lost.append(each.path)
        else:
            (top / each.path).unlink()
    listing = "".join(f"{path}\0" for path in sorted(lost))
    tree.ask(
        "checkout-index", "-f", "-z", "--stdin", stdin=listing.encode(errors="surrogateescape")
    )


def _changed(tree: Git, old: str, new: str) -> list[_Changed]:
    data = tree.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new)
    fields = data.decode(errors="surrogateescape").split("\0")[:-1]
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return [_Changed(path, *facts.split()[2:4]) for facts, path in pairs]
