"""What a leaseholder does with jobs: fetch, settle, requeue, park, decline, bury, promote.

Fetching and settling are native commands, because every job pays for them. The rest is scripts: they compare the
fence, and only what is still pending is rewritten, so each may be repeated after a lost reply.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.location import Location
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import ADJUST, EXPIRE, FORGET_KINDS, PROMOTE, Script
from ironforge.redis.server_info import info_of, number_in
from ironforge.settings import Settings
from ironforge.store.consumer.acknowledger import Acknowledger
from ironforge.store.consumer.alone import RedisAlone
from ironforge.store.consumer.declined_jobs import NO_KINDS, OwnKinds, OwnLines
from ironforge.store.consumer.limit_audit import LimitAudit
from ironforge.store.consumer.quarantine import Quarantine
from ironforge.store.consumer.requeuer import Requeuer, parts
from ironforge.store.consumer.rewriting import Rewriting
from ironforge.store.consumer.stream_reader import StreamReader
from ironforge.store.consumer.unserved_lines import UnservedLines
from ironforge.store.expiry import ExpirySweep, OnSchedules, no_matter_when
from ironforge.store.kinds import KEPT_MS, NOTED_MS
from ironforge.store.node_contract import Adjustment, Due, Lease, Settled
from ironforge.store.queue_names import forget_unused, queue_names
from ironforge.store.server_clock import ServerClock
from ironforge.store.steps.children import RedisChildren
from ironforge.store.steps.ends import drop_ties
from ironforge.store.steps.events import EventCopies, EventShard
from ironforge.store.steps.families import FamilySweep
from ironforge.store.steps.family_audit import FamilyAudit
from ironforge.store.steps.links import ShardLinks
from ironforge.store.steps.recorder import Recorder
from ironforge.store.steps.sources import Sources
from ironforge.store.steps.wait_audit import WaitAudit
from ironforge.store.steps.waker import Waker
from ironforge.store.workflows.advancer import Advancer
from ironforge.store.workflows.workflow_audit import WorkflowAudit

# Above this share of maxmemory terminal records go early, the oldest first.
MEMORY_SHARE: Final = 0.8
# Definitions looked at in one script call.
KINDS_AT_ONCE: Final = 100


class RedisConsumer(Rewriting):
    """Implements `node_contract.Consumer` for one lease. `kinds`: those that its node announced. `clock` is set by
    each answer that says the time. `on_schedules`: see `ExpirySweep`. What jobs and their children have to do with each
    other may lead to other shards of the namespace."""

    def __init__(
        self,
        settings: Settings,
        links: ShardLinks,
        lease: Lease,
        *,
        fetching: Connection,
        kinds: OwnKinds = NO_KINDS,
        clock: ServerClock | None = None,
        on_schedules: OnSchedules = no_matter_when,
    ) -> None:
        self.lease = lease
        keys, commanding, _ = links.own
        self._expiry = ExpirySweep(settings, keys, commanding, clock)
        self._settings, self._keys = settings, keys
        self._fence, self._connection = keys.fence(lease.node), commanding
        lines = OwnLines(settings.queues, kinds)
        self.reader = StreamReader(settings, keys, lease, fetching, waking=commanding, lines=lines)
        self.wake = self.reader.wake
        # What a cancelled call had already been given, the next call returns.
        self.fetch, self.wait = self.reader.fetch, self.reader.wait
        self._families = FamilySweep(settings, links)
        self.children = RedisChildren(settings, lease, links)
        self.audit_families = FamilyAudit(lease, links).page
        self._waker = Waker(keys, lease, commanding)
        self._advancer = Advancer(settings, lease, links)
        self._copies = EventCopies([EventShard(link.keys, link.connection) for link in links.shards], links.shard)
        self.audit_waits = WaitAudit(keys, lease, commanding).page
        self.audit_workflows = WorkflowAudit(lease, links).page
        self._sources = Sources(settings, links)
        self.audit_limits = LimitAudit(keys, lease, commanding).page
        self.alone = RedisAlone(self._keys, lease, commanding, self.reader)
        self._acknowledger = Acknowledger(settings, self._keys, lease)
        self._recorder = Recorder(settings, self._keys, lease)
        self.record_steps, self.journal = self._recorder.record, self._recorder.journal
        self.results_for = self._sources.read
        super().__init__(Requeuer(settings, self._keys, lease, commanding, self._acknowledger), self.reader)
        self.restore = Quarantine(settings, self._keys, lease, commanding).restore
        self._unserved = UnservedLines(settings, keys, lease, commanding, lines)
        self._on_schedules, self._kinds_due = on_schedules, 0.0

    async def settle(self, batch: Sequence[Settled]) -> None:
        for part in parts(batch):
            await self._acknowledger.settle(part)
            self.reader.release(part)

    async def adjust(self, batch: Sequence[Adjustment]) -> None:
        keys = ADJUST.keys(self._keys, fence=self._fence)

        def write(part: Sequence[Adjustment]) -> Awaitable[int]:
            words = [word for one in part for word in one[1:]]
            return self._connection.run(ADJUST, keys, [self.lease.epoch, *words])

        for part in parts(batch):
            safe = [one._replace(units=max(0, one.units)) for one in part]
            await retry_through_outage(functools.partial(write, part), repetition=functools.partial(write, safe))

    async def bury_unserved(self) -> list[tuple[str, Job]]:
        return [(job.stream, job) for job in await self._unserved.bury()]

    async def promote(self) -> Due:
        names = self._keys
        lateness: list[int] = []
        queues = list(self._settings.queues)
        given: list[str | bytes] = [*queues]
        for _ in range(2):
            keys = PROMOTE.keys(
                names, *names.streams(queues), *names.lines(queues), *names.turns_of(queues), fence=self._fence
            )
            others, next_ms, tick_ms, wake_ms, work, *late = await self._run(PROMOTE, keys, given)
            lateness += late
            if not others:
                break
            queues += queue_names(others)
            given += others
        if tick_ms >= 0:
            self._on_schedules(tick_ms)
        woken = await self._waker.wake() if wake_ms == 0 else Due(0, None if wake_ms < 0 else wake_ms, [])
        started, flow_ms = await self._advancer.advance(work) if work else (0, None)
        await self._copies.sweep_if_due()
        if await self._expiry.sweep_if_due() or await self._families.sweep_if_due():
            next_ms = 0
        nexts = [ms for ms in (None if next_ms < 0 else next_ms, woken.next_ms, flow_ms) if ms is not None]
        return Due(len(lateness) + woken.moved + started, min(nexts, default=None), lateness + woken.lateness_ms)

    async def cancel_requested(self, job_ids: Sequence[bytes]) -> list[bytes]:
        if not job_ids:
            return []
        ask = functools.partial(self._connection.call, "HMGET", self._keys.index, *job_ids)
        locations = await retry_through_outage(ask)
        asked = zip(job_ids, locations, strict=True)
        return [job_id for job_id, location in asked if location and Location(location).told_to_stop]

    async def expire(self) -> int:
        names = self._keys
        retention_ms = round(self._settings.dead_retention_seconds * 1000)
        dropped: int = await self._run(EXPIRE, EXPIRE.keys(names, fence=self._fence), [retention_ms])
        await retry_through_outage(lambda: forget_unused(self._connection, names))
        await self._forget_kinds()
        return dropped + await retry_through_outage(lambda: make_room(self._connection, names))

    async def _forget_kinds(self) -> None:
        """As often as it is noted that nodes still run theirs; a node that has just joined looks at once."""
        if time.monotonic() < self._kinds_due:
            return
        self._kinds_due = time.monotonic() + NOTED_MS / 1000
        keys = FORGET_KINDS.keys(self._keys, fence=self._fence)
        stored = await retry_through_outage(lambda: self._connection.call("HKEYS", self._keys.kinds))
        names = [name for name in stored if name]  # that without a name has the revision
        for start in range(0, len(names), KINDS_AT_ONCE):
            await self._run(FORGET_KINDS, keys, [KEPT_MS, NOTED_MS, *names[start : start + KINDS_AT_ONCE]])

    async def close(self) -> None:
        """Ends the connections that settle, record and read results; the others belong to the caller."""
        await self._acknowledger.close()
        await self._recorder.close()
        await self._sources.close()

    async def _run(self, script: Script, keys: list[str], arguments: Command) -> Any:
        return await retry_through_outage(lambda: self._connection.run(script, keys, [self.lease.epoch, *arguments]))


async def make_room(connection: Connection, names: Keys) -> int:
    """Drops the tenth of the buckets that expires first when memory is short; how many records that were."""
    # Ten minutes: the scores are by the clocks of the nodes, the expiry itself by that of the server.
    long_gone = now_ms() - 600_000
    _, memory, buckets = await connection.pipeline(
        [
            ["ZREMRANGEBYSCORE", names.buckets, "-inf", long_gone],
            ["INFO", "memory"],
            ["ZRANGE", names.buckets, 0, -1],
        ]
    )
    used, limit = memory_of(memory)
    if not limit or used <= limit * MEMORY_SHARE:
        return 0
    first = buckets[: max(1, len(buckets) // 10)]
    sizes = await connection.pipeline([["HLEN", bucket] for bucket in first])
    for bucket in first:
        await drop_ties(connection, names, bucket.decode(errors="replace"))
    await connection.pipeline([["UNLINK", *first], ["ZREM", names.buckets, *first]] if first else [])
    return sum(sizes)


def memory_of(info: bytes) -> tuple[int, int]:
    """Used and maximum memory in bytes from INFO; a maximum of 0 is no limit."""
    fields = info_of(info)
    return number_in(fields, "used_memory"), number_in(fields, "maxmemory")
