"""How much of the time this machine had for others than the run: what is to happen soon takes so much longer."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import Final, NamedTuple, Self

from ironforge.process.background import in_background
from ironforge.verify.ledger import Event, Ledger

# What the ledger says of a timer.
LATE: Final = "late"
LOOK_SECONDS: Final = 0.02
# What timers are late by on a machine that is at rest.
NOTED_SECONDS: Final = 0.005


class Delay(NamedTuple):
    """A look came at this time, and was to have come so many `seconds` before."""

    at: float
    seconds: float


class Pace:
    """`delays`: in their order."""

    def __init__(self, delays: Sequence[Delay] = ()) -> None:
        self._ends = [delay.at for delay in delays]
        self._sums = [0.0, *accumulate(delay.seconds for delay in delays)]

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        return cls([Delay(event.at, event.seconds) for event in events])

    def lost(self, begin: float, end: float) -> float:
        """How many seconds of this time the machine had for others."""
        first, last = bisect_left(self._ends, begin), bisect_left(self._ends, end)
        return min(end - begin, self._sums[min(last + 1, len(self._ends))] - self._sums[first])


@asynccontextmanager
async def watching_the_pace(ledger: Ledger) -> AsyncIterator[None]:
    """The ledger is told how late timers are while the block runs."""
    async with in_background(_watch(ledger), "the pace is watched"):
        yield


async def _watch(ledger: Ledger) -> None:
    while True:
        asked = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        late = time.monotonic() - asked - LOOK_SECONDS
        if late > NOTED_SECONDS:
            ledger.note(LATE, seconds=late)
