"""The results of children, as their parent's handler gets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol, TypeVar

import msgspec

from ironforge.execution.steps.blocking import ended, has_loop
from ironforge.execution.steps.journal import Journal
from ironforge.job.record import Job, JobState
from ironforge.job.tracebacks import why
from ironforge.steps.children import decode_state
from ironforge.steps.errors import ChildFailed, ChildrenFailed, StepError
from ironforge.steps.journal import Entry
from ironforge.steps.names import shown

T_co = TypeVar("T_co", covariant=True)

# Of results that are handed out as a list.
MAX_LIST_BYTES: Final = 4 * 1024 * 1024


class Read(Protocol[T_co]):
    """Makes something of the results of children by their entry in the journal, which has this name."""

    async def __call__(self, journal: Journal, field: str, entry: Entry, /) -> T_co: ...


async def encoded_results(journal: Journal, field: str, entry: Entry, *, most_bytes: int) -> bytes | None:
    """A list of all of them as they are, as JSON; None where that would have more bytes. Raises ChildrenFailed."""
    pages = _Pages(journal, field, entry, return_exceptions=False, value_of=lambda job: job.result)
    found: list[Any] = []
    failed: list[Any] = []
    while pages.left:
        page = await pages.read()
        failed += (each for each in page if isinstance(each, ChildFailed))
        # Those that are too large are not kept, but one that has failed is found.
        found += page if pages.size + pages.count < most_bytes else ()
    pages.check(failed)
    return b"[%s]" % b",".join(found) if pages.size + pages.count < most_bytes else None


async def results(journal: Journal, field: str, entry: Entry, *, return_exceptions: bool) -> Any:
    """In the order of the children: a list, or an iterator where they are more than one holds; it is asynchronous where
    an event loop runs. Raises ChildrenFailed; an iterator does so where it meets the first one that has failed."""
    pages = _Pages(journal, field, entry, return_exceptions=return_exceptions)
    found: list[Any] = []
    while pages.left and pages.size <= MAX_LIST_BYTES:
        found += await pages.read()
    if pages.left:
        return _on_loop(found, pages) if has_loop() else _blocking(found, pages)
    pages.check(found)
    return found


class _Pages:
    """What is not read yet."""

    def __init__(
        self,
        journal: Journal,
        field: str,
        entry: Entry,
        *,
        return_exceptions: bool,
        value_of: Callable[[Job], Any] = lambda job: msgspec.json.decode(job.result),
    ) -> None:
        self._journal = journal
        self._field = field
        self._entry = entry
        self._return_exceptions = return_exceptions
        self._value_of = value_of
        self.count = decode_state(entry.result).count
        self._next = 0
        self.size = 0

    @property
    def left(self) -> bool:
        return self._next < self.count

    async def read(self) -> list[Any]:
        """The next ones; what has no result is a ChildFailed."""
        jobs = await self._journal.results(self._field, self._entry, self._next)
        if not jobs:
            raise StepError(f"the results of step {shown(self._field)} from child {self._next} on are gone")
        values = [self._value(job, index) for index, job in enumerate(jobs, start=self._next)]
        self._next += len(jobs)
        self.size += sum(len(job.result) for job in jobs)
        return values

    def check(self, values: list[Any]) -> None:
        """Raises ChildrenFailed."""
        failed = [value for value in values if isinstance(value, ChildFailed)]
        if failed and not self._return_exceptions:
            raise ChildrenFailed(shown(self._field), failed, self.count)

    def _value(self, job: Job, index: int) -> Any:
        if job.ended == JobState.COMPLETED:
            return self._value_of(job)
        return ChildFailed(job.text_id, index, job.ended, why(job.reason, job.errors))


async def _on_loop(values: list[Any], pages: _Pages) -> AsyncIterator[Any]:
    while True:
        pages.check(values)
        for value in values:
            yield value
        if not pages.left:
            return
        values = await pages.read()


def _blocking(values: list[Any], pages: _Pages) -> Iterator[Any]:
    while True:
        pages.check(values)
        yield from values
        if not pages.left:
            return
        values = ended(pages.read())
