"""Jobs that run with nothing else on their node, for a node: whose turn it is, and which job is next.

They wait in streams of their own, which no other read looks at. A delivery from there is pending as any other, until
the job is settled or put somewhere else; so it announces the run, and whoever takes over from the node finds it.
"""

from __future__ import annotations

import functools
from typing import Any

from ironforge.redis.connection import Link
from ironforge.redis.keys import Keys
from ironforge.redis.outages import WrongType, outlast
from ironforge.redis.scripts import CLAIM, RELEASE, TAKE_ALONE
from ironforge.store.consumer.stream_reader import Fetcher
from ironforge.store.contract import Delivery, Lease


class RedisAlone:
    """Implements `alone_contract.Alone` for one lease. Of several shards the first one has the turn."""

    def __init__(self, keys: Keys, lease: Lease, link: Link, fetcher: Fetcher) -> None:
        self._keys = keys
        self._fence = keys.fence(lease.node)
        self._who = (lease.epoch, lease.node)
        self._link = link
        self._served = fetcher.served
        self._groups = fetcher.groups

    @property
    def wait(self) -> bool:
        """See `alone_contract.Alone.wait`."""
        return self._served.suspects

    async def claim(self) -> bool:
        """See `alone_contract.Alone.claim`."""
        keys = [self._fence, self._keys.nodes, self._keys.alone]
        try:
            turn: int = await outlast(lambda: self._link.run(CLAIM, keys, self._who), until_repaired=False)
        except WrongType:
            return False
        return bool(turn)

    async def fetch(self) -> list[Delivery]:
        """See `alone_contract.Alone.fetch`."""
        streams = list(self._served.alone.items())
        take = functools.partial(self._link.run, TAKE_ALONE, [self._fence, *(key for key, _ in streams)], self._who)
        found: list[Any] = await outlast(lambda: self._groups.there(take))
        if not found:
            return []
        number, entry, record = found
        return [Delivery(streams[number - 2][1], entry, record)]

    async def unclaim(self) -> None:
        """See `alone_contract.Alone.unclaim`."""
        await outlast(lambda: self._link.run(RELEASE, [self._keys.alone], [self._who[1]]))
