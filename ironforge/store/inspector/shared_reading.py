"""A reading that many may share: however many ask, the server is asked once, and not again within a while."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Of what `read` gives. A caller that gives up waiting does not take it from the others."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._begun = -math.inf
        self._reading: asyncio.Future[T] | None = None

    async def get(self, max_age_seconds: float) -> T:
        """One that is under way, or that began at most so long ago; at 0 a new one. All who wait get its error."""
        now = time.monotonic()
        reading = self._reading
        if reading is None or not max_age_seconds or (reading.done() and not self._good(reading, now, max_age_seconds)):
            self._begun = now
            reading = self._reading = asyncio.ensure_future(self._read())
            reading.add_done_callback(_heard)
        return await asyncio.shield(reading)

    def _good(self, reading: asyncio.Future[T], now: float, max_age_seconds: float) -> bool:
        return now - self._begun < max_age_seconds and not reading.cancelled() and reading.exception() is None


def _heard(reading: asyncio.Future[T]) -> None:
    """All callers may be gone by now: an error that none of them heard is no bug."""
    if not reading.cancelled():
        reading.exception()
