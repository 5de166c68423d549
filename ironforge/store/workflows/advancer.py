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
from ironforge.settings import Settings
from ironforge.store.node_contract import Lease
from ironforge.store.steps.links import ShardLinks
from ironforge.store.workflows.finishing import Finishing
from ironforge.store.workflows.ready_nodes import ReadyNodes
from ironforge.store.workflows.stopping import StoppingWorkflows

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

    def __init__(self, settings: Settings, lease: Lease, links: ShardLinks) -> None:
        self._keys, self._connection, _ = links.own
        self._names = ADVANCE.keys(self._keys, fence=self._keys.fence(lease.node))
        self._lease = lease
        self._looked_at = -math.inf
        # What a script cannot do: each sweep says whether there is more to do at once.
        self._sweeps = (
            ReadyNodes(settings, links).sweep,
            StoppingWorkflows(settings, links).sweep,
            Finishing(settings, lease, links).sweep,
        )

    async def advance(self, work: int) -> tuple[int, int | None]:
        """How many nodes started, and in how many ms to look again; None: when something happens. `work`: bits, as
        `promote.lua` says them. It raises nothing: what keeps workflows waiting keeps no job from falling due."""
        moved, next_ms = 0, None
        try:
            left_over = 0
            if work & _ADVANCE:
                next_ms, moved, left_over = await self._advance()
            if left_over or work & _REST:
                rest_ms = await self._sweep(at_once=left_over > 0)
                next_ms = rest_ms if next_ms is None else min(next_ms, rest_ms)
        except (RedisError, OSError, StoreError) as error:
            log.warning("workflows_not_moved_on", error=said(error))
            return moved, _LATER_MS
        return moved, next_ms

    async def _advance(self) -> tuple[int, int, int]:
        moved = left_over = 0
        for _ in range(CALLS):
            more, started, others = await self._connection.run(ADVANCE, self._names, [self._lease.epoch])
            moved, left_over = moved + started, left_over + others
            if not more:
                return _LATER_MS, moved, left_over
        return 0, moved, left_over

    async def _sweep(self, *, at_once: bool) -> int:
        """In how many ms to look again."""
        waits_seconds = self._looked_at + LOOK_SECONDS - time.monotonic()
        if waits_seconds > 0 and not at_once:
            return math.ceil(waits_seconds * 1000)
        self._looked_at = time.monotonic()
        more = False
        for sweep in self._sweeps:
            try:
                more |= await sweep()
            except (RedisError, OSError, StoreError) as error:
                log.warning("workflows_not_seen_to", error=said(error))
        if not more:
            return round(LOOK_SECONDS * 1000)
        self._looked_at = -math.inf
        return 0
