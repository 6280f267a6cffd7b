"""Tags and bytes are asked for by the base's configuration; what would run is told."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import pytest

from mlv import ConfigError, ModelRegistry
from mlv.review import stored
from mlv.review.case import Case, Look
from mlv.review.change import at_base, between
from mlv.store.git import Git, find
from mlv.trust import OFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlv.review.report import Report
    from tests.review.conftest import World


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in report.blocking]


def case(world: World) -> Case:
    git = Git(find(world.top))
    versions = at_base(git, "main")
    return Case(versions, between(git, "main", "proposal"), OFF, Look())


def outcome(report: Report, name: str) -> str:
    return next(check.outcome for check in report.checks if check.name == name)


def test_bytes_that_are_not_there_are_named(world: World) -> None:
    world.propose("promote", "fraud-v3")
    shutil.rmtree(world.folder / "storage")
    (world.folder / "storage").mkdir()
    assert {rule for rule, _ in found(world.review())} == {"bytes"}
    assert world.review(remote=False).passed
    assert outcome(world.review(remote=False), "bytes") == "not checked"


def test_a_yank_needs_no_bytes(world: World) -> None:
    world.propose("yank", "fraud-v3", reason="Bad data")
    shutil.rmtree(world.folder / "storage")
    assert world.review().passed


def test_bytes_of_the_right_size_are_told_apart_by_downloading(world: World) -> None:
    world.propose("promote", "fraud-v3")
    [md5] = [a.md5 for a in world.registry.record("fraud-v3").manifest.artifacts.values()]
    stored = world.folder / "storage" / "files" / "md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"x" * stored.stat().st_size)
    assert world.review().passed
    assert ("bytes", "fraud-v3") in found(world.review(deep=True))


def test_a_tag_that_is_another_on_the_remote_is_refused(
    world: World, git: Callable[..., str]
) -> None:
    world.propose("promote", "fraud-v3")
    git(world.folder / "server.git", "update-ref", "refs/tags/fraud-v3", "refs/tags/fraud-v4")
    assert found(world.review()) == [("tag", "fraud-v3")]
    git(world.folder / "server.git", "update-ref", "-d", "refs/tags/fraud-v3")
    assert found(world.review()) == [("tag", "fraud-v3")]


def test_a_tag_that_was_moved_everywhere_is_known_by_what_was_live(
    world: World, write_model: Callable[..., Path], git: Callable[..., str]
) -> None:
    """Another v1 is made elsewhere in the same way, and takes the place of the one that was."""
    world.propose("rollback", "fraud-v1")
    other = world.folder / "other"
    git(world.folder, "clone", "-q", "--template=", str(world.folder / "repo"), str(other))
    git(other, "remote", "set-url", "origin", str(world.folder / "server.git"))
    git(other, "switch", "-q", "main")
    for tag in git(other, "tag").split():
        git(other, "tag", "-d", tag)
    git(other, "rm", "-rq", "registry/fraud")
    git(other, "commit", "-qm", "Forget")
    registry = ModelRegistry(other, "fraud", notify=lambda _: None)
    registry.register(write_model(world.folder / "evil.pkl", 99), None, metrics={"auc": 0.9})
    git(other, "push", "-q", "--force", str(world.folder / "server.git"), "refs/tags/fraud-v1")
    world.git("fetch", "-q", "--force", "origin", "tag", "fraud-v1")
    assert ("tag", "fraud-v1") in found(world.review(remote=False))


# Hostile configurations --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_nothing_of_the_proposal_s_dvc_configuration_is_run(world: World, name: str) -> None:
    world.propose("promote", "fraud-v3")
    ran = world.folder / "ran"
    world.write(
        f".dvc/{name}",
        "[core]\n    remote = evil\n['remote \"evil\"']\n    url = webdav://127.0.0.1:9/\n"
        f"    bearer_token_command = touch {ran}\n",
    )
    report = world.review()
    assert {rule for rule, _ in found(report)} == {"dvc-config"} | (
        {"alongside"} if name == "config" else set()
    )
    assert outcome(report, "bytes") == "passed"
    assert not ran.exists()


def test_a_file_that_the_configuration_names_is_read_as_the_base_has_it(world: World) -> None:
    """Amazon's own configuration may name a program that tells credentials."""
    world.write("aws.ini", "[default]\nregion = eu-west-1\n")
    remote = "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://bucket/path\n"
    remote += "    endpointurl = http://127.0.0.1:9/\n    configpath = ../aws.ini\n"
    world.write(".dvc/config", remote)
    world.propose("promote", "fraud-v3")
    world.write("aws.ini", "[default]\ncredential_process = touch ran\n")
    with stored._dvc(case(world)) as dvc:
        read = Path(dvc._repo.config["remote"]["s"]["configpath"])
        assert read.read_text() == "[default]\nregion = eu-west-1\n"


