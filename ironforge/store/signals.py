"""What the namespace shouts to its nodes: a job shall stop, something is due soon.

Shouts are lost while nobody listens, so they only shorten a wait: every fact they carry can also be asked for, and
`connected` says when asking is due.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected

from ironforge.config import Settings
from ironforge.store.contract import Signal
from ironforge.store.keys import Keys
from ironforge.store.link import new_connection, open_up
from ironforge.store.outage import outlast

# Silence for this long is answered with a ping; twice as long, and the connection is dead.
SILENCE_SECONDS: Final = 10.0


class RedisSignals:
    """Implements `contract.Signals` over a connection of its own."""

    def __init__(self, settings: Settings, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._channel = Keys(settings.namespace).signals
        self._connection: AbstractConnection = new_connection(settings.redis_url)
        self._silence_seconds = silence_seconds
        self._pinged = False
        self._closed = False

    async def listen(self) -> AsyncIterator[Signal]:
        """See `contract.Signals.listen`. Ends after `close`."""
        while not self._closed:
            signal = await outlast(self._next)
            if signal is not None:
                yield signal

    async def close(self) -> None:
        self._closed = True
        await self._connection.disconnect(nowait=True)

    async def _next(self) -> Signal | None:
        if self._closed:
            return None
        if not self._connection.is_connected:
            await open_up(self._connection)
            await self._connection.send_command("SUBSCRIBE", self._channel, check_health=False)
            if await self._connection.read_response(timeout=self._silence_seconds) is None:
                await self._give_up()
            self._pinged = False
            return Signal("connected")
        message = await self._connection.read_response(timeout=self._silence_seconds)
        if message is not None:
            self._pinged = False
            return _parse(message)
        if self._pinged:
            await self._give_up()
        self._pinged = True
        await self._connection.send_command("PING", check_health=False)
        return None

    async def _give_up(self) -> None:
        await self._connection.disconnect(nowait=True)
        raise Disconnected("the store has been silent for too long")


def _parse(message: list[bytes]) -> Signal | None:
    """Shouts of a newer version, and the answer to a ping, are passed over."""
    if message[0] != b"message":
        return None
    name, _, rest = message[2].partition(b":")
    if name == b"cancel":
        return Signal("cancel", job_id=rest)
    if name == b"fenced":
        return Signal("fenced", node=rest.decode())
    if name == b"due" and rest.isdigit():
        return Signal("due", due_ms=int(rest))
    return None
