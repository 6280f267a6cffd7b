"""Registry/ holds just what the tags say, and nothing else moves along with a pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlv.review.report import Report
    from tests.review.conftest import World

FOLDER = "registry/fraud"


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in report.blocking]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("manifest.json", "manifest"),
        ("model.pkl.dvc", "folder"),
        ("requirements.txt", "folder"),
        ("preprocessor.pkl.dvc", "folder"),
        ("notes/readme.md", "folder"),
    ],
)
def test_a_file_of_a_version_never_changes(world: World, name: str, rule: str) -> None:
    world.propose("promote", "fraud-v3")
    world.write(f"{FOLDER}/{name}", "outs: []\n")
    [(told, subject)] = found(world.review())
    assert told == rule
    assert subject.startswith(f"{FOLDER}/{name.partition('/')[0]}")


def test_a_file_that_is_missing_is_named(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.git("rm", "-q", f"{FOLDER}/model.pkl.dvc")
    world.git("commit", "-q", "-m", "Remove")
    [finding] = world.review().blocking
    assert (finding.rule, finding.subject) == ("folder", f"{FOLDER}/model.pkl.dvc")
    assert "is missing" in finding.message


def test_the_folder_of_another_version_is_refused(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.git("checkout", "-q", "fraud-v4", "--", f"{FOLDER}/model.pkl.dvc")
    world.git("commit", "-q", "-m", "Swap")
    assert found(world.review()) == [("folder", f"{FOLDER}/model.pkl.dvc")]


@pytest.mark.parametrize(
    "path", ["registry/notes.txt", "registry/.gitignore", "Registry/fraud/pointer.json"]
)
def test_nothing_else_is_written_below_registry(world: World, path: str) -> None:
    world.propose("promote", "fraud-v3")
    world.write(path, "*\n")
    assert found(world.review()) == [("registry", path)]


def test_what_people_say_of_a_model_is_theirs_to_change(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.write("registry/fraud.md", "# Frauds\n")
    assert found(world.review()) == []


def test_a_folder_of_another_model_stays(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.write("registry/ranker/manifest.json", "{}\n")
    assert found(world.review()) == [
        ("manifest", "registry/ranker/manifest.json"),
        ("registry", "registry/ranker/manifest.json"),
    ]


def test_a_merged_registration_is_named(world: World) -> None:
    world.start()
    world.git("merge", "-q", "-s", "ours", "--no-edit", "fraud-v4")
    assert found(world.review()) == [("ancestor", "fraud-v4")]
    world.git("tag", "-d", "fraud-v4")
    world.git("update-ref", "-d", "refs/mlv/fraud/v4")
    [(rule, _)] = found(world.review())
    assert rule == "ancestor"


# What changes along with it ----------------------------------------------------------------


def test_code_does_not_change_along_with_a_pointer(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.write("serve.py", "import os\n")
    [finding] = world.review().blocking
    assert (finding.rule, finding.subject) == ("alongside", "serve.py")


RELAXED = "branch: main\ngate: {max_regression: 0.9}\n"


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("mlv.yaml", RELAXED, "gate max_regression 0.05 -> 0.9"),
        (".dvc/config", "[core]\n    remote = mine\n", "where the bytes are"),
        (".github/workflows/ci.yml", "on: push\n", "what CI runs"),
        (".github/CODEOWNERS", "* @me\n", "who must approve"),
    ],
)
def test_what_decides_is_worth_a_look_alone_and_refused_along(
    world: World, path: str, text: str, told: str
) -> None:
    world.start("alone")
    world.write(path, text)
    report = world.review("main..alone")
    assert report.passed
    [finding] = report.findings
    assert told in finding.message
    world.git("switch", "-q", "main")
    world.propose("promote", "fraud-v3")
    world.write(path, text)
    assert [subject for _, subject in found(world.review())] == [path]


def test_the_gate_of_the_base_judges(world: World) -> None:
    """Neither a relaxed gate of the proposal nor one that merely lies in the work tree counts."""
    world.start()
    world.write("mlv.yaml", RELAXED)
    world.registry.promote("fraud-v4", force=True, reason="To try it")
    made = world.git("rev-parse", "main")
    world.git("branch", "-q", "-f", "main", "main~1")
    world.git("cherry-pick", made)
    report = world.review("main..HEAD")
    assert {rule for rule, _ in found(report)} == {"alongside", "gate"}


def test_a_broken_mlv_yaml_is_refused_wherever_it_lies(world: World) -> None:
    world.start()
    world.write("mlv.yaml", "gate: [\n")
    assert found(world.review()) == [("alongside", "mlv.yaml")]


@pytest.mark.parametrize(
    "line",
    [
        "bearer_token_command = touch /tmp/x",
        '"bearer_token_command" = touch /tmp/x',
        "ask_password = true",
        "password = hunter2",
        "url = https://ada:hunter2@example.com/",
        "configpath = aws.ini",
    ],
)
def test_commands_and_secrets_in_dvc_config_are_refused_always(world: World, line: str) -> None:
    world.start()
    world.write(".dvc/config", f"[core]\n    remote = s\n['remote \"s\"']\n    {line}\n")
    [finding] = world.review().blocking
    assert finding.rule == "dvc-config"
    assert "hunter2" not in finding.message


def test_a_committed_local_configuration_is_refused(world: World) -> None:
    world.start()
    world.write(".dvc/config.local", "[core]\n    remote = s\n")
    assert found(world.review()) == [("dvc-config", ".dvc/config.local")]
