"""Looks at the lines of limits all the time: for holders whose jobs have ended, and for jobs that wait and could run.

Of the time that one waits only that counts in which a node was there that had something to run it with, and in which
this process itself was not late: then nodes may have been late as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from ironforge.errors import StoreUnavailable
from ironforge.job.limits import Limit, claim_of
from ironforge.job.options import DEFAULT_QUEUE
from ironforge.job.record import Priority, format_id, redelivery_stream, stream_name
from ironforge.process.background import in_background
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.outages import ABSENT
from ironforge.redis.replies import rows
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.verify.flow_load import LIMIT_KEYS, LIMITS
from ironforge.verify.ledger import Ledger
from ironforge.verify.observer import LOOK_SECONDS, MOST_TOLD

LATE_SECONDS: Final = 0.1
MOST_SECONDS: Final = 1.0
PLACE: Final = stream_name(DEFAULT_QUEUE, Priority.MEDIUM)
CLAIMS: Final = {claim_of(name, key): limit for name, limit in LIMITS.items() for key in LIMIT_KEYS}


class Wait(NamedTuple):
    """At the head of a line that has room: `since` when, and how many of these seconds count."""

    head: bytes
    since: float
    counted: float


@asynccontextmanager
async def watching_lines(settings: Settings, ledger: Ledger) -> AsyncIterator[list[str]]:
    """Which holders had no job, in words, while the block runs; the ledger is told who waited."""
    strays: list[str] = []
    async with AsyncExitStack() as stack:
        for keys in shards_of(settings):
            watch = LineWatch(settings, keys, ledger, strays)
            await stack.enter_async_context(in_background(watch.keep(), "lines"))
        yield strays


class LineWatch:
    """Of one shard."""

    def __init__(self, settings: Settings, keys: Keys, ledger: Ledger, strays: list[str]) -> None:
        self._busy = settings.concurrency / settings.shards
        self._keys = keys
        self._ledger = ledger
        self._strays = strays
        self._connection = DoorConnection(settings.redis_url, keys.prefix)
        self._waits: dict[str, Wait] = {}

    async def keep(self) -> None:
        """Looks until it is cancelled."""
        last = time.monotonic()
        async with self._connection:
            while True:
                now = time.monotonic()
                try:
                    await self._look(now, now - last)
                except StoreUnavailable:
                    self._waits.clear()
                last = now
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, now: float, since: float) -> None:
        keys = self._keys
        streams = [keys.stream(PLACE), keys.stream(redelivery_stream(PLACE))]
        commands: list[Command] = [["TIME"], ["ZCARD", keys.nodes], *(["XPENDING", key, GROUP] for key in streams)]
        for claim in CLAIMS:
            commands += (
                ["ZRANGE", keys.holders(claim), 0, -1],
                ["ZRANGE", keys.line(f"{PLACE}:{claim}"), 0, 0],
                ["GET", keys.tat(claim)],
            )
        (second, micro), nodes, *rest = await self._connection.pipeline(commands, tolerate=ABSENT)
        running = [reply[0] for reply in rest[:2] if isinstance(reply, list)]
        found = dict(zip(CLAIMS, rows(rest[2:], 3), strict=True))
        await self._find_strays({claim: holders for claim, (holders, _, _) in found.items() if holders})
        if not nodes or len(running) < 2 or sum(running) >= self._busy:
            self._waits.clear()
            return
        now_us = int(second) * 1_000_000 + int(micro)
        for claim, (holders, line, tat) in found.items():
            if line and has_room(CLAIMS[claim], len(holders), int(tat or 0), now_us):
                self._count(claim, line[0], now, since)
            else:
                self._waits.pop(claim, None)

    def _count(self, claim: str, head: bytes, now: float, since: float) -> None:
        wait = self._waits.get(claim)
        if wait is None or wait.head != head:
            self._waits[claim] = Wait(head, now, 0.0)
            return
        counted = wait.counted + (since if since < LATE_SECONDS else 0.0)
        self._waits[claim] = wait._replace(counted=counted)
        if counted > MOST_SECONDS:
            self._ledger.note("waited", [format_id(head)], name=claim, seconds=now - wait.since)
            del self._waits[claim]  # and again, if it goes on waiting when the faults of now are over

    async def _find_strays(self, held: dict[str, list[bytes]]) -> None:
        """A place goes in the transaction that takes a job from the index: one that is there after that is lost."""
        ids = [(claim, job_id) for claim, holders in held.items() for job_id in holders]
        if not ids:
            return
        places = await self._connection.call("HMGET", self._keys.index, *(job_id for _, job_id in ids))
        gone = [found for found, place in zip(ids, places, strict=True) if place is None]
        if not gone or len(self._strays) >= MOST_TOLD:
            return
        scores = await self._connection.pipeline([["ZSCORE", self._keys.holders(claim), job] for claim, job in gone])
        self._strays += [
            f"job {format_id(job_id)} has ended, and holds {claim!r}"
            for (claim, job_id), score in zip(gone, scores, strict=True)
            if score is not None
        ]


def has_room(limit: Limit, holders: int, used_us: int, now_us: int) -> bool:
    """Whether it lets one unit more in, by what the server knows: `used_us` is the time of its rate."""
    if limit.concurrency is not None and holders >= limit.concurrency:
        return False
    if limit.rate is None:
        return True
    each_us = limit.rate.per_seconds * 1e6 / limit.rate.units
    ahead_us = min(max(0, used_us - now_us), each_us * limit.rate.most_at_once)
    return ahead_us + each_us <= each_us * limit.rate.most_at_once or ahead_us == 0
