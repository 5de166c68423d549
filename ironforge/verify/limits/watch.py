"""Looks at the lines of limits all the time: for holders whose jobs are over or wait, and for jobs that wait and could
run, or were to be cancelled instead.

Of the time that one waits only that counts in which a node was there that had something to run it with, and in which
this process itself was not late: then nodes may have been late as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from ironforge.errors import StoreUnavailable
from ironforge.job.limits import Limit
from ironforge.job.options import DEFAULT_QUEUE
from ironforge.job.record import Priority, format_id, redelivery_stream, stream_name
from ironforge.process.background import in_background
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.location import IN_STREAM
from ironforge.redis.outages import ABSENT
from ironforge.redis.replies import pairs, rows
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.verify.ledger import Ledger
from ironforge.verify.limits.load import MOST_UNITS, limit_of
from ironforge.verify.observer import LOOK_SECONDS, MOST_TOLD

LATE_SECONDS: Final = 0.1
MOST_SECONDS: Final = 1.0
PLACE: Final = stream_name(DEFAULT_QUEUE, Priority.MEDIUM)


class Wait(NamedTuple):
    """At the head of a line that has room: `since` when, and how many of these seconds count."""

    head: bytes
    since: float
    counted: float


@asynccontextmanager
async def watching_lines(settings: Settings, ledger: Ledger) -> AsyncIterator[list[str]]:
    """Which holders were to hold nothing, in words, while the block runs; the ledger is told who waited."""
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
        self._claims: list[str] = []  # in use, by the last look
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
        commands: list[Command] = [["TIME"], ["ZRANGE", keys.nodes, 0, -1, "WITHSCORES"], ["HKEYS", keys.in_use]]
        commands += (["GET", keys.alone], *(["XPENDING", key, GROUP] for key in streams))
        claims = self._claims
        for claim in claims:
            commands += (
                ["ZRANGE", keys.holders(claim), 0, -1],
                ["ZRANGE", keys.line(f"{PLACE}:{claim}"), 0, 0],
                ["GET", keys.tat(claim)],
            )
        (second, micro), leases, in_use, alone, *rest = await self._connection.pipeline(commands, tolerate=ABSENT)
        self._claims = [claim.decode() for claim in in_use]
        running = [reply[0] for reply in rest[:2] if isinstance(reply, list)]
        found = dict(zip(claims, rows(rest[2:], 3), strict=True))
        await self._find_strays({claim: holders for claim, (holders, _, _) in found.items() if holders})
        now_us = int(second) * 1_000_000 + int(micro)
        if not is_served(leases, alone, now_us) or len(running) < 2 or sum(running) >= self._busy:
            self._waits.clear()
            return
        self._waits = {claim: wait for claim, wait in self._waits.items() if claim in found}
        for claim, (holders, line, tat) in found.items():
            limit = limit_of(claim)
            if line and (limit.when_full != "wait" or has_room(limit, len(holders), int(tat or 0), now_us)):
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
        """A place goes in the step that takes a job from where it may hold it: one that is there after that is lost."""
        suspects = await self._strays_among([(claim, job_id) for claim, jobs in held.items() for job_id in jobs])
        if not suspects or len(self._strays) >= MOST_TOLD:
            return
        asked: list[Command] = [["ZSCORE", self._keys.holders(claim), job_id] for claim, job_id in suspects]
        scores = await self._connection.pipeline(asked)
        # Of the same place again: no job comes back, runs and waits once more between two looks.
        lost = await self._strays_among([one for one, score in zip(suspects, scores, strict=True) if score is not None])
        for (claim, job_id), place in lost.items():
            if place == suspects[claim, job_id]:
                where = f"is at {place.decode()!r}" if place else "has ended"
                self._strays.append(f"job {format_id(job_id)} {where}, and holds {claim!r}")

    async def _strays_among(self, held: list[tuple[str, bytes]]) -> dict[tuple[str, bytes], bytes | None]:
        """Those whose jobs may hold nothing, and where these are."""
        if not held:
            return {}
        places = await self._connection.call("HMGET", self._keys.index, *(job_id for _, job_id in held))
        found = zip(held, places, strict=True)
        return {one: place for one, place in found if not may_hold(limit_of(one[0]), place)}


def may_hold(limit: Limit, place: bytes | None) -> bool:
    """Whether a job that is there, as the index says it, may have a place of this limit: one in a stream, and of a fifo
    limit one that the next ones wait for."""
    letter = (place or b"")[:1]
    if letter == b"d":
        return limit.on_failure == "park"
    if letter == b"k":
        return limit.order == "fifo"
    return letter.decode() in IN_STREAM or (letter in (b"s", b"l") and limit.on_failure in ("block", "park"))


def is_served(leases: Sequence[bytes], alone: bytes | None, now_us: int) -> bool:
    """Whether a node takes jobs, by names and ends of leases. That of a node that has died stays until another one
    takes over; and the one that is `alone` has its turn to run a suspect, with nothing beside that."""
    return any(float(end_ms) * 1_000 > now_us and name != alone for name, end_ms in pairs(leases))


def has_room(limit: Limit, holders: int, used_us: int, now_us: int) -> bool:
    """Whether it lets any job in, by what the server knows: `used_us` is the time of its rate."""
    if limit.concurrency is not None and holders >= limit.concurrency:
        return False
    if limit.rate is None:
        return True
    each_us = limit.rate.each_us
    ahead_us = min(max(0, used_us - now_us), each_us * limit.rate.most_at_once)
    return ahead_us + each_us * MOST_UNITS <= each_us * limit.rate.most_at_once or ahead_us == 0
