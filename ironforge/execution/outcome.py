"""How an attempt ended, and what follows: a small table from what the handler's end means to what the record says.

This is where a failed attempt is decided, because the handler with its backoff and its limit is at hand: what leaves
here is ready to be stored. Everything that is run again leaves with a higher fence, and every attempt that failed
leaves its error in the record, also the ones that ended in the dead letter at once.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from ironforge.errors import LimitNotFound
from ironforge.execution.conclusion import Conclusion, Verdict
from ironforge.execution.steps.run import Steps
from ironforge.formats.numbers import counted
from ironforge.formats.timestamps import now_ms
from ironforge.handlers.binding import Arguments
from ironforge.handlers.forge import Handler
from ironforge.job import retry
from ironforge.job.context import Context, Throttle, WorkflowNode
from ironforge.job.crashes import cleared
from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import LimitUse, claims_of, throttled_mark, use_of
from ironforge.job.record import RECORD_VERSION, Job, JobState, encode, format_id
from ironforge.job.tracebacks import GAVE_UP, AttemptError
from ironforge.job.uniqueness import held_key
from ironforge.settings import Settings
from ironforge.steps.first_run import recorded
from ironforge.steps.parking import Pending
from ironforge.steps.waits import Ties, Wait, ties_of

logger = logging.getLogger(__name__)


class Ending(enum.StrEnum):
    """FAILED: it is tried again; DEAD: it is not, because its retries are used up or could change nothing. EXPIRED: it
    was too late to start it. WAITING: the job is parked until what it waits for is there."""

    COMPLETED = "completed"
    FAILED = "failed"
    SNOOZED = "snoozed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    WAITING = "waiting"


class Interrupt(enum.StrEnum):
    """Why an attempt is stopped from outside."""

    TIMEOUT = "timeout"
    CANCEL = "cancel"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended. `record`: the encoded terminal record of a completed or cancelled job, empty when
    nothing is retained; `job`: the rewritten job of every other ending. `seconds`: how long the handler ran.
    `delay_ms`: how long a job that is run again waits. `claims`: what one that ended held of limits, `held` its unique
    key. `throttled`: keys of limits that stop, as `throttled_mark` says them. `ties`: of one that ended.
    `waits_since_ms`: since when one waits that is parked for something."""

    ending: Ending
    job: Job | None
    record: bytes
    job_id: bytes
    kind: str
    seconds: float
    retention_ms: int
    delay_ms: int = 0
    claims: tuple[str, ...] = ()
    held: str = ""
    throttled: str = ""
    ties: Ties = ()
    waits_since_ms: int = 0


# Results of nodes as JSON, by their ids; None: it did not succeed.
ReadResults: TypeAlias = Callable[[], Awaitable[Mapping[str, bytes | None]]]


