"""What the namespace shouts to its nodes: a job shall stop, something is due soon.

Shouts are lost while nobody listens, so they only shorten a wait: every fact they carry can also be asked for, and
`connected` says when asking is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected

from ironforge.redis.connection import open_up
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.server_locator import ServerLocator
from ironforge.settings import Settings
from ironforge.store.node_contract import Notification

# Silence for this long is answered with a ping; twice as long, and the connection is dead.
SILENCE_SECONDS: Final = 10.0
# Of a delay in milliseconds; more is nobody's of ours.
DIGITS: Final = 15


class RedisNotifications:
    """Implements `node_contract.Notifications` over a connection of its own."""

    def __init__(self, settings: Settings, keys: Keys, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._channel = keys.signals
        self._address = ServerLocator(settings.redis_url, keys.prefix)
        self._connection: AbstractConnection | None = None
        self._silence_seconds = silence_seconds
        self._reading: asyncio.Future[list[bytes]] | None = None
        self._pinged = False
        self._closed = False

    async def listen(self) -> AsyncIterator[Notification]:
        """Ends after `close`."""
        while not self._closed:
            signal = await retry_through_outage(self._next)
            if signal is not None:
                yield signal

    async def close(self) -> None:
        self._closed = True
        await self._drop()

    async def _next(self) -> Notification | None:
        if self._closed:
            return None
        connection = self._connection
        if connection is None or not connection.is_connected:
            return Notification("connected") if await self._subscribe() else None
        message = await self._read(connection)
        if self._closed:
            return None
        if message is not None:
            self._pinged = False
            return _parse(message)
        if self._pinged:
            await self._drop()
            raise Disconnected("the store has been silent for too long")
        self._pinged = True
        await connection.send_command("PING", check_health=False)
        return None

    async def _subscribe(self) -> bool:
        """False: it was closed meanwhile."""
        await self._drop()
        connection = self._connection = await open_up(self._address)
        if self._closed:
            await self._drop()
            return False
        await connection.send_command("SUBSCRIBE", self._channel, check_health=False)
        if await self._read(connection) is None:
            await self._drop()
            raise Disconnected("the store did not answer a subscription")
        self._pinged = False
        return True

    async def _read(self, connection: AbstractConnection) -> list[bytes] | None:
        """The next message; None after a silence, which interrupts no read: the same one goes on, or `close`."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(connection.read_response(timeout=float("inf")))
        reading = self._reading
        await asyncio.wait([reading], timeout=self._silence_seconds)
        if not reading.done():
            return None
        self._reading = None
        return None if reading.cancelled() else reading.result()

    async def _drop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


def _parse(message: list[bytes]) -> Notification | None:
    """Shouts of a newer version, and the answer to a ping, are passed over."""
    if message[0] != b"message":
        return None
    name, _, rest = message[2].partition(b":")
    if name == b"cancel":
        return Notification("cancel", job_id=rest)
    if name == b"fenced":
        return Notification("fenced", node=rest.decode(errors="replace"))
    if name == b"room":
        return Notification("room")
    if name == b"due" and rest.isdigit() and len(rest) <= DIGITS:
        return Notification("due", due_ms=int(rest))
    return None