def test_a_file_that_only_the_proposal_has_is_not_read(world: World) -> None:
    world.propose("promote", "fraud-v3")
    world.write("key", "mine\n")
    local = f"['remote \"storage\"']\n    url = ssh://host/\n    keyfile = {world.top / 'key'}\n"
    (world.top / ".dvc" / "config.local").write_text(local)
    with pytest.raises(ConfigError, match="is not on main"), stored._dvc(case(world)):
        pass


def test_the_user_s_own_configuration_counts(world: World) -> None:
    world.propose("promote", "fraud-v3")
    shutil.move(world.folder / "storage", world.folder / "elsewhere")
    assert not world.review().passed
    local = "['remote \"storage\"']\n    url = ../../elsewhere\n"
    (world.top / ".dvc" / "config.local").write_text(local)
    assert world.review().passed


@pytest.mark.parametrize("text", ["gate: [", "branch: evil\nremote: nowhere\n"])
def test_the_work_tree_s_mlv_yaml_is_not_read(world: World, text: str) -> None:
    world.propose("promote", "fraud-v3")
    (world.top / "mlv.yaml").write_text(text)
    assert world.review().passed
    report = ModelRegistry.review(world.top)
    assert (report.branch, report.base) == ("main", world.git("rev-parse", "origin/main"))


# Pickles -----------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo evil",)


def test_an_honest_model_is_scanned_and_passes(world: World) -> None:
    world.propose("promote", "fraud-v3")
    report = world.review(deep=True)
    assert report.passed
    assert outcome(report, "pickles") == "passed"


@pytest.mark.parametrize("packed", [False, True])
def test_a_malicious_pickle_is_refused(world: World, packed: bool) -> None:
    path = world.folder / "model.joblib"
    joblib.dump({"model": Evil()}, path, compress=3 if packed else 0)
    registry = ModelRegistry(world.top, "fraud", notify=lambda _: None)
    registry.register(path, None, metrics={"auc": 0.95})
    registry.push()
    world.propose("promote", "fraud-v5")
    assert world.review().passed
    [finding] = world.review(deep=True).blocking
    assert (finding.rule, finding.subject) == ("pickle", "fraud-v5")
    assert "system" in finding.message


def test_a_pickle_that_cannot_be_followed_is_said_to_be_so(world: World) -> None:
    path = world.folder / "model.pkl"
    path.write_bytes(pickle.dumps([1, 2])[:-1])
    registry = ModelRegistry(world.top, "fraud", notify=lambda _: None)
    registry.register(path, None, metrics={"auc": 0.95})
    registry.push()
    world.propose("promote", "fraud-v5")
    report = world.review(deep=True)
    assert {finding.rule for finding in report.blocking} == {"pickle"}
    assert outcome(report, "pickles") == "failed"


def test_the_same_bytes_under_another_name_are_looked_at_again(world: World) -> None:
    """What breaks off is of no concern in a text, but is where it would be loaded."""
    text, model = world.folder / "words.txt", world.folder / "words.pkl"
    for path in (text, model):
        path.write_bytes(b"cos\nsystem\n(S'true'\ntR\xff")
    fraud = ModelRegistry(world.top, "fraud", notify=lambda _: None)
    fraud.register(text, model, metrics={"auc": 0.95}, push=True)
    world.propose("promote", "fraud-v5")
    assert ("pickle", "fraud-v5") in found(world.review(deep=True))
