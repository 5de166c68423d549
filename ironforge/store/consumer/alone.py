"""Jobs that run with nothing else on their node, for a node: whose turn it is, and which job is next.

They wait in streams of their own, which no other read looks at. A delivery from there is pending as any other, until
the job is settled or put somewhere else; so it announces the run, and whoever takes over from the node finds it.
"""

from __future__ import annotations

import functools
from typing import Any

from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import CLAIM, LOCK_RELEASE, TAKE_ALONE
from ironforge.store.consumer.stream_reader import StreamReader
from ironforge.store.node_contract import Delivery, Lease


class RedisAlone:
    """Implements `node_contract.Alone` for one lease. Of several shards the first one has the turn."""

    def __init__(self, keys: Keys, lease: Lease, connection: Connection, reader: StreamReader) -> None:
        self._keys = keys
        self._fence = keys.fence(lease.node)
        self._who = (lease.epoch, lease.node)
        self._connection = connection
        self._selector = reader.selector
        self._declined = reader.declined
        self._groups = reader.groups

    @property
    def wait(self) -> bool:
        return self._selector.suspects

    async def claim(self) -> bool:
        keys = CLAIM.keys(self._keys, fence=self._fence)
        return bool(await retry_through_outage(lambda: self._connection.run(CLAIM, keys, self._who)))

    async def fetch(self) -> list[Delivery]:
        streams = list(self._selector.alone.items())
        keys = TAKE_ALONE.keys(self._keys, *(key for key, _ in streams), fence=self._fence)
        take = functools.partial(self._connection.run, TAKE_ALONE, keys, self._who)
        found: list[Any] = await retry_through_outage(lambda: self._groups.with_group(take))
        if not found:
            return await self._declined_ones()
        number, entry, record = found
        return [(streams[number - 2][1], entry, record)]

    async def _declined_ones(self) -> list[Delivery]:
        lines = self._declined.suspects(self._selector.alone.values())
        take = functools.partial(self._declined.read_alone, lines)
        given: list[Any] = await retry_through_outage(lambda: self._groups.with_group(take))
        streams = self._selector.alone
        return [(streams[key.decode()], entry, fields[1]) for key, entries in given for entry, fields in entries]

    async def unclaim(self) -> None:
        keys = LOCK_RELEASE.keys(self._keys, lock=self._keys.alone)
        await retry_through_outage(lambda: self._connection.run(LOCK_RELEASE, keys, [self._who[1]]))