class Attempt(msgspec.Struct, eq=False):
    """One run of one job. `started` (monotonic) is infinite until the handler really runs: waiting for a free
    thread or process does not count against the time limit. `outcome` is set when there is nothing to run. `throttle`:
    of a job that uses limits, for its context. `open_steps`: those of the run, for its context; `stepping`: once it has
    some. `read_results`: of a job of a node that refers to results of others; `resolved`: its payload with these in
    it."""

    job: Job
    handler: Handler
    timeout_seconds: float
    namespace: str = "default"
    started: float = math.inf
    started_ms: int = 0
    arguments: Arguments = {}
    context: Context | None = None
    interrupt: Interrupt | None = None
    outcome: Outcome | None = None
    task: asyncio.Task[object] | None = None
    failure: BaseException | None = None
    throttle: Throttle | None = None
    open_steps: Callable[[Context], Steps] | None = None
    stepping: Steps | None = None
    read_results: ReadResults | None = None
    resolved: bytes = b""

    @property
    def payload(self) -> bytes:
        """For its handler."""
        return self.resolved or self.job.payload

    def seconds_left(self) -> float:
        """Of the time limit; all of it as long as the handler has not started."""
        return min(self.timeout_seconds, self.started + self.timeout_seconds - time.monotonic())

    @property
    def seconds(self) -> float:
        return max(0.0, time.monotonic() - self.started)

    def begin(self) -> Context:
        """From here on it takes of its time."""
        job = self.job
        self.started_ms = now_ms()
        self.started = time.monotonic()
        self.context = context = Context(
            job.id,
            job.kind,
            job.attempt + 1,
            job.fence,
            self.timeout_seconds,
            self.namespace,
            job.tick,
            self.open_steps,
        )
        if self.throttle is not None:
            context.use_limits(job.limits, self.throttle)
        if job.parent is not None and job.parent.is_workflow:
            context.workflow = WorkflowNode(format_id(job.parent.id), job.parent.node)
        return context

    def wait(self) -> None:
        """For a thread or process: it has not begun yet."""
        self.started_ms, self.started = 0, math.inf

    def fail(self, error: BaseException) -> bool:
        """A task of its handler raised what ends more than that task; False when the run is over already."""
        if self.outcome is not None:
            return False
        if self.failure is None:
            self.failure = error
            self.stop()
        return True

    def steps_of(self, context: Context) -> Steps:
        """Of its run, which has one where steps are asked for."""
        assert self.open_steps is not None
        return self.open_steps(context)

    def left_to(self, job: Job) -> Job:
        """The job as this run leaves it: it waits for nothing any more. One that has recorded something has a journal,
        and crashes count anew from there."""
        if self.stepping is not None and self.stepping.journal.recorded:
            return msgspec.structs.replace(
                job, version=RECORD_VERSION, journal=recorded(job.journal), wait=None, crashes=0
            )
        return job if job.wait is None else msgspec.structs.replace(job, wait=None)

    def stop(self) -> None:
        """Cancel its handler, if it waits for something."""
        if self.task is not None:
            self.task.cancel()


