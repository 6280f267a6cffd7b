"""A network of our own between a client and a server: slow, stalled or cut, when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Literal

from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Coroutine

Way = Literal["up", "down"]  # from the client to the server, and back
CHUNK = 1 << 14
AT_ONCE = struct.pack("ii", 1, 0)  # linger for no time: closing resets the connection


class Proxy:
    """Pass on what comes to `port` to a server on this machine.

    `passed` counts the bytes of all connections, each way.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        self._target = target
        self._rate: float | None = None
        self._trouble: Literal["cut", "stall"] | None = None
        self._limit: dict[Way, float] = {}
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, LOOPBACK, 0))
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def links(self) -> int:
        """How many connections to the server are open."""
        return len(self._tasks)

    # ------------------------------------------------------------------- what a test says

    def slow(self, bytes_per_second: float) -> None:
        """Pass on no more than so much, each way of each connection."""
        self._rate = bytes_per_second

    def cut(self, after: int = 0, way: Way = "up") -> None:
        """Reset every connection after so many more bytes, old and new ones, until healed."""
        self._do(self._begin("cut", after, way))

    def stall(self, after: int = 0, way: Way = "up") -> None:
        """Pass on nothing after so many more bytes, and close nothing, until healed."""
        self._do(self._begin("stall", after, way))

    def heal(self) -> None:
        """Pass on everything again, as fast as it comes."""
        self._do(self._heal())

    def close(self) -> None:
        """End every connection, and take no more."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -------------------------------------------------------------- all below in one thread

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _begin(self, trouble: Literal["cut", "stall"], after: int, way: Way) -> None:
        self._trouble = trouble
        self._limit = {way: self.passed[way] + after}
        self._healthy.clear()
        if trouble == "cut" and not after:
            self._reset()

    async def _heal(self) -> None:
        self._rate = self._trouble = None
        self._limit = {}
        self._healthy.set()

    async def _close(self) -> None:
        self._server.close()
        self._reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _reset(self) -> None:
        for link in self._links:
            link.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            link.transport.abort()

    def _over(self) -> bool:
        return any(self.passed[way] >= limit for way, limit in self._limit.items())

    async def _accept(self, down: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._links.add(up)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._carry(down, up)
        except* OSError:
            pass  # the connection is over, whoever ended it
        finally:
            self._links.discard(up)
            self._tasks.discard(task)
            up.transport.abort()

    async def _carry(self, down: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        if self._trouble == "cut" and self._over():
            self._reset()
            return
        from_server, to_server = await asyncio.open_connection(LOOPBACK, self._target)
        self._links.add(to_server)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(down, to_server, "up"))
                both.create_task(self._pump(from_server, up, "down"))
            up.close()
            await up.wait_closed()
        finally:
            self._links.discard(to_server)
            to_server.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        while data := await reader.read(CHUNK if self._rate is None else 1 << 10):
            if self._rate is not None:
                await asyncio.sleep(len(data) / self._rate)
            await self._pass_on(data, writer, way)
        writer.write_eof()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        while data:
            room = int(self._limit.get(way, self.passed[way] + len(data)) - self.passed[way])
            if self._over():
                room = 0
            now, data = data[:room], data[room:]
            self.passed[way] += len(now)
            writer.write(now)
            await writer.drain()
            if self._over() and self._trouble == "cut":
                self._reset()
                return
            if data:
                await self._healthy.wait()
