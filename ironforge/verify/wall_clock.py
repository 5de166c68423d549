"""How the machine's clock on the wall went beside its monotonic one, by which a ledger is told.

Servers and nodes go by the clock on the wall for what is due, expires or has a lease. It may be set while a run goes
on, or leap where a machine was halted and goes on: then what is right by it comes early or late by the other one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Self

from ironforge.process.background import in_background
from ironforge.verify.ledger import Event, Ledger

# What the ledger says of this clock.
WALL: Final = "wall"
LOOK_SECONDS: Final = 0.02
# What differs by less may be due to when the two clocks were read.
NOTED_SECONDS: Final = 0.0005
ATTEMPTS: Final = 5
# One that is set by so much lets leases end and work pile up, as a fault of the server does.
FAULT_SECONDS: Final = 0.25


class Reading(NamedTuple):
    """`ahead`: how far the clock on the wall had gone ahead at this time, since it was first read, in seconds."""

    at: float
    ahead: float


class WallClock:
    """`readings`: in their order; between two of them it may have been set at any time."""

    def __init__(self, readings: Sequence[Reading] = ()) -> None:
        self._readings = readings

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        return cls([Reading(event.at, event.seconds) for event in events])

    def gained(self, begin: float, end: float) -> float:
        """By how many seconds at most it went ahead in any part of this time; 0: it did not."""
        return _risen([ahead for _, ahead in self._about(begin, end)])

    def lost(self, begin: float, end: float) -> float:
        """By how many seconds at most it went back in any part of this time; 0: it did not."""
        return _risen([-ahead for _, ahead in self._about(begin, end)])

    def leaps(self) -> Iterator[tuple[float, float]]:
        """When it was set by so much that it counts as a fault, each time from when to when that may have been."""
        for before, after in zip(self._readings, self._readings[1:], strict=False):
            if abs(after.ahead - before.ahead) >= FAULT_SECONDS:
                yield before.at, after.at

    def _about(self, begin: float, end: float) -> list[Reading]:
        """Those in this time, the last one before and the first one after it."""
        before = [reading for reading in self._readings if reading.at < begin][-1:]
        within = [reading for reading in self._readings if begin <= reading.at <= end]
        return [*before, *within, *[reading for reading in self._readings if reading.at > end][:1]]


def _risen(values: Sequence[float]) -> float:
    most, least = 0.0, float("inf")
    for value in values:
        least = min(least, value)
        most = max(most, value - least)
    return most


@asynccontextmanager
async def watching_the_wall_clock(ledger: Ledger) -> AsyncIterator[None]:
    """The ledger is told how it goes while the block runs, whenever that changes."""
    begun = _read()
    _note(ledger, Reading(begun.at, 0.0))
    async with in_background(_watch(ledger, begun), "the wall clock is watched"):
        yield


async def _watch(ledger: Ledger, begun: Reading) -> None:
    told = before = begun
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = _read()
        if abs(now.ahead - told.ahead) > NOTED_SECONDS:
            for reading in (before, now):
                _note(ledger, Reading(reading.at, reading.ahead - begun.ahead))
            told = now
        before = now


def _note(ledger: Ledger, reading: Reading) -> None:
    ledger.note(WALL, at=reading.at, seconds=reading.ahead)


def _read() -> Reading:
    """Both clocks as near to each other as it gets: this process may be put aside between them."""
    best = None
    for _ in range(ATTEMPTS):
        before, wall, after = time.monotonic(), time.time(), time.monotonic()
        if best is None or after - before < best[0]:
            best = (after - before, Reading(after, wall - (before + after) / 2))
    assert best is not None
    return best[1]
