"""What every command prints, on which stream, and with which exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import mlv as package
from mlv import ModelRegistry
from mlv.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Git = Callable[..., str]
    Mlv = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = [
    "init", "register", "import", "list", "show", "compare", "status", "current", "history", "at",
    "gate", "stage", "promote", "rollback", "propose", "review", "push", "fetch", "pull",
    "bundle", "unbundle", "serve", "reproduce", "export", "verify", "drill", "yank", "purge",
    "trust", "doctor", "check-commit", "check-push", "demo",
]  # fmt: skip


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    """Return what a command answered; nothing may be on standard error."""
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


def stopped(done: subprocess.CompletedProcess[str], code: int) -> tuple[str, str]:
    """Return message and hint of a command that stopped; nothing else may be printed."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    error, *hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert all(line.startswith("hint: ") for line in hint[:1])
    assert "Traceback" not in done.stderr
    return error.removeprefix("error: "), "\n".join(hint).removeprefix("hint: ")


@pytest.fixture
def main_of_mlv(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``main_of_mlv(folder, "list")`` does what `mlv` does, but in this process."""

    def call(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["mlv", *argv])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return subprocess.CompletedProcess(argv, code, *capsys.readouterr())

    return call


# JSON ---------------------------------------------------------------------------------------


def shape(document: object) -> object:
    """Replace values by their types; of a list, show the shape that its items share."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        shapes = [shape(item) for item in document]
        assert all(each == shapes[0] for each in shapes), "items of one list have one shape"
        return shapes[:1]
    return None if document is None else type(document)


def answer(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    return json.loads(said(done, code))


ARTIFACT = {"path": str, "size": int, "md5": str, "sha256": str}
MANIFEST = {
    "schema": int,
    "model": str,
    "version": str,
    "registered_at": str,
    "registered_by": str,
    "artifacts": {"model": ARTIFACT, "preprocessor": ARTIFACT},
    "metrics": {"roc_auc": float, "log_loss": float},
    "metadata": {"git_commit": str, "data_window": str},
    "lineage": {
        "commit": str,
        "branch": str,
        "dirty": [],
        "remote": None,
        "python": str,
        "platform": str,
    },
    "status": str,
    "model_sha256": str,
    "preprocessor_sha256": str,
}
CHANGE = {
    "action": str,
    "model": str,
    "version": str,
    "tag": str,
    "was": str,
    "changed": bool,
    "forced": bool,
    "commit": str,
}
LIVE = {
    "model": str,
    "version": str,
    "tag": str,
    "previous": str,
    "staging": str,
    "forced": bool,
    "commit": str,
    "branch_is": str,
}
STATUS = {
    "branch": str,
    "commit": str,
    "branch_is": str,
    "models": [
        {
            "model": str,
            "production": str,
            "previous": str,
            "staging": str,
            "forced": bool,
            "latest": str,
            "versions": int,
        }
    ],
    "problems": [],
}
METRICS = {"roc_auc": float, "log_loss": float}
SHAPES: dict[str, object] = {
    "list": [MANIFEST],
    "show v2": MANIFEST,
    "compare v1 v2": {"v1": METRICS, "v2": METRICS, "delta (b - a)": METRICS},
    "status": STATUS,
    "current": [LIVE],
    "stage v1": [CHANGE],
    "promote v3": [CHANGE],
    "rollback": [CHANGE],
    "pull v2": {"model": str, "preprocessor": str, "manifest": str, "requirements": str},
    "verify v2": [{"tag": str, "artifacts": {"model": str, "preprocessor": str}, "error": None}],
    "verify --all": [{"kind": str, "subject": str, "message": str, "hint": str, "fault": bool}],
    "trust": {"require_signed": None, "allowed_signers": None, "accepted": None, "problem": None},
    "register ../model.pkl --preprocessor ../scaler.pkl --metric roc_auc=1 --metric log_loss=0 "
    "--meta data_window=2026": MANIFEST,
}  # fmt: skip


@pytest.mark.parametrize("command", SHAPES)
def test_json_has_this_shape_and_nothing_is_printed_beside_it(
    fraud: Path, mlv: Mlv, command: str
) -> None:
    done = mlv(fraud, *command.split(), "--json")
    assert done.returncode == 0
    assert shape(json.loads(done.stdout)) == SHAPES[command]
    assert done.stderr in ("", "note: same model bytes as v3\n")


def test_json_of_what_is_not_there_is_null_or_empty(repo: Path, mlv: Mlv) -> None:
    assert answer(mlv(repo, "list", "--json")) == []
    assert answer(mlv(repo, "current", "--json")) == []
    status = answer(mlv(repo, "status", "--json"))
    assert (status["models"], status["problems"]) == ([], [])
    assert (status["branch"], status["branch_is"]) == ("main", "local only")


def test_json_of_the_first_promotion_and_of_one_that_changes_nothing(fraud: Path, mlv: Mlv) -> None:
    register = ("register", "../model.pkl", "--no-preprocessor", "-m", "churn", "--json")
    manifest = answer(mlv(fraud, *register))
    assert manifest["preprocessor_sha256"] is None
    assert list(manifest["artifacts"]) == ["model"]
    [first] = answer(mlv(fraud, "promote", "churn-v1", "--json"))
    assert (first["was"], first["changed"]) == (None, True)
    done = mlv(fraud, "promote", "churn-v1", "--json")
    [again] = json.loads(done.stdout)
    assert (again["was"], again["changed"], again["commit"]) == ("v1", False, None)
    assert done.stderr == "note: churn-v1 is live already: nothing was changed\n"


def test_json_of_init_says_what_was_made(tmp_path: Path, mlv: Mlv) -> None:
    made = answer(mlv(tmp_path, "init", "new", "--json"))
    assert shape(made) == {"path": str, "branch": str, "made": [str], "notes": [], "written": []}
    assert made["path"] == str(tmp_path / "new")
    again = answer(mlv(tmp_path / "new", "init", "--json"))
    assert again == {**made, "made": []}


def test_json_of_a_problem_names_it(fraud: Path, mlv: Mlv, git: Git) -> None:
    (fraud / "registry" / "fraud" / "pointer.json").write_text("{}")
    git(fraud, "commit", "--quiet", "--all", "--message", "By hand")
    status = answer(mlv(fraud, "status", "--json"), 4)
    assert shape(status["problems"]) == [{"message": str, "hint": str}]
    assert "pointer.json" in status["problems"][0]["message"]


# One bare answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("current -q", "v2\n"),
        ("current --quiet", "v2\n"),
        ("list -q", "v1\nv2\nv3\n"),
        ("list -q --where roc_auc>0.91 --sort -roc_auc --limit 1", "v3\n"),
        ("list -q --status archived --status production", "v1\nv2\n"),
        ("show -q @latest", "fraud-v3\n"),
        ("compare -q v1 v2", "roc_auc +0.01\nlog_loss -0.01\n"),
        ("status -q", "fraud v2\n"),
        ("stage -q v1", "v1\n"),
        ("promote -q fraud-v3", "v3\n"),
        ("promote -q v2", "v2\n"),
        ("rollback -q", "v1\n"),
        ("verify -q v2", ""),
        ("register -q ../model.pkl --no-preprocessor", "v4\n"),
    ],
)
def test_quiet_prints_the_bare_answer_and_nothing_else(
    fraud: Path, mlv: Mlv, command: str, printed: str
) -> None:
    assert said(mlv(fraud, *command.split())) == printed


