"""What a DVC remote's library raises, told in one line; and how long a remote may be silent."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp
import pytest
from dvc.fs import HTTPFileSystem
from yarl import URL

from mlv.store.dvc.connections import bound
from mlv.store.dvc.trouble import is_absent, told
from mlv.store.gitremote import _patient

PLACE = ("store objects", "storage", "https://dvc.example/team")


def answer(status: int, message: str) -> aiohttp.ClientResponseError:
    """Return what an HTTP server's answer becomes."""
    url = URL("https://dvc.example/team/files/md5/aa/bb")
    request = SimpleNamespace(real_url=url)
    return aiohttp.ClientResponseError(request, (), status=status, message=message)  # type: ignore[arg-type] # only its address is used


def not_found(cause: BaseException | None) -> FileNotFoundError:
    error = FileNotFoundError("https://dvc.example/team/files/md5/aa/bb")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "absent"),
    [
        (None, True),
        (answer(404, "Not Found"), True),
        (answer(410, "Gone"), True),
        (answer(401, "Unauthorized"), False),
        (answer(403, "Forbidden"), False),
        (answer(503, "Service Unavailable"), False),
        (ConnectionResetError(), False),
        (aiohttp.ServerTimeoutError(), False),
        (LookupError("what another library says of a missing object"), True),
    ],
)
def test_not_found_is_believed_only_where_the_server_said_it(
    cause: BaseException | None, absent: bool
) -> None:
    assert is_absent(not_found(cause)) is absent


def test_another_error_says_nothing_of_the_object() -> None:
    assert not is_absent(PermissionError("Forbidden"))


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("Permission denied for user ada on host dvc.example"),
        not_found(answer(401, "Unauthorized")),
        answer(403, "Forbidden"),
        type("NoCredentialsError", (Exception,), {})("Unable to locate credentials"),
    ],
)
def test_a_refusal_leads_to_the_credentials(error: Exception) -> None:
    said = told(error, *PLACE)
    assert "https://dvc.example/team) does not allow to store objects: " in said.message
    assert "dvc remote modify --local storage" in said.hint


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (not_found(ConnectionResetError(104, "Connection reset by peer")), "reset by peer"),
        (not_found(answer(502, "Bad Gateway")), "502 Bad Gateway"),
        (TimeoutError(), "it did not answer in time"),
        (type("FSTimeoutError", (Exception,), {})(), "it did not answer in time"),
        (ValueError(), "ValueError"),
        (ValueError("first\nsecond"), ": first"),
    ],
)
def test_whatever_else_went_wrong_is_one_line(error: Exception, words: str) -> None:
    said = told(error, *PLACE)
    assert said.message.startswith("could not store objects on the DVC remote 'storage' (https:")
    assert said.message.endswith(words)
    assert "\n" not in said.message


@pytest.mark.parametrize(
    "address",
    [
        "https://s3.example:9000/bucket/key?X-Amz-Signature=hunter2",
        "https://ada:hunter2@s3.example:9000/bucket",
        "https://hunter2@s3.example:9000",
    ],
)
def test_no_password_and_no_signature_is_told(address: str) -> None:
    said = told(ValueError(f'Could not connect to the endpoint URL: "{address}"'), *PLACE)
    assert "hunter2" not in str(said)
    assert said.message.endswith('"https://s3.example:9000"')
    assert "hunter2" not in str(told(ValueError(), *PLACE[:2], address))


def test_a_missing_package_is_named() -> None:
    error = type("RemoteMissingDepsError", (Exception,), {})()
    assert told(error, "open it", "storage", "gs://bucket").hint == "pip install 'dvc[gs]'"


def test_over_http_the_users_own_time_limit_stays() -> None:
    fs = HTTPFileSystem(read_timeout=7)
    bound(fs)
    assert fs.fs_args["client_kwargs"]["read_timeout"] == 7
    assert fs.SESSION_RETRIES == 2


@pytest.mark.parametrize("command", ["ssh", "ssh -i ~/.ssh/deploy", "/usr/bin/ssh -p 22"])
def test_an_ssh_of_the_users_own_gets_time_limits_behind_its_options(command: str) -> None:
    assert _patient(command).startswith(f"{command} -o ConnectTimeout=")


@pytest.mark.parametrize("command", ["plink -batch", "./my-ssh", "sshpass -e ssh", "env A=b ssh"])
def test_another_program_is_left_alone(command: str) -> None:
    assert _patient(command) == command
