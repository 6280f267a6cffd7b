"""What goes wrong between us and a DVC remote, told.

Each kind of remote has a library of its own, with exceptions of its own. None of them is imported
here: what they raise is known by what it carries.
"""

from __future__ import annotations

import re

from mlv.errors import ProgramError
from mlv.store.lineage import without_credentials

_MISSING = (404, 410)
_NOT_ALLOWED = (401, 403, 407)
# By their names: asyncssh, asyncssh's SFTP, botocore (twice), dvc_objects, azure.
_REFUSALS = (
    "PermissionDenied", "SFTPPermissionDenied", "NoCredentialsError", "PartialCredentialsError",
    "AuthError", "ClientAuthenticationError",
)  # fmt: skip
# Of an address `scheme://host:port`: passwords, queries and signatures are nobody's business.
_ADDRESS = re.compile(r"(\w+://)(?:[^/\s\"'@]*@)?([^/\s\"']+)[^\s\"']*")


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