class Outcomes:
    """Makes the outcomes of one node."""

    def __init__(self, node: str, settings: Settings) -> None:
        self._node = node
        self._retention_ms = round(settings.retention_seconds * 1000)
        self._max_retries = settings.default_max_retries
        self._crash_budget = settings.crash_budget
        self._random = random.Random()

    def concluded(self, attempt: Attempt, end: Conclusion) -> Outcome:
        if end.result:  # first and without a look at the verdict: most jobs come by here
            return self._ended(attempt, Ending.COMPLETED, JobState.COMPLETED, end.result)
        match end.verdict:
            case Verdict.SNOOZE:
                return self._run_again(attempt, Ending.SNOOZED, attempt.job, end.pause_ms or 0)
            case Verdict.THROTTLED:
                return self._throttled(attempt, end)
            case Verdict.WAITING if end.pending is not None and attempt.stepping is not None:
                return self._waiting(attempt, end.pending, attempt.stepping)
            case Verdict.DISCARD | Verdict.UNUSABLE:
                return self.hopeless(attempt, end.type, end.message)
            case _:
                return self._failed(attempt, end.type, end.message, end.trace, end.pause_ms)

    def interrupted(self, attempt: Attempt) -> Outcome:
        """The outcome of an attempt that was stopped, whatever its handler made of it or still does."""
        if attempt.context is not None:
            attempt.context.request_cancel()
        if attempt.interrupt is Interrupt.CANCEL:
            return self._ended(attempt, Ending.CANCELLED, JobState.CANCELLED)
        return self._failed(attempt, "Timeout", _timeout_message(attempt))

    def expired(self, attempt: Attempt) -> Outcome:
        return self._ended(attempt, Ending.EXPIRED, JobState.CANCELLED, reason=EXPIRED)

    def hopeless(self, attempt: Attempt, type_name: str, reason: str) -> Outcome:
        """To the dead letter at once: trying again would change nothing. `reason` as it can be stored."""
        return self._dead(attempt, self._spent(attempt, type_name, reason.removeprefix(f"{type_name}: ")), reason)

    def _failed(
        self, attempt: Attempt, type_name: str, message: str, trace: str = "", pause_ms: int | None = None
    ) -> Outcome:
        """`pause_ms`: how long the handler wants to wait; None leaves it to its backoff."""
        job, handler = self._spent(attempt, type_name, message, trace), attempt.handler
        given = handler.options.max_retries
        max_retries = self._max_retries if given is None else given
        verdict = retry.decide(
            job, max_retries=max_retries, backoff=handler.backoff, after_ms=pause_ms, rng=self._random
        )
        if verdict.problem:
            logger.error("the backoff of %s cannot be used: %s", job.kind, verdict.problem)
        if verdict.retry:
            return self._run_again(attempt, Ending.FAILED, job, verdict.delay_ms)
        return self._dead(attempt, job.again(), f"{GAVE_UP} {counted(job.attempt, 'failed attempt')}")

    def _spent(self, attempt: Attempt, type_name: str, message: str, trace: str = "") -> Job:
        """The job with this attempt counted, and its error."""
        job = attempt.job
        return job.failed(AttemptError(job.attempt + 1, now_ms(), type_name, message, self._node, trace))

    def _throttled(self, attempt: Attempt, end: Conclusion) -> Outcome:
        """Like a snooze, until its key goes on."""
        keys: dict[LimitUse, int] = {}
        try:
            for name, ms in end.throttled:
                use = use_of(attempt.job.limits, name)
                keys[use] = max(ms, keys.get(use, 0))
        except LimitNotFound as error:
            return self._failed(attempt, type(error).__name__, str(error))
        mark = throttled_mark(keys)
        return self._run_again(attempt, Ending.SNOOZED, attempt.job, max(keys.values()), mark)

    def _waiting(self, attempt: Attempt, pending: Pending, steps: Steps) -> Outcome:
        """Without an attempt spent, and with what a crash before the wait would have counted."""
        until_ms = pending.until_ms if pending.delay_ms is None else round(steps.journal.now_ms()) + pending.delay_ms
        wait = Wait(pending.for_, pending.field, pending.event, until_ms, pending.low)
        left = attempt.job
        job = left.again(version=RECORD_VERSION, journal=recorded(left.journal), wait=wait, crashes=0)
        since_ms = pending.started_ms
        return Outcome(Ending.WAITING, job, b"", job.id, job.kind, attempt.seconds, 0, waits_since_ms=since_ms)

    def _run_again(self, attempt: Attempt, ending: Ending, job: Job, delay_ms: int, throttled: str = "") -> Outcome:
        job = attempt.left_to(cleared(job, self._crash_budget))
        again = job.again(ready_ms=now_ms() + delay_ms)
        return Outcome(ending, again, b"", job.id, job.kind, attempt.seconds, 0, delay_ms=delay_ms, throttled=throttled)

    def _dead(self, attempt: Attempt, job: Job, reason: str) -> Outcome:
        dead = attempt.left_to(job).finish(JobState.DEAD, now_ms(), started_ms=attempt.started_ms, reason=reason)
        return Outcome(Ending.DEAD, dead, b"", job.id, job.kind, attempt.seconds, 0)

    def _ended(
        self, attempt: Attempt, ending: Ending, state: JobState, result: bytes = b"", reason: str = ""
    ) -> Outcome:
        job, handler = attempt.job, attempt.handler
        if attempt.stepping is not None or job.wait is not None:
            job = attempt.left_to(job)
        kind_seconds = handler.options.retain_seconds
        if job.retain_ms is None and kind_seconds is not None:
            # The record says it from here on: readers ask no kind.
            job = msgspec.structs.replace(job, retain_ms=round(kind_seconds * 1000))
        retention_ms = self._retention_ms if job.retain_ms is None else job.retain_ms
        record = b""
        if retention_ms or job.parent:  # of a child its parent gets it
            started_ms = attempt.started_ms
            record = encode(job.finish(state, now_ms(), started_ms=started_ms, result=result, reason=reason))
        claims = claims_of(job.limits) if job.limits else ()
        held = "" if job.unique is None else held_key(job.kind, job.unique)
        ties = ties_of(job.parent, journal=job.journal) if job.journal or job.parent else ()
        return Outcome(ending, None, record, job.id, job.kind, attempt.seconds, retention_ms, 0, claims, held, "", ties)


def _timeout_message(attempt: Attempt) -> str:
    message = f"the handler ran longer than its limit of {attempt.timeout_seconds:g} s"
    if attempt.handler.executor == "thread":
        return f"{message}; its thread cannot be stopped and may still be running: poll context.cancel_requested"
    return message
