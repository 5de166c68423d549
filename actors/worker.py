"""A worker runs one job at a time in its own asyncio task, enforces its time limit and reports the outcome.

The actor itself never waits for user code: it stays free to answer cancel and stop while its task runs. Quick jobs
come several at a time (the dispatcher knows how quick they are) and are reported together; a job that turns out
slow makes the worker hand back those behind it, so no job waits for a busy worker while another one is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from typing import Final

from actors.kernel import Actor, ActorDead, Exit, handles
from actors.messages import Announce, Cancel, Delivered, GiveUpQueue, HandBack, Ready, Run, Unreadable
from actors.report import Report
from actors.watch import Watch
from ironforge.errors import IncompatibleRecord
from ironforge.executor import Attempt, Executor, Interrupt
from ironforge.metrics import Metrics

logger = logging.getLogger(__name__)

# Results of quick jobs are reported together, but no result waits longer than this for the next one.
REPORT_SECONDS: Final = 0.005


class Worker(Actor):
    def __init__(self, number: int, executor: Executor, metrics: Metrics) -> None:
        self._number = number
        self._executor = executor
        self._report = Report(number, metrics)
        self._queue: deque[Delivered] = deque()
        self._cancelled: set[bytes] = set()
        self._current: tuple[Delivered, Attempt] | None = None
        self._runner: asyncio.Task[None] | None = None

    async def started(self) -> None:
        self._watch = Watch(
            self.clock,
            time_is_up=self._time_is_up,
            out_of_patience=self._lose_patience,
            stubborn=self._abandon,
        )
        node = self.ref.address.split("/")[0]
        self._report.connect(
            dispatcher=self.system.ref(f"{node}/dispatcher"),
            retry_timer=self.system.ref(f"{node}/retry_timer"),
            dead_letter=self.system.ref(f"{node}/dead_letter"),
        )
        self.announce(Announce())

    async def stopped(self, _exit: Exit) -> None:
        self._watch.close()

    @handles(Announce)
    def announce(self, _: Announce) -> None:
        with contextlib.suppress(ActorDead):  # it has not started yet, and will ask
            self._report.dispatcher.try_tell(Ready(self._number, self.incarnation))

    @handles(Run)
    def run(self, message: Run) -> None:
        self._queue.extend(message.jobs)
        if self._runner is None:
            self._runner = self.background(self._run_queue(), name="jobs")

    @handles(GiveUpQueue)
    def give_up_queue(self, _: GiveUpQueue) -> None:
        if self._queue:
            with contextlib.suppress(ActorDead):  # then all begin anew, and what is held goes back with the lease
                self._report.dispatcher.try_tell(HandBack(self._number, len(self._queue)))
            self._queue.clear()

    @handles(Cancel)
    def cancel(self, message: Cancel) -> None:
        if self._current is not None and self._current[1].job.id == message.job_id:
            self._interrupt(self._current[1], Interrupt.CANCEL)
        elif self._queue:
            self._cancelled.add(message.job_id)

    async def _run_queue(self) -> None:
        runner = self._runner
        last_report = time.monotonic()
        while self._queue:
            delivered = self._queue.popleft()
            await self._run_one(delivered)
            if self._runner is not runner:
                return  # this task was abandoned with its stubborn handler; another one went on
            if self._queue and time.monotonic() - last_report > REPORT_SECONDS:
                await self._report.send()
                last_report = time.monotonic()
        self._cancelled.clear()
        await self._report.send()
        self._runner = None
        if self._queue:  # came while the report was on its way
            self._runner = self.background(self._run_queue(), name="jobs")

    async def _run_one(self, delivered: Delivered) -> None:
        try:
            attempt = self._executor.prepare(delivered[2], delivered[0])
        except IncompatibleRecord as error:
            self._report.unreadable(Unreadable(delivered, str(error)))
            return
        job = attempt.job
        self._report.started(delivered[0], time.time() - (job.ready_ms or job.created_ms) / 1000)
        if job.id in self._cancelled:
            attempt.interrupt = Interrupt.CANCEL
        self._current = current = (delivered, attempt)
        self._watch.begin(attempt)
        outcome = await self._executor.run(attempt)
        if self._current is current:  # and it has not been abandoned meanwhile
            self._ended()
            self._report.add(delivered, outcome)

    def _lose_patience(self, _attempt: Attempt) -> None:
        """Neither the jobs behind a slow one nor the results of those before it shall wait for it."""
        self.give_up_queue(GiveUpQueue())
        self.background(self._report.send(), name="report")

    def _time_is_up(self, attempt: Attempt) -> None:
        self._interrupt(attempt, Interrupt.TIMEOUT)

    def _interrupt(self, attempt: Attempt, reason: Interrupt) -> None:
        if attempt.interrupt is None and self._runner is not None:
            attempt.interrupt = reason
            self._runner.cancel()
            self._watch.cancelling(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        assert self._current is not None
        logger.error(
            "the handler of %s ignores its cancellation; its worker goes on without it",
            attempt.job.kind,
            extra={"job_id": attempt.job.text_id, "kind": attempt.job.kind},
        )
        delivered = self._current[0]
        self._ended()
        self._report.add(delivered, self._executor.interrupted(attempt))
        self._runner = self.background(self._run_queue(), name="jobs")

    def _ended(self) -> None:
        self._current = None
        self._watch.end()
