"""Putting a delivered job somewhere else: back to its stream, to the schedule, to the line of its kind, to the dead
letter, to the quarantine.

Each is a script that compares the fence and moves only what is still pending, so it may be repeated after a lost
reply. What somebody asked to cancel meanwhile is not moved: it is settled as cancelled instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ironforge.formats.timestamps import now_ms
from ironforge.job.limits import claims_of
from ironforge.job.record import (
    JobState,
    alone_stream,
    decode,
    encode,
    is_alone,
    redelivery_stream,
    split_stream,
    stream_name,
)
from ironforge.job.uniqueness import held_key
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import BURY, DECLINE, PARK, QUARANTINE, REQUEUE, WAIT, Script
from ironforge.redis.step_keys import journal_of
from ironforge.settings import Settings
from ironforge.steps.waits import ties_of
from ironforge.store.consumer.acknowledger import BATCH, Acknowledger
from ironforge.store.consumer.quarantine import id_of, mark_in
from ironforge.store.node_contract import Delivery, Lease, Rewrite, Settled
from ironforge.store.retention import RetentionBuckets
from ironforge.store.steps.contract import NewWait
from ironforge.store.versions import SUSPECT, line_of

T = TypeVar("T")
R = TypeVar("R", bound=Rewrite | NewWait)


class Requeuer:
    """The rewrites of one lease. Those of batches return how many jobs they moved or settled as cancelled."""

    def __init__(
        self, settings: Settings, keys: Keys, lease: Lease, connection: Connection, acknowledger: Acknowledger
    ) -> None:
        self._keys = keys
        self._retention = RetentionBuckets(keys, settings)
        self._lease = lease
        self._fence = keys.fence(lease.node)
        self._connection = connection
        self._acknowledger = acknowledger

    async def requeue(self, batch: Sequence[Rewrite]) -> int:
        streams = self._keys.stream
        return await self._rewrite(REQUEUE, [], batch, lambda _, goal: (goal,), goal=lambda item: streams(_goal(item)))

    async def park(self, batch: Sequence[Rewrite]) -> int:
        return await self._rewrite(
            PARK,
            [self._keys.signals],
            batch,
            lambda item, _: (item.delay_ms, int(item.failed), item.mark, item.throttled),
        )

    async def decline(self, batch: Sequence[Rewrite]) -> int:
        names = self._keys

        def line(item: Rewrite, goal: int) -> Command:
            job = decode(item.record)
            kind = line_of(job.kind, job.app_version)
            return goal, kind + (SUSPECT if is_alone(item.stream) else ""), job.mark

        return await self._rewrite(
            DECLINE,
            [names.signals],
            batch,
            line,
            goal=lambda item: names.declined(stream_name(*split_stream(item.stream))),
        )

    async def park_waiting(self, batch: Sequence[NewWait]) -> int:
        names = self._keys

        def wait(item: NewWait, _: int) -> Command:
            return item.mark, journal_of(names, item.job_id), *item[5:]

        return await self._rewrite(WAIT, [names.signals], batch, wait)

    async def bury(self, batch: Sequence[Rewrite]) -> int:
        return await self._rewrite(BURY, [], batch, lambda item, _: (int(item.failed), item.mark))

    async def quarantine(self, delivery: Delivery, reason: str) -> None:
        stream, entry, record = delivery
        keys = QUARANTINE.keys(self._keys, fence=self._fence, stream=self._keys.stream(stream))
        job_id = await id_of(delivery, self._keys, self._connection)
        await self._run(QUARANTINE, keys, [self._lease.epoch, entry, job_id, record, reason, mark_in(record)])

    async def _rewrite(
        self,
        script: Script,
        head: list[str],
        batch: Sequence[R],
        tail: Callable[[R, int], Command],
        *,
        goal: Callable[[R], str] | None = None,
    ) -> int:
        """`goal`: the key that a job goes to, whose number `tail` is given; without it that is its stream's."""
        stream = self._keys.stream
        moved = 0
        keys = script.keys(self._keys, fence=self._fence)
        for part in parts(batch):
            places = [(stream(item.stream), goal(item) if goal else stream(item.stream)) for item in part]
            names = [*keys, *dict.fromkeys(itertools.chain(*places))]
            numbers = {name: number for number, name in enumerate(names, start=1)}
            arguments: list[str | bytes | int] = [self._lease.epoch, *head]
            for item, (source, end) in zip(part, places, strict=True):
                arguments += (numbers[source], item.entry, item.job_id, item.record, *tail(item, numbers[end]))
            count, *cancelled = await self._run(script, names, arguments)
            if cancelled:
                await self._acknowledger.settle_once([self._cancelled(part[number]) for number in cancelled])
            moved += count + len(cancelled)
        return moved

    async def _run(self, script: Script, names: list[str], arguments: Command) -> Any:
        return await retry_through_outage(lambda: self._connection.run(script, names, arguments))

    def _cancelled(self, item: Rewrite | NewWait) -> Settled:
        job = decode(item.record).finish(JobState.CANCELLED, now_ms())
        retention_ms = self._retention.retention_ms(job)
        held = claims_of(job.limits), held_key(job.kind, job.unique), ties_of(job.parent, journal=job.journal)
        return item.stream, item.entry, job.id, encode(job), retention_ms, "cancelled", *held


def _goal(item: Rewrite) -> str:
    return (alone_stream if item.alone else redelivery_stream)(item.stream)


def parts(batch: Sequence[T]) -> Iterator[Sequence[T]]:
    """Scripts and transactions stay short: they hold up everybody else on the server."""
    for start in range(0, len(batch), BATCH):
        yield batch[start : start + BATCH]
