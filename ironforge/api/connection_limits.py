"""Bounds what callers may hold: how long a request's head may take to arrive, how slowly answers may be read, and how
many connections there are.

aiohttp bounds none of it: a caller that sends or reads a byte a second would keep its connection for ever, and enough
of them would use up the process's file descriptors, so that nobody else gets in. Bodies have their limits in `bodies`.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Iterable
from typing import Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ironforge.api.problems import ApiProblem, plain
from ironforge.logs.setup import get_logger

HEAD_SECONDS: Final = 5.0
# A caller that answers wait for takes at least as much, measured over as long.
READ_SECONDS: Final = 5.0
READ_BYTES_PER_SECOND: Final = 10_240
# What the system may hold of answers for one connection: a caller that reads nothing shall be noticed soon.
SEND_BUFFER_BYTES: Final = 131_072
# How long a refused caller may take to read why; each of these is a connection as well, so they are few.
REFUSAL_SECONDS: Final = 1.0
REFUSALS: Final = 256
# File descriptors for the store, the log, the listening sockets and the refusals.
RESERVED_FILES: Final = 64 + REFUSALS

log = get_logger(__name__)


class PunctualConnection(web.RequestHandler):
    """A connection that ends when a request's head is not complete HEAD_SECONDS after it, or the connection, began, or
    when its caller does not take the answers.

    A head that arrives at once, the usual case, costs no timer.
    """

    __slots__ = ("_answered", "_head_began", "_head_timer", "_taken", "_waits", "_wire", "_writer")

    _head_timer: asyncio.TimerHandle | None
    _head_began: bool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # aiohttp forgets the transport once it is closing, with whatever has not been sent.
        self._wire = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._writer: AbstractStreamWriter | None = None
        self._answered = self._taken = 0
        self._waits = False
        self._head_began = False
        self._await_head()

    def answers_by(self, writer: AbstractStreamWriter) -> None:
        """The answer to the next request goes out by this writer."""
        if self._writer is not None:
            self._answered += self._writer.output_size
        self._writer = writer

    def cut_if_unread(self) -> None:
        """Called every READ_SECONDS: end when answers have waited since the last time, and too little was taken."""
        unsent = self._wire.get_write_buffer_size()
        taken = self._answered + (self._writer.output_size if self._writer is not None else 0) - unsent
        if unsent and self._waits and taken - self._taken < READ_SECONDS * READ_BYTES_PER_SECOND:
            log.info("a caller does not read its answers, and is cut off", unsent_bytes=unsent)
            self._wire.abort()
        self._waits, self._taken = unsent > 0, taken

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._head_arrived()
        elif self._head_timer is not None:
            self._head_began = True
        elif self._waiter is not None and not self._waiter.done():
            self._head_began = True
            self._await_head()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # Each body that is taken resumes what is seldom paused; aiohttp would ask its parser for more all the same.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _await_head(self) -> None:
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_began and self.transport is not None:
            detail = f"the head of the request did not arrive within {HEAD_SECONDS:g} seconds"
            self.transport.write(plain(ApiProblem("head_timeout", detail)))
        self.force_close()


async def cut_unread(connections: Callable[[], Iterable[PunctualConnection]]) -> None:
    """End every connection whose caller does not take its answers, until cancelled."""
    while True:
        await asyncio.sleep(READ_SECONDS)
        for connection in connections():
            connection.cut_if_unread()


class Refusal(asyncio.Protocol):
    """One connection too many: says so, and ends when the caller has read it."""

    def __init__(self, limit: int, others: set[Refusal]) -> None:
        self._limit = limit
        self._others = others
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        if len(self._others) >= REFUSALS:
            transport.abort()
            return
        self._others.add(self)
        detail = f"this process holds {self._limit} connections, the most it takes: try again, or start more processes"
        transport.write(plain(ApiProblem("too_many_connections", detail)))
        # What the caller still sends is read until it has our answer: closing at once could destroy it on its way.
        if transport.can_write_eof():
            transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(REFUSAL_SECONDS, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        del exc
        self._others.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def affordable(connections: int) -> int:
    """As many of these connections as there are file descriptors for, after asking the system for enough."""
    wanted = connections + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    affordable = max(1, soft - RESERVED_FILES)
    log.warning("fewer connections than set, because of the limit of open files", connections=affordable, files=soft)
    return affordable
