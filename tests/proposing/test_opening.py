"""Opening pull requests, with fakes of gh and glab (`conftest`) and Git's real push options."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mlv import ConfigError, ModelRegistry
from mlv.proposing import opening
from mlv.proposing.opening import Asking, invitation_in, push_options, url_in
from mlv.proposing.text import Text, cut
from mlv.store import config as configs
from mlv.store import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.proposing.conftest import Forge
    from tests.sharing.conftest import Hub, Machine

    Git = Callable[..., str]
    Two = tuple[Machine, Machine]
    At = Callable[[Machine, str], None]
    Fake = Callable[..., Forge]

BRANCH = "mlv/promote-model-v3"
REF = f"refs/heads/{BRANCH}"
GITHUB = "git@github.com:acme/payments.git"
GITLAB = "git@gitlab.com:acme/payments.git"
PULL = "https://github.com/acme/payments/pull/1"


def move_main(hub: Hub) -> None:
    """Have main move, so that a proposal must be made anew."""
    tree = hub.git(hub.bare, "rev-parse", "main^{tree}")
    who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.com")
    new = hub.git(hub.bare, *who, "commit-tree", tree, "-p", "main", "-m", "Train better")
    hub.git(hub.bare, "update-ref", "refs/heads/main", new)


# gh ------------------------------------------------------------------------------------------


def test_gh_opens_a_pull_request(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    proposed = ada.registry.propose("v3", reason="Better")
    assert (proposed.url, proposed.is_open, proposed.opened_with) == (PULL, True, "gh")
    [made] = gh.requests
    assert (made["head"]["ref"], made["base"]["ref"]) == (BRANCH, "main")
    assert made["title"] == "Promote model-v3 to production (was v2)"
    assert made["draft"] is False
    assert proposed.body
    assert made["body"] == proposed.body.read_text()
    lookup = gh.calls[1][0]
    assert lookup[:5] == ["api", "--hostname", "github.com", "--method", "GET"]
    assert lookup[-1].startswith("repos/acme/payments/pulls?state=open&head=acme%3Amlv%2Fpromote")


def test_a_draft_is_opened_as_one(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    ada.registry.propose("v3", draft=True)
    assert gh.requests[0]["draft"] is True


def test_an_open_pull_request_is_updated_and_not_doubled(
    hub: Hub, three: Two, at: At, fake: Fake
) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    ada.registry.propose("v3", reason="Better")
    gh.set("ok", [{**gh.requests[0], "title": "Old", "body": "Old"}])
    move_main(hub)
    again = ada.registry.propose("v3", reason="Better still")
    assert (again.url, again.is_pushed) == (PULL, True)
    [kept] = gh.requests
    assert kept["title"] == "Promote model-v3 to production (was v2)"
    assert again.body
    assert kept["body"] == again.body.read_text()


def test_what_people_wrote_stays_where_nothing_is_pushed(three: Two, at: At, fake: Fake) -> None:
    (ada, bob), gh = three, fake("gh", "github.com")
    for machine in three:
        at(machine, GITHUB)
    ada.registry.propose("v3")
    gh.set("ok", [{**gh.requests[0], "title": "Mine"}])
    again = bob.registry.propose("v3")
    assert (again.url, again.is_open, again.is_pushed) == (PULL, True, False)
    assert [each["title"] for each in gh.requests] == ["Mine"]


def test_a_closed_pull_request_is_followed_by_another(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    ada.registry.propose("v3")
    gh.set("ok", [{**gh.requests[0], "state": "closed"}])
    again = ada.registry.propose("v3")
    assert (again.url, again.is_pushed) == ("https://github.com/acme/payments/pull/2", False)


def test_pull_requests_of_other_branches_are_left_alone(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    other = {"number": 1, "state": "open", "title": "Other", "html_url": PULL}
    gh.set("ok", [{**other, "head": {"ref": "feature"}, "base": {"ref": "main"}}])
    assert ada.registry.propose("v3").url == "https://github.com/acme/payments/pull/2"
    assert gh.requests[0]["title"] == "Other"


@pytest.mark.parametrize("mode", ["fail", "nonsense"])
def test_a_gh_that_fails_loses_nothing(hub: Hub, three: Two, at: At, fake: Fake, mode: str) -> None:
    (ada, _), gh = three, fake("gh", "github.com", mode)
    at(ada, GITHUB)
    proposed = ada.registry.propose("v3")
    assert proposed.commit == hub.refs()[REF]
    assert (proposed.is_open, proposed.opened_with) == (False, None)
    assert proposed.url == f"https://github.com/acme/payments/compare/main...{BRANCH}?expand=1"
    assert f"{BRANCH} is pushed, but no pull request was opened: gh failed" in ada.notes[-1]
    gh.set("ok")
    assert ada.registry.propose("v3").url == PULL


def test_a_gh_that_hangs_is_ended(
    hub: Hub, three: Two, at: At, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = three
    fake("gh", "github.com", "hang")
    at(ada, GITHUB)
    monkeypatch.setattr(opening, "_SECONDS", 2.0)
    started = time.monotonic()
    proposed = ada.registry.propose("v3")
    assert time.monotonic() - started < 30
    assert proposed.commit == hub.refs()[REF]
    assert "gh did not answer within 2 seconds" in ada.notes[-1]


def test_a_gh_that_is_not_logged_in_there_is_not_used(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.example.com")
    at(ada, GITHUB)
    proposed = ada.registry.propose("v3")
    assert not proposed.is_open
    assert [argv[:2] for argv, _ in gh.calls] == [["auth", "status"]]


def test_a_forge_is_known_by_who_is_logged_in_there(three: Two, at: At, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "code.example.com")
    at(ada, "git@code.example.com:acme/payments.git")
    assert ada.registry.propose("v3").opened_with == "gh"
    assert len(gh.requests) == 1


def test_a_host_of_the_users_ssh_configuration_is_looked_up(three: Two, at: At, fake: Fake) -> None:
    ada, _ = three
    fake("gh", "github.com")
    at(ada, "git@work:acme/payments.git")
    assert ada.registry.propose("v3").url == PULL


# glab ----------------------------------------------------------------------------------------


def test_glab_opens_a_merge_request(hub: Hub, three: Two, at: At, fake: Fake) -> None:
    (ada, _), glab = three, fake("glab", "gitlab.com")
    at(ada, GITLAB)
    proposed = ada.registry.propose("v3", draft=True)
    assert proposed.opened_with == "glab"
    assert proposed.url == "https://gitlab.com/acme/payments/-/merge_requests/1"
    [made] = glab.requests
    assert (made["source_branch"], made["target_branch"]) == (BRANCH, "main")
    assert made["title"] == "Draft: Promote model-v3 to production (was v2)"
    assert glab.calls[2][0][-1] == "projects/acme%2Fpayments/merge_requests"
    move_main(hub)
    ada.registry.propose("v3")  # it stays a draft until somebody says that it is ready
    assert [each["title"][:7] for each in glab.requests] == ["Draft: "]


# Push options --------------------------------------------------------------------------------

NOTES_OPTIONS = """\
i=0
while test "$i" -lt "${GIT_PUSH_OPTION_COUNT:-0}"; do
    eval "printf '%s\\\\0' \\"\\$GIT_PUSH_OPTION_$i\\"" >> options
    i=$((i+1))
