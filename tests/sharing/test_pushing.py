"""`mlv push`: bytes before tags, only what is missing, and never another's number."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, IntegrityError, ModelRegistry, NotFound, RefusedByRemote, StatusError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]


def test_a_version_and_the_branch_arrive_with_their_bytes(
    hub: Hub, ada: Machine, git: Git, dvc: Callable[..., str]
) -> None:
    ada.registry.register(hub.model(1), hub.model(2), push=False)
    ada.registry.promote("v1", push=False)
    pushed = ada.registry.push()
    assert [version.tag for version in pushed.versions] == ["model-v1"]
    assert pushed.branch == git(ada.top, "rev-parse", "main") == hub.refs()["refs/heads/main"]
    assert pushed.objects == 2
    new = hub.machine("new").top
    for where in ("main", "model-v1"):
        git(new, "checkout", "--quiet", where)
        dvc(new, "pull")
        assert (new / "registry/model/model.pkl").read_bytes() == hub.model(1).read_bytes()
        assert git(new, "status", "--porcelain") == ""


def test_what_is_there_is_not_pushed_again(hub: Hub, ada: Machine) -> None:
    ada.registry.register(hub.model(1), None)
    ada.registry.push()
    before = hub.refs()
    again = ada.registry.push()
    assert (again.versions, again.branch, again.objects) == ((), None, 0)
    assert hub.refs() == before


def test_a_published_version_is_no_longer_kept_by_a_ref_of_its_own(
    hub: Hub, ada: Machine, git: Git
) -> None:
    ada.registry.register(hub.model(1), None)
    assert git(ada.top, "for-each-ref", "refs/mlv")
    ada.registry.push()
    assert git(ada.top, "for-each-ref", "refs/mlv") == ""


def test_a_version_that_was_pushed_by_hand_is_let_go_of_too(
    hub: Hub, ada: Machine, git: Git
) -> None:
    ada.registry.register(hub.model(1), None)
    git(ada.top, "push", "--quiet", "origin", "model-v1")
    ada.registry.fetch()
    assert git(ada.top, "for-each-ref", "refs/mlv") == ""


def test_a_named_version_is_pushed_alone(hub: Hub, ada: Machine) -> None:
    for seed in (1, 2):
        ada.registry.register(hub.model(seed), None)
    ada.registry.promote("v2", push=False)
    before = hub.refs()["refs/heads/main"]
    ada.registry.push("v1")
    assert hub.tags() == ["model-v1"]
    assert hub.refs()["refs/heads/main"] == before


def test_the_whole_brings_back_bytes_that_the_remote_lost(hub: Hub, ada: Machine) -> None:
    ada.registry.register(hub.model(1), None)
    ada.registry.push()
    for path in [path for path in hub.storage.rglob("*") if path.is_file()]:
        path.unlink()
    assert ada.registry.push().objects == 0
    pushed = ada.registry.push(whole=True)
    assert (pushed.objects, [v.name for v in pushed.checked]) == (1, ["v1"])
    assert hub.objects() == 1


def test_an_upload_that_was_cut_is_not_taken_for_the_object(hub: Hub, ada: Machine) -> None:
    ada.registry.register(hub.model(1), None)
    ada.registry.push("v1")
    [path] = [path for path in hub.storage.rglob("*") if path.is_file()]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:10])
    ada.registry.push("v1")
    assert path.read_bytes() == hub.model(1).read_bytes()


def test_a_directory_arrives_whole(
    hub: Hub, ada: Machine, git: Git, dvc: Callable[..., str]
) -> None:
    tokenizer = hub.folder / "tokenizer"
    (tokenizer / "sub").mkdir(parents=True)
    for name in ("vocab.txt", "sub/merges.txt"):
        (tokenizer / name).write_text(name)
    ada.registry.register(hub.model(1), None, artifacts={"tokenizer": tokenizer}, push=True)
    assert hub.objects() == 4
    new = hub.machine("new").top
    git(new, "checkout", "--quiet", "model-v1")
    dvc(new, "pull")
    assert (new / "registry/model/tokenizer/sub/merges.txt").read_text() == "sub/merges.txt"


# Numbers ------------------------------------------------------------------------------------


def test_who_comes_second_is_registered_anew_under_the_next_number(
    hub: Hub, ada: Machine, bob: Machine, git: Git
) -> None:
    ada.registry.register(hub.model(1), None, metrics={"auc": 0.1}, push=True)
    assert bob.registry.register(hub.model(2), None, metrics={"auc": 0.2}) == "v1"
    [(old, new)] = bob.registry.push().renumbered
    assert (old.name, new.name) == ("v1", "v2")
    for machine in (bob, hub.machine("new")):
        versions = machine.registry.list_versions()
        assert [(each["version"], each["metrics"]["auc"]) for each in versions] == [
            ("v1", 0.1), ("v2", 0.2),
        ]  # fmt: skip
        assert machine.registry.verify("v2") == {"model": "ok"}
    assert git(bob.top, "for-each-ref", "refs/mlv") == ""
    parents = {git(bob.top, "rev-parse", f"model-v{n}^") for n in (1, 2)}
    assert parents == {git(bob.top, "rev-parse", "main")}


def test_with_push_the_number_goes_on_from_the_remotes(
    hub: Hub, ada: Machine, bob: Machine
) -> None:
    assert ada.registry.register(hub.model(1), None, push=True) == "v1"
    assert bob.registry.register(hub.model(2), None, push=True) == "v2"
    assert hub.tags() == ["model-v1", "model-v2"]


def test_a_version_promoted_before_it_was_published_keeps_its_number_or_stops(
    hub: Hub, ada: Machine, bob: Machine
) -> None:
    bob.registry.register(hub.model(2), None)
    bob.registry.promote("v1", push=False)
    ada.registry.register(hub.model(1), None, push=True)
    before = bob.registry.get_manifest("v1")
    with pytest.raises(ConfigError, match="promoted here before it was published") as caught:
        bob.registry.push()
    assert "git reset --keep origin/main" in caught.value.hint
    assert bob.registry.get_manifest("v1") == before


def test_a_tag_that_was_moved_is_named_and_never_pushed(
    hub: Hub, ada: Machine, bob: Machine, git: Git, mlv: Mlv
) -> None:
    for seed in (1, 2):
        ada.registry.register(hub.model(seed), None, push=True)
    bob.registry.fetch()
    git(hub.bare, "update-ref", "refs/tags/model-v1", "refs/tags/model-v2")
    bob.notes.clear()
    fetched = bob.registry.fetch()
    assert [version.tag for version in fetched.moved] == ["model-v1"]
    [note] = bob.notes
    assert "model-v1 on the remote is not the model-v1 that is here" in note
    assert mlv(bob.top, "fetch").returncode == 4
    with pytest.raises(IntegrityError, match="one of the two was moved"):
        bob.registry.push("v1")
    with pytest.raises(IntegrityError, match="one of the two was moved"):
        bob.registry.promote("v1", push=True)


def test_a_plain_tag_at_the_same_commit_was_not_moved(hub: Hub, ada: Machine, git: Git) -> None:
    ada.registry.register(hub.model(1), None, push=True)
    git(ada.top, "tag", "--force", "model-v1", "model-v1^{}")  # as a CI's checkout does
    assert ada.registry.fetch().moved == ()


@pytest.mark.parametrize("name", [b"a\xc2\xa0b-v1", b"model-v1\xe2\x80\xa8-v2", b"\xff-v1"])
def test_tags_of_odd_names_are_in_nobodys_way(
    hub: Hub, ada: Machine, git: Git, name: bytes
) -> None:
    """Git lets a name hold what Python takes for a blank or a line's end, and any bytes."""
    ada.registry.register(hub.model(1), None, push=True)
    git(hub.bare, "update-ref", f"refs/tags/{os.fsdecode(name)}", "main")
    git(ada.top, "fetch", "--quiet", "--tags")
    fetched = ada.registry.fetch()
    assert ([v.name for v in fetched.tags], fetched.moved, fetched.new) == (["v1"], (), ())
    assert ada.registry.register(hub.model(2), None, push=True) == "v2"
    assert not [c for c in ModelRegistry.diagnose(ada.top) if "broke" in c.message]


