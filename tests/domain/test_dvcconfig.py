"""What nobody may commit in a configuration of DVC is found, however it is written."""

from __future__ import annotations

import pytest

from mlv.domain.dvcconfig import dangers


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bearer_token_command = id", "would run a command"),
        ("  'BEARER_TOKEN_COMMAND'=id", "would run a command"),
        ("ask_passphrase = true", "would ask whoever runs DVC for a password"),
        ("secret_access_key = abc", "holds a secret"),
        ("url = ssh://ada:pw@host/", "holds a password"),
        ("credentialpath = ../aws", "names a file of the repository, which would run a command"),
        ("site_cache_dir = here", "would have DVC load what lies elsewhere"),
    ],
)
def test_a_dangerous_line_is_found(line: str, why: str) -> None:
    [found] = dangers(f"[core]\n{line}\n".encode())
    assert (found.line, found.why) == (2, why)


@pytest.mark.parametrize(
    "line",
    [
        "url = s3://bucket/path",
        "url = ssh://ada@host/",
        "# password = one",
        "ask_password = false",
        "credentialpath = ~/.aws/other",
        "region = eu-west-1",
    ],
)
def test_what_is_plain_passes(line: str) -> None:
    assert list(dangers(f"['remote \"s\"']\n{line}\n".encode())) == []


@pytest.mark.parametrize("section", ["[state]", "[ index ]", "['state']", '\t[ "index" ] # kept'])
def test_where_dvc_keeps_what_it_loads_is_found_however_its_section_is_written(
    section: str,
) -> None:
    assert [found.line for found in dangers(f"{section}\n\tdir = ../here\n".encode())] == [2]
    assert not list(dangers(f"[cache]\n{section.replace('[', '# [')}\ndir = here\n".encode()))
