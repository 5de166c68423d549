"""The retry timer moves jobs that are due from the schedule to their streams, and fires ticks of schedules.

It sleeps until the next due time instead of polling: whatever is scheduled earlier is announced, and because an
announcement can be lost it looks again every few seconds. Every node runs one; moving a job is atomic, so they do not
clash. Along with what is due it learns when schedules tick, so where there are none nothing asks for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from ironforge.actors.kernel import Actor, handles
from ironforge.actors.messages import DueAt
from ironforge.actors.session import Session
from ironforge.metrics.jobs import Metrics
from ironforge.store import Ticking

LONGEST_SLEEP_SECONDS: Final = 2.5


class RetryTimer(Actor):
    def __init__(self, session: Session, metrics: Metrics, tickers: Sequence[Ticking]) -> None:
        self._session = session
        self._metrics = metrics
        self._tickers = tickers
        self._sooner = asyncio.Event()

    async def started(self) -> None:
        self._work = await self._session.work()
        self.background(self._move_due_jobs(), name="due jobs")
        for ticker in self._tickers:
            counts = self._metrics.ticks.of(ticker.namespace)
            self.background(ticker.tick_forever(counts), name="ticks")

    @handles(DueAt)
    def due_at(self, _: DueAt) -> None:
        self._sooner.set()

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
