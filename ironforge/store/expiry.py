"""Cancelling jobs that have not started in time, a bounded number at once.

Nodes do it, and so does every API process, so it goes on while no node is up. Several at once share the work: what one
of them was told of, the others hear of only when it is still there some time later. Until then, and where nothing runs
at all, who looks a job up is told the same: it is cancelled, for no node starts it any more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import IncompatibleRecord, StoreError
from ironforge.job.expiry import EXPIRED, expired, is_expired
from ironforge.job.record import JobState, decode
from ironforge.logs.setup import get_logger
from ironforge.redis import scripts
from ironforge.redis.causes import said
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.location import Location
from ironforge.redis.replies import rows
from ironforge.settings import Settings
from ironforge.store.contract import JobView
from ironforge.store.located_jobs import LocatedJobs
from ironforge.store.server_clock import ServerClock

LOOK_SECONDS: Final = 1.0
# Cancelled in one sweep: a few commands each, one after the other.
MOST: Final = 100
MOST_BYTES: Final = 4 * 1024 * 1024
# When what has been told of is looked at again, and what a node has that had not started it when it expired.
AGAIN_MS: Final = 5_000

log = get_logger("ironforge.store")

OnSchedules = Callable[[int], None]


def no_matter_when(_in_ms: int) -> None:
    """An OnSchedules of what fires no ticks."""


class ExpirySweep:
    """Of one shard, over the caller's connection. `on_schedules` hears in how many ms to look at the next schedule,
    where there is one: so no process has to ask for that."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        connection: Connection,
        clock: ServerClock | None = None,
        on_schedules: OnSchedules = no_matter_when,
    ) -> None:
        self._keys = keys
        self._connection = connection
        self._clock = clock or ServerClock()
        self._located = LocatedJobs(settings, keys, connection)
        self._on_schedules = on_schedules
        self._done: list[bytes] = []
        self._swept_at = -math.inf

    async def sweep_if_due(self) -> bool:
        """As `sweep`, for a node, which comes by more often than it has to be done. It raises nothing: what keeps jobs
        from being cancelled keeps none from falling due."""
        if time.monotonic() - self._swept_at < LOOK_SECONDS:
            return False
        try:
            return await self.sweep()
        except (RedisError, OSError) as error:
            log.warning("expired_jobs_not_cancelled", error=said(error))
            return False

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        asked_at, done = time.monotonic(), self._done
        keys = scripts.EXPIRED.keys(self._keys)
        now_ms, more, tick_ms, *found = await self._connection.run(
            scripts.EXPIRED, keys, [MOST, MOST_BYTES, AGAIN_MS, *done]
        )
        self._clock.note(now_ms, asked_at)
        if tick_ms >= 0:
            self._on_schedules(tick_ms)
        self._done = []
        cancelled = 0
        for job_id, moment, location, record in rows(found, 4):
            try:
                job = decode(record)
            except IncompatibleRecord:
                continue  # a node puts it aside, or one of a newer version runs it
            if is_expired(job, now_ms):
                state = await self._located.cancel_at(Location(location), job_id, record, EXPIRED)
                if state is not JobState.CANCELLED:
                    continue  # it has moved, and is looked for again
                cancelled += 1
            self._done += (job_id, moment)
        if cancelled:
            log.info("jobs_expired", jobs=cancelled)
        self._swept_at = -math.inf if more else asked_at
        return bool(more)

    async def sweep_forever(self) -> None:
        """For a door: an outage only puts it off."""
        while True:
            try:
                more = await self.sweep()
            except StoreError as error:
                more = False
                log.debug("what has expired could not be looked for", error=str(error))
            await asyncio.sleep(0 if more else LOOK_SECONDS)


def as_it_counts(view: JobView, now_ms: int) -> JobView:
    """One that waits and must not start any more is cancelled, whether that has been written down or not."""
    if view.state not in (JobState.QUEUED, JobState.SCHEDULED) or not is_expired(view.job, now_ms):
        return view
    return JobView(expired(view.job, view.job.expires_ms), JobState.CANCELLED)
