"""The dead letter drops records whose retention is over, brings back those that can be read again, takes declined jobs
that no node serves, and looks after what may be left behind of limits, of jobs that wait and their children, and of
workflows."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from prometheus_client import Counter

from ironforge.actors import attempt_log
from ironforge.actors.kernel import Actor
from ironforge.actors.session import Session
from ironforge.metrics.jobs import Metrics

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

    async def _expire_now_and_then(self) -> None:
        while True:
            with self._session.reporting_loss():
                restored = await self._work.restore()
                dropped = await self._work.expire()
                audited = await self._audited()
                unserved = await self._work.bury_unserved()
            for count, metric, words in audited:
                if count:
                    metric.inc(count)
                    logger.error("%d %s: mended", count, words)
            for stream, job in unserved:
                attempt_log.unserved(job, stream, self._metrics)
            if restored:
                logger.info("brought back %d jobs that had been put aside and can be read here", restored)
            if dropped:
                logger.info("dropped %d records whose retention is over", dropped)
            # One call drops a bounded number: while memory is short, or much is past its time, there is more.
            await asyncio.sleep(EXPIRE_AGAIN_SECONDS if dropped or unserved else EXPIRE_EVERY_SECONDS)

    async def _audited(self) -> list[tuple[int, Counter, str]]:
        """What should never be found, how much of it was, and what counts that."""
        work, metrics = self._work, self._metrics
        return [
            (
                await work.audit_limits(),
                metrics.lost_places,
                "places of limits had no job, or would have been given to none",
            ),
            (await work.audit_waits(), metrics.stranded_waiters, "jobs that wait would not have been woken"),
            (await work.audit_families(), metrics.lost_families, "jobs were lost to their parents or children"),
            (
                await work.audit_workflows(),
                metrics.stranded_workflows,
                "workflows or nodes of them would not have gone on",
            ),
        ]
