"""The questions that still wait for an answer.

Failures are delivered as results, not as exceptions of the future: an asker that was cancelled in the same
turn would otherwise leave an exception that is never retrieved, and asyncio would log it as a bug.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ironforge.actors.kernel.errors import ActorDead, ActorError

Answer: TypeAlias = bytes | ActorError


class Asks:
    """Pending asks by id."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[str, asyncio.Future[Answer]]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    @contextmanager
    def opened(self, address: str) -> Iterator[tuple[int, asyncio.Future[Answer]]]:
        """An ask id and its future, forgotten at the end of the block however it ends."""
        ask = next(self._ids)
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[ask] = (address, reply)
        try:
            yield ask, reply
        finally:
            del self._pending[ask]

    def answer(self, ask: int, answer: Answer) -> None:
        """Answer an ask; an asker that no longer waits is no error."""
        _, reply = self._pending.get(ask, ("", None))
        if reply is not None and not reply.done():
            reply.set_result(answer)

    def fail_all(self, address: str) -> None:
        """Tell every asker of `address` that no actor lives there any more."""
        for asked, reply in self._pending.values():
            if asked == address and not reply.done():
                reply.set_result(ActorDead(f"{address} ended before it answered"))
