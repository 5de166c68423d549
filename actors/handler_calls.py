"""What running handlers have written and read meanwhile: targets that throttle, and the journals of their jobs. These
they reach under the lease that their jobs were delivered with, as long as nobody has told them to stop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from ironforge.actors.session import Session
from ironforge.errors import LeaseLost
from ironforge.execution.conclusion import awaited
from ironforge.execution.executor import Attempt, Executor, Steps
from ironforge.execution.steps.blocking import has_loop, running_loop
from ironforge.job.context import SAID, Context
from ironforge.job.limits import LimitUse
from ironforge.job.record import Job
from ironforge.steps import journal
from ironforge.steps.calls import ChildJob
from ironforge.steps.children import Window
from ironforge.steps.errors import OVER, InvalidStep
from ironforge.steps.journal import Entry
from ironforge.steps.waits import ParentRef
from ironforge.store import Adjustment, Consumer, Delivery, NewChildren, NewStep, ParentRun, Submission

T = TypeVar("T")

# Records of children that are asked for in one call.
RESULTS_AT_ONCE: Final = 500
Maker: TypeAlias = Callable[[Sequence[ChildJob]], Awaitable[Callable[[int], Submission]]]

STOPPED: Final = "this run was told to stop: it records no more steps"


class Throttling:
    """To be made in the event loop of the node."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()

    def throttle(self, stream: str, use: LimitUse, ms: int) -> Awaitable[None]:
        """Of a job that was delivered from `stream`. It is written, whatever becomes of the run meanwhile, also when
        the handler does not wait for it. One that has no event loop waits here."""
        adjustment = Adjustment(stream, use.claim, throttled_ms=ms)
        written = asyncio.run_coroutine_threadsafe(self._write(adjustment), self._loop)
        if not has_loop():
            written.result()
            return SAID
        return asyncio.shield(asyncio.wrap_future(written))

    async def _write(self, adjustment: Adjustment) -> None:
        work = await self._session.work()
        await work.adjust([adjustment])


class Journals:
    """For the runs of one incarnation of a worker; `current`: the one that it has now. To be made in the event loop of
    the node."""

    def __init__(
        self, session: Session, executor: Executor, current: Callable[[], tuple[Delivery, Attempt] | None]
    ) -> None:
        self.session = session
        self._executor = executor
        self._current = current
        self.loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.current_work: Consumer | None = None

    def steps_of(self, context: Context) -> Steps:
        """Those of the run that has this context. Raises CancelledError where it was told to stop, InvalidStep where it
        is over."""
        current = self._current()
        if current is None or current[1].context is not context:
            raise self.refusal(was_stopped=context.cancel_requested)
        delivery, attempt = current
        if attempt.stepping is None:
            journal = RunJournal(self, delivery, attempt, self._executor.children)
            attempt.stepping = self._executor.steps(attempt, journal)
        return attempt.stepping

    async def results_for(self, stream: str, parent: ParentRef) -> Mapping[str, bytes | None]:
        """As `StepWork.results_for`."""
        return await (await self.work()).results_for(stream, parent)

    def refusal(self, *, was_stopped: bool) -> BaseException:
        """Of a step in a run that records no more."""
        return asyncio.CancelledError(STOPPED) if was_stopped or self.ended.is_set() else InvalidStep(OVER)

    async def work(self) -> Consumer:
        """Under the lease of this incarnation, and of no other."""
        if self.current_work is None:
            self.current_work = await self.session.work()
        return self.current_work

    def close(self) -> None:
        """From now on nothing is recorded: what the worker ran belongs to a lease that is over, or has crashed it."""
        self.ended.set()


class RunJournal:
    """Implements `execution.steps.journal.Journal` for a run of a job that was delivered as `delivery`. `maker` makes
    what makes submissions of children."""

    def __init__(self, journals: Journals, delivery: Delivery, attempt: Attempt, maker: Maker) -> None:
        self._journals = journals
        self._maker = maker
        self._stream, self._entry, _ = delivery
        self._attempt = attempt
        self.recorded = False
        # What this run has recorded stands in the journal, and so does that it was this one.
        self._has_begun = False

    def check(self) -> None:
        attempt = self._attempt
        if attempt.interrupt is not None or attempt.outcome is not None or self._journals.ended.is_set():
            raise self._journals.refusal(was_stopped=attempt.interrupt is not None)

    def now_ms(self) -> float:
        return self._journals.session.now_ms(self._stream)

    async def load(self) -> Mapping[str, Entry]:
        found = await self._on_node(lambda work: work.journal(self._stream, self._attempt.job.id))
        self.recorded = self.recorded or bool(found)
        return found

    async def record(self, field: str, entry: Entry, value: bytes) -> Entry:
        self.check()
        self.recorded = True
        job = self._attempt.job
        step = NewStep(self._stream, self._entry, job.id, job.fence, field, value, begins=not self._has_begun)
        (stands,) = await self._on_node(lambda work: work.record_steps([step]))
        if stands is None:
            raise asyncio.CancelledError(STOPPED)
        if stands != value:
            return journal.decode(stands)
        self._has_begun = True
        return entry

    async def submit(
        self, field: str, children: Sequence[ChildJob], window: Window | None, entry: Entry | None
    ) -> Entry:
        run = ParentRun(self._stream, self._entry, self._attempt.job)
        self.recorded = True

        async def submit(work: Consumer) -> Entry:
            make = await self._maker(children)
            return await work.children.submit(run, field, NewChildren(len(children), make, window), entry)

        return await self._on_node(submit)

    async def results(self, field: str, entry: Entry, first: int) -> list[Job]:
        run = ParentRun(self._stream, self._entry, self._attempt.job)
        return await self._on_node(lambda work: work.children.results(run, field, entry, first, RESULTS_AT_ONCE))

    async def resolve(self, value: Awaitable[Any]) -> Any:
        return await self._reach(awaited(value))

    def _on_node(self, ask: Callable[[Consumer], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        return self._reach(self._under_lease(ask))

    async def _under_lease(self, ask: Callable[[Consumer], Awaitable[T]]) -> T:
        self.check()
        work = self._journals.current_work or await self._journals.work()
        try:
            return await ask(work)
        except LeaseLost as error:
            self._journals.session.report_loss(error)
            # The end of this incarnation, which follows, is what ends the handler: nothing has failed in it.
            await self._journals.ended.wait()
            raise asyncio.CancelledError(STOPPED) from None

    def _reach(self, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """What `work` comes to on the node's event loop, wherever this is called."""
        loop = self._journals.loop
        return work if running_loop() is loop else _from_outside(work, loop)


async def _from_outside(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Of a loop that is not the one that runs here."""
    there = asyncio.run_coroutine_threadsafe(work, loop)
    if has_loop():
        return await asyncio.wrap_future(there)
    try:
        return there.result()
    except concurrent.futures.CancelledError:
        raise asyncio.CancelledError(STOPPED) from None
