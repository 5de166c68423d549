"""Starting actors, watching them, and the orderly end of it all.

Incarnation numbers are unique in a system, not counted per address: a dynamic address may be used again, and
a late notice about its former owner must not look current.
"""

from __future__ import annotations

import asyncio

from ironforge.actors.kernel.cell import Cell, kill
from ironforge.actors.kernel.clock import Clock
from ironforge.actors.kernel.directory import Directory
from ironforge.actors.kernel.errors import ActorDead, ActorError
from ironforge.actors.kernel.frames import Down, Exit
from ironforge.actors.kernel.policy import ChildSpec
from ironforge.actors.kernel.ref import ActorRef


class ActorSystem(Directory):
    """All actors of one event loop. `kill_seconds` is the time a cancelled actor gets to clean up."""

    def __init__(self, clock: Clock | None = None, *, kill_seconds: float = 0.5) -> None:
        super().__init__(clock, kill_seconds=kill_seconds)
        self.cells: dict[str, Cell] = {}
        self.closing = False  # whether everything has been told to end
        self._roots_gone: dict[str, asyncio.Future[Exit]] = {}

    def ref(self, address: str) -> ActorRef:
        """A reference to the actor that lives at `address`, now or later."""
        return ActorRef(address, self)

    async def spawn(self, spec: ChildSpec, parent: ActorRef | None = None) -> ActorRef:
        """Start an actor and wait for its `started`; it ends with its parent.

        Raises ActorFailed when it does not start, ActorError when the address is taken, ActorDead when the
        parent (or, for a root, the system) is ending.
        """
        above = None if parent is None else self.cells.get(parent.address)
        if self.closing if parent is None else above is None or above.life.over:
            raise ActorDead(f"{spec.id} cannot start: {parent.address if parent else 'the system'} is ending")
        cell = Cell(self, self.cells, spec, above)
        if cell.address in self.cells:
            raise ActorError(f"the address {cell.address} is taken")
        cell.enter()
        if above is None:
            self._roots_gone[cell.address] = cell.gone
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

    async def wait(self, ref: ActorRef) -> Exit:
        """Wait until an actor has ended for good; a root may have done so. Raises ActorDead if unknown."""
        cell = self.cells.get(ref.address)
        gone = self._roots_gone.get(ref.address) if cell is None else cell.gone
        if gone is None:
            raise ActorDead(f"no actor lives at {ref.address}")
        return await asyncio.shield(gone)

    async def shutdown(self, grace_seconds: float) -> list[str]:
        """Stop every root, last started first; after `grace_seconds` cancel the rest.

        Returns the addresses that would not stop, at the latest `kill_seconds` after the grace. Not to be
        called from inside an actor of this system, which could not end while it waits.
        """
        self.closing = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        roots = [cell for cell in self.cells.values() if cell.parent is None]
        for root in reversed(roots):
            await root.stop("shutdown", deadline - loop.time())
        await kill(roots, self.kill_seconds)
        return self.alive()

    @property
    def timers(self) -> int:
        """How many timers are pending."""
        return sum(len(cell.life.owned.timers) for cell in self.cells.values())
