"""`mlv propose` as it is typed: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.proposing.conftest import Forge
    from tests.sharing.conftest import Hub, Machine

    Mlv = Callable[..., subprocess.CompletedProcess[str]]
    Two = tuple[Machine, Machine]
    At = Callable[[Machine, str], None]
    Fake = Callable[..., Forge]

BRANCH = "mlv/promote-model-v3"


def test_an_opened_pull_request_is_named(three: Two, at: At, fake: Fake, mlv: Mlv) -> None:
    ada, _ = three
    fake("gh", "github.com")
    at(ada, "git@github.com:acme/payments.git")
    done = mlv(ada.top, "propose", "v3")
    assert done.returncode == 0
    first, second, third = done.stdout.splitlines()
    assert first == "✓ proposed: model-v3 (v2 is live)"
    assert second.startswith(f"  {BRANCH} at ")
    assert third == "  https://github.com/acme/payments/pull/1"
    again = mlv(ada.top, "propose", "v3", "--quiet")
    assert again.stdout == "https://github.com/acme/payments/pull/1\n"


def test_what_is_opened_by_hand_says_where_and_with_which_text(three: Two, mlv: Mlv) -> None:
    ada, _ = three
    done = mlv(ada.top, "propose", "--rollback", "--reason", "It finds fewer frauds")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "✓ proposed: back to model-v1 (v2 is live)"
    assert done.stdout.splitlines()[2:] == [
        "  open a pull request from mlv/rollback-model-v1 into main",
        "  its text: .git/mlv/proposals/rollback-model-v1.md",
    ]
    text = (ada.top / ".git/mlv/proposals/rollback-model-v1.md").read_text(encoding="utf-8")
    assert text.startswith("> It finds fewer frauds\n")
    assert "model-v1" in text


def test_a_gh_that_fails_is_a_note_and_no_failure(
    hub: Hub, three: Two, at: At, fake: Fake, mlv: Mlv
) -> None:
    ada, _ = three
    fake("gh", "github.com", "fail")
    at(ada, "git@github.com:acme/payments.git")
    done = mlv(ada.top, "propose", "v3")
    assert done.returncode == 0
    assert f"refs/heads/{BRANCH}" in hub.refs()
    assert f"  open a pull request: https://github.com/acme/payments/compare/main...{BRANCH}" in (
        done.stdout
    )
    assert "note: mlv/promote-model-v3 is pushed, but no pull request was opened" in done.stderr
    assert "gh failed: no \\x1b[31mway" in done.stderr  # what a forge says moves no cursor


def test_a_password_of_the_remote_is_never_told(three: Two, at: At, fake: Fake, mlv: Mlv) -> None:
    ada, _ = three
    gh = fake("gh", "github.com", "fail")
    at(ada, "ssh://ada:s3cr3t@github.com/acme/payments.git")
    done = mlv(ada.top, "propose", "v3", "--json")
    assert json.loads(done.stdout)["url"].startswith("https://github.com/acme/payments/compare/")
    text = (ada.top / ".git/mlv/proposals/promote-model-v3.md").read_text(encoding="utf-8")
    assert gh.calls
    assert "s3cr3t" not in done.stdout + done.stderr + json.dumps(gh.calls) + text


def test_json_tells_it_all(hub: Hub, three: Two, mlv: Mlv) -> None:
    ada, _ = three
    facts = json.loads(mlv(ada.top, "propose", "v3", "--json").stdout)
    refs = hub.refs()
    assert facts == {
        "action": "promote",
        "branch": BRANCH,
        "commit": refs[f"refs/heads/{BRANCH}"],
        "base": "main",
        "base_commit": refs["refs/heads/main"],
        "pushed": True,
        "url": None,
        "open": False,
        "opened_with": None,
        "title": "Promote model-v3 to production (was v2)",
        "body": str(ada.top / ".git" / "mlv" / "proposals" / "promote-model-v3.md"),
        "changes": [
            {"model": "model", "version": "v3", "tag": "model-v3", "was": "v2", "changed": True,
             "forced": False}
        ],
    }  # fmt: skip


def test_what_is_live_already_exits_with_0_and_says_so(three: Two, mlv: Mlv) -> None:
    ada, _ = three
    done = mlv(ada.top, "propose", "v2")
    assert (done.returncode, done.stdout) == (0, "")
    assert "model-v2 is live already: there is nothing to propose" in done.stderr
    facts = json.loads(mlv(ada.top, "propose", "v2", "--json").stdout)
    assert (facts["branch"], facts["commit"], facts["body"]) == (None, None, None)
    assert facts["changes"][0]["changed"] is False


def test_what_cannot_be_proposed_is_refused(hub: Hub, three: Two, mlv: Mlv) -> None:
    ada, _ = three
    before = hub.refs()
    for words, code, said in (
        ([], 2, "propose which version?"),
        (["v3", "--to", "v1"], 2, "--to goes with --rollback"),
        (["v3", "--force"], 2, "needs a reason"),
        (["--rollback", "--force", "--reason", "x"], 2, "rollback passes no gate"),
        (["v9"], 6, "there is no version v9"),
        (["--rollback", "nobody"], 6, "there is no model 'nobody'"),
        (["--rollback", "--to", "v3"], 1, "cannot roll back to model-v3"),
    ):
        done = mlv(ada.top, "propose", *words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert hub.refs() == before
