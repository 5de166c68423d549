"""The lease: joins the cluster, renews its one deadline, takes over what dead nodes held, requeues at the end. As nodes
come and go the schedules hold that are in their code."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from ironforge.actors.heartbeat import Heartbeat
from ironforge.actors.kernel import Actor, BeginAnew, Cancellable, Exit, handles
from ironforge.actors.messages import Beaten, Fenced, LeaseGone, SeenDead, WhoHolds
from ironforge.errors import LeaseLost
from ironforge.metrics.jobs import Metrics
from ironforge.process.thread_pool import aside
from ironforge.settings import Settings
from ironforge.store import Lease, NodeStore

logger = logging.getLogger(__name__)

# The loop proves its life this often per lease; the heartbeat misses it after a third of the lease.
TICKS_PER_LEASE: Final = 12


class Leaseholder(Actor):
    """`on_joined` hears the name of each new lease, before anything is held under it."""

    def __init__(
        self, store: NodeStore, settings: Settings, metrics: Metrics, on_joined: Callable[[str], None]
    ) -> None:
        self._leases = store.leases
        self._settle_schedules = store.settle_schedules
        self._on_joined = on_joined
        self._lease_seconds = settings.lease_seconds
        self._metrics = metrics
        self._taking_over: set[str] = set()
        self._heartbeat: Heartbeat | None = None
        self._ticker: Cancellable | None = None

    async def started(self) -> None:
        try:
            await self._leases.join(self._entered)
        except LeaseLost as error:  # fenced again before it had begun
            self.lease_gone(LeaseGone(str(error)))
        self._on_joined(self._lease.node)
        logger.info("joined the cluster as %s", self._lease.node)
        # A node that was itself away (or has just come) cannot tell whether the others were: it watches them for
        # one whole lease before it declares any of them dead.
        self._steady_since = self._orphans_sought = time.monotonic()
        self.background(self._settle_schedules(), name="schedules in code")

    async def stopped(self, exit: Exit) -> None:  # noqa: A002 - the kernel's word
        if self._ticker is not None:
            self._ticker.cancel()
        if self._heartbeat is None:
            return
        await aside(self._heartbeat.stop)
        if exit is Exit.NORMAL:
            # It ends with its siblings: because all were told to, or because one of them crashed.
            crashed = not self.system.closing
            await self._leases.leave(self._lease, crashed=crashed)
            if not crashed:  # else it is back at once, with all that is in its code
                await self._settle_schedules()
            logger.info("left the cluster: %s", self._lease.node)

    def _entered(self, lease: Lease) -> None:
        self._lease = lease
        self._heartbeat = Heartbeat(self._leases, lease, self._lease_seconds, self._on_beat, self._on_loss)
        self._tick()
        self._heartbeat.start()

    @handles(WhoHolds)
    def who_holds(self, _: WhoHolds) -> tuple[str, int]:
        return self._lease.node, self._lease.epoch

    @handles(LeaseGone)
    def lease_gone(self, message: LeaseGone) -> None:
        """Ends this incarnation, and with it every role of the node: what they hold is no longer theirs."""
        self._metrics.lease_losses.inc()
        raise BeginAnew(message.detail)

    @handles(Fenced)
    def fenced(self, message: Fenced) -> None:
        """Sooner than the heartbeat would say it: until then this node would go on reading under a dead name."""
        if message.node == self._lease.node:
            self.lease_gone(LeaseGone(f"node {message.node} was taken over by another one"))

    @handles(Beaten)
    def beaten(self, message: Beaten) -> None:
        if time.monotonic() - self._steady_since < self._lease_seconds:
            return
        self._take_over_all(message.expired)
        if time.monotonic() - self._orphans_sought > self._lease_seconds:
            self._orphans_sought = time.monotonic()
            self.background(self._find_orphan_consumers(), name="orphan consumers")

    @handles(SeenDead)
    def seen_dead(self, message: SeenDead) -> None:
        """No judgement, so a node that has just come may act on it as well."""
        self._take_over_all(message.nodes, seen_dead=True)

    def _take_over_all(self, nodes: Iterable[str], *, seen_dead: bool = False) -> None:
        for node in nodes:
            if node not in self._taking_over:
                self._taking_over.add(node)
                self.background(self._take_over(node, seen_dead=seen_dead), name=f"take over {node}")

    async def _find_orphan_consumers(self) -> None:
        self._take_over_all(await self._leases.orphan_consumers())
        await self._settle_schedules()

    async def _take_over(self, node: str, *, seen_dead: bool) -> None:
        try:
            moved = await self._leases.take_over(self._lease, node, seen_dead=seen_dead)
            if moved:
                logger.warning("node %s is dead: %d of its jobs go to others", node, moved)
            await self._settle_schedules()
        except LeaseLost as error:
            self.ref.try_tell(LeaseGone(str(error)))
        finally:
            self._taking_over.discard(node)

    def _tick(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.tick()
        self._ticker = self.clock.call_later(self._lease_seconds / TICKS_PER_LEASE, self._tick)

    def _on_beat(self, expired: list[str], gap_seconds: float) -> None:
        if gap_seconds > self._lease_seconds / 2:
            self._steady_since = time.monotonic()
        self.ref.try_tell(Beaten(tuple(expired)))

    def _on_loss(self, detail: str) -> None:
        self.ref.try_tell(LeaseGone(detail))
