"""The connections of a DVC remote: how long they may be silent, and when they end."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from mlv.store.process import environment

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS = 2
_S3_ATTEMPTS = 3  # of its client, each time we try, unless AWS_MAX_ATTEMPTS says otherwise
_PATIENCE = 30  # seconds of silence, unless the remote's own timeouts say otherwise
_FAREWELL = 5  # seconds, for connections to end


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


def hang_up(fs: Any) -> None:
    """End the connections of one of DVC's file systems, whose own one nobody else shares.

    fsspec leaves that to the garbage collector, which may come late, in any thread, and gives
    each a tenth of a second.
    """
    made = vars(fs).get("fs")  # asking for it would connect
    if made is None or not made.async_impl:
        return
    from fsspec.asyn import sync

    ends = [
        getattr(getattr(made, "_session", None), "close", None),
        getattr(getattr(made, "_s3", None), "close", None),
        getattr(getattr(made, "_stack", None), "aclose", None),
    ]
    for end in filter(None, ends):
        with contextlib.suppress(Exception):  # it may have died meanwhile
            sync(made.loop, end, timeout=_FAREWELL)
