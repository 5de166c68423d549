"""A TCP proxy for one link, which can do to it what networks do: cut, swallow, stall, delay, lose a reply.

A connection that lost bytes is reset when the fault ends: TCP never goes on after a gap, so a proxy that did would
show its users something that no network can do.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from enum import StrEnum
from typing import NamedTuple, Self

from tests.system.chaos.resp import words
from tests.system.chaos.tunnel import CHUNK, Tunnel, reset


class Mode(StrEnum):
    """CUT resets every connection, also new ones. BLACK_HOLE takes everything and passes on nothing. STALL reads
    nothing more. HALF_OPEN ends the server's side and tells the client nothing."""

    PASS = "pass"
    CUT = "cut"
    BLACK_HOLE = "black_hole"
    STALL = "stall"
    HALF_OPEN = "half_open"

    @property
    def swallows(self) -> bool:
        return self in (Mode.BLACK_HOLE, Mode.HALF_OPEN)


class Drop(NamedTuple):
    """Which reply to lose: of a request with one of these names (none: any) whose bytes contain `containing`."""

    names: frozenset[bytes]
    containing: bytes

    def fits(self, request: bytes) -> bool:
        return self.containing in request and (not self.names or words(request)[0].upper() in self.names)


class Proxy:
    """Listens on a port of its own; `upstream` is the path of the server's unix socket."""

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.upstream = upstream
        self.mode = Mode.PASS
        self.latency_seconds = 0.0
        self.jitter_seconds = 0.0
        self.rng = random.Random(seed)
        self.dropped: list[bytes] = []
        self.flowing = asyncio.Event()
        self.drops: deque[Drop] = deque()
        self.links: set[Tunnel] = set()
        self._budgets: dict[str, int] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self.flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.flowing.set()
        while self.links:
            self.reset()
            await asyncio.sleep(0)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def set(self, mode: Mode) -> None:
        """From now on, for the connections there are and for new ones, until `heal`."""
        self.mode = mode
        if mode is Mode.STALL:
            self.flowing.clear()
        elif mode is Mode.CUT:
            self.reset()
        elif mode is Mode.HALF_OPEN:
            for link in self.links:
                link.half_open()

    def heal(self) -> None:
        """Whole again, in every respect. What lost bytes meanwhile is reset; what was only held up goes on."""
        self.mode = Mode.PASS
        self.latency_seconds = self.jitter_seconds = 0.0
        self.drops.clear()
        self._budgets.clear()
        self.flowing.set()
        for link in list(self.links):
            if link.torn:
                link.reset()

    def reset(self) -> None:
        """RST to both ends of every connection, once."""
        for link in list(self.links):
            link.reset()

    def drop_reply(self, *names: str, containing: bytes = b"", count: int = 1) -> None:
        """The next `count` requests that fit are carried out; instead of the reply their client gets an RST."""
        self.drops.extend([Drop(frozenset(name.upper().encode() for name in names), containing)] * count)

    def close_after(self, count: int, direction: str = "reply") -> None:
        """Pass on exactly `count` more bytes of all replies (or of all requests, with "request"), then RST."""
        self._budgets[direction] = count

    def spend(self, direction: str, data: bytes) -> tuple[bytes, bool]:
        """What of `data` may still pass, and whether the connection ends here."""
        left = self._budgets.get(direction)
        if left is None:
            return data, False
        self._budgets[direction] = left - len(data)
        if left - len(data) > 0:
            return data, False
        del self._budgets[direction]
        return data[:left], True

    def delay_seconds(self) -> float:
        return max(0.0, self.latency_seconds + self.rng.uniform(-1, 1) * self.jitter_seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.CUT:
            reset(writer)
            return
        link = Tunnel(self, reader, writer)
        self.links.add(link)
        try:
            await link.run()
        finally:
            self.links.discard(link)
