"""The shipped workflows, run for real: a proposal is judged, merged, deployed and taken back."""

from __future__ import annotations

import hashlib
import json
import operator
import pickle
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.servers.ci import GitHub, gitlab
from tests.servers.faults import did

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.ci import Ci, Ran
    from tests.servers.sharing import Shared

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

MLV_YAML = """\
branch: main
gate: {metrics: {roc_auc: {goal: max, max_regression: 0.01}}}
models:
  fraud: {model: model.pkl, preprocessor: null, metrics: metrics.json}
"""
DVC_YAML = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [seed, roc_auc]
    outs: [model.pkl]
    metrics: [{metrics.json: {cache: false}}]
"""
TRAIN = """\
import json, pickle
import yaml

params = yaml.safe_load(open("params.yaml"))
pickle.dump(params["seed"], open("model.pkl", "wb"))
json.dump({"roc_auc": params["roc_auc"]}, open("metrics.json", "w"))
"""
HOOK = """\
#!/bin/sh
echo "$1 $2 $(sha256sum < "$3/model.pkl" | cut -d' ' -f1)" >> {deployed}
"""


@dataclass(frozen=True)
class Team:
    """A registry whose `main` is protected, its forge, and a clone in which v1 is live."""

    shared: Shared
    clone: Path
    ci: Ci
    git: Git
    mlv: Mlv

    def train(self, seed: int, roc_auc: float) -> str:
        """Register and publish a version; return its tag."""
        (self.clone / "model.pkl").write_bytes(pickle.dumps(seed))
        (self.clone / "metrics.json").write_text(json.dumps({"roc_auc": roc_auc}))
        return f"fraud-{did(self.mlv(self.clone, 'register', '--push', '--quiet')).strip()}"

    def propose(self, tag: str, *args: str) -> str:
        """Propose that a version goes live, as pull request 1; return the branch."""
        did(self.mlv(self.clone, "propose", tag, *args))
        return self.open(f"mlv/promote-{tag}")

    def open(self, branch: str) -> str:
        """Have the forge see a branch as pull request 1."""
        self.git(self.shared.bare, "update-ref", self.ci.reference(1), f"refs/heads/{branch}")
        return branch

    def merge(self, branch: str, how: str) -> str:
        """Merge as the forge does, past the protection; return what main was before."""
        work = self.shared.folder / "forge"
        if not work.exists():
            self.git(self.shared.folder, "clone", "--quiet", str(self.shared.bare), "forge")
        self.git(work, "fetch", "--quiet", "--prune", "origin")
        before = self.git(work, "rev-parse", "origin/main")
        self.git(work, "switch", "--quiet", "--force-create", "main", "origin/main")
        if how == "merge":
            self.git(work, "merge", "--quiet", "--no-ff", "-m", "Merge #1", f"origin/{branch}")
        elif how == "squash":
            self.git(work, "merge", "--quiet", "--squash", f"origin/{branch}")
            self.git(work, "commit", "--quiet", "--message", "Squashed (#1)")
        elif how == "rebase":
            self.git(work, "cherry-pick", f"origin/main..origin/{branch}")
        else:
            is_merge = len(self.git(work, "log", "-1", "--format=%P").split()) > 1
            self.git(work, "revert", "--no-edit", *(["-m", "1"] if is_merge else []), "HEAD")
        self.git(self.shared.bare, "fetch", "--quiet", str(work), "main:main")
        return before

    @property
    def deployed(self) -> list[str]:
        """What the hook was called with: model, tag, and the hash of what lay in the folder."""
        log = self.shared.folder / "deployed"
        return log.read_text().splitlines() if log.exists() else []

    def live(self) -> str:
        """Ask a new clone what is live."""
        self.git(self.clone, "fetch", "--quiet", "origin")
        pointer = self.git(self.clone, "show", "origin/main:registry/fraud/pointer.json")
        return f"fraud-{json.loads(pointer)['current']}"


@pytest.fixture(params=["github", "gitlab"])
def team(
    request: pytest.FixtureRequest,
    share: Callable[..., Shared],
    protect: Callable[..., Path],
    tmp_path: Path,
    git: Git,
    mlv: Mlv,
) -> Iterator[Team]:
    shared = share(git="ssh", dvc="s3")
    clone = shared.clone("ada")
    files = {
        "mlv.yaml": f"{MLV_YAML}forge: {request.param}\n",
        ".gitignore": "/model.pkl\n",
        "metrics.json": "{}",
    }
    for name, text in files.items():
        (clone / name).write_text(text)
    did(mlv(clone, "init", "--template", request.param))
    hook = clone / ".mlv" / "deploy"
    hook.write_text(HOOK.format(deployed=shared.folder / "deployed"))
    assert hook.stat().st_mode & stat.S_IXUSR
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Workflows")
    git(clone, "push", "--quiet", "origin", "main")
    machine = tmp_path / "machine"
    machine.mkdir()
    with ExitStack() as stack:
        ci: Ci = (
            GitHub(machine, shared, clone)
            if request.param == "github"
            else stack.enter_context(gitlab(machine, shared, clone))
        )
        made = Team(shared, clone, ci, git, mlv)
        made.train(1, 0.9)
        did(mlv(clone, "promote", "v1", "--push"))
        protect(shared.bare)
        yield made


def passed(ran: Ran) -> str:
    assert ran.code == 0, ran.log
    return ran.log


def failed(ran: Ran) -> str:
    assert ran.code != 0, ran.log
    return ran.log


def sha256(seed: int) -> str:
    return hashlib.sha256(pickle.dumps(seed)).hexdigest()


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_good_proposal_passes_goes_live_is_deployed_and_is_taken_back(
    team: Team, how: str
) -> None:
    branch = team.propose(team.train(2, 0.95))
    passed(team.ci.review(1))
    [comment] = team.ci.comments()
    assert comment.startswith("<!-- mlv-review -->")
    assert "fraud-v2" in comment

    before = team.merge(branch, how)
    assert team.live() == "fraud-v2"
    passed(team.ci.deploy(before))
    assert team.deployed == [f"fraud fraud-v2 {sha256(2)}"]

    before = team.merge("main", "revert")
    assert team.live() == "fraud-v1"
    passed(team.ci.deploy(before))
    assert team.deployed[1:] == [f"fraud fraud-v1 {sha256(1)}"]


def test_a_bad_proposal_is_refused_in_the_one_comment_that_follows_it(team: Team) -> None:
    worse = team.train(2, 0.5)
    team.propose(worse, "--force", "--reason", "It has to be")
    assert "does not meet the gate" in failed(team.ci.review(1))
    [refused] = team.ci.comments()
    assert "roc_auc" in refused

    team.propose(team.train(3, 0.95))
    # Without the secrets, nobody can say whether the bytes are there.
    assert "the bytes cannot be asked for" in failed(team.ci.review(1, is_fork=True))
    assert team.ci.comments() == [refused]
    passed(team.ci.review(1))
    [accepted] = team.ci.comments()
    assert accepted.startswith("<!-- mlv-review -->")
    assert accepted != refused
    assert "fraud-v3" in accepted


EVIL = "import os\nos.system('touch {marker}')\n"


def test_code_passes_without_a_comment_and_none_of_it_is_run(team: Team, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    clone, git = team.clone, team.git
    git(clone, "switch", "--quiet", "--create", "feature")
    for name in ("mlv.py", "json.py", "sitecustomize.py", "requirements.txt"):
        (clone / name).write_text(EVIL.format(marker=marker))
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Code")
    git(clone, "push", "--quiet", "origin", "feature")
    team.open("feature")
    passed(team.ci.review(1))
    passed(team.ci.review(1, is_fork=True))
    assert team.ci.comments() == []

    config = clone / ".dvc" / "config"
    config.write_text(f"{config.read_text()}    bearer_token_command = touch {marker}\n")
    (clone / ".mlv" / "deploy").write_text(f"#!/bin/sh\ntouch {marker}\n")
    git(clone, "commit", "--quiet", "--all", "--message", "More of it")
    git(clone, "push", "--quiet", "origin", "feature")
    team.open("feature")
    assert "bearer_token_command" in failed(team.ci.review(1))
    assert not marker.exists()


def test_retraining_proposes_once_and_a_rollback_is_rehearsed(team: Team) -> None:
    log = passed(team.ci.scheduled("rehearse"))
    assert "fraud has no previous version" in log
    for name, text in (("dvc.yaml", DVC_YAML), ("train.py", TRAIN)):
        (team.clone / name).write_text(text)
    (team.clone / "params.yaml").write_text("seed: 2\nroc_auc: 0.95\n")
    team.git(team.clone, "rm", "--quiet", "--cached", "metrics.json")
    team.git(team.clone, "add", "--all")
    team.git(team.clone, "commit", "--quiet", "--message", "A pipeline")
    team.git(team.clone, "push", "--quiet", "origin", "HEAD:pipeline")
    team.merge("pipeline", "merge")

    passed(team.ci.scheduled("retrain"))
    assert team.ci.opened() == [("mlv/promote-fraud-v2", "main")]
    branch = team.open("mlv/promote-fraud-v2")
    log = passed(team.ci.scheduled("retrain"))
    assert "nothing has changed since fraud-v2" in log.lower()
    assert team.git(team.shared.bare, "tag", "--list", "fraud-v3") == ""

    passed(team.ci.review(1))
    team.merge(branch, "squash")
    assert team.live() == "fraud-v2"
    log = passed(team.ci.scheduled("rehearse"))
    assert "fraud would go back to v1" in log
    assert team.live() == "fraud-v2"
    for lost in team.shared.storage.objects():
        if team.shared.storage.read(lost) == pickle.dumps(1):
            team.shared.storage.remove(lost)
    assert "of fraud to v1 would fail" in failed(team.ci.scheduled("rehearse"))


def test_a_version_with_a_sample_answers_it_before_it_is_deployed(team: Team) -> None:
    (team.clone / "model.pkl").write_bytes(pickle.dumps(operator.itemgetter(0)))
    sample = team.shared.folder / "sample.json"
    sample.write_text('{"data": [[1.0, 2.0], [3.0, 4.0]], "dtype": "float64"}')
    args = ("register", "--push", "--quiet", "--sample", str(sample))
    tag = f"fraud-{did(team.mlv(team.clone, *args)).strip()}"
    before = team.git(team.shared.bare, "rev-parse", "main")
    team.git(team.clone, "fetch", "--quiet")
    did(team.mlv(team.clone, "promote", tag, "--force", "--reason", "Try it"))
    team.git(team.clone, "push", "--quiet", "origin", "main:sampled")
    team.merge("sampled", "rebase")
    log = passed(team.ci.deploy(before))
    assert log.count("sample ok") == 2  # its bytes; and, with its packages, its answer
    assert "could not be tried" not in log
    assert [line.split()[1] for line in team.deployed] == [tag]


def test_staging_deploys_nothing_and_a_hook_that_fails_is_seen(team: Team) -> None:
    tag = team.train(2, 0.95)
    team.git(team.clone, "fetch", "--quiet")
    did(team.mlv(team.clone, "stage", tag))
    team.git(team.clone, "push", "--quiet", "origin", "main:staged")
    passed(team.ci.deploy(team.merge("staged", "rebase")))
    assert team.deployed == []

    team.git(team.clone, "reset", "--quiet", "--hard", "HEAD")
    (team.clone / ".mlv" / "deploy").write_text("#!/bin/sh\nexit 1\n")
    team.git(team.clone, "commit", "--quiet", "--all", "--message", "A hook that fails")
    team.git(team.clone, "push", "--quiet", "origin", "main:hook")
    team.merge("hook", "merge")
    failed(team.ci.deploy(team.merge(team.propose(tag), "merge")))
