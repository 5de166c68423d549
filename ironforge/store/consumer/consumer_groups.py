"""The consumer groups of a node's streams, made again where one is missing.

Nothing else makes one: only here is it known that a group was there before, and so that nobody remembers who ran what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from ironforge.redis.connection import Link
from ironforge.redis.keys import LOST, Keys
from ironforge.redis.scripts import GROUPS
from ironforge.store.consumer.stream_selector import Served


class Groups:
    """Of the streams that `served` calls sound."""

    def __init__(self, keys: Keys, link: Link, served: Served) -> None:
        self._keys = keys
        self._link = link
        self._served = served

    async def make(self) -> None:
        await make_groups(self._link, self._keys, [*(key.decode() for key in self._served.sound), *self._served.alone])

    async def there(self, reading: Callable[[], Awaitable[Any]]) -> Any:
        """What the reading gives; where it finds a group gone, that is made and the reading repeated."""
        try:
            return await reading()
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        await self.make()
        return await reading()


async def make_groups(link: Link, keys: Keys, streams: list[str]) -> None:
    """Streams with the group `nodes`, reading from their beginning; those that exist stay as they are.

    A group that was destroyed takes with it who runs what: then every node is fenced, the caller as well.
    """
    nodes = [node.decode(errors="replace") for node in await link.call("ZRANGE", keys.nodes, 0, -1)]
    touched = [keys.epoch, keys.groups, keys.queues, *map(keys.fence, nodes), *streams]
    await link.run(GROUPS, touched, [keys.signals, LOST, *nodes])
