"""A journal in memory, for what steps do with one: several runs of a job, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from ironforge.execution.steps.journal import Journal
from ironforge.execution.steps.run import Steps
from ironforge.job.context import Context
from ironforge.job.record import Job, new_id
from ironforge.process.thread_pool import Threads
from ironforge.steps.calls import ChildJob
from ironforge.steps.children import Window
from ironforge.steps.journal import Entry, EntryKind, decode


class MemoryJournal(Journal):
    """What `stops` is true of is told to stop."""

    def __init__(self, entries: dict[str, Entry] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self.recorded = False
        self.loads = 0
        self.time_ms = 0.0
        self.stops = False

    def check(self) -> None:
        if self.stops:
            raise asyncio.CancelledError

    def now_ms(self) -> float:
        return self.time_ms

    async def load(self) -> Mapping[str, Entry]:
        self.loads += 1
        return dict(self.entries)

    async def record(self, field: str, entry: Entry, value: bytes) -> Entry:
        self.check()
        assert decode(value) == entry
        self.recorded = True
        return self.entries.setdefault(field, entry)

    async def submit(
        self, field: str, children: Sequence[ChildJob], window: Window | None, entry: Entry | None
    ) -> Entry:
        raise NotImplementedError

    async def results(self, field: str, entry: Entry, first: int) -> list[Job]:
        raise NotImplementedError

    async def resolve(self, value: Awaitable[Any]) -> Any:
        return asyncio.run(_awaited(value))

    def end(self, field: str, result: bytes, ended_ms: int = 1) -> None:
        """The wait of this name is over."""
        self.entries[field] = Entry(EntryKind.WAITED, result, 0, ended_ms, 0)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


class Run:
    """One run of a job, of which `fence` went before; what a handler would get is its `context`."""

    def __init__(self, journal: MemoryJournal, fence: int = 0) -> None:
        self.made = Steps(fence, journal, Threads(keep=0))
        self.context = Context(new_id(), "k", 1, fence, 60.0, "default", None, lambda _: self.made)
