"""What a leaseholder does with the jobs of several shards, or of several namespaces.

A delivery says by its stream which shard it came from (`2/default:1`), and everything that follows goes back there.
Priorities are strict within a shard; between shards jobs are spread evenly, so each is asked for its share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from ironforge.job.record import Job
from ironforge.store.consumer.consumer import RedisConsumer
from ironforge.store.node_contract import Adjustment, Delivery, Due, Rewrite, Settled
from ironforge.store.sharding.alone import ShardedAlone
from ironforge.store.sharding.children import ShardedChildren
from ironforge.store.sharding.fan_out import FanOut, gather_all
from ironforge.store.sharding.reader import ShardedFetcher
from ironforge.store.sharding.steps import ShardedSteps
from ironforge.store.steps.contract import NewWait

# When a shard does not say when its next job is due, it is asked again after this time.
LATE_MS: Final = 1_000

Moved = TypeVar("Moved", Settled, Rewrite, Adjustment, NewWait)


class ShardedUpkeep:
    """Implements `node_contract.Upkeep`."""

    def __init__(self, parts: Sequence[RedisConsumer]) -> None:
        self._parts = parts

    async def restore(self) -> int:
        return sum(await gather_all(part.restore() for part in self._parts))

    async def bury_unserved(self) -> list[tuple[str, Job]]:
        found = await gather_all(part.bury_unserved() for part in self._parts)
        return [(f"{number}/{stream}", job) for number, jobs in enumerate(found) for stream, job in jobs]

    async def expire(self) -> int:
        return sum(await gather_all(part.expire() for part in self._parts))

    async def audit_limits(self) -> int:
        return sum(await gather_all(part.audit_limits() for part in self._parts))

    async def audit_waits(self) -> int:
        return sum(await gather_all(part.audit_waits() for part in self._parts))

    async def audit_families(self) -> int:
        return sum(await gather_all(part.audit_families() for part in self._parts))

    async def audit_workflows(self) -> int:
        return sum(await gather_all(part.audit_workflows() for part in self._parts))


class ShardedConsumer(ShardedUpkeep, ShardedSteps):
    """Implements `node_contract.Consumer` for one lease."""

    def __init__(self, parts: Sequence[RedisConsumer], weights: Sequence[int], shards: int) -> None:
        super().__init__(parts)
        self.alone = ShardedAlone([part.alone for part in parts], shards)
        self.children = ShardedChildren([part.children for part in parts])
        self._reader = ShardedFetcher([part.reader for part in parts], weights)
        self.fetch, self.wait = self._reader.fetch, self._reader.wait
        self._dues: FanOut[Due] = FanOut()

    async def wake(self) -> None:
        await gather_all(part.wake() for part in self._parts)

    async def settle(self, batch: Sequence[Settled]) -> None:
        await self._each(batch, RedisConsumer.settle)

    async def requeue(self, batch: Sequence[Rewrite]) -> None:
        await self._each(batch, RedisConsumer.requeue)

    async def park(self, batch: Sequence[Rewrite]) -> None:
        await self._each(batch, RedisConsumer.park)

    async def park_waiting(self, batch: Sequence[NewWait]) -> None:
        await self._each(batch, RedisConsumer.park_waiting)

    async def adjust(self, batch: Sequence[Adjustment]) -> None:
        await self._each(batch, RedisConsumer.adjust)

    async def bury(self, batch: Sequence[Rewrite]) -> None:
        await self._each(batch, RedisConsumer.bury)

    async def decline(self, batch: Sequence[Rewrite]) -> None:
        await self._each(batch, RedisConsumer.decline)

    async def bury_raw(self, delivery: Delivery, reason: str) -> None:
        stream, entry, record = delivery
        part, _, own_stream = stream.partition("/")
        await self._parts[int(part)].bury_raw((own_stream, entry, record), reason)

    async def promote(self) -> Due:
        for number, part in enumerate(self._parts):
            if not self._dues.asked(number):
                self._dues.ask(number, part.promote())
        dues = list((await self._dues.answers()).values())
        nexts = [due.next_ms for due in dues if due.next_ms is not None] + [LATE_MS] * self._dues.late
        lateness = [late for due in dues for late in due.lateness_ms]
        return Due(sum(due.moved for due in dues), min(nexts, default=None), lateness)

    async def cancel_requested(self, job_ids: Sequence[bytes]) -> list[bytes]:
        answers = await gather_all(part.cancel_requested(job_ids) for part in self._parts)
        return [job_id for asked in answers for job_id in asked]

    async def close(self) -> None:
        await self._reader.close()
        await self._dues.stop()
        await self.alone.close()
        for part in self._parts:
            await part.close()

    async def _each(
        self,
        batch: Sequence[Moved],
        call: Callable[[RedisConsumer, Sequence[Moved]], Coroutine[Any, Any, None]],
    ) -> None:
        """`call` to each shard, with those of the batch that came from there."""
        own: defaultdict[str, list[Moved]] = defaultdict(list)
        make: Any = getattr(type(batch[0]), "_make", tuple) if batch else tuple
        for stream, *rest in batch:
            part, _, own_stream = stream.partition("/")
            own[part].append(make((own_stream, *rest)))
        await gather_all(call(self._parts[int(part)], items) for part, items in own.items())
