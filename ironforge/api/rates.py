"""Rates of the last minute, from totals that the store counts anyway.

Sampled in the background, because a rate needs a past: the first caller of /queues/stats must not have to
wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from typing import Final

from ironforge.errors import StoreError
from ironforge.logs.setup import get_logger
from ironforge.process.background import in_background
from ironforge.store.contract import Inspector
from ironforge.store.counts import Stats, Totals

WINDOW_MS: Final = 60_000
SAMPLE_SECONDS: Final = 5.0

_log = get_logger(__name__)


class Rates:
    """A minute of samples."""

    def __init__(self) -> None:
        self._samples: deque[Totals] = deque()

    def add(self, totals: Totals) -> None:
        self._samples.append(totals)
        while totals.now_ms - self._samples[0].now_ms > WINDOW_MS:
            self._samples.popleft()

    def until(self, stats: Stats | Totals) -> dict[str, float] | None:
        """Events per second from the oldest sample to `stats`; None while there is nothing to compare."""
        past = self._samples[0] if self._samples else stats
        seconds = (stats.now_ms - past.now_ms) / 1000
        if seconds <= 0:
            return None
        return {
            name: round(max(0, total - past.totals.get(name, 0)) / seconds, 3) for name, total in stats.totals.items()
        }

    def sampled(self, inspector: Inspector) -> AbstractAsyncContextManager[None]:
        """Take samples while the block runs."""
        return in_background(self._sample_forever(inspector), "samples of totals")

    async def _sample_forever(self, inspector: Inspector) -> None:
        """Until cancelled. An outage only leaves a gap."""
        while True:
            try:
                self.add(await inspector.totals())
            except StoreError as error:
                _log.debug("no sample of the totals", error=str(error))
            await asyncio.sleep(SAMPLE_SECONDS)
