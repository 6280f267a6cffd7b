"""What a git leaves in a work tree that died while it fast-forwarded it: taken back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    is_new = set(_holding_new(tree, there))
    lost = [each.path for each in changed if each not in there and each.old.strip("0")]
    for each in is_new:
        if not each.old.strip("0"):
            (top / each.path).unlink()
        else:
            lost.append(each.path)
    listing = "".join(f"{path}\0" for path in sorted(lost))
    tree.ask(
        "checkout-index", "-f", "-z", "--stdin", stdin=listing.encode(errors="surrogateescape")
    )


def _changed(tree: Git, old: str, new: str) -> list[_Changed]:
    data = tree.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new)
    fields = data.decode(errors="surrogateescape").split("\0")[:-1]
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return [_Changed(path, *facts.split()[2:4]) for facts, path in pairs]


def _holding_new(tree: Git, changed: Iterable[_Changed]) -> list[_Changed]:
    top = tree.layout.top
    assert top
    plain = [
        each
        for each in changed
        if (top / each.path).is_file()
        and not (top / each.path).is_symlink()
        and "\n" not in each.path
    ]
    names = "".join(f"{each.path}\n" for each in plain).encode(errors="surrogateescape")
    oids = tree.line("hash-object", "--stdin-paths", stdin=names).split("\n")
    return [each for each, oid in zip(plain, oids, strict=False) if oid == each.new]
