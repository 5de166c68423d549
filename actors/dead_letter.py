"""The dead letter keeps jobs that gave up, with their history, and drops records whose retention is over.

What cannot even be read is put aside instead of being retried: bytes that are no job today are none tomorrow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ironforge.actors.kernel import Actor, handles
from ironforge.actors.messages import Bury, Flush, Unreadable
from ironforge.actors.session import Session
from ironforge.actors.write_buffer import WriteBuffer

logger = logging.getLogger(__name__)

EXPIRE_EVERY_SECONDS: Final = 5.0
EXPIRE_AGAIN_SECONDS: Final = 1.0


class DeadLetter(Actor):
    def __init__(self, session: Session) -> None:
        self._session = session

    async def started(self) -> None:
        self._work = await self._session.work()
        self._burying = WriteBuffer(self._session, self._work.bury, self.background)
        self.background(self._expire_now_and_then(), name="expiry")

    @handles(Bury)
    async def bury(self, message: Bury) -> None:
        await self._burying.put(message.jobs)

    @handles(Unreadable)
    async def unreadable(self, message: Unreadable) -> None:
        with self._session.reporting_loss():
            await self._work.bury_raw(message.job, message.reason)
        logger.error("a stored record was put aside: %s", message.reason)

    @handles(Flush)
    async def flush(self, _: Flush) -> None:
        await self._burying.written()

    async def _expire_now_and_then(self) -> None:
        while True:
            with self._session.reporting_loss():
                restored = await self._work.restore()
                dropped = await self._work.expire()
            if restored:
                logger.info("brought back %d jobs that had been put aside and can be read here", restored)
            if dropped:
                logger.info("dropped %d records whose retention is over", dropped)
            # One call drops a bounded number: while memory is short, or much is past its time, there is more.
            await asyncio.sleep(EXPIRE_AGAIN_SECONDS if dropped else EXPIRE_EVERY_SECONDS)
