"""What goes wrong between us and a DVC remote: how long it may take, and how it is told.

Each kind of remote has a library of its own, with exceptions of its own. None of them is imported
here: what they raise is known by what it carries.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any

from mlv.errors import ProgramError
from mlv.store.lineage import without_credentials
from mlv.store.process import environment

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS = 2
_S3_ATTEMPTS = 3  # of its client, each time we try, unless AWS_MAX_ATTEMPTS says otherwise
_PATIENCE = 30  # seconds of silence, unless the remote's own timeouts say otherwise
_MISSING = (404, 410)
_NOT_ALLOWED = (401, 403, 407)
# By their names: asyncssh, asyncssh's SFTP, botocore (twice), dvc_objects, azure.
_REFUSALS = (
    "PermissionDenied", "SFTPPermissionDenied", "NoCredentialsError", "PartialCredentialsError",
    "AuthError", "ClientAuthenticationError",
)  # fmt: skip
# Of an address `scheme://host:port`: passwords, queries and signatures are nobody's business.
_ADDRESS = re.compile(r"(\w+://)(?:[^/\s\"'@]*@)?([^/\s\"']+)[^\s\"']*")


def bound(fs: Any) -> None:
    """Have a remote that falls silent end in an error, in minutes at the most.

    ``fs`` is one of DVC's file systems, before its first use.

    Left to themselves S3 and HTTP ask up to 25 times, and an upload that nobody takes waits for
    ever, as does everything over SSH.
    """
    args, config = fs.fs_args, fs.config
    if fs.protocol == "ssh":
        patience = config.get("timeout", _PATIENCE)
        args.setdefault("connect_timeout", patience)
        args.setdefault("keepalive_interval", patience / 3)
        args.setdefault("keepalive_count_max", 2)
    elif fs.protocol == "s3":
        client = args.setdefault("config_kwargs", {})
        own = {"socket_factory": _sockets(config.get("read_timeout", _PATIENCE))}
        if _s3_takes(own):
            client.setdefault("connector_args", own)
        if "AWS_MAX_ATTEMPTS" not in environment():
            client.setdefault("retries", {"total_max_attempts": _S3_ATTEMPTS})
        fs.fs.retries = _ATTEMPTS
        _send_at_once(fs.fs)
    elif fs.protocol in ("http", "https"):
        fs.SESSION_RETRIES = _ATTEMPTS
        make, sockets = fs.get_client, _sockets(args["client_kwargs"]["read_timeout"])

        async def get_client(**how: Any) -> Any:
            client = await make(**how)
            # There is no public way to it once DVC has made the connector. Where it is called
            # something else, an upload that nobody takes waits as it always did.
            with contextlib.suppress(AttributeError):
                client._client.connector._socket_factory = sockets  # noqa: SLF001
            return client

        fs.get_client = get_client


def _s3_takes(arguments: dict[str, Any]) -> bool:
    """Whether this S3 client is new enough to be given sockets."""
    from aiobotocore.config import AioConfig
    from botocore.exceptions import ParamValidationError

    try:
        AioConfig(connector_args=arguments)
    except ParamValidationError:
        return False
    return True


def _send_at_once(s3: Any) -> None:
    """Have objects sent without waiting for a "go on", for which aiohttp waits without a limit."""
    from botocore.handlers import add_expect_header

    s3.s3.meta.events.unregister("before-call.s3", add_expect_header)


def _sockets(patience: float) -> Callable[[Any], socket.socket]:
    """Make sockets that break when what was sent is not taken for so many seconds.

    aiohttp waits for an answer with a time limit, but without one for its own words to be taken.
    """

    def make(address: Any) -> socket.socket:
        family, kind, protocol = address[:3]
        made = socket.socket(family, kind, protocol)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        return made

    return make


def is_absent(error: BaseException) -> bool:
    """Whether a remote said that an object is not there, and not that it may not be seen.

    Over HTTP "not found" is raised for whatever went wrong, with that as its cause.
    """
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return False
    cause = error.__cause__
    if type(cause).__module__.startswith("aiohttp"):
        return getattr(cause, "status", None) in _MISSING
    return not isinstance(cause, OSError | TimeoutError)


def told(error: BaseException, what: str, name: str, url: str) -> ProgramError:
    """Tell in one line why ``what`` could not be done with the remote ``name``."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and not is_absent(error):
        error = cause
    where = f"the DVC remote {name!r} ({without_credentials(url)})"
    said = _said(error)
    if _is_refusal(error):
        return ProgramError(
            f"{where} does not allow to {what}: {said}",
            hint=f"see who you are there and what you may: dvc remote modify --local {name} ... "
            "sets credentials for this clone alone",
        )
    if type(error).__name__ == "RemoteMissingDepsError":
        return ProgramError(
            f"this DVC cannot use {where}: the package for it is not installed",
            hint=f"pip install 'dvc[{url.partition('://')[0]}]'",
        )
    return ProgramError(
        f"could not {what} on {where}: {said}",
        hint="nothing is lost: once that is mended, the same command goes on where it stopped",
    )


def _is_refusal(error: BaseException) -> bool:
    status = getattr(error, "status", None)
    names = {kind.__name__ for kind in type(error).__mro__}
    is_denied = isinstance(error, PermissionError) or not names.isdisjoint(_REFUSALS)
    return is_denied or status in _NOT_ALLOWED


def _said(error: BaseException) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if isinstance(status, int) and message:
        return f"{status} {message}"
    text = str(getattr(error, "strerror", None) or error).strip()
    if not text:
        is_silence = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
        return "it did not answer in time" if is_silence else type(error).__name__
    return _ADDRESS.sub(r"\1\2", text.splitlines()[0])
