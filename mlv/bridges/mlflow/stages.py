"""Stages and the aliases that took their place.

MLflow 2.9 called stages deprecated, and its registries of 3.x still have them; Unity Catalog and
what comes after do not. Aliases are in all of them from 2.3 on.
"""

from __future__ import annotations

from mlv.bridges.mlflow import fitting
from mlv.bridges.mlflow.portrait import CHALLENGER, CHAMPION
from mlv.bridges.mlflow.server import connected
from mlv.errors import InvalidInput

STAGING, PRODUCTION, ARCHIVED = "Staging", "Production", "Archived"
_ALIASES = {STAGING: CHALLENGER, PRODUCTION: CHAMPION, ARCHIVED: None}


def transition_model_stage(
    registry_name: str, version: str | int, stage: str, *, tracking_uri: str | None = None
) -> None:
    """Move a version of a registered model to Staging, Production or Archived.

    ``champion`` leads to what is in production, ``challenger`` to what is in staging: the version
    gets the one that its stage has and loses the other. Where MLflow has stages it gets its stage
    too, and who had it is archived. ``version`` is MLflow's own number.
    """
    wanted = stage.strip().capitalize()
    if wanted not in _ALIASES:
        raise InvalidInput(
            f"{stage!r} is no stage", hint=f"Stages are {', '.join(_ALIASES)}, in any case"
        )
    number = _number(version)
    name = fitting.check_name(registry_name)
    with connected(tracking_uri) as server:
        aliases = server.known_model(name).aliases or {}
        held = {alias for alias, at in aliases.items() if int(at) == number}
        own = _ALIASES[wanted]
        if own:
            server.point(name, own, number)  # says as well whether there is such a version
        if server.has_stages(name, number):
            server.move_stage(name, number, wanted, alone=wanted != ARCHIVED)
        for alias in sorted({CHAMPION, CHALLENGER} & held - {own}):
            server.unpoint(name, alias)


def _number(version: str | int) -> int:
    text = str(version)
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput(f"{version!r} is no version of MLflow's", hint="MLflow's number: 3")
    return int(text)
