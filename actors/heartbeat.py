"""The heartbeat: renews a lease from a thread with its own connection, so a loop that is merely busy keeps its lease.

It stops when the loop has been stuck for a third of the lease, because then no role can be told that the lease is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from ironforge.actors.blocked_loop import blocker
from ironforge.errors import LeaseLost, StoreError
from ironforge.store import Lease, Leases

logger = logging.getLogger(__name__)

BEATS_PER_LEASE: Final = 4
STUCK_FRACTION: Final = 1 / 3


class Heartbeat:
    """`on_beat(expired nodes, seconds since the last beat)` and `on_loss(detail)` run on the loop."""

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
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its roles with it
            self._loop.call_soon_threadsafe(callback, *args)
