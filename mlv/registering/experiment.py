"""The result of a DVC experiment: its commit, and the bytes that its files name.

Nothing is applied to the work tree: DVC's reference names the commit, the cache has the bytes.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from mlv.errors import InvalidInput, NotFound
from mlv.registering.request import Experiment, Request
from mlv.store import dvcfiles
from mlv.store.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlv.store.dvc.repository import Dvc
    from mlv.store.git import Git
    from mlv.store.hashing import ProgressBar
    from mlv.store.versions import Versions

_REFS = "refs/exps/"
# refs/exps/<first two digits of the commit it started from>/<the rest of them>/<name>
_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/([^/]+)")
_SHOWN = 5


def find(git: Git, name: str) -> Experiment:
    """Find an experiment by its name or its commit's id; of several, the one that began here."""
    known = [(found, oid) for ref, oid in git.refs(_REFS).items() if (found := _REF.fullmatch(ref))]
    named = [(found, oid) for found, oid in known if found[3] == name or oid == name]
    head = git.line("rev-parse", "HEAD")
    here = [(found, oid) for found, oid in named if found[1] + found[2] == head]
    chosen = here if len(here) == 1 else named
    if not chosen:
        names = ", ".join(sorted({found[3] for found, _ in known})[:_SHOWN])
        raise NotFound(
            f"there is no DVC experiment {name!r} here",
            hint=f"known are {names}; dvc exp show lists them"
            if names
            else "dvc exp pull brings those of others; dvc exp run makes one",
        )
    if len(chosen) > 1:
        ids = ", ".join(oid[:10] for _, oid in chosen[:_SHOWN])
        raise InvalidInput(
            f"{len(chosen)} DVC experiments are called {name!r}",
            hint=f"give the whole id of one's commit: {ids}...",
        )
    found, oid = chosen[0]
    return Experiment(found[3], oid)


def read(versions: Versions, experiment: Experiment, path: Path) -> bytes | None:
    """Read a file that Git has at an experiment's commit, by where it would lie here."""
    top = versions.git.layout.top
    assert top
    return versions.blob(experiment.commit, path.relative_to(top).as_posix(), links=False)


@contextmanager
def laid_out(
    dvc: Dvc, versions: Versions, request: Request, progress: ProgressBar
) -> Iterator[Request]:
    """Lay an experiment's artifacts out aside, and give the request to register these."""
    experiment, top = request.experiment, versions.git.layout.top
    assert experiment
    assert top
    with scratch(dvc.cache.scratch_folder) as folder:
        sources = {}
        for role, path in request.sources.items():
            sources[role] = folder / role / path.name
            sources[role].parent.mkdir()
            _lay_out(dvc, versions, experiment, (path, sources[role]), progress)
        yield request._replace(
            sources=sources, experiment=experiment._replace(model=request.sources["model"])
        )


def _lay_out(
    dvc: Dvc,
    versions: Versions,
    experiment: Experiment,
    move: tuple[Path, Path],
    progress: ProgressBar,
) -> None:
    path, target = move
    top = versions.git.layout.top
    assert top
    if top not in path.parents:
        raise InvalidInput(
            f"{path} does not lie in {top}: no experiment holds it", hint="give a path in it"
        )
    name = path.relative_to(top).as_posix()
    md5 = dvcfiles.output_md5(path, top, partial(read, versions, experiment))
    if md5 is None:
        data = read(versions, experiment, path)
        if data is None:
            raise InvalidInput(
                f"the experiment {experiment.name!r} has no {name}",
                hint="the path is that of an output of its pipeline, or of a file in Git",
            )
        target.write_bytes(data)
        return
    with progress(f"fetching {name}", 0) as advance:
        dvc.fetch([md5], name, advance)
    dvc.cache.lay_out(md5, target)
