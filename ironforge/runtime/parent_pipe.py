"""A child process's link to the parent that started it: tells the parent how it is, and learns of its death.

One socket pair does both. Its end of file is the only sign of a killed parent that cannot be missed: a signal
would have to be sent by a process that is gone, and a parent's process id may be reused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final, Self

import msgspec

from ironforge.logs.setup import get_logger

PARENT_FD: Final = "IRONFORGE_PARENT_FD"
REPORT_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.1
# A side that does not read is stopped or overloaded; what it would read later is stale, so it is dropped.
UNREAD_BYTES: Final = 65_536

log = get_logger(__name__)


class ChildStatus(msgspec.Struct, frozen=True):
    """How a child process is: one JSON line on the link. `problems` says why it is not ready, `node` under which
    name it holds jobs."""

    ready: bool
    problems: tuple[str, ...] = ()
    node: str = ""


class Deaths(msgspec.Struct, frozen=True):
    """What a parent tells a child, as one JSON line: it has seen the processes of these nodes end."""

    nodes: tuple[str, ...]


def read_status(line: bytes) -> ChildStatus | None:
    """None for a line that is no report: it was torn, or a handler wrote where it should not."""
    try:
        return msgspec.json.decode(line, type=ChildStatus)
    except (RecursionError, ValueError):  # all of msgspec's are ValueErrors
        return None


def tell(writer: asyncio.StreamWriter, news: ChildStatus | Deaths) -> None:
    """Put one line on the link. Never blocks, never fails."""
    transport = writer.transport
    if not transport.is_closing() and transport.get_write_buffer_size() < UNREAD_BYTES:
        writer.write(msgspec.json.encode(news) + b"\n")


class ParentLink:
    """The child's end. Make it with `open`, inside the event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls) -> Self | None:
        """None when no parent started this process."""
        number = os.environ.pop(PARENT_FD, "")
        if not number:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(*await asyncio.open_connection(sock=end))

    async def gone(self, on_deaths: Callable[[Deaths], None] = lambda _: None) -> None:
        """Returns when the parent has ended, however it ended; until then `on_deaths` hears what it has to tell."""
        with contextlib.suppress(ConnectionError):
            async for line in self._reader:
                on_deaths(msgspec.json.decode(line, type=Deaths))

    def report(self, status: ChildStatus) -> None:
        """Tell the parent now. Never blocks, never fails."""
        tell(self._writer, status)

    async def keep_reporting(self, status: Callable[[], ChildStatus]) -> None:
        """Report `status()` when it changes and once a second, until cancelled: a silent child passes for stuck."""
        while True:
            reported = status()
            self.report(reported)
            for _look in range(round(REPORT_SECONDS / LOOK_SECONDS)):
                await asyncio.sleep(LOOK_SECONDS)
                if status() != reported:
                    break

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def reporting(
    status: Callable[[], ChildStatus], stop: Callable[[], None], on_deaths: Callable[[Deaths], None] = lambda _: None
) -> AsyncIterator[ParentLink | None]:
    """Keep the parent informed while the block runs, and `stop` when it is gone; None when no parent started this."""
    link = await ParentLink.open()
    if link is None:
        yield None
        return

    async def stop_when_gone() -> None:
        await link.gone(on_deaths)
        log.warning("the parent process is gone: this process drains and ends")
        stop()

    watchers = [asyncio.create_task(link.keep_reporting(status)), asyncio.create_task(stop_when_gone())]
    try:
        yield link
    finally:
        for watcher in watchers:
            watcher.cancel()
        link.close()
