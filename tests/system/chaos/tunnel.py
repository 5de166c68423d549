"""One connection through the proxy: a client, the server behind it, and the bytes of two directions.

It passes on whole replies only, so that the one before a lost reply arrives as it would have.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from tests.system.chaos.resp import Frames, words

if TYPE_CHECKING:
    from tests.system.chaos.proxy import Proxy

CHUNK = 65_536


class Tunnel:
    """One connection: a client, the server behind it, and two directions."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._client = writer
        self._server: asyncio.StreamWriter | None = None
        self._requests, self._replies = Frames(), Frames()
        self._awaited: deque[bytes | None] = deque()
        self._over = asyncio.Event()
        self.torn = False

    async def run(self) -> None:
        over = asyncio.create_task(self._over.wait())
        tasks = [over]
        try:
            server: asyncio.StreamReader | None = None
            # Who connects through a hole gets an answer from its own side at most, and never one from the server.
            if self._proxy.mode.swallows:
                self.torn = True
            else:
                server, self._server = await asyncio.open_unix_connection(self._proxy.upstream, limit=CHUNK)
                tasks.append(asyncio.create_task(self._back(server)))
            there = asyncio.create_task(self._pump("request", self._reader, self._server))
            tasks.append(there)
            await asyncio.wait([there, over], return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            self.reset()  # nobody listens upstream
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in (self._client, self._server):
                if writer is not None:
                    writer.close()

    def reset(self) -> None:
        self._over.set()
        for writer in (self._client, self._server):
            if writer is not None:
                reset(writer)

    def half_open(self) -> None:
        self.torn = True
        if self._server is not None:
            reset(self._server)

    async def _back(self, reader: asyncio.StreamReader) -> None:
        await self._pump("reply", reader, self._client)
        if self._proxy.mode.swallows:
            self.torn = True  # the server's end was swallowed as well
        elif not self.torn:
            self._over.set()

    async def _pump(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
        outlet = _Outlet(self._proxy, writer)
        while data := await _read(reader):
            await self._proxy.flowing.wait()
            if self.torn or self._proxy.mode.swallows:
                self.torn = True
                continue
            data, last = self._follow(direction, data)
            data, spent = self._proxy.spend(direction, data)
            await outlet.send(data)
            if last or spent:
                await outlet.flush()
                self.reset()
                return
        await self._proxy.flowing.wait()
        await outlet.flush()

    def _follow(self, direction: str, data: bytes) -> tuple[bytes, bool]:
        """The bytes to pass on, and whether the next ones are a reply to lose."""
        if direction == "request":
            for frame in self._requests.feed(data):
                self._awaited.append(self._sentenced(frame))
            return data, False
        # Whole replies only: those before the lost one arrive, as they would have.
        passed = bytearray()
        for frame in self._replies.feed(data):
            victim = self._awaited.popleft() if self._awaited else None
            if victim is not None:
                self._proxy.dropped.append(victim)
                return bytes(passed), True
            passed += frame
        return bytes(passed), False

    def _sentenced(self, request: bytes) -> bytes | None:
        """The name of the request if its reply is to be lost."""
        drops = self._proxy.drops
        if not drops or not drops[0].fits(request):
            return None
        drops.popleft()
        return words(request)[0].upper()


class _Outlet:
    """Sends in order, each piece when its delay is over; without any delay at once."""

    def __init__(self, proxy: Proxy, writer: asyncio.StreamWriter | None) -> None:
        self._proxy = proxy
        self._writer = writer
        self._due = 0.0
        self._pending = 0
        self._empty = asyncio.Event()
        self._empty.set()

    async def send(self, data: bytes) -> None:
        if not data or self._writer is None:
            return
        delay = self._proxy.delay_seconds()
        if not delay and not self._pending:
            self._writer.write(data)
            with contextlib.suppress(OSError):
                await self._writer.drain()
            return
        loop = asyncio.get_running_loop()
        # A microsecond apart: timers that are due together have no order.
        self._due = max(loop.time() + delay, self._due + 1e-6)
        self._pending += 1
        self._empty.clear()
        loop.call_at(self._due, self._deliver, data)

    async def flush(self) -> None:
        await self._empty.wait()
        if self._writer is not None and not self._writer.is_closing():
            with contextlib.suppress(OSError):
                await self._writer.drain()

    def _deliver(self, data: bytes) -> None:
        self._pending -= 1
        if not self._pending:
            self._empty.set()
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Empty at the end, whichever way it came."""
    try:
        return await reader.read(CHUNK)
    except OSError:
        return b""


def reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN: with a linger of 0 closing throws away what is under way."""
    sock = writer.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return  # it is closed already
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