def test_quiet_init_and_pull_print_paths(tmp_path: Path, fraud: Path, mlv: Mlv) -> None:
    assert said(mlv(tmp_path, "init", "-q", "new")) == f"{tmp_path / 'new'}\n"
    folder = fraud / ".git" / "mlv" / "fraud" / "v2"
    names = ("model.pkl", "preprocessor.pkl", "manifest.json", "requirements.txt")
    assert said(mlv(fraud, "pull", "-q", "v2")).split() == [str(folder / name) for name in names]


def test_with_several_models_quiet_answers_are_tags(fraud: Path, tmp_path: Path, mlv: Mlv) -> None:
    churn = ModelRegistry(fraud, "churn", notify=lambda _: None)
    churn.register(tmp_path / "model.pkl", None)
    assert said(mlv(fraud, "current", "-q")) == "v2\n"  # nothing of churn is live
    churn.promote("v1")
    assert said(mlv(fraud, "current", "-q")) == "churn-v1\nfraud-v2\n"
    assert said(mlv(fraud, "list", "-q")) == "churn-v1\nfraud-v1\nfraud-v2\nfraud-v3\n"
    assert said(mlv(fraud, "current", "-q", "--model", "fraud")) == "v2\n"
    assert said(mlv(fraud, "status", "-q")) == "churn v1\nfraud v2\n"


