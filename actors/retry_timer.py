"""The retry timer decides what becomes of failed attempts and moves due jobs back to their streams.

It sleeps until the next due time instead of polling: whoever schedules something earlier shouts, and because a
shout can be lost it looks again every few seconds. Every node runs one; moving a job is atomic, so they do not clash.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Final

import msgspec

from ironforge.actors.attempt_log import failed_attempt
from ironforge.actors.kernel import Actor, handles
from ironforge.actors.messages import Delivered, DueAt, Exhausted, Failed, Flush, Rewritten, Snoozed
from ironforge.actors.session import Session
from ironforge.errors import UnknownKind
from ironforge.formats.numbers import counted
from ironforge.formats.timestamps import now_ms
from ironforge.handlers.forge import Forge
from ironforge.job import record as records
from ironforge.job import retry
from ironforge.job.crashes import cleared
from ironforge.job.record import Job, JobState
from ironforge.metrics.jobs import Metrics
from ironforge.settings import Settings
from ironforge.store import Rewrite

logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS: Final = 2.5


class RetryTimer(Actor):
    def __init__(self, session: Session, forge: Forge, settings: Settings, metrics: Metrics) -> None:
        self._session = session
        self._forge = forge
        self._crash_budget = settings.crash_budget
        self._default_max_retries = settings.default_max_retries
        self._metrics = metrics
        self._random = random.Random()
        self._sooner = asyncio.Event()

    async def started(self) -> None:
        self._work = await self._session.work()
        self._dead_letter = self._session.role("dead_letter")
        self.background(self._move_due_jobs(), name="due jobs")

    @handles(Failed)
    async def failed(self, message: Failed) -> None:
        parked: list[Rewrite] = []
        exhausted: list[Delivered] = []
        for stream, entry, record, after_ms in message.jobs:
            job = records.decode(record)
            verdict = self._decide(job, after_ms)
            if verdict.retry:
                parked.append(Rewrite(stream, entry, self._later(job, verdict.delay_ms), verdict.delay_ms))
                self._metrics.retried(job.kind, stream)
                failed_attempt(job, f"retry in {verdict.delay_ms / 1000:g} s")
                if verdict.problem:
                    logger.error("the backoff of %s cannot be used: %s", job.kind, verdict.problem)
            else:
                reason = f"gave up after {counted(job.attempt, 'failed attempt')}"
                dead = job.finish(JobState.DEAD, now_ms(), reason=reason)
                exhausted.append((stream, entry, records.encode(dead)))
        if exhausted:
            await self._dead_letter.tell(Exhausted(tuple(exhausted)))
        await self._park(parked)

    @handles(Snoozed)
    async def snoozed(self, message: Snoozed) -> None:
        await self._park([self._snooze(rewritten) for rewritten in message.jobs])

    @handles(DueAt)
    def due_at(self, _: DueAt) -> None:
        self._sooner.set()

    @handles(Flush)
    def flush(self, _: Flush) -> None:
        """Nothing to do: by the time this message is read, those before it are stored."""

    def _decide(self, job: Job, after_ms: int | None) -> retry.Verdict:
        try:
            handler = self._forge.handler(job.kind)
        except UnknownKind:
            max_retries, backoff = self._default_max_retries, retry.Backoff()
        else:
            max_retries = self._default_max_retries if handler.max_retries is None else handler.max_retries
            backoff = handler.backoff
        return retry.decide(job, max_retries=max_retries, backoff=backoff, after_ms=after_ms, rng=self._random)

    def _snooze(self, rewritten: Rewritten) -> Rewrite:
        stream, entry, record, delay_ms = rewritten
        delay = delay_ms or 0
        return Rewrite(stream, entry, self._later(records.decode(record), delay), delay, failed=False)

    def _later(self, job: Job, delay_ms: int) -> Job:
        return msgspec.structs.replace(cleared(job, self._crash_budget), ready_ms=now_ms() + delay_ms)

    async def _park(self, batch: list[Rewrite]) -> None:
        if not batch:
            return
        with self._session.reporting_loss():
            await self._work.park(batch)

    async def _move_due_jobs(self) -> None:
        while True:
            self._sooner.clear()
            with self._session.reporting_loss():
                due = await self._work.promote()
            self._metrics.timers_moved([late / 1000 for late in due.lateness_ms])
            next_seconds = LONGEST_SLEEP_SECONDS if due.next_ms is None else due.next_ms / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(next_seconds, LONGEST_SLEEP_SECONDS)):
                    await self._sooner.wait()
