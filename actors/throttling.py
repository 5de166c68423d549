"""Stops keys of limits at once, as handlers say while they run that a target throttles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from ironforge.actors.session import Session
from ironforge.job.context import SAID
from ironforge.job.limits import LimitUse
from ironforge.store import Adjustment


class Throttling:
    """To be made in the event loop of the node."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()

    def throttle(self, stream: str, use: LimitUse, ms: int) -> Awaitable[None]:
        """Of a job that was delivered from `stream`. It is written, whatever becomes of the run meanwhile, also when
        the handler does not wait for it. One that has no event loop waits here."""
        adjustment = Adjustment(stream, use.claim, throttled_ms=ms)
        written = asyncio.run_coroutine_threadsafe(self._write(adjustment), self._loop)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            written.result()
            return SAID
        return asyncio.shield(asyncio.wrap_future(written))

    async def _write(self, adjustment: Adjustment) -> None:
        work = await self._session.work()
        await work.adjust([adjustment])
