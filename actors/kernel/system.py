"""Who is alive: addresses, tasks, monitors, and the orderly end of it all.

Incarnation numbers are unique in a system, not counted per address: a dynamic address may be used again, and
a late notice about its former owner must not look current.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from ironforge.actors.kernel.asks import Asks
from ironforge.actors.kernel.cell import Cell, kill
from ironforge.actors.kernel.clock import Clock, SystemClock
from ironforge.actors.kernel.errors import ActorDead, ActorError
from ironforge.actors.kernel.frames import Down, Exit
from ironforge.actors.kernel.policy import ChildSpec
from ironforge.actors.kernel.ref import ActorRef

logger = logging.getLogger(__name__)
T = TypeVar("T")


class ActorSystem:
    """All actors of one event loop. `kill_seconds` is the time a cancelled actor gets to clean up."""

    def __init__(self, clock: Clock | None = None, *, kill_seconds: float = 0.5) -> None:
        self.clock: Clock = clock or SystemClock()
        self.kill_seconds = kill_seconds
        self.unhandled: Counter[str] = Counter()
        self.cells: dict[str, Cell] = {}
        self.numbers = itertools.count(1)
        self.asks = Asks()
        self._owned: dict[asyncio.Task[Any], str] = {}
        self._exits: dict[str, Exit] = {}
        self._closing = False

    def ref(self, address: str) -> ActorRef:
        """A reference to whoever lives at `address`, now or later."""
        return ActorRef(address, self)

    async def spawn(self, spec: ChildSpec, parent: ActorRef | None = None) -> ActorRef:
        """Start an actor and wait for its `started`; it ends with its parent.

        Raises ActorFailed when it does not start, ActorError when the address is taken, ActorDead when the
        parent (or, for a root, the system) is ending.
        """
        above = None if parent is None else self.cells.get(parent.address)
        if self._closing if parent is None else above is None or above.life.over:
            raise ActorDead(f"{spec.id} cannot start: {parent.address if parent else 'the system'} is ending")
        cell = Cell(self, spec, above)
        if cell.address in self.cells:
            raise ActorError(f"the address {cell.address} is taken")
        self.cells[cell.address] = cell
        if above is not None:
            above.children[spec.id] = cell
        try:
            await cell.start()
        except BaseException:
            cell.remove()
            raise
        return self.ref(cell.address)

    def monitor(self, watcher: ActorRef, target: ActorRef) -> None:
        """Let `watcher` receive one Down when the current incarnation of `target` ends.

        A dead target's Down comes at once. Raises ActorDead when the watcher has ended.
        """
        watching = self.cells.get(watcher.address)
        if watching is None or watching.life.closed:
            raise ActorDead(f"{watcher.address} has ended and cannot watch")
        watched = self.cells.get(target.address)
        if watched is None:
            watching.mailbox.signal(Down(target.address, 0, Exit.NEVER_STARTED, None))
        else:
            watching.life.watch(watched.life)

    @property
    def closing(self) -> bool:
        """Whether everything has been told to end."""
        return self._closing

    async def wait(self, ref: ActorRef) -> Exit:
        """Wait until an actor has ended for good; a root may have done so. Raises ActorDead if unknown."""
        cell = self.cells.get(ref.address)
        if cell is not None:
            return await asyncio.shield(cell.gone)
        if ref.address not in self._exits:
            raise ActorDead(f"no actor lives at {ref.address}")
        return self._exits[ref.address]

    async def shutdown(self, grace_seconds: float) -> list[str]:
        """Stop every root, last started first; after `grace_seconds` cancel what is left.

        Returns the addresses that would not stop, at the latest `kill_seconds` after the grace. Not to be
        called from inside an actor of this system, which could not end while it waits.
        """
        self._closing = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        roots = [cell for cell in self.cells.values() if cell.parent is None]
        for root in reversed(roots):
            await root.stop("shutdown", deadline - loop.time())
        await kill(roots)
        return self.alive()

    def alive(self) -> list[str]:
        """The addresses that still run code, sorted."""
        return sorted(set(self._owned.values()))

    @property
    def tasks(self) -> int:
        """How many asyncio tasks actors own."""
        return len(self._owned)

    @property
    def timers(self) -> int:
        """How many timers are pending."""
        return sum(len(cell.life.belongings.timers) for cell in self.cells.values())

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

    def forget(self, cell: Cell) -> bool:
        """Give up the address of `cell`; False when it no longer holds it."""
        if self.cells.get(cell.address) is not cell:
            return False
        del self.cells[cell.address]
        if cell.parent is None:
            self._exits[cell.address] = cell.life.exit
        else:
            del cell.parent.children[cell.spec.id]
        return True

    def count_unhandled(self, address: str, tag: str, why: str) -> None:
        """Note a message nobody could handle."""
        self.unhandled[tag] += 1
        logger.warning("%s: dropped %s: %s", address, tag, why)