def test_fetch_brings_versions_that_a_clone_left_behind(hub: Hub, ada: Machine, git: Git) -> None:
    for seed in (1, 2):
        ada.registry.register(hub.model(seed), None, push=True)
    ada.registry.promote("v1", push=True)
    git(hub.folder, "clone", "--quiet", "--no-tags", str(hub.bare), "plain")
    plain = hub.open(hub.folder / "plain").registry
    assert plain.list_versions() == []
    assert [version.name for version in plain.fetch().new] == ["v1", "v2"]
    assert [each["status"] for each in plain.list_versions()] == ["production", "registered"]


# What is not pushed --------------------------------------------------------------------------


@pytest.fixture
def pipeline(ada: Machine, git: Git, dvc: Callable[..., str]) -> Machine:
    """Return Ada's machine, whose repository has a pipeline with an output."""
    (ada.top / "dvc.yaml").write_text(
        "stages:\n  prepare:\n    cmd: echo data > data\n    outs: [data]\n"
    )
    dvc(ada.top, "repro", "--quiet")
    git(ada.top, "add", "--all")
    git(ada.top, "commit", "--quiet", "--message", "Prepare data")
    return ada


def test_outputs_of_the_pipeline_are_pushed_too(
    hub: Hub, pipeline: Machine, git: Git, dvc: Callable[..., str]
) -> None:
    pipeline.registry.register(hub.model(1), None, push=True)
    new = hub.machine("new").top
    git(new, "checkout", "--quiet", "model-v1")
    dvc(new, "pull")
    assert (new / "data").read_text() == "data\n"


