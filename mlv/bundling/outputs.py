"""What a branch in a bundle would have DVC bring into registry/, by whatever file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlv.bundling.inside import live_on
from mlv.errors import ConfigError, IntegrityError
from mlv.store.naming import FOLDER, folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlv.bundling.inside import Inside
    from mlv.store.dvc.repository import Dvc
    from mlv.store.versions import Record, Tip, Versions


def check_outputs(dvc: Dvc, versions: Versions, tip: Tip, records: Iterable[Record]) -> None:
    """Refuse an output that a file elsewhere puts into registry/, where those that are live are.

    Also at the path of one of them: DVC would bring both, one over the other. ``dvc`` is of a
    repository that has the commit.
    """
    live, branch = live_on(versions, tip), versions.config.branch
    ours = {
        f"{folder_of(record.manifest.version.model)}/{artifact.path}": artifact.md5
        for record in records
        if record.manifest.version in live
        for artifact in record.manifest.artifacts.values()
    }
    for path, md5 in dvc.every_output(tip.commit):
        is_there = path == "." or f"{path}/".startswith(f"{FOLDER}/")
        if is_there and (path not in ours or md5 != ours[path]):
            raise ConfigError(
                f"on {branch}, dvc pull would bring {path}, which is of no version that is live",
                hint=f"git grep {FOLDER}/ {branch} -- '*.dvc' '*dvc.yaml' may show which file says "
                f"so: have it put elsewhere, for {FOLDER}/ is mlv's",
            )


def check_outputs_inside(dvc: Dvc, inside: Inside) -> None:
    """Refuse a bundle of such a branch; ``dvc`` is of where its commits were brought to."""
    try:
        check_outputs(dvc, inside.versions, inside.tip, [*inside.records, *inside.live])
    except ConfigError as error:
        raise IntegrityError(
            f"in the bundle, {error.message}",
            hint="nothing was brought. Where it was made, mlv bundle says how to mend it",
        ) from error
