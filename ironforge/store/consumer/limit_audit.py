"""Looking after limits, a page of keys at a time: what should never be found, and keys that nobody uses any more.

A place is given back in the same transaction that ends, parks or buries its job. So a holder without a job is a bug, or
bytes that were no job any more: its place would be lost, and the others of its key would wait for ever.
"""

from __future__ import annotations

from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import AUDIT_LIMITS
from ironforge.store.node_contract import Lease

PAGE = 500


class LimitAudit:
    """Under one lease."""

    def __init__(self, keys: Keys, lease: Lease, connection: Connection) -> None:
        self._keys = keys
        self._lease = lease
        self._connection = connection
        self._cursor = b"0"

    async def page(self) -> int:
        """How many holders were lost, and heads of lines that nobody would have looked at again, among some keys."""
        return await retry_through_outage(self._look)

    async def _look(self) -> int:
        cursor, claims = await self._connection.call("HSCAN", self._keys.in_use, self._cursor, "COUNT", PAGE)
        found = (0, 0)
        if claims:
            keys = AUDIT_LIMITS.keys(self._keys, fence=self._keys.fence(self._lease.node))
            found = await self._connection.run(AUDIT_LIMITS, keys, [self._lease.epoch, *claims[::2]])
        self._cursor = cursor
        return sum(found)
