"""The dispatcher fetches as many jobs as its workers have room for, and has written in batches what becomes of them.

It alone knows what each worker holds. Fetching and writing run beside its mailbox on connections of their own, so
it answers at once whatever the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

import msgspec

from ironforge.actors import attempt_log
from ironforge.actors.alone import Alone
from ironforge.actors.fetch_demand import FetchDemand
from ironforge.actors.in_flight import InFlight
from ironforge.actors.kernel import Actor, ActorDead, ActorRef, MailboxFull, handles
from ironforge.actors.messages import (
    Announce,
    Cancel,
    Done,
    Drain,
    Heard,
    Held,
    Ready,
    Reconnected,
    Requeue,
    RequeueRest,
    Run,
)
from ironforge.actors.session import Session
from ironforge.actors.write_buffer import Writes
from ironforge.errors import IncompatibleRecord
from ironforge.job import record as records
from ironforge.job.crashes import Crash, is_suspect, requeued
from ironforge.job.record import RECORD_VERSION, is_alone
from ironforge.metrics.jobs import Metrics
from ironforge.settings import Settings
from ironforge.steps.first_run import recorded
from ironforge.store import Delivery, Rewrite

logger = logging.getLogger(__name__)

# One that waits notices only afterwards that a queue was paused or resumed.
BLOCK_SECONDS: Final = 1.0
# A cancellation may overtake the very delivery it is meant for: new deliveries hear of it for this long.
REMEMBER_CANCEL_SECONDS: Final = 5.0


class Dispatcher(Actor):
    def __init__(self, session: Session, settings: Settings, metrics: Metrics) -> None:
        self._session = session
        self._crash_budget = settings.crash_budget
        self._metrics = metrics
        self._workers = [session.role(f"workers/{number}") for number in range(settings.concurrency)]
        self._in_flight = InFlight(settings.concurrency)
        self._demand = FetchDemand()
        self._room = asyncio.Event()
        self._heard_at = time.monotonic()
        self._draining = False
        self._cancels: dict[bytes, float] = {}

    async def started(self) -> None:
        self._node = (await self._session.lease()).node
        self._work = await self._session.work()
        self._writes = Writes(self._session, self._work, self.background)
        parts = (self._session, self._work.alone, self._in_flight)
        self._alone = Alone(*parts, held=lambda: self.held(Held()), metrics=self._metrics, assign=self._assign)
        self._fetcher = self.background(self._fetch_forever())
        for worker in self._workers:
            _try_tell(worker, Announce())

    @handles(Ready)
    def ready(self, message: Ready) -> None:
        lost = self._in_flight.arrived(message.worker, message.incarnation)
        if lost:
            logger.error("worker %d crashed; it held %d jobs", message.worker, len(lost))
            self._requeue(lost, crashed=True)
        self._update()

    @handles(Done)
    def done(self, message: Done) -> None:
        self._in_flight.ended(message.worker, message.size)
        self._demand.ended(message.size, message.seconds, time.monotonic())
        self._writes.settle.add(message.settled)
        if message.size > len(message.settled):  # most reports are of nothing else
            self._writes.park.add(message.parked)
            self._writes.bury.add(message.buried)
            self._writes.decline.add(message.declined)
            self._writes.quarantine.add(message.unreadable)
            self._writes.wait.add(message.waiting)
        if message.adjusted:
            self._writes.adjust.add(message.adjusted)
        self._update()

    @handles(Requeue)
    def reassign(self, message: Requeue) -> None:
        self._assign(self._in_flight.requeued(message.worker, message.size))

    @handles(Cancel)
    def cancel(self, message: Cancel) -> None:
        now = time.monotonic()
        recent = {job: at for job, at in self._cancels.items() if now - at < REMEMBER_CANCEL_SECONDS}
        self._cancels = {**recent, message.job_id: now}
        for worker in self._in_flight.busy():
            _try_tell(self._workers[worker], message)

    @handles(Reconnected)
    def reconnected(self, _: Reconnected) -> None:
        self.background(self._find_cancellations())

    @handles(Drain)
    def drain(self, _: Drain) -> None:
        self._draining = True
        self._fetcher.cancel()
        for worker in self._in_flight.busy():
            _try_tell(self._workers[worker], RequeueRest())

    @handles(Held)
    def held(self, _: Held) -> int:
        return self._in_flight.count + self._writes.pending

    @handles(Heard)
    def heard(self, _: Heard) -> float:
        return time.monotonic() - self._heard_at if self._room.is_set() and not self._alone.active else 0.0

    async def _fetch_forever(self) -> None:
        deliveries: list[Delivery] = []
        idle = False
        while True:
            await self._room.wait()
            await self._writes.room()
            if await self._alone.turn():
                continue
            want = self._demand.want(self._in_flight.free, self._in_flight.count, time.monotonic())
            if not idle:
                deliveries = await self._work.fetch(want)
            if not deliveries:
                deliveries = await self._work.wait(want, BLOCK_SECONDS)
            # A wait that ended without a job has just seen every stream empty: no need to ask each of them again.
            idle = not deliveries
            self._heard_at = time.monotonic()
            self._assign(deliveries)

    def _assign(self, deliveries: list[Delivery]) -> None:
        batch = self._demand.batch()
        at = 0
        while at < len(deliveries) and self._in_flight.free and not self._draining:
            worker = self._in_flight.claim_free()
            jobs = deliveries[at : at + batch]
            if not _try_tell(self._workers[worker], Run(tuple(jobs))):
                continue  # it is restarting, and says Ready when it is back
            self._in_flight.give(worker, jobs)
            at += len(jobs)
            for job_id in self._cancels:
                _try_tell(self._workers[worker], Cancel(job_id))
        self._requeue(deliveries[at:])
        self._update()

    def _requeue(self, deliveries: list[Delivery], *, crashed: bool = False) -> None:
        """To their queues, for another worker or node. What cannot be read is put aside, as a worker would do."""
        for delivery in deliveries:
            stream, entry, record = delivery
            try:
                job = records.decode(record)
            except IncompatibleRecord as error:
                self._writes.quarantine.add([(delivery, str(error))])
            else:
                crash = Crash(f"a worker of node {self._node} crashed", self._node, is_alone(stream))
                if crashed:
                    job = self._session.began(job)
                job = requeued(job, self._crash_budget, crash if crashed else None, may_have_started=crashed)
                if crashed:  # whether its run has recorded something nobody knows any more
                    job = msgspec.structs.replace(job, version=RECORD_VERSION, journal=recorded(job.journal))
                alone = is_suspect(job, self._crash_budget)
                rewrite = Rewrite.of(stream, entry, job, failed=False, alone=alone)
                if job.ended:
                    attempt_log.dead(job, stream, self._metrics)
                    self._writes.bury.add([rewrite])
                else:
                    self._writes.requeue.add([rewrite])

    def _update(self) -> None:
        self._metrics.active_jobs.set(self._in_flight.count)
        if self._in_flight.free:
            if not self._room.is_set():
                # While there was no room the server was not asked: silence counts from here.
                self._heard_at = time.monotonic()
            self._room.set()
        else:
            self._room.clear()

    async def _find_cancellations(self) -> None:
        ids: list[bytes] = []
        for _, _, record in self._in_flight.all():
            with contextlib.suppress(IncompatibleRecord):
                ids.append(records.decode(record).id)
        for job_id in await self._work.cancel_requested(ids):
            self.cancel(Cancel(job_id))


def _try_tell(worker: ActorRef, message: Announce | Cancel | RequeueRest | Run) -> bool:
    with contextlib.suppress(ActorDead, MailboxFull):
        worker.try_tell(message)
        return True
    return False
