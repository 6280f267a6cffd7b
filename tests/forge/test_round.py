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
        # Pagure itself says where; at its end stands what `git push` was told.
        at = f"{project.forge.url}/{project.name}/diff/main..{branch}"
        assert at in proposed.stdout
        assert f"refs/heads/{branch}" in project.refs()
        assert project.open("ada", branch, f"{' '.join(asked)}: {reason}") == number
        judged = project.review(number)
        assert judged.returncode == 0, judged.stdout + judged.stderr
        assert project.flags(number) == ["success"]
        project.merge("grace", number)
        return project.fresh_clone(f"server-{number}")

    clone = through(("fraud-v1",), "mlv/promote-fraud-v1", "The first model", 1)
    assert mlv(clone, "current", "-q").stdout == "fraud-v1\n"
    assert git(clone, "rev-parse", "main^@").count("\n") == 0  # fast-forward

    project.setting(always_merge=True)
    clone = through(("fraud-v2",), "mlv/promote-fraud-v2", "It finds more", 2)
    assert mlv(clone, "current", "-q").stdout == "fraud-v2\n"
    assert git(clone, "rev-parse", "main^@").count("\n") == 1  # a merge commit

    clone = through(("--rollback",), "mlv/rollback-fraud-v1", "False alarms", 3)
    assert mlv(clone, "current", "-q").stdout == "fraud-v1\n"

    told = answer(mlv(clone, "history", "--json"))["events"]
    assert [(e["action"], e["version"], e["reason"]) for e in told] == [
        ("promoted", "v1", "The first model"),
        ("promoted", "v2", "It finds more"),
        ("rolled back", "v1", "False alarms"),
    ]
    assert {event["by"]["name"] for event in told} == {"Ada"}
    assert answer(mlv(clone, "verify", "--all", "--json"))


def test_a_worse_model_is_flagged_and_what_it_says_of_itself_stays_text(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    mlv: Callable[..., CompletedProcess[str]],
    git: Callable[..., str],
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
    number = project.open("ada", "mlv/promote-fraud-v2", "Promote fraud-v2")

    judged = project.review(number)

    assert judged.returncode == 3
    assert project.flags(number) == ["failure"]
    assert "roc_auc" in judged.stdout
    page = Page()
    page.feed(project.forge.page(f"{project.name}/pull-request/{number}"))
    assert "roc_auc" in page.text
    assert "alert('owned')" in page.text  # told, as text
    assert not page.harmful
    assert not [link for link in page.links if link.endswith("/user/grace/request")]


class Page(HTMLParser):
    """What a browser would run, load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.harmful: list[tuple[str, str]] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within.append(tag)
        for name, value in attrs:
            said = (value or "").lower()
            is_ours = any(word in said for word in ("evil.example", "javascript:", "owned"))
            if tag == "a" and name == "href" and "javascript:" not in said:
                self.links.append(said)
            elif is_ours and name not in ("alt", "title"):
                self.harmful.append((tag, said))

    def handle_data(self, data: str) -> None:
        if self._within and self._within[-1] == "script" and "owned" in data:
            self.harmful.append(("script", data))
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass
