"""Calls the hooks of an application: at most once for each event, beside the jobs and never in their way.

Every hook has a queue and a task of its own, so a slow one delays no job and no other hook. The queue is bounded: a
hook that is slower than what it wants to know loses the newest events, and the log says how many. Plain functions may
block, so they run in a thread, which takes what waits at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ironforge.execution.outcome import Attempt, Ending
from ironforge.handlers.events import (
    AttemptEnded,
    AttemptEvent,
    AttemptFailed,
    AttemptSnoozed,
    AttemptWaiting,
    EventName,
    Hook,
    JobDead,
    NodeEvent,
)
from ironforge.handlers.lifespan import Provided
from ironforge.handlers.names import name_of
from ironforge.job.tracebacks import in_words, trace_of
from ironforge.process.thread_pool import Threads
from ironforge.steps.names import shown
from ironforge.steps.waits import Wait

logger = logging.getLogger(__name__)

# What a second of a busy node may bring; an event takes about 500 bytes.
CAPACITY: Final = 10_000
# An asynchronous hook that takes longer for one event is cancelled.
HOOK_SECONDS: Final = 10.0
# At the end, for what still waits; then for those that are cancelled.
CLOSE_SECONDS: Final = 2.0
CANCEL_SECONDS: Final = 0.5


class EventHooks:
    """Those of one node, called `node` in its events. To be made in its event loop."""

    def __init__(self, hooks: Sequence[Hook], node: str, provided: Provided) -> None:
        self._node = node
        queues: dict[int, _Queue] = {}
        self._queues: dict[EventName, list[_Queue]] = {}
        for hook in hooks:
            # One that is registered for several events gets all of them in their order.
            queue = queues.get(id(hook.function)) or queues.setdefault(id(hook.function), _Queue(hook, provided))
            self._queues.setdefault(hook.event, []).append(queue)
        self._all = list(queues.values())

    def tell_of_node(self, event: EventName) -> None:
        for queue in self._queues.get(event, ()):
            queue.put(NodeEvent(event, self._node))

    def started(self, attempt: Attempt) -> None:
        self._tell(AttemptEvent, "attempt_started", attempt)

    def ended(self, attempt: Attempt) -> None:
        """As its outcome says."""
        outcome = attempt.outcome
        assert outcome is not None
        seconds, job = outcome.seconds, outcome.job
        match outcome.ending:
            case Ending.COMPLETED:
                self._tell(AttemptEnded, "attempt_completed", attempt, seconds)
            case Ending.CANCELLED:
                self._tell(AttemptEnded, "attempt_cancelled", attempt, seconds)
            case Ending.SNOOZED:
                self._tell(AttemptSnoozed, "attempt_snoozed", attempt, seconds, outcome.delay_ms / 1000)
            case Ending.WAITING:
                assert job is not None
                assert job.wait is not None
                self._tell(AttemptWaiting, "attempt_waiting", attempt, seconds, *_words_of(job.wait))
            case _:
                assert job is not None
                is_dead = outcome.ending is Ending.DEAD
                retry_seconds = None if is_dead else outcome.delay_ms / 1000
                self._tell(AttemptFailed, "attempt_failed", attempt, seconds, job.errors[-1], retry_seconds)
                if is_dead:
                    self._tell(JobDead, "job_dead", attempt, job.reason, tuple(job.errors))

    async def close(self) -> None:
        """Waits 2 seconds at most for what has been told, and gives up the rest."""
        for queue in self._all:
            queue.finish()
        _, late = await asyncio.wait([queue.task for queue in self._all], timeout=CLOSE_SECONDS)
        for queue in self._all:
            queue.give_up()
        if late:
            await asyncio.wait(late, timeout=CANCEL_SECONDS)

    def _tell(self, make: type[AttemptEvent], event: EventName, attempt: Attempt, *more: Any) -> None:
        queues = self._queues.get(event)
        if queues:
            job = attempt.job
            about = self._node, job.text_id, job.kind, job.queue, attempt.namespace, job.attempt + 1
            tick = (None, None) if job.tick is None else (job.tick.schedule, job.tick.at)
            told = make(event, *about, *tick, *more)
            for queue in queues:
                queue.put(told)


def _words_of(wait: Wait) -> tuple[str, str, str | None, datetime | None]:
    until = datetime.fromtimestamp(wait.until_ms / 1000, UTC) if wait.until_ms else None
    return wait.for_, shown(wait.name), wait.event or None, until


class _Queue:
    """What waits for one hook, and the task that calls it."""

    def __init__(self, hook: Hook, provided: Provided) -> None:
        self._name = name_of(hook.function)
        given = {name: provided[lifespan] for name, lifespan in hook.provided.items()}
        self._call = functools.partial(hook.function, **given)
        self._is_async = inspect.iscoroutinefunction(inspect.unwrap(hook.function))
        self._threads = Threads(keep=1)
        self._waiting: deque[NodeEvent] = deque()
        self._some = asyncio.Event()
        self._finishing = self._given_up = False
        self._dropped = self._failed = 0
        self.task = asyncio.create_task(self._work_off(), name=f"hook {self._name}")

    def put(self, event: NodeEvent) -> None:
        if len(self._waiting) < CAPACITY:
            self._waiting.append(event)
            self._some.set()
            return
        self._dropped += 1
        if self._dropped == 1:
            logger.warning("hook %s is too slow, %d events wait for it: further ones are dropped", self._name, CAPACITY)

    def finish(self) -> None:
        """End once nothing waits."""
        self._finishing = True
        self._some.set()

    def give_up(self) -> None:
        """End, and say in the log what was lost."""
        self._given_up = True
        self.task.cancel()
        self._threads.close()
        lost = self._dropped + len(self._waiting)
        if lost or self._failed:
            logger.warning("hook %s failed %d times, and %d events did not reach it", self._name, self._failed, lost)

    async def _work_off(self) -> None:
        while not self._given_up and (self._waiting or not self._finishing):
            if not self._waiting:
                self._some.clear()
                await self._some.wait()
            elif self._is_async:
                await self._call_on_loop()
            else:
                await self._threads.run(self._call_in_thread)

    async def _call_on_loop(self) -> None:
        try:
            async with asyncio.timeout(HOOK_SECONDS):
                await self._call(self._waiting.popleft())
        except BaseException as error:  # noqa: BLE001 - a hook may raise anything, SystemExit included
            self._fail(error)
        with contextlib.suppress(asyncio.CancelledError):  # which the hook has asked for
            # One that never waits would block the loop for as long as events wait for it.
            await asyncio.sleep(0)

    def _call_in_thread(self) -> None:
        while self._waiting and not self._given_up:
            try:
                self._call(self._waiting.popleft())
            except BaseException as error:  # noqa: BLE001 - the same
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failed += 1
        if self._failed == 1:
            words = f"hook {self._name} failed, which is said once: {in_words(error)}"
            logger.error(words, extra={"exception": trace_of(error)})
