"""An address that is in use: the mailbox that outlives restarts, the children, the current incarnation.

A kill goes to a whole subtree at once and the killer waits for all of it, instead of each supervisor waiting
for its own children: otherwise one actor that ignores cancellation makes all its ancestors late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator

from ironforge.actors.kernel.directory import Directory
from ironforge.actors.kernel.errors import ActorFailed, describe
from ironforge.actors.kernel.frames import Exit, Stop
from ironforge.actors.kernel.incarnation import Incarnation, finite
from ironforge.actors.kernel.mailbox import Mailbox
from ironforge.actors.kernel.policy import ChildSpec

logger = logging.getLogger(__name__)


class Cell:
    """One node of the tree; `cells` are all that are in use, by address, `children` is in start order."""

    address: str
    mailbox: Mailbox
    life: Incarnation

    def __init__(self, directory: Directory, cells: dict[str, Cell], spec: ChildSpec, parent: Cell | None) -> None:
        self._directory = directory
        self._cells = cells
        self.spec = spec
        self.parent = parent
        self.address = spec.id if parent is None else f"{parent.address}/{spec.id}"
        self.mailbox = Mailbox(spec.capacity, self.address)
        self.children: dict[str, Cell] = {}
        self.gone: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    def enter(self) -> None:
        """Take the address, which has to be free."""
        self._cells[self.address] = self
        self._directory.mailboxes[self.address] = self.mailbox
        if self.parent is not None:
            self.parent.children[self.spec.id] = self

    async def start(self) -> None:
        """Run a new incarnation and wait for its `started`. Raises ActorFailed when it ends before that."""
        self.mailbox.clear_signals()
        if not self.spec.keeps_mailbox:
            self.mailbox.clear_frames()
            self._directory.asks.fail_all(self.address)
        self.life = life = Incarnation(self._directory, self.spec, self.mailbox, self.end_children)
        life.task = self._directory.own(life.run(), self.address, name=self.address)
        life.task.add_done_callback(lambda _: self.close(life))
        try:
            await life.decided.wait()
        except asyncio.CancelledError:
            life.kill()
            raise
        if not life.has_started:
            raise ActorFailed(f"{self.address} did not start: {describe(life.error)}") from life.error
        if self.parent is not None and self._is_supervised():
            self.parent.life.watch(life)

    async def stop(self, reason: str, seconds: float) -> None:
        """Ask the current incarnation to end and wait for it, at most `seconds`."""
        if not self.life.task.done():
            self.mailbox.signal(Stop(reason))
            await asyncio.wait({self.life.task}, timeout=finite(seconds))

    async def halt(self, reason: str) -> None:
        """Stop the current incarnation; cancel it after its `shutdown_seconds`, then leave it behind."""
        await self.stop(reason, self.spec.shutdown_seconds)
        await kill([self], self._directory.kill_seconds)

    async def end_children(self, life: Incarnation) -> None:
        """Stop the children of `life` for good, last started first; a killer sees to them itself."""
        while self.children and not life.killed:
            child = next(reversed(self.children.values()))
            await child.halt("its parent ended")
            child.remove()

    def close(self, life: Incarnation) -> None:
        """Report the end of `life`, which may still be running if it would not stop."""
        if life.closed:
            return
        if not life.task.done():
            logger.error("%s: ignored its cancellation and is left behind", self.address)
        if not life.task.done() or life.task.cancelled():
            life.exit = Exit.KILLED
        life.close()
        for orphan in tuple(subtree(self.children.values())):
            orphan.life.kill()
            if orphan.life.closed:
                orphan.remove()
        if not self._is_supervised():
            self.remove()

    def remove(self) -> None:
        """Give the address up: what waits in the mailbox is lost, an asker that waits for an answer is told."""
        if self._cells.get(self.address) is not self:
            return  # it has been given up before, and another one may have it now
        del self._cells[self.address], self._directory.mailboxes[self.address]
        if self.parent is not None:
            del self.parent.children[self.spec.id]
        dropped = self.mailbox.close()
        if dropped:
            logger.info("%s: ended with %d messages waiting", self.address, dropped)
        self._directory.asks.fail_all(self.address)
        self.gone.set_result(self.life.exit)

    def _is_supervised(self) -> bool:
        if self.parent is None or self.parent.life.over:
            return False
        actor = self.parent.life.actor
        return actor is not None and actor.supervises


def subtree(cells: Iterable[Cell]) -> Iterator[Cell]:
    """The cells and all below them, parents first."""
    for cell in tuple(cells):
        yield cell
        yield from subtree(cell.children.values())


async def kill(cells: Iterable[Cell], seconds: float) -> None:
    """Cancel all incarnations of these subtrees; give up on those that do not end within `seconds`."""
    lives = [(cell, cell.life) for cell in subtree(cells)]
    running = [life for _, life in lives if not life.closed and not life.task.done()]
    for life in running:
        life.kill()
    if running:
        await asyncio.wait([life.task for life in running], timeout=seconds)
    for cell, life in lives:
        cell.close(life)
