"""The doors of a namespace as one caller sees them: its queues and no others, within its quotas.

A job in a queue that the caller may not use is not there for it, nor is its id, and what is counted over all queues
(scheduled, dead, totals) is not told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ironforge.auth.caller import FOREIGN_KEY, Caller
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.errors import Duplicate, IdempotencyConflict, JobNotFound
from ironforge.job.record import Job, JobState, parse_id
from ironforge.steps.journal import RecordedStep
from ironforge.store.contract import (
    ANY_JOB,
    Accepted,
    Inspector,
    JobFilter,
    JobView,
    Most,
    Page,
    Producer,
    Submission,
    no_such_job,
)
from ironforge.store.counts import Stats, Waits
from ironforge.store.kinds import Kinds
from ironforge.store.node_view import NodeView


class CallersInspector:
    """Implements `contract.Inspector` for a caller that is limited to some queues."""

    def __init__(self, inspector: Inspector, caller: Caller, queues: frozenset[str]) -> None:
        self._inspector = inspector
        self._caller = caller
        self._queues = queues
        self.totals, self.health = inspector.totals, inspector.health

    async def get(self, job_id: bytes) -> JobView:
        view = await self._inspector.get(job_id)
        if view.job.queue not in self._queues:
            raise no_such_job(job_id)
        return view

    async def jobs(self, wanted: JobFilter = ANY_JOB, *, limit: int = 50, cursor: str | None = None) -> Page:
        if wanted.queue is not None:
            self._caller.require_queue(wanted.queue)
        elif len(self._queues) == 1:
            wanted = wanted._replace(queue=next(iter(self._queues)))
        page = await self._inspector.jobs(wanted, limit=limit, cursor=cursor)
        return page._replace(jobs=[view for view in page.jobs if view.job.queue in self._queues])

    async def steps(self, job_id: bytes) -> list[RecordedStep]:
        await self.get(job_id)
        return await self._inspector.steps(job_id)

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        stats = await self._inspector.stats(max_age_seconds=max_age_seconds)
        return stats._replace(
            streams=[stream for stream in stats.streams if stream.queue in self._queues],
            scheduled=0,
            dead=0,
            waiting=Waits(),
            versions=[line for line in stats.versions if line.queue in self._queues],
            totals={},
            paused=[queue for queue in stats.paused if queue in self._queues],
        )

    async def nodes(self, *, max_age_seconds: float = 0.0) -> list[NodeView]:
        known = (await self.kinds(max_age_seconds=max_age_seconds)).known
        nodes = await self._inspector.nodes(max_age_seconds=max_age_seconds)
        return [node.within(self._queues, known) for node in nodes]

    async def kinds(self, *, max_age_seconds: float = 0.0) -> Kinds:
        kinds = await self._inspector.kinds(max_age_seconds=max_age_seconds)
        return kinds.within(self._queues)


class CallersProducer:
    """Implements `contract.Producer` for one caller. `inspector` is the caller's own view."""

    def __init__(self, producer: Producer, inspector: Inspector, caller: Caller, quotas: QuotaEnforcer | None) -> None:
        self._producer = producer
        self._inspector = inspector
        self._caller = caller
        self._quotas = quotas

    async def submit(self, batch: Sequence[Submission], *, most: Most | None = None) -> list[Accepted]:
        for queue in {item.job.queue for item in batch}:
            self._caller.require_queue(queue)
        most = self._most(most)
        try:
            if self._quotas is None:
                return await self._producer.submit(batch, most=most)
            async with self._quotas.admitted(self._caller, batch):
                return await self._producer.submit(batch, most=most)
        except IdempotencyConflict as conflict:
            if self._caller.queues is None or (conflict.job_id and await self._is_visible(conflict.job_id)):
                raise
            # What other doors know, such as a workflow, is not looked at here, and is as one that it may not see.
            raise IdempotencyConflict(FOREIGN_KEY) from None
        except Duplicate as duplicate:
            raise await self._told(duplicate) from None

    async def _told(self, duplicate: Duplicate) -> Duplicate:
        """Without the id of a job that the caller may not see."""
        if await self._is_visible(duplicate.job_id):
            return duplicate
        told = Duplicate("a job that you may not see holds this unique key", job_id="")
        told.index = duplicate.index
        return told

    async def cancel(self, job_id: bytes) -> JobState:
        await self._visible(job_id)
        return await self._producer.cancel(job_id)

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most: Most | None = None) -> Job:
        await self._visible(job_id)
        most = self._most(most)
        if self._quotas is None:
            return await self._producer.retry(job_id, reset_retry_count=reset_retry_count, most=most)
        async with self._quotas.retried(self._caller):
            return await self._producer.retry(job_id, reset_retry_count=reset_retry_count, most=most)

    async def set_paused(self, queue: str, *, paused: bool, most: Most | None = None) -> None:
        self._caller.require_queue(queue)
        await self._producer.set_paused(queue, paused=paused, most=self._most(most))

    async def release(self, kind: str, version: str, *, most: int, queues: Collection[str] | None = None) -> int:
        own = self._caller.queues
        if own is not None:
            queues = own if queues is None else own & frozenset(queues)
        return await self._producer.release(kind, version, most=most, queues=queues)

    def _most(self, most: Most | None) -> Most | None:
        return self._quotas.most(self._caller) if most is None and self._quotas is not None else most

    async def _is_visible(self, job_id: str) -> bool:
        try:
            await self._visible(parse_id(job_id))
        except JobNotFound:
            return False
        return True

    async def _visible(self, job_id: bytes) -> None:
        if self._caller.queues is not None:
            await self._inspector.get(job_id)
