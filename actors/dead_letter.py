"""The dead letter keeps jobs that gave up, with their history, and drops records whose retention is over.

What cannot even be read is put aside instead of being retried: bytes that are no job today are none tomorrow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ironforge.actors.attempt_log import failed_attempt
from ironforge.actors.kernel import Actor, handles
from ironforge.actors.messages import Exhausted, Flush, Unreadable
from ironforge.actors.session import Session
from ironforge.job import record as records
from ironforge.job.crashes import is_poison
from ironforge.metrics.jobs import Metrics
from ironforge.store import Delivery, Rewrite

logger = logging.getLogger(__name__)

EXPIRE_EVERY_SECONDS: Final = 5.0
EXPIRE_AGAIN_SECONDS: Final = 1.0


class DeadLetter(Actor):
    def __init__(self, session: Session, metrics: Metrics) -> None:
        self._session = session
        self._metrics = metrics

    async def started(self) -> None:
        self._work = await self._session.work()
        self.background(self._expire_now_and_then(), name="expiry")

    @handles(Exhausted)
    async def exhausted(self, message: Exhausted) -> None:
        jobs = [(stream, entry, records.decode(record)) for stream, entry, record in message.jobs]
        # Nothing failed where a node or a worker crashed.
        batch = [Rewrite(stream, entry, job, failed=not is_poison(job)) for stream, entry, job in jobs]
        with self._session.reporting_loss():
            await self._work.bury(batch)
        for rewrite in batch:
            self._metrics.dead(rewrite.job.kind, rewrite.stream)
            failed_attempt(rewrite.job, f"dead: {rewrite.job.reason}")

    @handles(Unreadable)
    async def unreadable(self, message: Unreadable) -> None:
        with self._session.reporting_loss():
            await self._work.bury_raw(Delivery(*message.job), message.reason)
        logger.error("a stored record was put aside: %s", message.reason)

    @handles(Flush)
    def flush(self, _: Flush) -> None:
        """Nothing to do: by the time this message is read, those before it are stored."""

    async def _expire_now_and_then(self) -> None:
        while True:
            with self._session.reporting_loss():
                restored = await self._work.restore()
                dropped = await self._work.expire()
            if restored:
                logger.info("brought back %d jobs that had been put aside and can be read here", restored)
            if dropped:
                logger.info("dropped %d records whose retention is over", dropped)
            # What is dropped at once is a part: while memory is short, or much is past its time, there is more.
            await asyncio.sleep(EXPIRE_AGAIN_SECONDS if dropped else EXPIRE_EVERY_SECONDS)
