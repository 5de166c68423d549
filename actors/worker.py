"""A worker runs one job at a time in its own asyncio task, enforces its time limit and reports the outcome.

The actor itself never waits for user code: it stays free to answer cancel and stop while its task runs. Quick jobs
come several at a time (the dispatcher knows how quick they are) and are reported together; a job that turns out
slow makes the worker requeue those behind it, so no job waits for a busy worker while another one is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sys
import time
from collections import deque
from typing import Final

from ironforge.actors.attempt_timers import AttemptTimers
from ironforge.actors.handler_calls import Journals, Throttling
from ironforge.actors.kernel import Actor, ActorDead, ActorFailed, Exit, handles
from ironforge.actors.messages import Announce, Cancel, Ready, Requeue, RequeueRest, Run
from ironforge.actors.outcome_reporter import OutcomeReporter
from ironforge.actors.session import Session
from ironforge.errors import IncompatibleRecord, UnknownKind
from ironforge.execution.executor import Attempt, Executor, Interrupt
from ironforge.execution.isolation import is_cancelled
from ironforge.job.expiry import is_expired
from ironforge.metrics.jobs import Metrics
from ironforge.store import Delivery
from ironforge.store.versions import OtherVersion

logger = logging.getLogger(__name__)

# Results of quick jobs are reported together, but no result waits longer than this for the next one.
REPORT_SECONDS: Final = 0.005


class Worker(Actor):
    def __init__(self, session: Session, number: int, executor: Executor, metrics: Metrics) -> None:
        self._session = session
        self._number = number
        self._executor = executor
        self._hooks = executor.hooks
        self._dispatcher = session.role("dispatcher")
        self._report = OutcomeReporter(session, number, metrics)
        self._queue: deque[Delivery] = deque()
        self._cancelled: set[bytes] = set()
        self._current: tuple[Delivery, Attempt] | None = None
        self._runner: asyncio.Task[None] | None = None

    async def started(self) -> None:
        self._throttling = Throttling(self._session)
        self._journals = Journals(self._session, self._executor, lambda: self._current)
        self._steps_of = self._journals.steps_of
        self._watch = AttemptTimers(
            self.clock,
            time_is_up=functools.partial(self._interrupt, Interrupt.TIMEOUT),
            out_of_patience=self._lose_patience,
            stubborn=self._abandon,
        )
        self.announce(Announce())

    async def stopped(self, _exit: Exit) -> None:
        self._watch.close()
        self._journals.close()

    @handles(Announce)
    def announce(self, _: Announce) -> None:
        with contextlib.suppress(ActorDead):  # it has not started yet, and will ask
            self._dispatcher.try_tell(Ready(self._number, self.incarnation))

    @handles(Run)
    def run(self, message: Run) -> None:
        self._queue.extend(message.jobs)
        if self._runner is None:
            self._go_on()

    @handles(RequeueRest)
    def requeue_rest(self, _: RequeueRest) -> None:
        if self._queue:
            with contextlib.suppress(ActorDead):  # then all begin anew, and what is held is requeued with the lease
                self._dispatcher.try_tell(Requeue(self._number, len(self._queue)))
            self._queue.clear()

    @handles(Cancel)
    def cancel(self, message: Cancel) -> None:
        if self._current is not None and self._current[1].job.id == message.job_id:
            self._interrupt(Interrupt.CANCEL, self._current[1])
        elif self._queue:
            self._cancelled.add(message.job_id)

    async def _run_queue(self) -> None:
        """Runs what waits, all in one task, until a run may have kept it: that one keeps it for good.

        A task for every run would cost a quick job a tenth of its time. Code without a reference to a task cannot
        cancel it, so one that no handler got hold of is as good as new.
        """
        try:
            await self._work_off()
        except asyncio.CancelledError:  # not in a handler: those are the executor's
            if self.is_ending:
                raise
            raise ActorFailed("the task that runs its jobs was cancelled") from None

    async def _work_off(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        last_report = time.monotonic()
        while self._queue:
            references = sys.getrefcount(task)
            delivered = self._queue.popleft()
            attempt = self._prepared(delivered)
            if attempt is None:
                continue
            rest = self._executor.start(attempt)
            if rest is not None:
                await rest
            if self._runner is not task:
                return  # this task was abandoned with its stubborn handler; another one went on
            self._ended(delivered, attempt)
            if sys.getrefcount(task) != references or is_cancelled(task):
                self._go_on()
                return
            if self._queue and time.monotonic() - last_report > REPORT_SECONDS:
                self._report.send()
                last_report = time.monotonic()
        self._cancelled.clear()
        self._report.send()
        self._runner = None

    def _go_on(self) -> None:
        """With what waits, in a new task."""
        self._runner = None
        with contextlib.suppress(ActorDead):  # it was the end of this actor that cancelled the old one
            self._runner = self.background(self._run_queue(), name="jobs")

    def _prepared(self, delivered: Delivery) -> Attempt | None:
        try:
            attempt = self._executor.prepare(delivered[2], delivered[0])
        except IncompatibleRecord as error:
            self._report.unreadable(delivered, str(error))
            return None
        except (UnknownKind, OtherVersion):
            self._report.declined(delivered)
            return None
        job = attempt.job
        if job.expires_ms and is_expired(job, self._session.now_ms(delivered[0])):
            self._report.add(delivered, self._executor.expire(attempt))
            return None
        self._report.started(delivered[0], time.time() - (job.ready_ms or job.created_ms) / 1000)
        if job.id in self._cancelled:
            attempt.interrupt = Interrupt.CANCEL
        if job.limits:
            attempt.throttle = functools.partial(self._throttling.throttle, delivered[0])
        attempt.open_steps = self._steps_of
        if job.parent is not None and job.parent.sources:
            attempt.read_results = functools.partial(self._journals.results_for, delivered[0], job.parent)
        self._current = delivered, attempt
        self._watch.begin(attempt)
        if self._hooks is not None:
            self._hooks.started(attempt)
        return attempt

    def _ended(self, delivered: Delivery, attempt: Attempt) -> None:
        assert attempt.outcome is not None
        self._current = None
        self._watch.end()
        self._report.add(delivered, attempt.outcome)
        if attempt.throttle is not None and attempt.context is not None:
            self._report.used(delivered, attempt.context.units_used)
        if self._hooks is not None:
            self._hooks.ended(attempt)

    def _lose_patience(self, _attempt: Attempt) -> None:
        """Neither the jobs behind a slow one nor the results of those before it shall wait for it."""
        self.requeue_rest(RequeueRest())
        self._report.send()

    def _interrupt(self, reason: Interrupt, attempt: Attempt) -> None:
        if attempt.interrupt is None:
            attempt.interrupt = reason
            attempt.stop()
            self._watch.cancelling(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        assert self._current is not None
        logger.error(
            "the handler of %s ignores its cancellation; its worker goes on without it",
            attempt.job.kind,
            extra={"job_id": attempt.job.text_id, "kind": attempt.job.kind},
        )
        self._executor.give_up(attempt)
        self._ended(self._current[0], attempt)
        self._go_on()
