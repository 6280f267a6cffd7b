"""`mlv init --template`: what it writes for GitHub and GitLab, and what it leaves alone."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement

import mlv
from mlv import ModelRegistry
from mlv.errors import ConfigError, WorkspaceError
from mlv.store import templates

if TYPE_CHECKING:
    from collections.abc import Callable

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
VERSION = mlv.__version__
WORKFLOWS = ["deploy", "rehearse", "retrain", "review"]


def files_of(name: str) -> set[str]:
    root = ROOT / "templates" / name
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def program(name: str) -> str:
    """Return a checker; a test without it fails, and is not skipped."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: pip install --editable '.[dev]'"
    return found


def check(folder: Path, name: str, *args: str) -> None:
    argv = (program(name), *args)
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def written(repo: Path, mlv: Mlv) -> Path:
    """Return a registry with the files of both forges."""
    done = mlv(repo, "init", "--template", "github", "--template", "gitlab")
    assert done.returncode == 0, done.stderr
    return repo


# What is written ----------------------------------------------------------------------------


def test_every_file_is_written_filled_in_and_left_to_be_committed(
    repo: Path, git: Git, mlv: Mlv
) -> None:
    before = git(repo, "rev-parse", "HEAD")
    done = mlv(repo, "init", "--template", "github", "--json")
    assert done.returncode == 0, done.stderr
    files = files_of("github")
    assert {f".github/workflows/mlv-{name}.yml" for name in WORKFLOWS} <= files
    assert set(yaml.safe_load(done.stdout)["written"]) == files
    for path in files:
        assert "@@" not in (repo / path).read_text(encoding="utf-8")
    assert (repo / ".mlv/deploy").stat().st_mode & stat.S_IXUSR
    assert git(repo, "rev-parse", "HEAD") == before
    untracked = git(repo, "ls-files", "--others", "--exclude-standard").splitlines()
    assert set(untracked) == files


def test_it_says_what_to_set_up_next(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "init", "--template", "github")
    for needed in ("DVC_CONFIG_READ", "MLV_APP_PRIVATE_KEY", '"mlv review"', "CODEOWNERS"):
        assert needed in done.stdout
    assert "docs/pull-requests.md" in done.stdout
    done = mlv(repo, "init", "--template", "gitlab")
    for needed in ("DVC_CONFIG_READ", "MLV_REVIEW_TOKEN", "MLV_TOKEN", "MLV_JOB=retrain"):
        assert needed in done.stdout


def test_branch_signers_packages_and_python_are_the_repositorys_own(
    repo: Path, mlv: Mlv, dvc: Git
) -> None:
    (repo / "mlv.yaml").write_text(
        "branch: live/eu\nrequire_signed: all\nallowed_signers: keys/signers\n"
    )
    dvc(repo, "remote", "add", "far", "s3://models/x")
    dvc(repo, "remote", "add", "farther", "azure://models/y")
    mlv(repo, "init", "--template", "github", "--template", "gitlab")
    review = (repo / ".github/workflows/mlv-review.yml").read_text()
    assert yaml.safe_load(review)[True]["pull_request"]["branches"] == ["live/eu"]
    assert f"'mlv[scan]=={VERSION} dvc[azure,s3]'" in review
    assert f'python-version: "{sys.version_info.major}.{sys.version_info.minor}"' in review
    owned = (repo / ".github/CODEOWNERS").read_text()
    assert "\n/keys/signers @" in owned
    jobs = yaml.safe_load((repo / ".gitlab/mlv.gitlab-ci.yml").read_text())
    assert jobs[".mlv"]["variables"]["MLV_PACKAGES"] == f"mlv[scan]=={VERSION} dvc[azure,s3]"


def test_what_pip_is_given_are_requirements() -> None:
    known = templates.values("main", "", b"[x]\n    url = s3://b\n    url = /folder\n")
    for word in known["packages"].split():
        assert Requirement(word).name in {"mlv", "dvc"}


