"""Priority aging, for a node: which streams have waited too long, and how much it takes of them before the others.

A share and not all: jobs that are overdue are many when nodes are too few, and higher priorities must still mean
something then. Ages are looked at about once a second, and only where the setting is on.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ironforge.job.record import Job, redelivery_stream, split_stream
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import ID_BYTES, Keys
from ironforge.redis.outages import ABSENT
from ironforge.store.consumer.declined_jobs import DeclinedJobs
from ironforge.store.retention import group_of, milliseconds, readable

LOOK_SECONDS: Final = 1.0
# What overdue jobs get of all that a node takes.
SHARE: Final = 0.25
# Of those that wait for their turn, the first of each key is in front: so many are looked at.
HEADS: Final = 20


class PriorityAging:
    """`starvation_seconds` 0: never."""

    def __init__(self, keys: Keys, connection: Connection, starvation_seconds: float, declined: DeclinedJobs) -> None:
        self._keys = keys
        self._connection = connection
        self._declined = declined
        self._limit_ms = starvation_seconds * 1000
        self._look_seconds = min(LOOK_SECONDS, starvation_seconds / 4)
        self._looked_at = -math.inf
        # Of jobs with limits: when they were first seen to have room. To wait behind a limit is no starvation.
        self._seen_ms: dict[bytes, int] = {}
        self._overdue: list[str] = []
        self._credit = 0.0

    async def overdue(self, streams: Sequence[str], want: int) -> tuple[list[str], int]:
        """The overdue ones of these streams, the longest first, and how many of `want` jobs they get now."""
        if not self._limit_ms:
            return [], 0
        if time.monotonic() - self._looked_at >= self._look_seconds:
            self._overdue = await self._look([name for name in streams if name != redelivery_stream(name)])
            self._looked_at = time.monotonic()
        overdue = [name for name in self._overdue if name in streams]  # some may have been paused since
        if not overdue:
            return [], 0
        self._credit = self._credit % 1 + want * SHARE
        return overdue, int(self._credit)

    async def _look(self, streams: list[str]) -> list[str]:
        names = self._keys
        keys = [names.stream(one) for name in streams for one in (redelivery_stream(name), name)]
        asked: list[Command] = [["TIME"], *(["XINFO", "GROUPS", key] for key in keys)]
        shelves: list[list[Command]] = [
            [["ZRANGE", names.fair(name), 0, HEADS - 1], *self._declined.heads(name)] for name in streams
        ]
        now, *replies = await self._connection.pipeline([*asked, *itertools.chain(*shelves)], tolerate=ABSENT)
        read = [group_of(reply)[1] for reply in replies[: len(keys)]]
        shelved = iter(replies[len(keys) :])
        waiting = [_ids(itertools.islice(shelved, len(shelf))) for shelf in shelves]
        first: list[Command] = [
            ["XRANGE", key, b"(" + last, "+", "COUNT", 1] for key, last in zip(keys, read, strict=True)
        ]
        first += [["HMGET", names.parked, *ids] for ids in waiting]
        heads = await self._connection.pipeline(first, tolerate=ABSENT)
        shelved_jobs = [_jobs(records) for records in heads[len(keys) :]]
        now_ms, seen_ms = milliseconds(now), self._seen_ms
        self._seen_ms = {job.id: seen_ms.get(job.id, now_ms) for jobs in shelved_jobs for job in jobs if job.limits}
        since: dict[str, int] = {}
        for number, (name, jobs) in enumerate(zip(streams, shelved_jobs, strict=True)):
            oldest = [*map(_queued_ms, heads[2 * number : 2 * number + 2]), *map(self._ready_ms, jobs)]
            if known := [ms for ms in oldest if ms is not None]:
                since[name] = min(known)
        return self._late(since, now_ms)

    def _ready_ms(self, job: Job) -> int:
        """Since when it could have run."""
        return max(job.created_ms, job.ready_ms, self._seen_ms.get(job.id, 0))

    def _late(self, since: dict[str, int], now_ms: int) -> list[str]:
        """What comes first anyway needs no help."""
        highest = min((split_stream(name)[1] for name in since), default=None)
        late = [name for name, ms in since.items() if now_ms - ms > self._limit_ms and split_stream(name)[1] != highest]
        return sorted(late, key=since.__getitem__)


def _ids(replies: Iterable[Any]) -> list[bytes]:
    """Of the jobs that these members end with; never none, for a command needs one."""
    members = itertools.chain(*(reply for reply in replies if isinstance(reply, list)))
    return [member[-ID_BYTES:] for member in members] or [b""]


def _queued_ms(head: Any) -> int | None:
    """When the first undelivered entry came into its stream."""
    return int(head[0][0].partition(b"-")[0]) if isinstance(head, list) and head else None


def _jobs(records: Any) -> list[Job]:
    """Those that can be read."""
    jobs = [readable(record) for record in records] if isinstance(records, list) else []
    return [job for job in jobs if job]
