"""Load for the promises about workflows: few of them, beside the plain jobs."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from ironforge.errors import InvalidState
from ironforge.job.record import format_id, new_id
from ironforge.store import StoreClient
from ironforge.store.workflows.contract import Prepared, WorkflowSubmission
from ironforge.verify.ledger import Event, Ledger
from ironforge.verify.waiting import answered
from ironforge.verify.workflows.documents import (
    Document,
    any_document,
    map_document,
    undone_document,
    wide_document,
)
from ironforge.verify.workflows.seen import Retry, Seen, Stretch
from ironforge.workflows.errors import WorkflowNotFound
from ironforge.workflows.jobs import jobs_of
from ironforge.workflows.states import FAILURES

AT_ONCE: Final = 4
TURN_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 0.1
FAILING: Final = 0.12


class WorkflowLoad:
    """`seen`: all that it submitted."""

    def __init__(self, rng: random.Random, store_client: StoreClient, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rng = rng
        self._workflows = store_client.workflows
        self._names = (f"verify.{number}" for number in itertools.count())
        self.seen: list[Seen] = []

    async def begin(self) -> None:
        """Some before there are nodes."""
        for submit in (self._any, self._wide, self._map):
            await submit()

    async def run(self, goes_on: Callable[[], bool]) -> None:
        await asyncio.gather(*(self._in_turn(goes_on) for _ in range(AT_ONCE)))

    async def look(self) -> None:
        """How all of them stand."""
        for seen in self.seen:
            with suppress(WorkflowNotFound):
                seen.view = await answered(partial(self._workflows.view, seen.id, results=True))

    def jobs(self, events: Iterable[Event]) -> list[str]:
        """All that are known: those that ran, and those that a look found."""
        ran = {event.job for event in events if event.what == "node"}
        shown = {format_id(node.job_id) for one in self.seen if one.view for node in one.view.nodes if node.job_id}
        return sorted(ran | shown)

    async def _in_turn(self, goes_on: Callable[[], bool]) -> None:
        turns: list[Callable[[], Awaitable[object]]] = []
        while goes_on():
            turns = turns or self._rng.sample(self._sorts, len(self._sorts))
            await turns.pop()()
            await asyncio.sleep(TURN_SECONDS)

    @property
    def _sorts(self) -> Sequence[Callable[[], Awaitable[object]]]:
        plain = self._any, self._any, self._wide, self._map, self._undone
        return *plain, self._paused, self._cancelled, self._retried

    async def _any(self) -> Seen:
        return await self._submit(any_document(self._rng, next(self._names), self._rng.choice((0.0, FAILING, FAILING))))

    async def _wide(self) -> None:
        await self._submit(wide_document(next(self._names), 8))

    async def _map(self) -> None:
        await self._submit(map_document(next(self._names), self._rng.choice((0.0, 0.0, FAILING))))

    async def _undone(self) -> None:
        await self._submit(undone_document(next(self._names)))

    async def _paused(self) -> None:
        seen = await self._submit(wide_document(next(self._names), 3, seconds=0.3))
        await asyncio.sleep(self._rng.uniform(0.0, 0.2))
        with suppress(InvalidState):
            await answered(partial(self._workflows.pause, seen.id))
            begin = time.monotonic()
            await asyncio.sleep(self._rng.uniform(0.2, 0.6))
            seen.paused.append(Stretch(begin, time.monotonic()))
            await answered(partial(self._workflows.resume, seen.id))

    async def _cancelled(self) -> None:
        seen = await self._any()
        await asyncio.sleep(self._rng.uniform(0.0, 0.4))
        seen.cancelled_at = time.monotonic()
        with suppress(InvalidState):
            await answered(partial(self._workflows.cancel, seen.id))

    async def _retried(self) -> None:
        """Once it has failed; one that has not ended soon is left as it is."""
        seen = await self._submit(any_document(self._rng, next(self._names), 2 * FAILING))
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            view = await answered(partial(self._workflows.view, seen.id))
            if view.status in ("failed", "cancelled"):
                failed = [node.job_id for node in view.nodes if node.job_id and node.state in FAILURES]
                self._ledger.note("retried", map(format_id, failed))
                seen.retries.append(Retry(time.monotonic(), [node.state for node in view.nodes], view.status))
                with suppress(InvalidState):  # the answer to the first attempt was lost
                    await answered(partial(self._workflows.retry, seen.id))
                return
            if view.status == "completed":
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _submit(self, document: Document) -> Seen:
        """Until there is an answer: with its id it is the same one, however often it is sent."""
        seen = Seen(document.workflow.name, new_id(), document)
        self.seen.append(seen)
        await answered(partial(self._workflows.submit, [WorkflowSubmission(seen.id, prepared(document))]))
        return seen


def prepared(document: Document) -> Prepared:
    workflow, graph = document
    jobs = jobs_of(workflow, graph)
    options = [job.options.checked() for job in jobs]
    return Prepared(workflow, graph, jobs, options, tuple(sorted({each.record.queue for each in options})))
