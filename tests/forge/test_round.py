"""A promotion is a pull request, on a real forge: proposed, judged, merged, live, taken back."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.forge.project import Project


# What a version may say of itself, so that a page that shows it does what it should not.
HOSTILE = {
    "script": "<script>alert('owned')</script><svg onload=alert('owned')>",
    "image": "![seen](http://evil.example/pixel.png) <img src='http://evil.example/pixel.png'>",
    "link": "[the report](javascript:alert('owned')) <http://evil.example/>",
    "mention": "@grace please merge #1",
    "table": "a | b\n\n# Passed\n\n| x |\n|---|\n</td></table>",
}


def answer(done: CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_promotions_and_a_rollback_go_live_by_the_forges_own_merges(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    mlv: Callable[..., CompletedProcess[str]],
    git: Callable[..., str],
) -> None:
    project.protect()
    ada = project.clone("ada")
    for seed in (1, 2):
        assert register(ada, seed, "--metric", f"roc_auc=0.9{seed}").returncode == 0

    def through(asked: tuple[str, ...], branch: str, reason: str, number: int) -> Path:
        """Propose, review, and merge; return a clone that somebody makes afterwards."""
        proposed = mlv(ada, "propose", *asked, "--reason", reason)
        assert proposed.returncode == 0, proposed.stderr
        # Where to open one, no address tells: Pagure says it to whoever pushes a branch.
        at = f"{project.forge.url}/{project.name}/diff/main..{branch}"
        assert at in proposed.stdout
        assert f"refs/heads/{branch}" in project.refs()
        assert project.open("ada", branch, f"{' '.join(asked)}: {reason}") == number
        judged = project.review(number, branch)
        assert judged.returncode == 0, judged.stdout + judged.stderr
        assert project.flags(number) == ["success"]
        project.merge("grace", number)
        return project.fresh_clone(f"server-{number}")

    clone = through(("fraud-v1",), "mlv/promote-fraud-v1", "The first model", 1)
    assert mlv(clone, "current", "-q").stdout == "v1\n"
    assert git(clone, "rev-parse", "main^@").count("\n") == 0  # fast-forward

    project.setting(always_merge=True)
    clone = through(("fraud-v2",), "mlv/promote-fraud-v2", "It finds more", 2)
    assert mlv(clone, "current", "-q").stdout == "v2\n"
    assert git(clone, "rev-parse", "main^@").count("\n") == 1  # a merge commit

    clone = through(("--rollback",), "mlv/rollback-fraud-v1", "False alarms", 3)
    assert mlv(clone, "current", "-q").stdout == "v1\n"

    told = answer(mlv(clone, "history", "--json"))
    moves = [event for event in told if event["action"] != "register"]
    assert [(each["action"], each["version"], each["reason"]) for each in moves] == [
        ("promote", "v1", "The first model"),
        ("promote", "v2", "It finds more"),
        ("rollback", "v1", "False alarms"),
    ]
    assert [each["author"].split()[0] for each in moves] == ["Ada"] * 3
    assert [each["committer"].split()[0] for each in moves] == ["Ada", "Grace", "Grace"]
    audit = mlv(clone, "verify", "--all")
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_a_proposal_that_was_overtaken_is_flagged_until_it_is_proposed_again(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    mlv: Callable[..., CompletedProcess[str]],
) -> None:
    ada = project.clone("ada")
    for seed in (1, 2, 3):
        assert register(ada, seed).returncode == 0
    assert mlv(ada, "promote", "fraud-v1", "--push").returncode == 0
    project.protect()
    branches = {number: f"mlv/promote-fraud-v{number + 1}" for number in (1, 2)}
    for number, branch in branches.items():
        assert mlv(ada, "propose", f"fraud-v{number + 1}").returncode == 0
        assert project.open("ada", branch, branch) == number
    project.merge("grace", 1)

    assert project.review(2, branches[2]).returncode == 3
    assert project.flags(2) == ["failure"]

    assert mlv(ada, "propose", "fraud-v3").returncode == 0
    assert project.review(2, branches[2]).returncode == 0
    assert project.flags(2) == ["success"]
    project.merge("grace", 2)
    clone = project.fresh_clone("server")
    assert mlv(clone, "current", "-q").stdout == "v3\n"
    status = json.loads((clone / "registry/fraud/pointer.json").read_text())["status"]
    assert status == {"v3": "production", "v2": "archived", "v1": "archived"}


def test_a_worse_model_is_flagged_and_what_it_says_of_itself_stays_text(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    mlv: Callable[..., CompletedProcess[str]],
) -> None:
    ada = project.clone("ada")
    assert register(ada, 1, "--metric", "roc_auc=0.95").returncode == 0
    assert mlv(ada, "promote", "fraud-v1", "--push").returncode == 0
    project.protect()
    told = [part for key, text in HOSTILE.items() for part in ("--meta", f"{key}={text}")]
    assert register(ada, 2, "--metric", "roc_auc=0.5", *told).returncode == 0
    refused = mlv(ada, "propose", "fraud-v2")
    assert refused.returncode == 3
    assert "refs/heads/mlv/promote-fraud-v2" not in project.refs()
    forced = mlv(ada, "propose", "fraud-v2", "--force", "--reason", "I know better")
    assert forced.returncode == 0, forced.stderr
    body = (ada / ".git/mlv/proposals/promote-fraud-v2.md").read_text()
    number = project.open("ada", "mlv/promote-fraud-v2", "Promote fraud-v2", body)

    judged = project.review(number, "mlv/promote-fraud-v2")

    assert judged.returncode == 3
    assert project.flags(number) == ["failure"]
    assert "roc_auc" in judged.stdout
    page = Page(project, number)
    assert "roc_auc" in page.text
    assert "alert('owned')" in page.text  # told, as text
    assert not page.harmful
    assert not page.mentions
    # What is not escaped, this forge shows: so the above can fail.
    project.api("robot", f"pull-request/{number}/comment", comment="\n\n".join(HOSTILE.values()))
    page = Page(project, number)
    assert page.harmful
    assert page.mentions


class Page(HTMLParser):
    """What a browser would run, load or follow."""

    def __init__(self, project: Project, number: int) -> None:
        super().__init__()
        self.text = ""
        self.harmful: list[tuple[str, str]] = []
        self.mentions: list[str] = []
        self._within: list[str] = []
        self.feed(project.forge.page(f"{project.name}/pull-request/{number}"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within.append(tag)
        for name, value in attrs:
            said = (value or "").lower()
            if tag == "a" and name == "href" and said.endswith("/user/grace"):
                self.mentions.append(said)
            is_followed_only = tag == "a" and "javascript:" not in said
            is_of_it = any(word in said for word in ("evil.example", "javascript:", "owned"))
            if is_of_it and not is_followed_only and name not in ("alt", "title"):
                self.harmful.append((tag, said))

    def handle_data(self, data: str) -> None:
        if self._within and self._within[-1] == "script" and "owned" in data:
            self.harmful.append(("script", data))
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass
