"""Writes to the store one batch after the other, beside the mailbox of the dispatcher.

While one batch is on its way the next one gathers: under load the batches grow by themselves, at rest a single job
is written at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ironforge.actors.messages import Unreadable
from ironforge.actors.session import Session
from ironforge.store import Consumer

logger = logging.getLogger(__name__)

LARGEST_BATCH: Final = 1000
MOST_WAITING: Final = 500

T = TypeVar("T")
# Starts a task that belongs to the actor: a lost lease ends it, and the actor with it.
Background: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class WriteBuffer(Generic[T]):
    def __init__(
        self, session: Session, write: Callable[[Sequence[T]], Awaitable[None]], background: Background
    ) -> None:
        self._session = session
        self._write = write
        self._background = background
        self._waiting: list[T] = []
        self._on_its_way = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """How many are not written yet."""
        return len(self._waiting) + self._on_its_way

    def add(self, items: Iterable[T]) -> None:
        self._waiting.extend(items)
        if self._task is None and self._waiting:
            self._task = self._background(self._run())

    async def room(self) -> None:
        """Wait while too many wait."""
        if self.pending > MOST_WAITING:
            await self.written()

    async def written(self) -> None:
        """Wait until all that was added before is written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        with self._session.reporting_loss():
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                self._on_its_way = len(batch)
                await self._write(batch)
                self._on_its_way = 0
        self._task = None


class Writes:
    """All that becomes of the jobs of a node, each kind in a buffer of its own."""

    def __init__(self, session: Session, work: Consumer, background: Background) -> None:
        self._work = work
        self.settle = WriteBuffer(session, work.settle, background)
        self.requeue = WriteBuffer(session, work.requeue, background)
        self.park = WriteBuffer(session, work.park, background)
        self.wait = WriteBuffer(session, work.park_waiting, background)
        self.bury = WriteBuffer(session, work.bury, background)
        self.decline = WriteBuffer(session, work.decline, background)
        self.adjust = WriteBuffer(session, work.adjust, background)
        self.quarantine = WriteBuffer(session, self._quarantine, background)

    @property
    def pending(self) -> int:
        """How many jobs are not written yet."""
        return self.settle.pending + self.requeue.pending + sum(buffer.pending for buffer in self._scripted)

    async def room(self) -> None:
        """To be awaited before more is fetched: what a node holds stays bounded also when everything fails."""
        for buffer in self._scripted:
            await buffer.room()

    @property
    def _scripted(self) -> tuple[WriteBuffer[Any], ...]:
        return self.park, self.wait, self.bury, self.decline, self.adjust, self.quarantine

    async def _quarantine(self, batch: Sequence[Unreadable]) -> None:
        for delivery, reason in batch:
            await self._work.bury_raw(delivery, reason)
            logger.error("a stored record was put aside: %s", reason)
