"""Writes to the store one batch after the other, beside its actor's mailbox.

While one batch is on its way the next one gathers: under load the batches grow by themselves, at rest a single job
is written at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from ironforge.actors.session import Session

LARGEST_BATCH: Final = 1000
MOST_WAITING: Final = 500

T = TypeVar("T")


class WriteBuffer(Generic[T]):
    """`background` starts a task that belongs to the actor: a lost lease ends it, and the actor with it."""

    def __init__(
        self,
        session: Session,
        write: Callable[[Sequence[T]], Awaitable[None]],
        background: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
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

    async def put(self, items: Iterable[T]) -> None:
        """Add them, and wait while too many wait: an actor that reads no message meanwhile lets its senders wait."""
        self.add(items)
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
