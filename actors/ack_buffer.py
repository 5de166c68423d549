"""Settles what ended and requeues what was handed back, one batch after the other, beside the dispatcher's mailbox.

While one batch is on its way the next one gathers: under load the batches grow by themselves, at rest a single job
is settled at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, cast

from ironforge.actors.messages import Ended
from ironforge.actors.session import Session
from ironforge.store import Consumer, Rewrite, Settled

LARGEST_BATCH: Final = 1000


class AckBuffer:
    """`background` starts a task that belongs to the dispatcher: a lost lease ends it, and the dispatcher with it."""

    def __init__(
        self,
        session: Session,
        work: Consumer,
        background: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._session = session
        self._work = work
        self._background = background
        self._ended: list[Ended] = []
        self._returned: list[Rewrite] = []
        self._on_its_way = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Jobs that are over but not settled yet."""
        return len(self._ended) + len(self._returned) + self._on_its_way

    def settle(self, ended: Iterable[Ended]) -> None:
        self._ended.extend(ended)
        self._start()

    def requeue(self, returned: Iterable[Rewrite]) -> None:
        self._returned.extend(returned)
        self._start()

    def _start(self) -> None:
        if self._task is None and self.pending:
            self._task = self._background(self._run())

    async def _run(self) -> None:
        with self._session.reporting_loss():
            while self._ended or self._returned:
                ended, self._ended = self._ended[:LARGEST_BATCH], self._ended[LARGEST_BATCH:]
                returned, self._returned = self._returned[:LARGEST_BATCH], self._returned[LARGEST_BATCH:]
                self._on_its_way = len(ended) + len(returned)
                if ended:
                    # As the frame gave them back: to make a Settled of each costs 6 % of a drain.
                    await self._work.settle(cast("Sequence[Settled]", ended))
                if returned:
                    await self._work.requeue(returned)
                self._on_its_way = 0
        self._task = None
