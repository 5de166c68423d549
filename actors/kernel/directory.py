"""Who can be reached where, and what runs for whom: all that the actors of one event loop share."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from ironforge.actors.kernel.asks import Asks
from ironforge.actors.kernel.clock import Clock, SystemClock
from ironforge.actors.kernel.mailbox import Mailbox

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Directory:
    """The ground that references and incarnations stand on. `mailboxes` has those of the addresses in use."""

    def __init__(self, clock: Clock | None = None, *, kill_seconds: float = 0.5) -> None:
        self.clock: Clock = clock or SystemClock()
        self.kill_seconds = kill_seconds
        self.unhandled: Counter[str] = Counter()
        self.mailboxes: dict[str, Mailbox] = {}
        self.numbers = itertools.count(1)
        self.asks = Asks()
        self._owned: dict[asyncio.Task[Any], str] = {}

    def alive(self) -> list[str]:
        """The addresses that still run code, sorted."""
        return sorted(set(self._owned.values()))

    @property
    def tasks(self) -> int:
        """How many asyncio tasks actors own."""
        return len(self._owned)

    def own(
        self,
        coro: Coroutine[Any, Any, T],
        address: str,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """Run `coro` for `address`, held here because the event loop itself holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(coro, name=name, context=context)
        self._owned[task] = address
        task.add_done_callback(self._owned.__delitem__)
        return task

    def count_unhandled(self, address: str, tag: str, why: str) -> None:
        """Note a message that the actor at `address` could not handle."""
        self.unhandled[tag] += 1
        logger.warning("%s: dropped %s: %s", address, tag, why)
