"""What a real forge refuses, and what mlv makes of it."""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from tests.forge.project import Project


def test_a_promotion_past_the_pull_request_is_refused_and_told_how_to_propose(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    mlv: Callable[..., CompletedProcess[str]],
) -> None:
    project.protect()
    ada = project.clone("ada")
    registered = register(ada, 1)
    assert registered.returncode == 0, registered.stderr
    assert "refs/tags/fraud-v1" in project.refs()
    before = project.refs()

    refused = mlv(ada, "promote", "fraud-v1", "--push")

    assert refused.returncode == 1
    assert "main takes changes through pull requests only" in refused.stderr
    assert "mlv propose" in refused.stderr
    assert project.refs() == before


def test_a_project_that_takes_pull_requests_only_takes_no_version_either(
    project: Project, register: Callable[..., CompletedProcess[str]]
) -> None:
    """Pagure's own setting covers every reference of the project, tags of versions included."""
    project.setting(pull_request_access_only=True)

    refused = register(project.clone("ada"), 1)

    assert refused.returncode == 1
    assert "Pull request required" in refused.stderr
    assert not any(ref.startswith("refs/tags/") for ref in project.refs())


def test_a_version_that_is_published_is_neither_moved_nor_deleted(
    project: Project,
    register: Callable[..., CompletedProcess[str]],
    git: Callable[..., str],
) -> None:
    project.protect()
    ada = project.clone("ada")
    assert register(ada, 1).returncode == 0
    before = project.refs()
    git(ada, "tag", "--force", "--annotate", "--message", "another", "fraud-v1", "main")

    for refspec in ("+refs/tags/fraud-v1", ":refs/tags/fraud-v1"):
        with pytest.raises(CalledProcessError) as caught:
            git(ada, "push", "--quiet", "origin", refspec)
        assert "refs/tags/fraud-v1 is there, and stays as it is" in caught.value.stderr
    assert project.refs() == before