# For people ---------------------------------------------------------------------------------


def test_list_shows_status_and_metrics_of_every_version(fraud: Path, mlv: Mlv) -> None:
    heading, *rows = said(mlv(fraud, "list")).splitlines()
    assert heading.split() == ["version", "status", "registered", "by", "roc_auc", "log_loss"]
    assert [row.split()[:3] for row in rows] == [
        ["fraud-v1", "archived", rows[0].split()[2]],
        ["●", "fraud-v2", "production"],
        ["fraud-v3", "staging", rows[2].split()[2]],
    ]
    assert [row.split()[-2:] for row in rows] == [
        ["0.9100", "0.3100"], ["0.9200", "0.3000"], ["0.9300", "0.2900"],
    ]  # fmt: skip


def test_list_shows_first_the_metrics_that_were_asked_about(fraud: Path, mlv: Mlv) -> None:
    heading, row = said(mlv(fraud, "list", "--where", "log_loss<0.3")).splitlines()
    assert heading.split()[-2:] == ["log_loss", "roc_auc"]
    assert row.split()[0] == "fraud-v3"
    listed = answer(mlv(fraud, "list", "--json", "--sort", "log_loss", "--limit", "2"))
    assert [each["version"] for each in listed] == ["v3", "v2"]


def test_list_says_that_no_version_is_like_that_and_why_that_may_be(fraud: Path, mlv: Mlv) -> None:
    done = mlv(fraud, "list", "--where", "rocauc>0.9")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "note: no version states metrics.rocauc; metrics are log_loss, roc_auc\n"
        "note: no version is like that\n"
    )


def test_show_tells_metrics_metadata_artifacts_and_lineage(fraud: Path, mlv: Mlv, git: Git) -> None:
    text = said(mlv(fraud, "show", "fraud@production"))
    for expected in (
        "fraud-v2  production", "Ada Lovelace", "roc_auc", "0.9200", "last_90_days", "model.pkl",
        "preprocessor.pkl", git(fraud, "rev-parse", "fraud-v2^"), "main",
        "git checkout fraud-v2 && dvc pull",
    ):  # fmt: skip
        assert expected in text


def test_compare_says_which_way_is_better(fraud: Path, mlv: Mlv) -> None:
    heading, *rows = said(mlv(fraud, "compare", "v1", "v2")).splitlines()
    assert heading.split() == ["metric", "v1", "v2", "delta", "per", "cent"]
    assert [row.split() for row in rows] == [
        ["roc_auc", "0.9100", "0.9200", "+0.0100", "+1.1%", "better"],
        ["log_loss", "0.3100", "0.3000", "-0.0100", "-3.2%", "better"],
    ]
    heading, *rows = said(mlv(fraud, "compare", "v1", "fraud-v1")).splitlines()
    assert heading.split()[:3] == ["metric", "v1", "v1"]
    assert [row.split()[-1] for row in rows] == ["same", "same"]


def test_compare_shows_what_only_one_side_has(fraud: Path, tmp_path: Path, mlv: Mlv) -> None:
    registry = ModelRegistry(fraud, notify=lambda _: None)
    registry.register(tmp_path / "model.pkl", None, metrics={"f1": 0.5})
    registry.register(tmp_path / "model.pkl", None)
    rows = said(mlv(fraud, "compare", "v4", "v3")).splitlines()[1:]
    assert rows[0].split() == ["f1", "0.5000", "-", "-", "only", "one", "side"]
    done = mlv(fraud, "compare", "v5", "v5")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "note: neither version has metrics\n"