def test_an_output_that_nobody_has_is_named_and_stops_the_push(hub: Hub, pipeline: Machine) -> None:
    pipeline.registry.register(hub.model(1), None)
    listing = (pipeline.top / "dvc.lock").read_text()
    md5 = listing.partition("md5: ")[2][:32]
    (pipeline.top / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    with pytest.raises(NotFound, match="data of model-v1 is neither in the DVC cache") as caught:
        pipeline.registry.push()
    assert "--partial" in caught.value.hint
    assert hub.tags() == []
    pipeline.registry.push(partial=True)
    assert hub.tags() == ["model-v1"]


def test_an_output_that_never_was_made_stops_the_push(hub: Hub, pipeline: Machine) -> None:
    stages = (pipeline.top / "dvc.yaml").read_text()
    (pipeline.top / "dvc.yaml").write_text(
        f"{stages}  train:\n    cmd: 'true'\n    outs: [weights]\n"
    )
    pipeline.registry.register(hub.model(1), None)
    with pytest.raises(NotFound, match="weights of model-v1"):
        pipeline.registry.push()


def test_a_version_whose_bytes_are_elsewhere_says_who_has_them(
    hub: Hub, ada: Machine, bob: Machine, git: Git
) -> None:
    ada.registry.register(hub.model(1), None)
    git(ada.top, "push", "--quiet", "origin", "model-v1")  # and no bytes
    bob.registry.fetch()
    for act in (lambda: bob.registry.push("v1"), lambda: bob.registry.promote("v1", push=True)):
        with pytest.raises(NotFound, match="neither in the DVC cache nor on") as caught:
            act()
        assert "Ada Lovelace <ada@example.com> registered it on" in caught.value.hint
    assert bob.registry.current_version() is None


@pytest.mark.parametrize(
    "line",
    [
        "url = ssh://dvc.example/store\n    password = hunter2",
        "url = https://ada:hunter2@dvc.example/store",
    ],
)
def test_a_credential_in_the_committed_configuration_is_not_published(
    hub: Hub, ada: Machine, git: Git, line: str
) -> None:
    config = ada.top / ".dvc/config"
    config.write_text(f"{config.read_text()}['remote \"other\"']\n    {line}\n")
    git(ada.top, "commit", "--quiet", "--all", "--message", "Oops")
    ada.registry.register(hub.model(1), None)
    with pytest.raises(ConfigError, match=r"\.dvc/config:\d+ of model-v1 holds a credential") as no:
        ada.registry.push()
    assert "hunter2" not in str(no.value)
    assert hub.tags() == []


def test_a_purged_version_is_not_pushed(hub: Hub, ada: Machine, git: Git) -> None:
    ada.registry.register(hub.model(1), None, push=True)
    ada.registry.register(hub.model(2), None, push=True)
    for version in ("v1", "v2"):
        ada.registry.promote(version, push=True)
    pointer = ada.top / "registry/model/pointer.json"
    document = json.loads(pointer.read_text())
    document.update(previous=None, status={"v2": "production", "v1": "purged"})
    pointer.write_text(json.dumps(document))
    git(ada.top, "commit", "--quiet", "--all", "--message", "Purge")
    git(ada.top, "push", "--quiet")
    with pytest.raises(StatusError, match="model-v1 is purged"):
        ada.registry.push("v1")
    assert [version.name for version in ada.registry.push(whole=True).checked] == ["v2"]


def test_how_much_a_tag_publishes_is_said_before(hub: Hub, ada: Machine, git: Git) -> None:
    (ada.top / "train.py").write_text("first\n")
    git(ada.top, "add", "train.py")
    git(ada.top, "commit", "--quiet", "--message", "Train")
    (ada.top / "train.py").write_text("edited\n")
    ada.registry.register(hub.model(1), None)
    ada.registry.push("v1")
    said = "model-v1 publishes 1 commit(s) that origin does not have and 1 uncommitted file(s)"
    assert any(said in note and "train.py" in note for note in ada.notes)


def test_without_a_git_remote_or_a_dvc_remote_there_is_nowhere_to_push(
    hub: Hub, ada: Machine, git: Git, dvc: Callable[..., str]
) -> None:
    ada.registry.register(hub.model(1), None)
    dvc(ada.top, "remote", "remove", "storage")
    with pytest.raises(ConfigError, match="there is no DVC remote"):
        ada.registry.push("v1")
    git(ada.top, "remote", "remove", "origin")
    with pytest.raises(ConfigError, match="there is no Git remote 'origin'"):
        ada.registry.push("v1")
    with pytest.raises(ConfigError, match="there is no Git remote 'origin'"):
        ada.registry.promote("v1", push=True)


# Remotes with rules --------------------------------------------------------------------------

# Forges refuse a protected branch by its name, and other refs pass.
PROTECT_MAIN = 'test "$1" != refs/heads/main || { echo "main is protected" >&2; exit 1; }'


def test_a_protected_branch_refuses_all_and_the_way_of_a_pull_request_is_offered(
    hub: Hub, ada: Machine
) -> None:
    hub.forbid("update", PROTECT_MAIN)
    ada.registry.register(hub.model(1), None)
    before = hub.refs()
    with pytest.raises(RefusedByRemote, match="origin refuses main: main is protected") as caught:
        ada.registry.promote("v1", push=True)
    assert hub.refs() == before
    assert ada.registry.current_version() is None
    assert "go by a pull request: mlv propose model-v1;" in caught.value.hint
    ada.registry.push("v1")  # the version alone is not protected
    assert hub.tags() == ["model-v1"]


def test_all_that_a_forge_says_is_told_for_its_reason_may_come_last(hub: Hub, ada: Machine) -> None:
    lines = ("Has access: yes", "=====", "", "Has access: yes", "main takes pull requests only")
    said = "; ".join(f"echo '{line}' >&2" for line in lines)
    hub.forbid("update", f"{said}; exit 1")
    ada.registry.register(hub.model(1), None)
    with pytest.raises(RefusedByRemote) as caught:
        ada.registry.promote("v1", push=True)
    assert "main: Has access: yes; main takes pull requests only" in caught.value.message


def test_a_remote_that_rambles_is_cut_short(hub: Hub, ada: Machine) -> None:
    hub.forbid("update", "seq -s ' no ' 1 5000 >&2; exit 1")
    ada.registry.register(hub.model(1), None)
    with pytest.raises(RefusedByRemote) as caught:
        ada.registry.promote("v1", push=True)
    assert len(caught.value.message) < 600


def test_a_rollback_on_a_protected_branch_is_offered_as_a_proposal(hub: Hub, ada: Machine) -> None:
    for seed in (1, 2):
        ada.registry.register(hub.model(seed), None, push=True)
        ada.registry.promote(f"v{seed}", push=True)
    hub.forbid("update", PROTECT_MAIN)
    with pytest.raises(RefusedByRemote) as caught:
        ada.registry.rollback(push=True)
    assert "mlv propose --rollback model;" in caught.value.hint
    with pytest.raises(RefusedByRemote) as caught:
        ada.registry.rollback(to="v1", push=True)
    assert "mlv propose --rollback --to model-v1;" in caught.value.hint


def test_staging_on_a_protected_branch_goes_by_a_branch_pushed_by_hand(
    hub: Hub, ada: Machine, git: Git
) -> None:
    hub.forbid("update", PROTECT_MAIN)
    ada.registry.register(hub.model(1), None, push=True)
    with pytest.raises(RefusedByRemote) as caught:
        ada.registry.stage("v1", push=True)
    command = caught.value.hint.partition("git push origin ")[2].partition(",")[0]
    git(ada.top, "push", "--quiet", "origin", command)
    branch = command.partition(":refs/heads/")[2]
    assert '"v1": "staging"' in git(hub.bare, "show", f"{branch}:registry/model/pointer.json")


def test_a_remote_that_refuses_everything_says_why(hub: Hub, ada: Machine) -> None:
    hub.forbid("pre-receive", 'echo "the repository is frozen" >&2; exit 1')
    ada.registry.register(hub.model(1), None)
    with pytest.raises(RefusedByRemote, match="the repository is frozen"):
        ada.registry.push()
    assert hub.tags() == []


def test_a_registration_that_could_not_be_published_stays_and_is_published_later(
    hub: Hub, ada: Machine
) -> None:
    hub.forbid("pre-receive", "exit 1")
    with pytest.raises(RefusedByRemote):
        ada.registry.register(hub.model(1), None, push=True)
    assert (
        "model-v1 is registered here, and not published: mlv push model-v1 does that" in ada.notes
    )
    (hub.bare / "hooks" / "pre-receive").unlink()
    assert [version.name for version in ada.registry.push().versions] == ["v1"]


def test_a_remote_that_cannot_be_reached_changes_nothing(
    hub: Hub, ada: Machine, git: Git, mlv: Mlv
) -> None:
    ada.registry.register(hub.model(1), None)
    git(ada.top, "remote", "set-url", "origin", str(hub.folder / "gone.git"))
    refs = git(ada.top, "for-each-ref")
    for argv in (("push",), ("promote", "v1", "--push"), ("fetch",)):
        done = mlv(ada.top, *argv)
        assert done.returncode == 1
        assert "the Git remote 'origin' cannot be used" in done.stderr
        assert "Traceback" not in done.stderr
    assert git(ada.top, "for-each-ref") == refs


def test_the_configuration_can_make_pushing_the_default(
    hub: Hub, ada: Machine, mlv: Mlv, git: Git
) -> None:
    (ada.top / "mlv.yaml").write_text("push: true\n")
    git(ada.top, "commit", "--quiet", "--all", "--message", "Publish by default")
    git(ada.top, "push", "--quiet")
    registry = ModelRegistry(ada.top, notify=lambda _: None)
    registry.register(hub.model(1), None)
    registry.promote("v1")
    assert hub.tags() == ["model-v1"]
    assert '"current": "v1"' in git(hub.bare, "show", "main:registry/model/pointer.json")
    done = mlv(ada.top, "register", str(hub.model(2)), "--no-preprocessor", "--no-push")
    assert "publish it: mlv push model-v2" in done.stdout
    assert hub.tags() == ["model-v1"]
