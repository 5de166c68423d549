"""Running jobs that have to be alone: those that may have killed nodes before.

A node that wants to run one first gets the turn, which one node of a namespace has at a time. Then it fetches nothing
more and waits until what it holds has ended, but not for long: where jobs run for hours another node may be empty
sooner, so it gives the turn back, goes on, and waits twice as long the next time. So none of these jobs waits for ever,
and no node spends more than a fifth of its time on waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from ironforge.actors.in_flight import InFlight
from ironforge.actors.session import Session
from ironforge.job.record import is_alone
from ironforge.metrics.jobs import Metrics
from ironforge.store import Alone as AloneWork
from ironforge.store import Delivery

FIRST_PATIENCE_SECONDS: Final = 1.0
# Several quick ones follow each other while nothing else is there; then the node does its other work for as long.
SHIFT_SECONDS: Final = 1.0
# After it has waited in vain, also for one that then may not run, it works for so many times as long.
WORKS: Final = 4
LOOK_SECONDS: Final = 0.01


class Alone:
    """For the dispatcher, between two fetches. `held` counts the jobs that are not stored yet; `assign` gives
    deliveries to workers.

    `active`: the node fetches nothing else.
    """

    def __init__(
        self,
        session: Session,
        work: AloneWork,
        in_flight: InFlight,
        *,
        held: Callable[[], int],
        metrics: Metrics,
        assign: Callable[[list[Delivery]], None],
    ) -> None:
        self._session = session
        self._work = work
        self._in_flight = in_flight
        self._held = held
        self._metrics = metrics
        self._assign = assign
        self._patience_seconds = FIRST_PATIENCE_SECONDS
        self._next_at = 0.0
        self.active = False

    async def turn(self) -> bool:
        """Run those that wait, if it is this node's turn; whether it was."""
        if not self._work.wait or time.monotonic() < self._next_at:
            return False
        with self._session.reporting_loss():
            claimed = await self._work.claim()
            if claimed:
                self.active = True
                try:
                    await self._shift()
                finally:
                    self.active = False
                    # While one runs the turn is its own, also on a node that drains: it ends with the lease.
                    if not any(is_alone(stream) for stream, _, _ in self._in_flight.all()):
                        await self._work.unclaim()
        self._next_at = max(self._next_at, time.monotonic() + SHIFT_SECONDS)
        return claimed

    async def _shift(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._rest()
        except TimeoutError:
            self._next_at = time.monotonic() + WORKS * self._patience_seconds
            self._patience_seconds *= 2
            return
        self._patience_seconds = FIRST_PATIENCE_SECONDS
        rested = time.monotonic()
        end = rested + SHIFT_SECONDS
        while time.monotonic() < end and (deliveries := await self._work.fetch()):
            self._metrics.suspect_runs.inc()
            self._assign(deliveries)
            await self._rest()
            began = rested
        self._next_at = rested + WORKS * (rested - began)

    async def _rest(self) -> None:
        """Until this node holds nothing: all has ended, and what became of it is stored."""
        while self._held():
            await asyncio.sleep(LOOK_SECONDS)