def test_a_model_is_registered_promoted_and_rolled_back(
    repo: Path, tmp_path: Path, mlv: Mlv, git: Git, write_model: Callable[..., Path]
) -> None:
    for seed, auc in ((1, 0.91), (2, 0.92)):
        write_model(tmp_path / "model.pkl", seed)
        text = said(
            mlv(repo, "register", "../model.pkl", "--no-preprocessor", "--metric", f"roc_auc={auc}")
        )
        assert text.startswith(f"✓ registered model-v{seed}\n  model.pkl  111 B\n")
    assert said(mlv(repo, "promote", "v1")).startswith("● model-v1 is live\n  commit ")
    promoted = said(mlv(repo, "promote", "v2", "--reason", "better", "--from", "v1"))
    assert promoted.startswith("● model-v2 is live (was model-v1)\n  commit ")
    assert promoted.split("commit ")[1].split()[0] == git(repo, "rev-parse", "main")[:10]
    assert said(mlv(repo, "current")) == "● model-v2  (previous v1)\n"
    rolled_back = said(mlv(repo, "rollback", "--reason", "alarms at night"))
    assert rolled_back.startswith("● model-v1 is live (was model-v2)\n")
    assert "alarms at night" in git(repo, "log", "-1", "--format=%b", "main")
    assert said(mlv(repo, "stage", "v2")).startswith("● model-v2 is in staging\n")
    assert said(mlv(repo, "status")).startswith(
        "● model  v1 is live, staging v2, latest v2 (2 versions)\n"
    )
    assert git(repo, "status", "--porcelain") == ""


def test_where_there_is_a_git_remote_the_way_to_publish_is_told(
    fraud: Path, mlv: Mlv, git: Git
) -> None:
    git(fraud, "remote", "add", "origin", "../origin.git")
    assert "publish it: mlv push" in said(mlv(fraud, "promote", "v3"))
    register = ("register", "../scaler.pkl", "--no-preprocessor")
    assert "publish it: mlv push fraud-v4" in said(mlv(fraud, *register))


def test_an_empty_registry_says_how_to_begin(repo: Path, mlv: Mlv) -> None:
    done = mlv(repo, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "mlv register" in done.stderr
    assert "mlv register" in said(mlv(repo, "status"))
    message, hint = stopped(mlv(repo, "current"), 6)
    assert message == "nothing is live"
    assert "mlv promote" in hint


def test_the_version_and_the_help_of_every_command(tmp_path: Path, mlv: Mlv) -> None:
    assert said(mlv(tmp_path, "--version")) == f"mlv {package.__version__}\n"
    text = said(mlv(tmp_path, "--help"))
    listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line]
    assert listed == COMMANDS
    assert said(mlv(tmp_path, "-h")) == text


GROUPS = {"export": ["hf-folder", "mlflow", "wandb"], "import": ["gto", "mlflow", "store"]}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands(tmp_path: Path, main_of_mlv: Mlv, group: str) -> None:
    text = said(main_of_mlv(tmp_path, group, "--help"))
    listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line]
    assert listed == GROUPS[group]


@pytest.mark.parametrize(
    "command",
    [f"{name} {inner}".strip() for name in COMMANDS for inner in GROUPS.get(name, [""])],
)
def test_every_command_has_help_json_quiet_and_a_folder(
    tmp_path: Path, main_of_mlv: Mlv, command: str
) -> None:
    text = said(main_of_mlv(tmp_path, *command.split(), "--help"))
    assert text.startswith(f"Usage: mlv {command} ")
    for option in ("--json", "-q, --quiet", "-C DIR"):
        assert option in text


# Exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "message", "hint"),
    [
        ("rollback --to v3", 1, "cannot roll back to fraud-v3: it is staging", "--to v1"),
        ("rollback --to v2", 1, "fraud-v2 is live already", "--to v1"),
        ("stage v2", 1, "fraud-v2 is live already", ""),
        ("-C / current", 1, "/ is not in a Git repository", "mlv init"),
        ("-C gone current", 1, "there is no folder gone", ""),
        ("promote v0", 2, "'v0' is not a reference to a version", "fraud-v3"),
        ("promote churn-v1 --model fraud", 2, "'churn-v1' is not of the model 'fraud'", ""),
        ("list --model ../x", 2, "'../x' looks like a file", "mlv list"),
        ("list --model Fraud", 2, "'Fraud' cannot name a model", "a-z"),
        ("list --where roc_auc", 2, "'roc_auc' is no condition: it lacks one of", "roc_auc>0.95"),
        ("list --status live", 2, "'live' is no status", "production"),
        ("verify", 2, "give one reference, or --all", "mlv verify"),
        ("verify v1 --all", 2, "give one reference, or --all", ""),
        ("promote v3 --from v1", 5, "fraud-v2 is live, not fraud-v1", "--from"),
        ("rollback --from fraud-v3", 5, "fraud-v2 is live, not fraud-v3", "mlv status"),
        ("promote v9", 6, "there is no version v9 of 'fraud'", "v1, v2, v3"),
        ("show fruad@latest", 6, "there is no model 'fruad'", "did you mean 'fraud'?"),
        ("current --model churn", 6, "there is no model 'churn'", "known are fraud"),
        ("current --model fruad", 6, "there is no model 'fruad'", "did you mean 'fraud'?"),
    ],
)
def test_a_command_that_stops_says_why_and_what_helps(
    fraud: Path, main_of_mlv: Mlv, git: Git, command: str, code: int, message: str, hint: str
) -> None:
    before = git(fraud, "for-each-ref")
    error, help_ = stopped(main_of_mlv(fraud, *command.split()), code)
    assert message in error
    assert hint in help_
    assert git(fraud, "for-each-ref") == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("promtoe v1", "There is no command 'promtoe'. Did you mean 'promote'?"),
        ("zzz", "There is no command 'zzz'. mlv --help lists them."),
        ("promote", "Missing argument 'REF...'"),
        ("show v1 v2", "unexpected extra argument"),
        ("promote v1 --forse", "No such option"),
    ],
)
def test_a_mistyped_command_exits_2_and_is_helped(
    fraud: Path, main_of_mlv: Mlv, command: str, message: str
) -> None:
    done = main_of_mlv(fraud, *command.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_version_that_is_not_what_was_registered_exits_4(fraud: Path, mlv: Mlv) -> None:
    cache = fraud / ".dvc" / "cache" / "files" / "md5"
    [facts] = [m for m in answer(mlv(fraud, "list", "--json")) if m["version"] == "v2"]
    md5 = facts["artifacts"]["model"]["md5"]
    path = cache / md5[:2] / md5[2:]
    path.unlink()
    path.write_bytes(b"tampered")

    done = mlv(fraud, "verify", "v2")
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout.startswith("✗ fraud-v2  model.pkl of fraud-v2 is not what was registered")
    assert facts["model_sha256"] in done.stdout
    assert said(mlv(fraud, "verify", "v2", "-q"), 4) == ""
    error, hint = stopped(mlv(fraud, "pull", "v2"), 4)
    assert "expected SHA-256" in error
    assert str(path) in hint
    [report] = answer(mlv(fraud, "verify", "v2", "--json"), 4)
    assert shape(report) == {"tag": str, "artifacts": {}, "error": str, "hint": str}

    done = mlv(fraud, "verify", "--all")
    assert done.returncode == 4
    assert [line[:10] for line in done.stdout.splitlines() if line[0] != " "] == [
        "✓ fraud-v1", "✗ fraud-v2", "✓ fraud-v3",
    ]  # fmt: skip
    assert done.stderr.startswith("error: 1 of 3 checked are not what was registered\n")


def test_versions_whose_bytes_are_not_here_are_no_failure_of_verify_all(
    fraud: Path, mlv: Mlv
) -> None:
    shutil.rmtree(fraud / ".dvc" / "cache")
    lines = said(mlv(fraud, "verify", "--all")).splitlines()
    assert lines == [
        f"- fraud-v{number}  model not here, preprocessor not here" for number in (1, 2, 3)
    ]
    error, _ = stopped(mlv(fraud, "verify", "v1"), 6)
    assert "fraud-v1" in error


def test_a_problem_of_the_registry_makes_status_exit_4(fraud: Path, mlv: Mlv, git: Git) -> None:
    git(fraud, "reset", "--quiet", "--keep", "HEAD~4")  # before anything was live
    git(fraud, "merge", "--quiet", "fraud-v1")
    done = mlv(fraud, "status")
    assert done.returncode == 4
    assert "problem: a registration was merged into main" in done.stdout
    assert "git reset --keep" in done.stdout
    stopped(mlv(fraud, "current"), 4)
    stopped(mlv(fraud, "promote", "v1"), 4)


# Where and what -----------------------------------------------------------------------------


def test_dash_c_goes_before_or_after_the_command_and_moves_relative_paths(
    fraud: Path, tmp_path: Path, mlv: Mlv
) -> None:
    assert said(mlv(tmp_path, "-C", "repo", "current", "-q")) == "v2\n"
    assert said(mlv(tmp_path, "current", "-q", "-C", "repo")) == "v2\n"
    assert said(mlv(tmp_path, "-C", "repo/registry/fraud", "current", "-q")) == "v2\n"
    register = ("register", "../model.pkl", "--preprocessor", "../scaler.pkl", "-q")
    assert said(mlv(tmp_path / "storage", "-C", str(fraud), *register)) == "v4\n"
    done = mlv(fraud, "pull", "v4", "--out", "../deployed", "-C", "registry", "--json")
    assert answer(done)["model"] == str(fraud / "registry" / ".." / "deployed" / "model.pkl")
    assert (fraud / "deployed" / "model.pkl").read_bytes() == (tmp_path / "model.pkl").read_bytes()


@pytest.mark.parametrize("path", ["model.pkl", "./model", "out/model.pkl"])
def test_a_file_given_as_the_models_name_is_explained(
    fraud: Path, main_of_mlv: Mlv, path: str
) -> None:
    error, hint = stopped(main_of_mlv(fraud, "register", "--model", path, "--no-preprocessor"), 2)
    assert error == f"--model takes the model's name, and {path!r} looks like a file"
    assert f"mlv register {path} --preprocessor" in hint


def test_pull_copies_out_and_never_over_something_else(
    fraud: Path, tmp_path: Path, mlv: Mlv
) -> None:
    lines = said(mlv(fraud, "pull", "v1", "--out", str(tmp_path / "deployed"))).splitlines()
    roles = ["model", "preprocessor", "manifest", "requirements"]
    assert [line.split()[0] for line in lines] == roles
    path = tmp_path / "deployed" / "model.pkl"
    path.write_bytes(b"mine")
    error, hint = stopped(mlv(fraud, "pull", "v1", "--out", str(tmp_path / "deployed")), 2)
    assert str(path) in error
    assert "--out" in hint
    assert path.read_bytes() == b"mine"


# register -----------------------------------------------------------------------------------


def test_what_is_stated_in_mlv_yaml_needs_not_be_typed(
    repo: Path, mlv: Mlv, git: Git, write_model: Callable[..., Path]
) -> None:
    (repo / "mlv.yaml").write_text(
        "models:\n"
        "  fraud:\n"
        "    model: out/model.pkl\n"
        "    preprocessor: out/scaler.pkl\n"
        "    artifacts: {labels: out/labels.txt}\n"
        "    metrics: out/metrics.yaml\n"
        "    metadata: {owner: risk}\n"
        "    require_metadata: [data_window]\n"
    )
    git(repo, "commit", "--quiet", "--all", "--message", "State the paths")
    write_model(repo / "out" / "model.pkl", 1)
    write_model(repo / "out" / "scaler.pkl", 2)
    (repo / "out" / "labels.txt").write_text("a b")
    (repo / "out" / "metrics.yaml").write_text("roc_auc: 0.5\nrows: 10\n")
    folder = repo / "notebooks"
    folder.mkdir()
    (folder / "other.txt").write_text("c d")

    error, hint = stopped(mlv(folder, "register"), 2)
    assert error == "mlv.yaml requires the metadata data_window"
    assert hint == "--meta data_window=..."
    manifest = answer(mlv(folder, "register", "--meta", "data_window=2026", "--json"))
    assert (manifest["model"], manifest["version"]) == ("fraud", "v1")
    assert list(manifest["artifacts"]) == ["model", "preprocessor", "labels"]
    assert manifest["metrics"] == {"roc_auc": 0.5, "rows": 10}
    assert manifest["metadata"]["owner"] == "risk"
    done = mlv(
        folder, "register", "--meta", "data_window=2026", "--meta", "owner=me", "--metric",
        "roc_auc=0.75", "--artifact", "labels=other.txt", "--no-preprocessor", "--json",
    )  # fmt: skip
    manifest = json.loads(done.stdout)
    assert manifest["metrics"] == {"roc_auc": 0.75, "rows": 10}
    assert manifest["metadata"]["owner"] == "me"
    assert manifest["artifacts"]["labels"]["size"] == 3
    assert manifest["preprocessor_sha256"] is None


def test_metadata_that_are_documented_as_numbers_are_numbers(fraud: Path, mlv: Mlv) -> None:
    given = {
        "training_samples": "1000",
        "feature_count": "12",
        "cv_roc_auc_mean": "0.5",
        "cv_roc_auc_std": "1e-3",
        "zip_code": "01234",
        "note": "a=b",
        "empty": "",
    }
    options = [part for key, text in given.items() for part in ("--meta", f"{key}={text}")]
    done = mlv(fraud, "register", "../model.pkl", "--no-preprocessor", "--json", *options)
    metadata = json.loads(done.stdout)["metadata"]
    assert {key: metadata[key] for key in given} == {
        "training_samples": 1000,
        "feature_count": 12,
        "cv_roc_auc_mean": 0.5,
        "cv_roc_auc_std": 0.001,
        "zip_code": "01234",
        "note": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("", "the preprocessor is neither given nor declined", "--no-preprocessor"),
        ("--no-preprocessor --preprocessor x", "exclude each other", ""),
        ("--no-preprocessor --metric auc", "--metric 'auc' is not NAME=NUMBER", ""),
        ("--no-preprocessor --metric =1", "--metric '=1' is not NAME=NUMBER", ""),
        ("--no-preprocessor --metric auc=high", "'high' is not a number", ""),
        ("--no-preprocessor --metric auc=nan", "'auc' is nan", "left out"),
        ("--no-preprocessor --metric auc=-inf", "'auc' is -inf", "left out"),
        ("--no-preprocessor --meta owner", "--meta 'owner' is not KEY=VALUE", ""),
        ("--no-preprocessor --meta training_samples=many", "'many' is not a number", ""),
        ("--no-preprocessor --artifact x", "--artifact 'x' is not ROLE=PATH", ""),
        ("--no-preprocessor --artifact model=x", "is not a further artifact", ""),
        ("--no-preprocessor --artifact ../x=../model.pkl", "'../x' cannot be an artifact", ""),
        ("--no-preprocessor --artifact a=gone.txt", "gone.txt to register as a", "path"),
        ("--preprocessor gone.pkl", "gone.pkl to register as preprocessor", "path"),
        ("--no-preprocessor --metrics gone.json", "gone.json cannot be read", ""),
        ("--no-preprocessor --metrics ../model.pkl", "the metrics file ../model.pkl", ""),
    ],
)
def test_what_register_cannot_use_exits_2(
    fraud: Path, main_of_mlv: Mlv, git: Git, options: str, message: str, hint: str
) -> None:
    before = git(fraud, "for-each-ref")
    error, help_ = stopped(main_of_mlv(fraud, "register", "../model.pkl", *options.split()), 2)
    assert message in error
    assert hint in help_
    assert git(fraud, "for-each-ref") == before


