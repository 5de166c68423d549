"""One explicit connection to the server: commands in, replies out, strictly in turn.

It wraps redis-py's connection rather than its client: the client retries, pools and times out by rules of its own,
and here every one of these is a decision about durability. Anything that breaks an exchange half-way, cancellation
above all, closes the connection: a reply that nobody read would answer the next question (CVE-2023-28858).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ResponseError

from ironforge.errors import StoreUnavailable
from ironforge.store.outage import needs_reconnect
from ironforge.store.scripts import Script

COMMAND_SECONDS: Final = 2.0
BLOCKING_MARGIN_SECONDS: Final = 3.0

Command = Sequence[str | bytes | int]


def new_connection(url: str) -> AbstractConnection:
    """A connection that is not open yet, without redis-py's retries and without its per-read timeouts."""
    options: dict[str, Any] = {"socket_connect_timeout": COMMAND_SECONDS, **parse_url(url)}
    kind = options.pop("connection_class", Connection)
    options.update(protocol=2, socket_timeout=None, driver_info=None)
    connection: AbstractConnection = kind(**options)
    return connection


def _packed(command: Command) -> bytes:
    pack: Callable[[tuple[str | bytes | int, ...]], bytes] = pack_command  # type: ignore[assignment] # its stub errs
    return pack(tuple(command))


async def open_up(connection: AbstractConnection) -> None:
    """Connects and logs in. Raises what redis-py raises."""
    await connection.connect()  # type: ignore[no-untyped-call]


class Link:
    """`opening` is sent first on every new connection; `check` may refuse its replies by raising."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = COMMAND_SECONDS,
        opening: Sequence[Command] = (),
        check: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self._connection = new_connection(url)
        self._timeout_seconds = timeout_seconds
        self._opening = opening
        self._check = check
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def connected(self) -> bool:
        return bool(self._connection.is_connected)

    async def call(self, *command: str | bytes | int, timeout_seconds: float | None = None) -> Any:
        """One command. Raises what redis-py raises, OSError and TimeoutError included."""
        return (await self.pipeline((command,), timeout_seconds=timeout_seconds))[0]

    async def pipeline(
        self,
        commands: Sequence[Command],
        *,
        timeout_seconds: float | None = None,
        tolerate: tuple[str, ...] = (),
    ) -> list[Any]:
        """All commands in one round trip; the first error is raised after all replies were read.

        Errors that start with one of `tolerate` stay among the replies.
        """
        replies = await self.exchange(commands, timeout_seconds=timeout_seconds)
        for reply in replies:
            if isinstance(reply, Exception) and not (tolerate and str(reply).startswith(tolerate)):
                raise reply
        return replies

    async def exchange(self, commands: Sequence[Command], *, timeout_seconds: float | None = None) -> list[Any]:
        """Like `pipeline`, with errors among the replies."""
        packed = [_packed(command) for command in commands]
        async with self._turn:
            if self._closed:
                raise StoreUnavailable("this connection to the store was closed")
            try:
                async with asyncio.timeout(timeout_seconds or self._timeout_seconds):
                    await self._ready()
                    replies = await self._swap(packed)
            except BaseException:
                await self.drop()
                raise
            if any(isinstance(reply, Exception) and needs_reconnect(reply) for reply in replies):
                await self.drop()
            return replies

    async def run(self, script: Script, keys: Sequence[str], arguments: Command) -> Any:
        """A script by its hash, or by its text where the server has forgotten it."""
        try:
            return await self.call(*script.by_hash(keys, arguments))
        except NoScriptError:
            return await self.call(*script.by_text(keys, arguments))

    async def drop(self) -> None:
        """Close the connection; the next call opens a new one."""
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close for good: later calls raise StoreUnavailable."""
        self._closed = True
        await self.drop()

    async def _ready(self) -> None:
        # Between two exchanges there is nothing to read: it is the end of the connection, or a stray reply.
        if self._connection.is_connected and await self._connection.can_read():
            await self.drop()
        if self._connection.is_connected:
            return
        await open_up(self._connection)
        if self._opening:
            replies = await self._swap([_packed(command) for command in self._opening])
            if self._check:
                self._check(replies)

    async def _swap(self, packed: Sequence[bytes]) -> list[Any]:
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except RuntimeError as error:
            # uvloop's word for a connection that the other side has reset: asyncio's own loop raises an OSError.
            raise Disconnected(f"the connection was reset: {error}") from error
        return [await self._reply() for _ in packed]

    async def _reply(self) -> Any:
        # An infinite timeout here: the deadline is one for the whole exchange, and a timer per reply costs more
        # than the reply.
        try:
            return await self._connection.read_response(timeout=float("inf"))
        except ResponseError as error:
            return error
