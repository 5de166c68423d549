"""An actor that keeps its children running; it decides nothing itself, but carries out `policy`.

Restarts are immediate. A delay would hide a bug that the budget is there to expose; waiting for an outage to
pass belongs to the code that talks to the outside.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from ironforge.actors.kernel.actor import Actor
from ironforge.actors.kernel.cell import Cell
from ironforge.actors.kernel.errors import ActorDead, ActorError, ActorFailed, BeginAnew, RestartsExceeded
from ironforge.actors.kernel.frames import Down
from ironforge.actors.kernel.incarnation import Incarnation
from ironforge.actors.kernel.policy import ChildSpec, Restart, RestartBudget, Strategy, should_restart
from ironforge.actors.kernel.ref import ActorRef, receiving
from ironforge.actors.kernel.system import ActorSystem

logger = logging.getLogger(__name__)


class Supervisor(Actor):
    """Starts `children()` in order before its own `started`; stops them in reverse."""

    supervises: ClassVar[bool] = True
    strategy: Strategy = Strategy.ONE_FOR_ONE
    budget: RestartBudget = RestartBudget(intensity=3, period_seconds=5.0)
    _history: tuple[float, ...] = ()
    _cell: Cell

    def children(self) -> list[ChildSpec]:
        """The children to start with, in order."""
        return []

    async def start_child(self, spec: ChildSpec) -> ActorRef:
        """Add a child after the others. To be called from a handler of this supervisor.

        Raises ActorFailed when it does not start, ActorError when its id is taken.
        """
        self._check_turn()
        return await self.system.spawn(spec, self.ref)

    async def stop_child(self, child_id: str) -> None:
        """Stop a child for good. To be called from a handler of this supervisor.

        Raises ActorDead for an unknown child.
        """
        self._check_turn()
        child = self._cell.children.get(child_id)
        if child is None:
            raise ActorDead(f"{self.ref.address} has no child {child_id!r}")
        await child.halt("stopped by its supervisor")
        child.remove()

    def bind(self, life: Incarnation, system: ActorSystem) -> None:
        super().bind(life, system)
        self._cell = system.cells[life.address]

    async def begin(self) -> None:
        for spec in self.children():
            await self.system.spawn(spec, self.ref)
        await super().begin()

    async def notice(self, signal: Down) -> None:
        if signal.address.rpartition("/")[0] != self.ref.address:
            await self.down(signal)
            return
        cell = self.system.cells.get(signal.address)
        if cell is None or cell.life.number != signal.incarnation:
            return  # late: that incarnation has already been replaced
        self._forget_finished()
        if cell.spec.id in self._cell.children:
            await self._recover(cell)

    async def _recover(self, cell: Cell) -> None:
        failed: Cell | None = cell
        while failed is not None:
            if not isinstance(failed.life.error, BeginAnew):
                self._charge(failed)
            failed = await self._restart_with_siblings(failed)

    def _charge(self, failed: Cell) -> None:
        self._history, is_exceeded = self.budget.spend(self._history, self.clock.now())
        if is_exceeded:
            raise RestartsExceeded(
                f"{self.ref.address}: more than {self.budget.intensity} restarts "
                f"in {self.budget.period_seconds} s, the last one of {failed.address}"
            )

    async def _restart_with_siblings(self, failed: Cell) -> Cell | None:
        cells = self._cell.children
        fallen = [cells[child_id] for child_id in self.strategy.fallen(tuple(cells), failed.spec.id)]
        for cell in reversed(fallen):
            await cell.halt("its sibling failed")
            if cell.spec.restart is Restart.TEMPORARY:
                cell.remove()
        for cell in fallen:
            if cell.spec.restart is not Restart.TEMPORARY:
                try:
                    await cell.start()
                except ActorFailed:
                    return cell
                logger.warning("%s: restarted as incarnation %d", cell.address, cell.life.number)
        return None

    def _forget_finished(self) -> None:
        # A child may have ended in the same turn as the one that failed; a group restart must not start it again.
        for cell in tuple(self._cell.children.values()):
            if cell.life.closed and not should_restart(cell.spec.restart, cell.life.exit):
                cell.remove()

    def _check_turn(self) -> None:
        if receiving.get() != self.ref.address:
            raise ActorError(f"only a handler of {self.ref.address} may change its children: send it a message")