def test_register_without_a_file_says_what_to_type(fraud: Path, mlv: Mlv) -> None:
    error, hint = stopped(mlv(fraud, "register"), 2)
    assert error == "which file is the model?"
    assert "mlv register model.pkl" in hint


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.json", '{"auc": 0.5', "m.json is broken"),
        ("m.json", "", "m.json is broken"),
        ("m.json", "[0.5]", "m.json holds no names with numbers"),
        ("m.json", '{"auc": NaN}', "'auc' is nan"),
        ("m.json", '{"auc": 1e999}', "'auc' is inf"),
        ("m.json", '{"auc": {"mean": 1}}', "'auc' is nested"),
        ("m.json", '{"auc": "0.5"}', "'auc' is '0.5'"),
        ("m.json", '{"auc": true}', "'auc' is True"),
        ("m.json", '{"auc": null}', "'auc' is None"),
        ("m.json", '{"rows": 1' + "0" * 400 + "}", "'rows'"),
        ("m.json", "[" * 100_000, "m.json is broken"),
        ("m.yaml", "auc: [", "m.yaml is broken"),
        ("m.yaml", "auc: .inf", "'auc' is inf"),
        ("m.yml", "auc: 2026-02-30", "m.yml is broken"),
        ("m.yaml", "1: 2", "1 cannot be a metric"),
        ("m.yaml", "- auc", "m.yaml holds no names with numbers"),
    ],
    ids=range(16),
)
def test_a_broken_metrics_file_exits_2_and_is_named(
    fraud: Path, main_of_mlv: Mlv, git: Git, name: str, text: str, message: str
) -> None:
    (fraud.parent / name).write_text(text)
    before = git(fraud, "for-each-ref")
    options = ("--no-preprocessor", "--metrics", f"../{name}")
    error, hint = stopped(main_of_mlv(fraud, "register", "../model.pkl", *options), 2)
    assert message in error
    assert hint
    assert git(fraud, "for-each-ref") == before


