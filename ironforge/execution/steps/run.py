"""The steps of one run: each function is called once for its name, and its result recorded; a wait parks the job.

The same code serves handlers on an event loop and those that block: what it awaits of the journal is done at once where
no event loop runs, so it comes to its end without ever waiting for a loop.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import msgspec

from ironforge.errors import InvalidJob
from ironforge.execution.conclusion import Conclusion, Verdict, is_awaitable
from ironforge.execution.steps import gathering
from ironforge.execution.steps.blocking import begun, has_loop
from ironforge.execution.steps.journal import Journal
from ironforge.execution.steps.recorded import Recorded
from ironforge.execution.steps.values import decoded, encoded, is_async
from ironforge.formats.duration import Duration
from ironforge.formats.timestamps import now_ms
from ironforge.job.checks import check_pause
from ironforge.process.thread_pool import Threads
from ironforge.steps.calls import ChildJob, Key
from ironforge.steps.children import Window, decode_state
from ironforge.steps.errors import DuplicateStep, EventTimeout, InvalidStep
from ironforge.steps.journal import Entry, EntryKind, field_of
from ironforge.steps.names import checked_field, checked_key, event_name_problem, shown
from ironforge.steps.parking import Parked, Pending

T = TypeVar("T")

SWALLOWED: Final = (
    "the handler caught what parks its job (Parked, a BaseException) and went on: catch Exception, or raise it again"
)
# The field of the step whose function runs here.
_inside: Final[ContextVar[str]] = ContextVar("ironforge_inside_step", default="")


class Steps:
    """Those of one run of a job, of which `fence` runs went before. `threads`: for functions that would block an event
    loop."""

    def __init__(self, fence: int, journal: Journal, threads: Threads) -> None:
        self.journal = journal
        self._fence = fence
        self._threads = threads
        self._recorded = Recorded(fence, journal)
        self._named: set[str] = set()
        self._open: set[str] = set()
        self._parked: Parked | None = None
        self._parked_at: object = None
        self._fault: InvalidStep | None = None

    # ----------------------------------------------------------------------- what handlers call

    def step(self, name: str, function: Callable[..., Any], key: Key, call: Callable[[], Any]) -> Any:
        return begun(self._step(name, function, key, call))

    def sleep(self, name: str, duration: Duration, key: Key) -> Any:
        return begun(self._sleep(name, duration, key))

    def event(self, event: str, timeout: Duration | None, name: str | None, key: Key) -> Any:
        return begun(self._event(event, timeout, name, key))

    def gather(
        self, name: str, children: Iterable[ChildJob], *, return_exceptions: bool, max_parallel: int | None
    ) -> Any:
        read = functools.partial(gathering.results, return_exceptions=return_exceptions)
        return begun(self.children(name, children, max_parallel, read))

    # ----------------------------------------------------------------------- what the executor asks

    def park(self, pending: Pending) -> Parked:
        """What is to be raised, so that the job waits."""
        self._parked, self._parked_at = Parked(pending), _here()
        return self._parked

    def concluded(self, end: Conclusion) -> Conclusion:
        """How the run ends whose handler has ended so."""
        if self._fault is not None:
            return Conclusion(Verdict.FAILURE, "ironforge.steps.errors.InvalidStep", str(self._fault))
        if self._parked is not None and end.verdict not in (Verdict.WAITING, Verdict.FAILURE):
            return Conclusion(Verdict.FAILURE, "Parked", SWALLOWED)
        return end

    # ----------------------------------------------------------------------- the calls

    async def _step(self, name: str, function: Callable[..., Any], key: Key, call: Callable[[], Any]) -> Any:
        field = self._claim(checked_field(name, key))
        found = await self._recorded.find(field, waits=False)
        if found is None:
            self._recorded.check_room(field)
            self._open.add(field)
            try:
                started_ms = now_ms()
                result = encoded(await self._called(field, function, call), field)
                found = Entry(EntryKind.STEP, result, started_ms, now_ms(), self._fence)
                found = await self._recorded.add(field, found)
            finally:
                self._open.discard(field)
        return decoded(found.result, function, field)

    async def _sleep(self, name: str, duration: Duration, key: Key) -> None:
        field = self._claim(checked_field(name, key), waits=True)
        await self._over(Pending("sleep", field, delay_ms=_ms("duration", duration)))

    async def _event(self, event: str, within: Duration | None, name: str | None, key: Key) -> Any:
        if problem := event_name_problem(event):
            raise InvalidStep(problem)
        field = field_of(event, checked_key(event, key)) if name is None else checked_field(name, key)
        delay_ms = None if within is None else _ms("timeout_seconds", within)
        entry = await self._over(Pending("event", self._claim(field, waits=True), event, delay_ms))
        if entry.timed_out:
            seconds = (entry.ended_ms - entry.started_ms) / 1000
            raise EventTimeout(f"event {event} did not come within {seconds:g} s")
        return msgspec.json.decode(entry.result)

    async def children(
        self, name: str, children: Iterable[ChildJob], max_parallel: int | None, read: gathering.Read[T]
    ) -> T:
        """What `read` makes of their results."""
        named = children if isinstance(children, Sequence) else list(children)
        window = Window.of(max_parallel, len(named))
        field = self._claim(checked_field(name), waits=True)
        found = await self._recorded.find(field, waits=True)
        if found is None:
            self._recorded.check_room(field)
        found = self._recorded.keep(field, await self.journal.submit(field, named, window, found))
        if found.kind is EntryKind.WAIT:
            low = 0 if window is None or decode_state(found.result).is_complete else window.low
            raise self.park(Pending("children", field, started_ms=found.started_ms, low=low))
        return await read(self.journal, field, found)

    # ----------------------------------------------------------------------- parts of them

    def _claim(self, field: str, *, waits: bool = False) -> str:
        """The name, which is taken from now on."""
        self.journal.check()
        inside = _inside.get()
        if inside in self._open:
            words = "a step does one thing, and is recorded as a whole"
            raise InvalidStep(f"{shown(field)} is called inside the function of step {shown(inside)}: {words}")
        if self._parked is not None:
            self._check_parked(field, waits=waits)
            raise Parked(self._parked.pending)
        if waits and self._open:
            others = ", ".join(map(shown, sorted(self._open)))
            raise InvalidStep(f"the job cannot wait for {shown(field)} while {others} is under way: await that first")
        if field in self._named:
            hint = "" if "\n" in field else ": give each its own key=, as in a loop"
            raise DuplicateStep(f"this run has a step {shown(field)} already{hint}")
        self._named.add(field)
        return field

    def _check_parked(self, field: str, *, waits: bool) -> None:
        """What a handler does on its way out of a wait (`finally`) is left for when the job ends; a second wait beside
        the first one could not be told from it later."""
        assert self._parked is not None
        if waits and self._parked_at != _here():
            self._fault = InvalidStep(
                f"the job waits for {shown(self._parked.pending.field)} already, and cannot wait for {shown(field)} as "
                "well: one after the other, or let children wait"
            )
            raise self._fault

    async def _called(self, field: str, function: Callable[..., Any], call: Callable[[], Any]) -> Any:
        before = _inside.set(field)
        try:
            if not has_loop():
                value = call()
                return await self.journal.resolve(value) if is_awaitable(value) else value
            value = call() if is_async(function) else await self._threads.run(call)
            return await value if is_awaitable(value) else value
        finally:
            try:  # noqa: SIM105 - a step in twenty of its time
                _inside.reset(before)
            except ValueError:  # a run that was given up is closed in another context
                pass

    async def _over(self, pending: Pending) -> Entry:
        """The entry of this wait, which is over; else the job waits."""
        found = await self._recorded.find(pending.field, waits=True)
        if found is None:
            self._recorded.check_room(pending.field)
            raise self.park(msgspec.structs.replace(pending, started_ms=now_ms()))
        is_over = pending.for_ == "sleep" and found.ended_ms <= self.journal.now_ms()
        if found.kind is EntryKind.WAITED or is_over:
            return found
        times = {"delay_ms": None, "until_ms": found.ended_ms, "started_ms": found.started_ms}
        raise self.park(msgspec.structs.replace(pending, **times))


def _here() -> object:
    """The task, or the thread, that this is called in."""
    return asyncio.current_task() if has_loop() else threading.get_ident()


def _ms(what: str, duration: object) -> int:
    try:
        return check_pause(what, duration)
    except InvalidJob as error:
        raise InvalidStep(str(error)) from None
