"""One lease in several shards: joined, renewed and left in all of them together, under one name.

Each shard may be on a server of its own, so each judges for itself whose lease has run out there. To lose the lease
in one shard is to lose it: the node begins anew in all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ironforge.errors import StoreUnavailable
from ironforge.logs.setup import get_logger
from ironforge.process.thread_pool import aside
from ironforge.store.consumer.leases import RedisLeases, new_name
from ironforge.store.node_contract import Entered, Lease, nobody_hears
from ironforge.store.sharding.fan_out import gather_all

log = get_logger("ironforge.store")


class ShardedLeases:
    """Implements `node_contract.Leases`. The lease that it gives out carries the epoch of the first shard."""

    def __init__(self, parts: Sequence[RedisLeases], lease_seconds: float) -> None:
        self._parts = parts
        self._lease_seconds = lease_seconds
        self._held: dict[str, list[Lease]] = {}
        self._beaten: list[float] = []
        self._steady_since: list[float] = []
        self._threads = ThreadPoolExecutor(len(parts), thread_name_prefix="heartbeat of shard")

    def held(self, lease: Lease) -> list[Lease]:
        """The same lease, as each shard knows it."""
        return self._held[lease.node]

    async def join(self, entered: Entered = nobody_hears) -> Lease:
        name = new_name()
        leases = await gather_all(part.enter(name) for part in self._parts)
        self._held[name] = leases
        now = time.monotonic()
        self._beaten, self._steady_since = [now] * len(leases), [now] * len(leases)
        entered(leases[0])
        await gather_all(part.reclaim(lease) for part, lease in self._of(leases[0]))
        return leases[0]

    def beat(self, lease: Lease) -> list[str]:
        """Raises StoreUnavailable only when no shard answers."""
        expired: list[str] = []
        away: list[StoreUnavailable] = []
        calls = [self._threads.submit(part.beat, held) for part, held in self._of(lease)]
        for shard, call in enumerate(calls):
            try:
                names = call.result()
            except StoreUnavailable as error:
                away.append(error)
                continue
            # Where the server was away nobody could renew: those who look dead there have a lease to come back.
            now = time.monotonic()
            if now - self._beaten[shard] > self._lease_seconds / 2:
                self._steady_since[shard] = now
            self._beaten[shard] = now
            if now - self._steady_since[shard] >= self._lease_seconds:
                expired += names
        if len(away) == len(calls):
            raise away[0]
        if away:
            log.warning("heartbeat_partial", shards=len(calls), unavailable=len(away), error=str(away[0]))
        return list(dict.fromkeys(expired))

    async def take_over(self, lease: Lease, node: str, *, crashed: bool = True, seen_dead: bool = False) -> int:
        """A shard where the node has renewed its lease leaves it alone."""
        calls = (part.take_over(held, node, crashed=crashed, seen_dead=seen_dead) for part, held in self._of(lease))
        return sum(await gather_all(calls))

    async def orphan_consumers(self) -> list[str]:
        parts = await gather_all(part.orphan_consumers() for part in self._parts)
        return sorted({name for part in parts for name in part})

    def note_blocked(self, lease: Lease, job_id: bytes, seen: str) -> None:
        """Everywhere: who finds the job knows its id alone."""
        calls = [self._threads.submit(part.note_blocked, held, job_id, seen) for part, held in self._of(lease)]
        for error in [call.exception() for call in calls]:
            if error is not None:
                raise error

    async def leave(self, lease: Lease, *, crashed: bool = False) -> None:
        await gather_all(part.leave(held, crashed=crashed) for part, held in self._of(lease))

    async def close(self) -> None:
        """Ends the threads; the parts belong to the caller."""
        await aside(self._threads.shutdown)

    def _of(self, lease: Lease) -> Iterable[tuple[RedisLeases, Lease]]:
        return zip(self._parts, self.held(lease), strict=True)
