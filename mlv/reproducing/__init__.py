"""A version brought back to where it can be run: tree, bytes, packages, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlv.reproducing import environment, retraining, worktree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlv.domain.names import Version
    from mlv.reproducing.environment import Environment
    from mlv.reproducing.retraining import Retrained
    from mlv.store.versions import Record, Versions


class Order(NamedTuple):
    """What is asked for; ``python`` makes the environment, ``show`` gets what programs print."""

    folder: Path | None
    with_environment: bool
    retrain: bool
    python: str | None
    show: Callable[[str], None]


class Reproduced(NamedTuple):
    """A version in a work tree of its own; ``files`` are its artifacts there, by role."""

    version: Version
    folder: Path
    commit: str
    files: Mapping[str, Path]
    environment: Environment | None
    retrained: Retrained | None


def reproduce(
    versions: Versions, record: Record, files: Mapping[str, Path], order: Order
) -> Reproduced:
    """Make a linked work tree at the version's tag and put its verified ``files`` there.

    Then, if asked, an environment of its packages, and its training once more. The user's own
    work tree, index and branches stay as they are.
    """
    retraining.check(record, wanted=order.retrain)
    environment.check(versions, record, wanted=order.with_environment)
    folder = worktree.make(versions.git, record, order.folder)
    placed = worktree.place(folder, record, files)
    made = None
    if order.with_environment:
        pins = files["requirements"].read_text(encoding="utf-8")
        made = environment.make(folder, record, pins, order.python, order.show)
    done = None
    if order.retrain:
        done = retraining.retrain(versions, record, folder, made, order.show)
    version = record.manifest.version
    return Reproduced(version, folder, record.tag.commit, placed, made, done)