def test_owners_are_asked_for_what_is_live_and_for_what_judges_it(written: Path) -> None:
    owned = [line.split()[0] for line in (written / ".github/CODEOWNERS").read_text().splitlines()
             if line.startswith("/")]  # fmt: skip
    assert owned == ["/registry/*/pointer.json", "/mlv.yaml", "/.dvc/config", "/.mlv/", "/.github/"]


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a$b", "a b", "-a"])
def test_a_name_that_would_mean_more_in_a_workflow_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="which a workflow cannot be made for"):
        templates.values(name, "", b"")
    with pytest.raises(ConfigError, match="allowed_signers"):
        templates.values("main", name, b"")


def test_the_pipeline_is_a_template_too(repo: Path, mlv: Mlv) -> None:
    assert mlv(repo, "init", "--template", "pipeline").returncode == 0
    assert (repo / "src/train.py").is_file()
    assert (repo / "dvc.yaml").read_bytes() == (ROOT / "templates/pipeline/dvc.yaml").read_bytes()


def test_a_template_that_there_is_not_is_refused(repo: Path, mlv: Mlv) -> None:
    assert mlv(repo, "init", "--template", "jenkins").returncode == 2


ORIGINS = {
    "git": (
        {"url": "https://forge.example/mlv.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}},
        "mlv[scan]@git+https://forge.example/mlv.git@abc123",
    ),
    "a wheel": (
        {"url": "https://forge.example/mlv-1-py3-none-any.whl", "archive_info": {}},
        "mlv[scan]@https://forge.example/mlv-1-py3-none-any.whl",
    ),
    "a folder": ({"url": "file:///home/ada/mlv", "dir_info": {}}, None),
    "an index": (None, None),
    "no plain address": ({"url": "https://forge.example/'; x", "archive_info": {}}, None),
}


@pytest.mark.parametrize("kind", ORIGINS)
def test_mlv_is_installed_from_where_it_came_from(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a public index has under the name is another program."""
    origin, wanted = ORIGINS[kind]
    texts = {
        "direct_url.json": None if origin is None else json.dumps(origin),
        "METADATA": f"Version: {VERSION}\n",
    }
    monkeypatch.setattr(metadata.PathDistribution, "read_text", lambda _, name: texts.get(name))
    known = templates.values("main", "", b"")
    assert known["packages"] == (wanted or f"mlv[scan]=={VERSION}")
    assert templates.needs_to_know_where_from("github", known) is (wanted is None)
    assert Requirement(known["packages"]).name == "mlv"


def test_where_that_is_not_known_it_asks(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "init", "--template", "gitlab")
    assert "let the variable MLV_PACKAGES say where from" in done.stderr


# What is left alone -------------------------------------------------------------------------


def test_again_it_changes_nothing(written: Path, mlv: Mlv) -> None:
    done = mlv(written, "init", "--template", "github", "--template", "gitlab")
    assert "nothing was changed" in done.stdout
    assert done.stderr == ""


def test_a_file_that_was_changed_stays_and_that_is_said(written: Path, mlv: Mlv) -> None:
    mine = written / ".github/workflows/mlv-deploy.yml"
    mine.write_text("name: mine\n")
    done = mlv(written, "init", "--template", "github")
    assert mine.read_text() == "name: mine\n"
    assert ".github/workflows/mlv-deploy.yml is there, says something else" in done.stderr


def at_a_terminal(folder: Path, answer: str, *args: str) -> str:
    """Run mlv at a terminal, answer the first thing it asks, and return what it said."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-P", "-m", "mlv", *args]
    with subprocess.Popen(argv, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        said = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other end was closed
                break
        process.wait()
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize(("answer", "is_replaced"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_it_asks_first(written: Path, answer: str, *, is_replaced: bool) -> None:
    mine = written / ".mlv/deploy"
    ours = mine.read_text()
    mine.write_text("#!/bin/sh\n")
    said = at_a_terminal(written, answer, "init", "--template", "gitlab")
    assert ".mlv/deploy is there and says something else: replace it? [y/N]" in said
    assert mine.read_text() == (ours if is_replaced else "#!/bin/sh\n")


def test_owners_that_are_there_are_told_which_lines_to_add(repo: Path, mlv: Mlv) -> None:
    mine = repo / "docs" / "CODEOWNERS"
    mine.parent.mkdir()
    mine.write_text("* @me\n/mlv.yaml @me\n")
    done = mlv(repo, "init", "--template", "github")
    assert mine.read_text() == "* @me\n/mlv.yaml @me\n"
    assert not (repo / ".github/CODEOWNERS").exists()
    assert "docs/CODEOWNERS is there already: add these lines to it" in done.stderr
    assert "\n  /registry/*/pointer.json @" in done.stderr
    assert "/mlv.yaml" not in done.stderr
    mine.write_text((ROOT / "templates/github/.github/CODEOWNERS").read_text())
    assert "CODEOWNERS" not in mlv(repo, "init", "--template", "github").stderr


def test_a_pipeline_that_is_there_is_told_what_to_include(repo: Path, mlv: Mlv) -> None:
    (repo / ".gitlab-ci.yml").write_text("stages: [test, deploy]\n")
    done = mlv(repo, "init", "--template", "gitlab")
    assert "include:\n    - local: .gitlab/mlv.gitlab-ci.yml" in done.stderr
    (repo / ".gitlab-ci.yml").write_text("include: .gitlab/mlv.gitlab-ci.yml\n")
    assert ".gitlab-ci.yml is there" not in mlv(repo, "init", "--template", "gitlab").stderr


def test_a_pull_request_template_of_any_spelling_is_the_only_one(repo: Path, mlv: Mlv) -> None:
    (repo / ".github").mkdir()
    (repo / ".github/PULL_REQUEST_TEMPLATE.md").write_text("Mine\n")
    done = mlv(repo, "init", "--template", "github")
    assert "PULL_REQUEST_TEMPLATE.md is there" in done.stderr
    names = {path.name.lower() for path in (repo / ".github").iterdir()}
    assert names == {"codeowners", "pull_request_template.md", "workflows"}


def test_nothing_is_written_through_a_link(repo: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo / ".github").symlink_to(outside)
    with pytest.raises(WorkspaceError, match="symlink"):
        ModelRegistry.initialise(repo, templates=["github"])
    assert list(outside.iterdir()) == []


# What others say of it ----------------------------------------------------------------------


def test_actionlint_finds_nothing(written: Path) -> None:
    check(written, "actionlint", "-no-color")


def test_zizmor_finds_nothing(written: Path) -> None:
    check(written, "zizmor", "--offline", "--no-progress", "--quiet", ".")


def test_the_schemas_find_nothing(written: Path) -> None:
    workflows = [str(path) for path in (written / ".github/workflows").iterdir()]
    assert len(workflows) == len(WORKFLOWS)
    check(written, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    gitlab = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    check(written, "check-jsonschema", *gitlab, ".gitlab-ci.yml", ".gitlab/mlv.gitlab-ci.yml")


def test_the_checkers_would_find_something(written: Path) -> None:
    workflow = written / ".github/workflows/mlv-review.yml"
    text = workflow.read_text()
    workflow.write_text(text.replace('"$base..$PROPOSED"', '"${{ github.head_ref }}"'))
    for args in (("actionlint",), ("zizmor", "--offline", ".")):
        with pytest.raises(AssertionError, match=r"github\.head_ref|template-injection"):
            check(written, *args)


def steps(folder: Path, name: str) -> list[dict[str, Any]]:
    jobs = yaml.safe_load((folder / f".github/workflows/mlv-{name}.yml").read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_text_of_others_stands_in_a_shell_line_and_actions_are_pinned(
    written: Path, name: str
) -> None:
    text = (written / f".github/workflows/mlv-{name}.yml").read_text()
    for step in steps(written, name):
        assert "${{" not in step.get("run", "")
    for line in re.findall("uses: .*", text):
        assert re.fullmatch(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow[True]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        assert "write" not in {*job["permissions"].values()} or "secrets." not in str(job)


def test_the_steps_that_workflows_share_are_the_same(written: Path) -> None:
    """They cannot include one another: a proposal could then change what the review includes."""
    names = ("Install mlv", "Give DVC its credentials")
    for wanted in names:
        found = [
            {"run": step["run"], "env": sorted(step.get("env", ()))}
            for name in WORKFLOWS
            for step in steps(written, name)
            if step.get("name") == wanted
        ]
        assert len(found) == len(WORKFLOWS)
        assert all(each == found[0] for each in found)


def asked_of_git(folder: Path, host: str, script: str, env: dict[str, str]) -> dict[str, str]:
    """Return the name and the password that git would log in with."""
    done = subprocess.run(
        ("bash", "-euc", f"{script}\ngit credential fill"),
        cwd=folder,
        env={**os.environ, **env},
        input=f"protocol=https\nhost={host}\n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_git_gets_the_token_of_github_as_its_password(written: Path) -> None:
    for name in WORKFLOWS:
        text = (written / f".github/workflows/mlv-{name}.yml").read_text()
        [job, *_] = yaml.safe_load(text)["jobs"].values()
        env = {key: str(value) for key, value in job["env"].items() if "GIT_CONFIG" in key}
        key = env["GIT_CONFIG_KEY_0"].replace("${{ github.server_url }}", "https://github.com")
        env |= {"GIT_CONFIG_KEY_0": key, "GH_TOKEN": "a token"}
        found = asked_of_git(written, "github.com", "", env)
        assert (found["username"], found["password"]) == ("x-access-token", "a token")
        with pytest.raises(AssertionError, match="could not read Username"):
            asked_of_git(written, "elsewhere.example", "", env)


def test_git_gets_the_tokens_of_gitlab_as_its_password(written: Path) -> None:
    jobs = yaml.safe_load((written / ".gitlab/mlv.gitlab-ci.yml").read_text())
    of_all = [line for line in jobs[".mlv"]["before_script"] if "GIT_CONFIG" in line]
    of_one = [line for line in jobs["mlv-retrain"]["script"] if "GIT_CONFIG" in line]
    env = {"CI_SERVER_URL": "https://gitlab.com", "CI_JOB_TOKEN": "job", "MLV_TOKEN": "project"}
    for lines, name, password in (
        (of_all, "gitlab-ci-token", "job"),
        (of_all + of_one, "mlv", "project"),
    ):
        found = asked_of_git(written, "gitlab.com", "\n".join(lines), env)
        assert (found["username"], found["password"]) == (name, password)


def test_both_forges_call_the_same_hook() -> None:
    github, gitlab = (ROOT / f"templates/{name}/.mlv/deploy" for name in ("github", "gitlab"))
    assert github.read_bytes() == gitlab.read_bytes()


def test_the_hooks_for_pre_commit_are_commands_that_there_are(mlv: Mlv, tmp_path: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["stages"][0] for hook in hooks] == ["pre-commit", "pre-push"]
    for hook in hooks:
        program, command = hook["entry"].split()
        assert program == "mlv"
        assert mlv(tmp_path, command, "--help").returncode == 0


def test_what_was_deployed_is_shown_in_mlflow_where_there_is_one(written: Path) -> None:
    deploy = yaml.safe_load((written / ".github/workflows/mlv-deploy.yml").read_text())
    step = deploy["jobs"]["deploy"]["steps"][-1]
    assert "vars.MLFLOW_TRACKING_URI != ''" in step["if"]
    jobs = yaml.safe_load((written / ".gitlab/mlv.gitlab-ci.yml").read_text())
    script = next(each for each in jobs["mlv-deploy"]["script"] if "MLFLOW" in each)
    assert '-n "${MLFLOW_TRACKING_URI:-}"' in script
    for text in (step["run"], script):
        assert "mlv export mlflow --all" in text
