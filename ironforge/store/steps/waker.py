"""Moving jobs that wait no longer to their streams: part of what moves due jobs."""

from __future__ import annotations

from typing import Final

from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import WAKE
from ironforge.store.node_contract import Due, Lease

# A call moves a bounded number. What is left is for the next round, in which other jobs fall due.
CALLS: Final = 4


class Waker:
    """Of one shard, under one lease."""

    def __init__(self, keys: Keys, lease: Lease, connection: Connection) -> None:
        self._names = WAKE.keys(keys, fence=keys.fence(lease.node))
        self._lease = lease
        self._connection = connection

    async def wake(self) -> Due:
        lateness: list[int] = []
        moved = next_ms = 0
        for _ in range(CALLS):
            next_ms, woken, *late = await retry_through_outage(
                lambda: self._connection.run(WAKE, self._names, [self._lease.epoch])
            )
            lateness += late
            moved += woken
            if next_ms:
                break
        return Due(moved, None if next_ms < 0 else next_ms, lateness)