done
"""


def options_of(hub: Hub) -> list[str]:
    """Read the push options that the remote was given."""
    path = hub.bare / "options"
    return path.read_text().split("\0")[:-1] if path.exists() else []


def test_a_gitlab_is_asked_by_push_options(hub: Hub, three: Two, at: At) -> None:
    ada, _ = three
    at(ada, GITLAB)
    hub.git(hub.bare, "config", "receive.advertisePushOptions", "true")
    opened = "https://gitlab.com/acme/payments/-/merge_requests/5"
    said = f'echo; echo "View merge request for {BRANCH}:"; echo "  {opened}"'
    hub.forbid("pre-receive", NOTES_OPTIONS)
    hub.forbid("post-receive", said)
    proposed = ada.registry.propose("v3", reason="Better", draft=True)
    assert (proposed.url, proposed.is_open, proposed.opened_with) == (opened, True, "push options")
    given = options_of(hub)
    assert given[:3] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=Promote model-v3 to production (was v2)",
    ]
    assert given[-1] == "merge_request.draft"
    assert proposed.body
    description = given[3].removeprefix("merge_request.description=")
    assert description.replace("\\n", "\n") == proposed.body.read_text()


def test_a_gitlab_without_push_options_is_pushed_to_all_the_same(
    hub: Hub, three: Two, at: At
) -> None:
    ada, _ = three
    at(ada, GITLAB)
    proposed = ada.registry.propose("v3")
    assert proposed.commit == hub.refs()[REF]
    assert (proposed.is_open, proposed.opened_with) == (False, None)
    assert proposed.url
    assert proposed.url.startswith("https://gitlab.com/acme/payments/-/merge_requests/new?")


def test_only_a_gitlab_gets_push_options(hub: Hub, three: Two, at: At) -> None:
    ada, _ = three
    at(ada, "git@codeberg.org:acme/payments.git")
    hub.git(hub.bare, "config", "receive.advertisePushOptions", "true")
    hub.forbid("pre-receive", NOTES_OPTIONS)
    ada.registry.propose("v3")
    assert options_of(hub) == []


def test_a_gitlab_on_another_host_is_stated(hub: Hub, three: Two, at: At) -> None:
    ada, _ = three
    at(ada, "git@code.example.com:acme/payments.git")
    hub.git(hub.bare, "config", "receive.advertisePushOptions", "true")
    hub.forbid("pre-receive", NOTES_OPTIONS)
    (ada.top / "mlv.yaml").write_text("forge: gitlab\n")
    ModelRegistry(ada.top, notify=lambda _: None).propose("v3")
    assert "merge_request.create" in options_of(hub)
    with pytest.raises(ConfigError, match="forge must be one of github, gitlab, "):
        configs.parse(b"forge: sourceforge\n")


def test_a_description_is_one_line_that_fits_and_stays_what_it_was() -> None:
    text = Text("Promote\nall", "a\\nb\r\n" + "\u00fc" * 70_000 + "\nend\n")
    title, description = push_options(Asking("b", "main", text, is_draft=False))[2:]
    assert title == "merge_request.title=Promote all"
    assert "\n" not in description
    assert description.startswith("merge_request.description=a&#92;nb\\n")
    assert len(description.encode()) < 65_000


# By hand -------------------------------------------------------------------------------------


def test_a_path_is_no_forge_and_asks_no_program(three: Two, fake: Fake) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    proposed = ada.registry.propose("v3")
    assert (proposed.url, proposed.is_open) == (None, False)
    assert gh.calls == []


def test_an_unknown_forge_may_say_itself_where_a_pull_request_is_opened(
    hub: Hub, three: Two, at: At
) -> None:
    ada, _ = three
    at(ada, "git@git.example.com:acme/payments.git")
    there = "https://git.example.com/acme/payments/new/mlv"
    hub.forbid("post-receive", f'echo "Create a pull request for it:"; echo "  {there}"')
    proposed = ada.registry.propose("v3")
    assert (proposed.url, proposed.is_open) == (there, False)


@pytest.mark.parametrize(
    ("said", "opened", "invitation"),
    [
        ([], None, None),
        (["Visit https://example.com/help"], None, None),
        (["Visit the existing pull request:", "  https://a.b/c/d/pulls/5"],
         "https://a.b/c/d/pulls/5", "https://a.b/c/d/pulls/5"),
        (["To create a merge request for x, visit:", "https://a.b/c/-/merge_requests/new?x=1"],
         None, "https://a.b/c/-/merge_requests/new?x=1"),
        (["pull request: javascript:alert(1)"], None, None),
        (["pull request: https://a.b/\x1b[2Jc"], None, "https://a.b/"),
    ],
)  # fmt: skip
def test_what_a_remote_says_of_a_pull_request_is_found(
    said: list[str], opened: str | None, invitation: str | None
) -> None:
    assert (url_in(said), invitation_in(said)) == (opened, invitation)


# Text ----------------------------------------------------------------------------------------


def test_a_text_that_is_too_long_is_cut_at_a_line_and_closed() -> None:
    text = "<details>\n\n```text\n" + "line\n" * 1000
    short = cut(text, 1000)
    assert len(short) <= 1000
    assert short.count("```") == 2
    assert short.count("</details>") == 1
    assert "`mlv review` shows it" in short
    assert cut(text, len(text)) == text


def test_a_forge_gets_no_more_than_it_takes(
    three: Two, at: At, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada, _), gh = three, fake("gh", "github.com")
    at(ada, GITHUB)
    monkeypatch.setattr(
        "mlv.proposing.proposal.text_of", lambda *_, **__: Text("t" * 500, "line\n" * 100_000)
    )
    proposed = ada.registry.propose("v3")
    [made] = gh.requests
    assert len(made["title"]) == 250
    assert 60_000 < len(made["body"]) < 65_536
    assert proposed.body
    assert len(proposed.body.read_text()) == 500_000


def test_a_program_is_ended_with_what_it_started(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(Exception, match="sh did not answer within 1 seconds"):
        process.run_within(1.0, ["sh", "-c", "sleep 60 & sleep 60"], cwd=tmp_path)
    assert time.monotonic() - started < 30
