"""Looking after jobs that wait, a page at a time: what should never be found.

A job is told of its event in the same script in which it begins to wait, or the event comes. So one whose event is
there and that is not about to be woken is a bug or damage: it would wait until its time is over, or for ever.
"""

from __future__ import annotations

from typing import Final

from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import AUDIT_WAITS
from ironforge.steps.waits import WaitFor
from ironforge.store.node_contract import Lease

PAGE: Final = 200
# Parents are looked after with their children.
_LOOKED_AT: Final[tuple[WaitFor, ...]] = ("sleep", "event")


class WaitAudit:
    """Under one lease."""

    def __init__(self, keys: Keys, lease: Lease, connection: Connection) -> None:
        self._keys = keys
        self._lease = lease
        self._connection = connection
        self._at: dict[WaitFor, int] = dict.fromkeys(_LOOKED_AT, 0)

    async def page(self) -> int:
        """How many of some jobs were stranded: they go on now."""
        return await retry_through_outage(self._look)

    async def _look(self) -> int:
        stranded = 0
        for what, at in self._at.items():
            ids = await self._connection.call("ZRANGE", self._keys.waiting(what), at, at + PAGE - 1)
            self._at[what] = at + PAGE if len(ids) == PAGE else 0
            if ids:
                keys = AUDIT_WAITS.keys(self._keys, fence=self._keys.fence(self._lease.node))
                stranded += await self._connection.run(AUDIT_WAITS, keys, [self._lease.epoch, what, *ids])
        return stranded
