"""Versions come in once, in their order, and mix with no others unless that is asked for."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mlv import ChangedMeanwhile, ConfigError, InvalidInput, ModelRegistry, RefusedByRemote
from mlv.domain.findings import Ok
from mlv.importing.incoming import IncomingModel
from tests.importing.conftest import opened
from tests.test_trust import make_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlv.importing.planning import Planned
    from tests.importing.conftest import Origin

    Git = Callable[..., str]
    Write = Callable[..., Path]


def refs(repo: Path, git: Git) -> str:
    return git(repo, "for-each-ref")


def names(registry: ModelRegistry) -> list[str]:
    return [each["version"] for each in registry.list_versions()]


def test_numbers_may_have_gaps_and_new_ones_go_on_from_the_highest(
    repo: Path, git: Git, origin: Callable[..., Origin], write_model: Write, tmp_path: Path
) -> None:
    tip = git(repo, "rev-parse", "main")
    registry = opened(repo)
    made = origin(2, 5, 10)
    made.versions = (*made.versions, made.version(1, status="archived"))
    done = registry.bring_in(made.model(current=5, previous=2))
    assert names(registry) == ["v1", "v2", "v5", "v10"]
    facts = registry.get_manifest("v5")
    assert facts["registered_by"] == "Grace Hopper <grace@example.com>"
    assert facts["registered_at"] == "2023-01-05T00:00:00Z"
    # One commit says what is live; a version is beside the branch, and kept until it is published.
    assert git(repo, "rev-list", f"{tip}..main") == git(repo, "rev-parse", "main")
    assert done.change
    assert done.change.commit == git(repo, "rev-parse", "main")
    assert git(repo, "rev-parse", "fraud-v5^") == tip
    assert git(repo, "rev-parse", "refs/mlv/fraud/v5") == git(repo, "rev-parse", "fraud-v5")
    assert git(repo, "show", "--format=%s%n%n%b", "--no-patch", "main").split("\n\n") == [
        "Import fraud",
        "4 versions from elsewhere: v1 to v10",
        "Mlv-Action: import\nMlv-Model: fraud\nMlv-To: v5",
    ]
    assert registry.register(write_model(tmp_path / "model.pkl"), None) == "v11"
    told = [(event["action"], event["version"]) for event in registry.history()]
    moves = [each for each in told if each[0] != "register"]
    assert moves == [("promote", "v5"), ("import", "v1")]
    assert git(repo, "status", "--porcelain") == ""
    assert all(isinstance(each, Ok) for each in registry.verify_all())


def test_a_name_with_lines_of_its_own_adds_none_to_the_commit(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    named = replace(origin(1).model(current=1), source="the store\n\nMlv-To: v9")
    opened(repo).bring_in(named)
    body = git(repo, "show", "--format=%b", "--no-patch", "main").splitlines()
    assert "1 version from the store  Mlv-To: v9: v1" in body
    assert "Mlv-To: v9" not in body


def test_a_dry_run_says_it_all_and_touches_nothing(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    before = refs(repo, git)
    cache = sorted((repo / ".dvc" / "cache").rglob("*"))
    done = opened(repo).bring_in(origin(1, 2).model(current=2), dry_run=True)
    assert [each.version.tag for each in done.plan.new] == ["fraud-v1", "fraud-v2"]
    assert (done.pointer.current, done.change) == (2, None)
    assert refs(repo, git) == before
    assert sorted((repo / ".dvc" / "cache").rglob("*")) == cache


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_was_interrupted_goes_on_without_a_version_twice(
    repo: Path, git: Git, origin: Callable[..., Origin], at: int
) -> None:
    incoming = origin(1, 2, 3).model(current=3, previous=1)
    seen: list[Planned] = []

    def stop(each: Planned) -> None:
        seen.append(each)
        if len(seen) > at:
            raise KeyboardInterrupt

    registry = opened(repo)
    with pytest.raises(KeyboardInterrupt):
        registry.bring_in(incoming, tell=stop)
    came = git(repo, "tag").split()
    assert len(came) == at + 1
    ids = git(repo, "rev-parse", *came)
    done = registry.bring_in(incoming)
    assert len(done.plan.new) == 2 - at
    assert git(repo, "rev-parse", *came) == ids
    assert names(registry) == ["v1", "v2", "v3"]
    assert registry.current_version() == "v3"
    before = refs(repo, git)
    again = registry.bring_in(incoming)
    assert (again.plan.new, again.change and again.change.commit) == ((), None)
    assert refs(repo, git) == before


def test_what_is_no_commits_id_names_no_commit_it_was_trained_from(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    git(repo, "checkout", "--quiet", "-b", "side")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Of whoever imports")
    first, second = origin(1, 2).versions
    here = git(repo, "rev-parse", "side")
    versions = (replace(first, commit="HEAD"), replace(second, commit=here[:12]))
    opened(repo).bring_in(IncomingModel("elsewhere", versions))
    assert git(repo, "rev-parse", "fraud-v1^") == git(repo, "rev-parse", "main")
    assert git(repo, "rev-parse", "fraud-v2^") == here


def test_a_ref_that_looks_like_an_abbreviated_id_names_no_commit(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    git(repo, "checkout", "--quiet", "-b", "side")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "Of whoever imports")
    git(repo, "tag", "20251101")
    git(repo, "tag", "-m", "Annotated", "20251102")
    git(repo, "branch", "deadbee")
    versions = zip(origin(1, 2, 3).versions, ("20251101", "20251102", "deadbee"), strict=True)
    come = tuple(replace(version, commit=name) for version, name in versions)
    opened(repo).bring_in(IncomingModel("elsewhere", come))
    main = git(repo, "rev-parse", "main")
    assert [git(repo, "rev-parse", f"fraud-v{n}^") for n in (1, 2, 3)] == [main] * 3


def test_what_was_decided_since_stands_when_more_comes_in(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    made = origin(1, 2)
    registry = opened(repo)
    registry.bring_in(made.model(current=2, previous=1))
    registry.rollback()
    made.versions = (*made.versions, made.version(3, status="yanked"), made.version(4))
    notes: list[str] = []
    opened(repo, notes).bring_in(made.model(current=4, previous=2))
    assert names(registry) == ["v1", "v2", "v3", "v4"]
    assert registry.current_version() == "v1"
    assert registry.get_manifest("v3")["status"] == "yanked"
    assert notes == ["fraud-v4 is live there: mlv promote fraud-v4 puts it live here"]


def test_what_was_decided_while_it_came_in_stands_and_is_said(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    notes: list[str] = []
    registry = opened(repo, notes)

    def promote(each: Planned) -> None:
        if each.incoming.number == 1:
            opened(repo).promote("v1")

    done = registry.bring_in(origin(1, 2).model(current=2, previous=1), tell=promote)
    assert (done.pointer.current, registry.current_version()) == (1, "v1")
    assert "fraud-v2 is live there: mlv promote fraud-v2 puts it live here" in notes


def test_one_that_turns_up_between_others_takes_the_next_number(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    """Numbers that a reader gives by date may shift; what is here keeps its own."""
    made = origin(1, 2)
    first, second = made.versions
    registry = opened(repo)
    registry.bring_in(made.model(current=2, previous=1))
    made.versions = (first, made.version(2, seed=9), replace(second, number=3))
    registry.bring_in(made.model(current=3, previous=1))
    assert names(registry) == ["v1", "v2", "v3"]
    sums = [registry.get_manifest(name)["model_sha256"] for name in ("v2", "v3")]
    assert sums == [second.checksums["model"], made.versions[1].checksums["model"]]
    assert registry.current_version() == "v2"


def test_one_that_was_left_out_comes_in_later_under_its_own_number(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    registry = opened(repo)
    made = origin(1, 2, 3)
    whole = made.versions
    made.versions = (whole[0], whole[2])
    registry.bring_in(made.model(current=3, previous=1))
    made.versions = whole
    registry.bring_in(made.model(current=3, previous=1))
    assert names(registry) == ["v1", "v2", "v3"]
    assert registry.get_manifest("v2")["metadata"]["imported"]["version"] == "no. 2"


# Into a model that has versions --------------------------------------------------------------


@pytest.fixture
def with_two(repo: Path, write_model: Write, tmp_path: Path) -> ModelRegistry:
    """Return a registry with two versions of its own, of which v2 is live."""
    registry = opened(repo)
    for seed in (1, 2):
        registry.register(write_model(tmp_path / "model.pkl", seed), None)
    registry.promote("v2")
    return registry


def test_a_model_that_has_others_is_refused(
    with_two: ModelRegistry, git: Git, origin: Callable[..., Origin]
) -> None:
    before = refs(with_two.path, git)
    for numbers in ((1, 2), (3, 4)):
        with pytest.raises(InvalidInput, match=r"'fraud' has versions that .*: v1, v2") as refused:
            with_two.bring_in(origin(*numbers).model())
        assert "--into-existing" in refused.value.hint
    assert refs(with_two.path, git) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"status": "live"}, "v2 is said to be 'live'"), ({"number": 0}, "v0 is no version's name")],
)
def test_what_a_reader_got_wrong_is_refused_before_anything_comes_in(
    repo: Path, git: Git, origin: Callable[..., Origin], wrong: dict[str, Any], said: str
) -> None:
    made, before = origin(1, 2), refs(repo, git)
    made.versions = (made.versions[0], replace(made.versions[1], **wrong))
    with pytest.raises(InvalidInput, match=said) as refused:
        opened(repo).bring_in(made.model())
    assert refused.value.hint
    assert refs(repo, git) == before


@pytest.mark.parametrize(
    ("numbers", "become"), [((1, 2, 5), ["v3", "v4", "v5"]), ((7, 9), ["v7", "v9"])]
)
def test_if_told_numbers_go_on_from_its_highest_and_what_is_live_stays(
    with_two: ModelRegistry,
    origin: Callable[..., Origin],
    numbers: tuple[int, ...],
    become: list[str],
) -> None:
    incoming = origin(*numbers).model(current=numbers[0])
    with_two.bring_in(incoming, into_existing=True)
    assert names(with_two) == ["v1", "v2", *become]
    assert with_two.current_version() == "v2"
    told = [with_two.get_manifest(name)["metadata"]["imported"]["version"] for name in become]
    assert told == [f"no. {number}" for number in numbers]
    # The same command again finds them, whatever their numbers are here.
    assert with_two.bring_in(incoming, into_existing=True).plan.new == ()
    assert names(with_two) == ["v1", "v2", *become]


def test_nothing_goes_live_beside_versions_of_which_nothing_is_decided(
    repo: Path, origin: Callable[..., Origin], write_model: Write, tmp_path: Path
) -> None:
    registry = opened(repo)
    registry.register(write_model(tmp_path / "model.pkl", 1), None)
    registry.bring_in(origin(2, 3).model(current=3, previous=2), into_existing=True)
    assert names(registry) == ["v1", "v2", "v3"]
    assert {each["status"] for each in registry.list_versions()} == {"registered"}


def test_what_was_made_anew_under_its_number_is_another_version(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    """Where no checksums are stated, as in MLflow, the date tells one from the other."""
    made = origin(1)
    made.versions = (replace(made.versions[0], checksums={"model": None}),)
    registry = opened(repo)
    registry.bring_in(made.model())
    assert registry.bring_in(made.model()).plan.new == ()
    anew = replace(made.version(1, seed=7), registered_at="2024-01-01T00:00:00Z")
    made.versions = (replace(anew, checksums={"model": None}),)
    registry.bring_in(made.model(), into_existing=True)
    assert names(registry) == ["v1", "v2"]


def test_other_bytes_under_a_known_number_are_another_version(
    repo: Path, origin: Callable[..., Origin]
) -> None:
    made = origin(1)
    registry = opened(repo)
    registry.bring_in(made.model())
    made.versions = (made.version(1, seed=7),)
    with pytest.raises(InvalidInput, match="has versions that are not those of elsewhere: v1"):
        registry.bring_in(made.model())
    registry.bring_in(made.model(), into_existing=True)
    assert names(registry) == ["v1", "v2"]


@pytest.mark.parametrize(
    ("roles_change", "stated", "gains", "is_known"),
    [
        (True, None, True, True),
        (True, None, False, True),
        (False, None, True, False),
        (False, None, False, False),
        (True, "0" * 64, True, False),  # of bytes that are not here
    ],
)
def test_a_version_whose_roles_come_and_go_there_is_known_again(
    repo: Path, origin: Callable[..., Origin], roles_change: bool, stated: str | None, gains: bool,
    is_known: bool,
) -> None:  # fmt: skip
    [one] = origin(1).versions
    [model] = one.bring(repo).values()
    less = replace(one, roles_change=roles_change, checksums={"model": None})
    more = replace(
        less,
        checksums={"model": None, "preprocessor": stated},
        bring=lambda _: {"model": model, "preprocessor": model},
    )
    first, then = (less, more) if gains else (more, less)
    registry = opened(repo)
    registry.bring_in(IncomingModel("elsewhere", (first,)))
    if is_known:
        assert registry.bring_in(IncomingModel("elsewhere", (then,))).plan.new == ()
    else:
        with pytest.raises(InvalidInput, match="has versions that are not those of elsewhere"):
            registry.bring_in(IncomingModel("elsewhere", (then,)))
    assert names(registry) == ["v1"]


def test_a_tag_that_is_none_of_ours_keeps_its_number(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    git(repo, "tag", "fraud-v1", "--message", "A release of the software")
    registry = opened(repo)
    with pytest.raises(InvalidInput, match="v1"):
        registry.bring_in(origin(1).model())
    registry.bring_in(origin(1).model(), into_existing=True)
    assert names(registry) == ["v2"]


# The gate ------------------------------------------------------------------------------------


def test_what_is_live_elsewhere_and_fails_the_gate_is_live_as_forced(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    (repo / "mlv.yaml").write_text("branch: main\ngate: {metrics: {roc_auc: {min: 0.9}}}\n")
    git(repo, "commit", "--all", "--quiet", "--message", "A gate")
    notes: list[str] = []
    registry = opened(repo, notes)
    registry.bring_in(origin(1).model(current=1))
    assert registry.status()["models"][0]["forced"]
    assert "Mlv-Forced: v1" in git(repo, "show", "--format=%b", "--no-patch", "main")
    assert any("does not meet the gate" in note for note in notes)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("required", "signs", "missing"), [("versions", "commit", "tags"), ("all", "tag", "commits")]
)
def test_nothing_comes_in_unsigned_where_versions_must_be_signed(
    repo: Path,
    git: Git,
    origin: Callable[..., Origin],
    required: str,
    signs: str,
    missing: str,
    *,
    dry_run: bool,
) -> None:
    ask_for_signatures(repo, git, required, "")
    git(repo, "config", f"{signs}.gpgSign", "true")
    with pytest.raises(ConfigError, match=f"this git signs no {missing}: nothing came in"):
        opened(repo).bring_in(origin(1, 2).model(current=2), dry_run=dry_run)
    assert git(repo, "tag") == git(repo, "for-each-ref", "refs/mlv") == ""


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_nothing_comes_in_signed_by_a_key_that_is_not_allowed(
    repo: Path, git: Git, tmp_path: Path, origin: Callable[..., Origin]
) -> None:
    ada, eve = make_key(tmp_path / "ada"), make_key(tmp_path / "eve")
    assert ada != eve
    ask_for_signatures(repo, git, "versions", f"ada@example.com {ada}")
    for name, value in {"gpg.format": "ssh", "tag.gpgSign": "true"}.items():
        git(repo, "config", name, value)
    git(repo, "config", "user.signingKey", str(tmp_path / "eve.pub"))
    with pytest.raises(ConfigError, match=r"what this git signs .*: nothing came in"):
        opened(repo).bring_in(origin(1, 2).model(current=2))
    assert git(repo, "tag") == git(repo, "for-each-ref", "refs/mlv") == ""
    git(repo, "config", "user.signingKey", str(tmp_path / "ada.pub"))
    registry = opened(repo)
    registry.bring_in(origin(1, 2).model(current=2))
    assert registry.load()["model"]


def ask_for_signatures(repo: Path, git: Git, required: str, signers: str) -> None:
    (repo / "mlv.yaml").write_text(f"require_signed: {required}\nallowed_signers: signers\n")
    (repo / "signers").write_text(signers)
    git(repo, "add", "mlv.yaml", "signers")
    git(repo, "commit", "--quiet", "--message", "Ask for signatures")


def test_a_version_that_was_taken_meanwhile_is_not_overwritten(
    repo: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    registry = opened(repo)

    def take(_: Planned) -> None:
        if not git(repo, "tag", "--list", "fraud-v2"):
            git(repo, "tag", "fraud-v2", "--message", "Somebody was faster")

    with pytest.raises(ChangedMeanwhile, match="v2 cannot come in: somebody else made") as lost:
        registry.bring_in(origin(1, 2).model(), tell=take)
    assert "run the command again" in lost.value.hint
    assert git(repo, "tag", "--list", "--format=%(subject)", "fraud-v2") == "Somebody was faster"


def test_into_others_what_is_live_there_is_named_by_its_number_here_or_not_at_all(
    repo: Path, tmp_path: Path, write_model: Write, origin: Callable[..., Origin]
) -> None:
    for seed in (1, 2, 3):
        opened(repo).register(write_model(tmp_path / "own.pkl", seed), None)
    for live, said in (
        (2, "fraud-v5 is live there: mlv promote fraud-v5 puts it live here"),
        (5, "v5 is said to be live, and does not come in"),
    ):
        done = opened(repo).bring_in(origin(1, 2).model(live), into_existing=True, dry_run=True)
        assert done.notes == (said,)
    with pytest.raises(InvalidInput, match="v5 is said to be live, and is not among"):
        ModelRegistry(repo, "other").bring_in(origin(1, 2).model(current=5))


# Published -----------------------------------------------------------------------------------


def test_published_it_is_whole_for_everybody(
    repo: Path, tmp_path: Path, git: Git, dvc: Git, origin: Callable[..., Origin]
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "hub.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "hub.git"))
    done = opened(repo).bring_in(origin(1, 2).model(current=2, previous=1), push=True)
    assert done.is_pushed
    assert git(repo, "for-each-ref", "refs/mlv") == ""
    git(tmp_path, "clone", "--quiet", "hub.git", "theirs")
    theirs = opened(tmp_path / "theirs")
    assert (names(theirs), theirs.current_version()) == (["v1", "v2"], "v2")
    git(theirs.path, "checkout", "--quiet", "fraud-v1")
    dvc(theirs.path, "pull", "--quiet")
    pulled = (theirs.path / "registry" / "fraud" / "model.pkl").read_bytes()
    assert hashlib.sha256(pulled).hexdigest() == theirs.get_manifest("v1")["model_sha256"]


def test_where_the_branch_is_protected_it_is_said_who_can_say_what_is_live(
    repo: Path, tmp_path: Path, git: Git, origin: Callable[..., Origin]
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "hub.git")
    git(repo, "remote", "add", "origin", str(tmp_path / "hub.git"))
    hook = tmp_path / "hub.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    model = origin(1, 2).model(current=2, previous=1)
    with pytest.raises(RefusedByRemote) as refused:
        opened(repo).bring_in(model, push=True)
    assert "somebody says who may push to main" in refused.value.hint
    assert git(tmp_path / "hub.git", "tag").split() == ["fraud-v1", "fraud-v2"]
    hook.unlink()
    git(tmp_path, "clone", "--quiet", "hub.git", "theirs")
    theirs = opened(tmp_path / "theirs")
    done = theirs.bring_in(model, push=True)
    assert (done.plan.new, theirs.current_version()) == ((), "v2")
