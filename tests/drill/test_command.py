"""`mlv drill`: what a person reads, and the exit codes that a scheduled job lives by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlv import ModelRegistry
from tests.drill.conftest import publish

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.drill.conftest import Environment, Git

    Mlv = Callable[..., subprocess.CompletedProcess[str]]


def test_a_table_shows_the_seconds_of_each_step(live: ModelRegistry, mlv: Mlv) -> None:
    done = mlv(live.path, "drill")
    assert (done.returncode, done.stderr) == (0, "")
    headings, row, *rest = done.stdout.splitlines()
    steps = ["rollback", "remote", "download", "verify", "load", "predict"]
    assert headings.split() == ["model", "live", "back", "to", "in", "all", *steps]
    mark, model, now, then, *seconds = row.split()
    assert (mark, model, now, then) == ("✓", "fraud", "v2", "v1")
    assert seconds[1::2] == ["s"] * 7
    assert rest == ["", "1 of 1 would go back within 300 s; nothing was changed"]


@pytest.mark.parametrize(
    ("does", "code", "outcome"),
    [
        ({"on_load": "raise ValueError('no')"}, 1, "failed"),
        ({"on_load": "time.sleep(600)"}, 3, "over budget"),
        ({"tweak": "+ 1"}, 4, "failed"),
    ],
)
def test_a_scheduled_job_is_told_by_the_exit_code(
    live: ModelRegistry,
    environment: Environment,
    mlv: Mlv,
    does: dict[str, str],
    code: int,
    outcome: str,
) -> None:
    environment.becomes(**does)
    done = mlv(live.path, "drill", "--quiet", "--budget", "4")
    assert (done.returncode, done.stdout, done.stderr) == (code, f"fraud {outcome}\n", "")


def test_loaders_of_the_users_own(
    repo: Path, git: Git, environment: Environment, mlv: Mlv, tmp_path: Path
) -> None:
    environment.becomes()
    (tmp_path / "environment" / "mine.py").write_text(
        "import answering_for_drills as answering\n"
        "def load(path):\n    return answering.Model(int(path.read_text()))\n"
    )
    publish(repo, git)
    registry = ModelRegistry(repo, "fraud")
    for seed in (1, 2):
        model = tmp_path / "model.factor"
        model.write_text(str(seed))
        registry.promote(registry.register(model, None))
    registry.push()
    loader = ("--loader", ".factor=mine:load")
    assert mlv(repo, "drill", "--json", *loader).stdout.count('"detail": "Model"') == 1
    assert mlv(repo, "verify", "v2", "--predict", *loader).returncode == 0
    gone = mlv(repo, "drill", "--loader", ".factor=mine:absent")
    assert gone.returncode == 2
    assert "the loader 'mine:absent' cannot be imported" in gone.stdout + gone.stderr


def test_json_has_what_stopped_it(live: ModelRegistry, environment: Environment, mlv: Mlv) -> None:
    environment.becomes(on_load="os.abort()")
    done = mlv(live.path, "drill", "--model", "fraud", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["passed"], document["budget"]) == (False, 300.0)
    (fraud,) = document["models"]
    assert (fraud["live"], fraud["back_to"], fraud["stopped_at"]) == ("v2", "v1", "load")
    assert fraud["message"] == "loading fraud-v1 ended Python with SIGABRT"
    assert [step["step"] for step in fraud["steps"]] == ["rollback", "remote", "download", "verify"]


def test_what_a_model_says_moves_no_cursor(
    live: ModelRegistry, environment: Environment, mlv: Mlv
) -> None:
    environment.becomes(on_load="raise ValueError(chr(27) + '[2J')")
    done = mlv(live.path, "drill")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout
    environment.becomes(on_load="sys.stderr.write(chr(27) + '[2J'); os._exit(9)")
    said = mlv(live.path, "drill").stdout
    assert "\x1b" not in said
    assert "its last words: \\x1b[2J" in said


@pytest.mark.parametrize("budget", ["0", "-3", "nan", "soon"])
def test_a_budget_that_is_none_exits_2(live: ModelRegistry, mlv: Mlv, budget: str) -> None:
    assert mlv(live.path, "drill", "--budget", budget).returncode == 2


def test_nothing_live_exits_6(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "drill")
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("error: nothing is live\n")
