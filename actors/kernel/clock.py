"""Where actors get the time from, so that a test can hold it still.

Only timers and restart budgets go by this clock. Waiting for another party (stops, asks) is bounded by the
event loop's own time: a safety net must hold even when a test has stopped the clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

_SETTLE_TURNS = 20


class Cancellable(Protocol):
    """A pending callback."""

    def cancel(self) -> None:
        """Take the callback back; harmless when it has already run."""


class Clock(Protocol):
    """Monotonic time in seconds, and callbacks at a later time."""

    def now(self) -> float:
        """Seconds since an arbitrary moment; never runs backwards."""

    def call_later(self, delay_seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Run `callback` after `delay_seconds` on the event loop."""


class SystemClock:
    """The running event loop's time."""

    def now(self) -> float:
        """Seconds, as the running loop counts them."""
        return asyncio.get_running_loop().time()

    def call_later(self, delay_seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Run `callback` after `delay_seconds` on the running loop."""
        return asyncio.get_running_loop().call_later(delay_seconds, callback)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._order = itertools.count()
        self._due: list[tuple[float, int, _ManualTimer]] = []

    def now(self) -> float:
        """Seconds, as far as `advance` has moved them."""
        return self._now

    def call_later(self, delay_seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Run `callback` once `advance` has moved the clock by `delay_seconds`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._due, (self._now + delay_seconds, next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        """How many callbacks wait for their time."""
        return sum(timer.callback is not None for _, _, timer in self._due)

    async def advance(self, seconds: float) -> None:
        """Move the clock; run what falls due in order, giving the actors time to react after each."""
        target = self._now + seconds
        while self._due and self._due[0][0] <= target:
            due, _, timer = heapq.heappop(self._due)
            if timer.callback is not None:
                self._now = max(self._now, due)
                timer.callback()
                await _settle()
        self._now = target
        await _settle()


async def _settle() -> None:
    for _ in range(_SETTLE_TURNS):
        await asyncio.sleep(0)
