"""Which forge a remote's address is, and where a pull request is opened there."""

from __future__ import annotations

import pytest

from mlv.proposing.forge import address_of, forge_of

BRANCH = "mlv/promote-fraud-v3"
GITHUB = f"https://github.com/acme/payments/compare/main...{BRANCH}?expand=1"
GITLAB_NEW = (
    "/-/merge_requests/new?merge_request%5Bsource_branch%5D=mlv%2Fpromote-fraud-v3"
    "&merge_request%5Btarget_branch%5D=main"
)
REFS = "sourceBranch=refs%2Fheads%2Fmlv%2Fpromote-fraud-v3&targetBranch=refs%2Fheads%2Fmain"
SOURCE = "?source=mlv%2Fpromote-fraud-v3&dest=main"
AZURE = "/pullrequestcreate?sourceRef=mlv%2Fpromote-fraud-v3&targetRef=main"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("git@github.com:acme/payments.git", GITHUB),
        ("github.com:acme/payments", GITHUB),
        ("https://github.com/acme/payments.git", GITHUB),
        ("https://github.com/acme/payments/", GITHUB),
        ("https://ada:s3cr3t@github.com/acme/payments.git", GITHUB),
        ("https://x-access-token:ghs_s3cr3t@GitHub.com:443/acme/payments", GITHUB),
        ("ssh://git@github.com/acme/payments.git", GITHUB),
        ("ssh://git@ssh.github.com:443/acme/payments.git", GITHUB),
        ("git+ssh://git@github.com/acme/payments.git", GITHUB),
        (
            "https://github.example.com:8443/acme/payments.git",
            f"https://github.example.com:8443/acme/payments/compare/main...{BRANCH}?expand=1",
        ),
        (
            "git@acme.ghe.com:acme/payments.git",
            f"https://acme.ghe.com/acme/payments/compare/main...{BRANCH}?expand=1",
        ),
        (
            "git@gitlab.com:acme/risk/eu/payments.git",
            f"https://gitlab.com/acme/risk/eu/payments{GITLAB_NEW}",
        ),
        (
            "ssh://git@altssh.gitlab.com:443/acme/payments.git",
            f"https://gitlab.com/acme/payments{GITLAB_NEW}",
        ),
        (
            "http://gitlab.example.com:8080/acme/payments.git",
            f"http://gitlab.example.com:8080/acme/payments{GITLAB_NEW}",
        ),
        (
            "ssh://git@gitlab.example.com:2222/acme/payments.git",
            f"https://gitlab.example.com/acme/payments{GITLAB_NEW}",
        ),
        (
            "git@codeberg.org:acme/payments.git",
            f"https://codeberg.org/acme/payments/compare/main...{BRANCH}",
        ),
        (
            "https://gitea.example.com/acme/payments.git",
            f"https://gitea.example.com/acme/payments/compare/main...{BRANCH}",
        ),
        (
            "https://ada@bitbucket.org/acme/payments.git",
            f"https://bitbucket.org/acme/payments/pull-requests/new{SOURCE}",
        ),
        (
            "ssh://git@bitbucket.example.com:7999/risk/payments.git",
            f"https://bitbucket.example.com/projects/RISK/repos/payments/pull-requests?create&{REFS}",
        ),
        (
            "https://git.example.com/scm/~ada/payments.git",
            f"https://git.example.com/users/ada/repos/payments/pull-requests?create&{REFS}",
        ),
        (
            "git@ssh.dev.azure.com:v3/acme/Risk%20Models/payments",
            f"https://dev.azure.com/acme/Risk%20Models/_git/payments{AZURE}",
        ),
        (
            "https://acme@dev.azure.com/acme/risk/_git/payments",
            f"https://dev.azure.com/acme/risk/_git/payments{AZURE}",
        ),
        (
            "https://acme.visualstudio.com/risk/_git/payments",
            f"https://acme.visualstudio.com/risk/_git/payments{AZURE}",
        ),
        ("ssh://git@pagure.io/payments.git", f"https://pagure.io/payments/diff/main..{BRANCH}"),
        (
            "https://pagure.io/forks/ada/payments.git",
            f"https://pagure.io/fork/ada/payments/diff/main..{BRANCH}",
        ),
    ],
)
def test_a_remote_has_a_page_for_a_pull_request(url: str, page: str) -> None:
    address = address_of(url)
    assert address
    found = forge_of(address).compare_url(BRANCH, "main")
    assert found == page
    assert "s3cr3t" not in found


@pytest.mark.parametrize(
    "url",
    [
        "/srv/git/payments.git",
        "../payments.git",
        "file:///srv/git/payments.git",
        "C:\\git\\payments",
        "C:/git/payments",
        "ext::sh -c whoami",
        "https://",
        "https://[::1/x",
        "https://-oProxyCommand=x/acme/payments",
        "git@-oProxyCommand=x:acme/payments",
        "https://git.example.com/\x1b[2J",
        "https://git.example.com:notaport/acme",
    ],
)
def test_what_is_on_no_host_is_no_forge(url: str) -> None:
    assert address_of(url) is None


def test_an_unknown_forge_has_no_page_until_it_is_stated() -> None:
    address = address_of("git@git.example.com:acme/payments.git")
    assert address
    assert forge_of(address).compare_url(BRANCH, "main") is None
    stated = forge_of(address, "gitlab").compare_url(BRANCH, "main")
    assert stated == f"https://git.example.com/acme/payments{GITLAB_NEW}"


def test_a_base_with_odd_characters_stays_one_word() -> None:
    address = address_of("git@github.com:acme/pay ments.git")
    assert address
    found = forge_of(address).compare_url(BRANCH, "release#1?x=\u00fc")
    assert found == (
        f"https://github.com/acme/pay%20ments/compare/release%231%3Fx%3D%C3%BC...{BRANCH}?expand=1"
    )