# Nothing escapes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left", "/x"), "/x: No space left", "free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied", ""),
        (OSError("something else"), "something else", ""),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero", "MLV_DEBUG"),
        (RecursionError("too deep"), "RecursionError: too deep", "MLV_DEBUG"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)  # fmt: skip
def test_no_error_shows_a_traceback(
    fraud: Path,
    main_of_mlv: Mlv,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
    hint: str,
) -> None:
    def fail(_: ModelRegistry) -> None:
        raise error

    monkeypatch.setattr(ModelRegistry, "current", fail)
    said_, help_ = stopped(main_of_mlv(fraud, "current"), 1)
    assert message in said_
    assert hint in help_


def test_mlv_debug_shows_where_it_broke(fraud: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRegistry, "current", lambda _: 1 / 0)
    monkeypatch.setenv("MLV_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["mlv", "-C", str(fraud), "current"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_target_that_no_folder_can_be_is_told_plainly(
    fraud: Path, tmp_path: Path, mlv: Mlv
) -> None:
    error, hint = stopped(mlv(fraud, "pull", "v1", "--out", "../model.pkl/deployed"), 1)
    assert "Not a directory" in error
    assert hint
    assert (tmp_path / "model.pkl").is_file()


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
@pytest.mark.parametrize("command", ["list", "list --json", "show v1", "status", "--help"])
def test_a_reader_that_leaves_is_no_error(fraud: Path, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `mlv list | true`
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mlv", *command.split()],
            cwd=fraud,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.returncode in (0, -signal.SIGPIPE)  # as other programs end there
    assert done.stderr == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_list_into_head_is_fine(fraud: Path) -> None:
    script = 'set -o pipefail; "$0" -P -m mlv list -q | head -1'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable], cwd=fraud, capture_output=True, check=False
    )
    assert done.returncode in (0, 128 + signal.SIGPIPE)
    assert (done.stdout, done.stderr) == (b"v1\n", b"")
