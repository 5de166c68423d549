"""Moving workflows on: part of what moves due jobs."""

from __future__ import annotations

import math
import time
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import StoreError
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.scripts import ADVANCE
from ironforge.store.node_contract import Lease
from ironforge.store.steps.links import ShardLinks

# A call looks at a bounded number of nodes. What is left is for the next round, in which other jobs fall due.
CALLS: Final = 8
LOOK_SECONDS: Final = 0.5
# What was put off is looked at again.
_LATER_MS: Final = 1_000
# As `promote.lua` says what there is to do.
_ADVANCE: Final = 1
_REST: Final = 2

log = get_logger("ironforge.store")


class Advancer:
    """Of one shard, under one lease."""

    def __init__(self, lease: Lease, links: ShardLinks) -> None:
        self._keys, self._connection, _ = links.own
        self._names = ADVANCE.keys(
            self._keys, fence=self._keys.fence(lease.node), waiting=self._keys.waiting("workflow")
        )
        self._lease = lease
        self._looked_at = -math.inf

    async def advance(self, work: int) -> tuple[int, int | None]:
        """How many nodes started, and in how many ms to look again; None: when something happens. `work`: bits, as
        `promote.lua` says them. It raises nothing: what keeps workflows waiting keeps no job from falling due."""
        moved, next_ms = 0, None
        try:
            over = 0
            if work & _ADVANCE:
                next_ms, moved, over = await self._advance()
            if over or (work & _REST and time.monotonic() - self._looked_at >= LOOK_SECONDS):
                self._looked_at = time.monotonic()
                await self._see_to_the_rest()
        except (RedisError, OSError, StoreError) as error:
            log.warning("workflows_not_moved_on", error=said(error))
            return moved, _LATER_MS
        return moved, next_ms

    async def _advance(self) -> tuple[int, int, int]:
        moved = over = 0
        for _ in range(CALLS):
            more, started, ended = await self._connection.run(ADVANCE, self._names, [self._lease.epoch])
            moved, over = moved + started, over + ended
            if not more:
                return _LATER_MS, moved, over
        return 0, moved, over

    async def _see_to_the_rest(self) -> None:
        """What a script cannot do."""
