"""What goes wrong between us and a DVC remote: how long it may take, and how it is told.

Each kind of remote has a library of its own, with exceptions of its own. None of them is imported
here: what they raise is known by what it carries.
"""

from __future__ import annotations

import re
from typing import Any

from mlv.errors import ProgramError
from mlv.store.lineage import without_credentials

_ATTEMPTS = 2  # of ours; S3's client adds more of its own, as the user's AWS configuration says
_SSH_PATIENCE = 30  # seconds of silence, unless the remote's `timeout` says otherwise
_MISSING = (404, 410)
_NOT_ALLOWED = (401, 403, 407)
# By their names: asyncssh, asyncssh's SFTP, botocore (twice), dvc_objects, azure.
_REFUSALS = (
    "PermissionDenied", "SFTPPermissionDenied", "NoCredentialsError", "PartialCredentialsError",
    "AuthError", "ClientAuthenticationError",
)  # fmt: skip
# `scheme://host:port` of an address; paths, queries and signatures tell nobody anything.
_ADDRESS = re.compile(r"(\w+://(?:[^/\s\"'@]*@)?[^/\s\"']+)[^\s\"']*")


def bound(fs: Any) -> None:
    """Have a remote that falls silent end in an error, in minutes at the most.

    ``fs`` is one of DVC's file systems, before its first use.

    Left to themselves S3 and HTTP ask up to 25 times, and SSH waits for ever.
    """
    if fs.protocol == "ssh":
        patience = fs.config.get("timeout", _SSH_PATIENCE)
        fs.fs_args.setdefault("connect_timeout", patience)
        fs.fs_args.setdefault("keepalive_interval", patience / 3)
        fs.fs_args.setdefault("keepalive_count_max", 2)
    elif fs.protocol in ("http", "https"):
        fs.SESSION_RETRIES = _ATTEMPTS
    elif fs.protocol == "s3":
        fs.fs.retries = _ATTEMPTS


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
    return _ADDRESS.sub(r"\1", text.splitlines()[0])
