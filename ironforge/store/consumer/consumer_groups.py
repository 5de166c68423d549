"""The consumer groups of a node's streams, made again where one is missing.

Nothing else makes one: only here is it known that a group was there before, and so that nobody remembers who ran what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from ironforge.redis.connection import Connection
from ironforge.redis.keys import LOST, Keys
from ironforge.redis.scripts import GROUPS
from ironforge.store.consumer.stream_selector import StreamSelector


class ConsumerGroups:
    """Of the streams of `selector`."""

    def __init__(self, keys: Keys, connection: Connection, selector: StreamSelector) -> None:
        self._keys = keys
        self._connection = connection
        self._selector = selector

    async def make(self) -> None:
        await make_groups(
            self._connection, self._keys, [*(key.decode() for key in self._selector.all), *self._selector.alone]
        )

    async def with_group(self, reading: Callable[[], Awaitable[Any]]) -> Any:
        """What the reading gives; where it finds a group gone, that is made and the reading repeated."""
        try:
            return await reading()
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        await self.make()
        return await reading()


async def make_groups(connection: Connection, keys: Keys, streams: list[str]) -> None:
    """Streams with the group `nodes`, reading from their beginning; those that exist stay as they are.

    A group that was destroyed takes with it who runs what: then every node is fenced, the caller as well.
    """
    nodes = [node.decode(errors="replace") for node in await connection.call("ZRANGE", keys.nodes, 0, -1)]
    touched = GROUPS.keys(keys, *map(keys.fence, nodes), *streams)
    await connection.run(GROUPS, touched, [keys.signals, LOST, *nodes])
