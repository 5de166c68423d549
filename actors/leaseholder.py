"""The lease: joins the cluster, renews its one deadline, takes over what dead nodes held, hands back at the end.

The heartbeat is a thread with its own connection, so a loop that is merely busy keeps its lease; but it stops when
the loop has been stuck for a third of the lease, because then nobody here can be told that the lease is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from ironforge.actors.blocked_loop import blocker
from ironforge.actors.kernel import Actor, BeginAnew, Cancellable, Exit, handles
from ironforge.actors.messages import Beaten, Fenced, LeaseGone, SeenDead, WhoHolds
from ironforge.errors import LeaseLost, StoreError
from ironforge.metrics.jobs import Metrics
from ironforge.process.thread_pool import aside
from ironforge.settings import Settings
from ironforge.store import Lease, Leases

logger = logging.getLogger(__name__)

BEATS_PER_LEASE: Final = 4
# The loop proves its life this often per lease; the heartbeat misses it after a third of the lease.
TICKS_PER_LEASE: Final = 12
STUCK_FRACTION: Final = 1 / 3


class Leaseholder(Actor):
    """`on_joined` hears the name of each new lease, before anything is held under it."""

    def __init__(self, leases: Leases, settings: Settings, metrics: Metrics, on_joined: Callable[[str], None]) -> None:
        self._leases = leases
        self._on_joined = on_joined
        self._lease_seconds = settings.lease_seconds
        self._metrics = metrics
        self._taking_over: set[str] = set()
        self._heart: Heartbeat | None = None
        self._ticker: Cancellable | None = None

    async def started(self) -> None:
        try:
            self._lease = await self._leases.join()
        except LeaseLost as error:  # fenced again before it had begun
            self.lease_gone(LeaseGone(str(error)))
        self._on_joined(self._lease.node)
        logger.info("joined the cluster as %s", self._lease.node)
        # A node that was itself away (or has just come) cannot tell whether the others were: it watches them for
        # one whole lease before it declares any of them dead.
        self._steady_since = self._strays_sought = time.monotonic()
        self._heart = Heartbeat(self._leases, self._lease, self._lease_seconds, self._on_beat, self._on_loss)
        self._tick()
        self._heart.start()

    async def stopped(self, exit: Exit) -> None:  # noqa: A002 - the kernel's word
        if self._ticker is not None:
            self._ticker.cancel()
        if self._heart is None:
            return
        await aside(self._heart.stop)
        if exit is Exit.NORMAL:
            # It ends with its siblings: because all were told to, or because one of them crashed.
            await self._leases.leave(self._lease, crashed=not self.system.closing)
            logger.info("left the cluster: %s", self._lease.node)

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
        if time.monotonic() - self._strays_sought > self._lease_seconds:
            self._strays_sought = time.monotonic()
            self.background(self._find_orphan_consumers(), name="strays")

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

    async def _take_over(self, node: str, *, seen_dead: bool) -> None:
        try:
            moved = await self._leases.take_over(self._lease, node, seen_dead=seen_dead)
            if moved:
                logger.warning("node %s is dead: %d of its jobs go to others", node, moved)
        except LeaseLost as error:
            self.ref.try_tell(LeaseGone(str(error)))
        finally:
            self._taking_over.discard(node)

    def _tick(self) -> None:
        if self._heart is not None:
            self._heart.tick()
        self._ticker = self.clock.call_later(self._lease_seconds / TICKS_PER_LEASE, self._tick)

    def _on_beat(self, expired: list[str], gap_seconds: float) -> None:
        if gap_seconds > self._lease_seconds / 2:
            self._steady_since = time.monotonic()
        self.ref.try_tell(Beaten(tuple(expired)))

    def _on_loss(self, detail: str) -> None:
        self.ref.try_tell(LeaseGone(detail))


class Heartbeat:
    """The heartbeat thread. `on_beat(expired nodes, seconds since the last beat)` and `on_loss(detail)` run on the
    loop."""

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        lease_seconds: float,
        on_beat: Callable[[list[str], float], None],
        on_loss: Callable[[str], None],
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._interval_seconds = lease_seconds / BEATS_PER_LEASE
        self._stuck_seconds = lease_seconds * STUCK_FRACTION
        self._on_beat = on_beat
        self._on_loss = on_loss
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._noted: bytes | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._last_tick = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Blocks until the thread has ended: at most one heartbeat's time-out."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def tick(self) -> None:
        self._last_tick = time.monotonic()

    def _run(self) -> None:
        last_beat = time.monotonic()
        while not self._stop.wait(self._interval_seconds * random.uniform(0.9, 1.1)):
            stuck_seconds = time.monotonic() - self._last_tick
            try:
                if stuck_seconds > self._stuck_seconds:
                    self._say_who_blocks(stuck_seconds)
                    continue
                self._forget_who_blocked()
                expired = self._leases.beat(self._lease)
            except LeaseLost as error:
                self._tell(self._on_loss, str(error))
                return
            except StoreError as error:
                logger.warning("heartbeat failed, the next one will try again: %s", error)
                continue
            now = time.monotonic()
            self._tell(self._on_beat, expired, now - last_beat)
            last_beat = now

    def _say_who_blocks(self, seconds: float) -> None:
        """In the log, and in the store for the node that takes over: this node may not be there to tell it."""
        attempt, place = blocker(self._loop_thread)
        if attempt is None:
            logger.warning("the event loop is blocked for %.1f s: no heartbeat until it turns; %s", seconds, place)
            return
        job = attempt.job
        logger.warning(
            "a handler of %s blocks the event loop for %.1f s: no heartbeat until it turns; %s",
            *(job.kind, seconds, place),
            extra={"job_id": job.text_id, "kind": job.kind},
        )
        self._noted = job.id
        self._leases.note_blocked(self._lease, job.id, f"blocked the event loop for {seconds:.1f} s in {place}")

    def _forget_who_blocked(self) -> None:
        if self._noted is not None:
            self._leases.note_blocked(self._lease, self._noted, "")
            self._noted = None

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, *args)
