"""Workflows of a namespace, for doors: each lies in the shard that the last byte of its id says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from ironforge.job.record import format_id, parse_id, shard_of
from ironforge.redis.connection import DoorConnection
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store.contract import Most, foreign_cursor
from ironforge.store.producer.admission import Admission
from ironforge.store.sharding.fan_out import gather_all
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.forking import Forking
from ironforge.store.workflows.again.retrying import Retrying
from ironforge.store.workflows.again.superseding import Superseding
from ironforge.store.workflows.contract import (
    ANY_WORKFLOW,
    Fork,
    Prepare,
    SubmittedWorkflow,
    WorkflowFilter,
    WorkflowPage,
    WorkflowRow,
    WorkflowSubmission,
    WorkflowView,
    no_such_workflow,
)
from ironforge.store.workflows.reading.reader import WorkflowReader
from ironforge.store.workflows.steering import RedisSteering
from ironforge.store.workflows.submission import WorkflowCommit
from ironforge.workflows.states import WorkflowStatus

# Looked at for one page.
LOOKED_AT: Final = 500


class RedisWorkflows:
    """Implements `contract.Workflows`."""

    def __init__(self, settings: Settings) -> None:
        self._most = Most(settings.max_queues, settings.max_limit_keys)
        links = [
            ShardLink(keys, DoorConnection(settings.redis_url, keys.prefix), Admission(settings))
            for keys in shards_of(settings)
        ]
        self._links = links
        self._commits = [WorkflowCommit(settings, link, len(links)) for link in links]
        self._readers = [WorkflowReader(settings, link.keys, link.connection) for link in links]
        pairs = list(zip(links, self._commits, strict=True))
        superseding = Superseding(settings, links)
        self._retrying = [Retrying(settings, link, len(links), superseding) for link in links]
        self._forking = [Forking(settings, link, commit, len(links)) for link, commit in pairs]
        self._steering = [RedisSteering(settings, link.keys, link.connection) for link in links]

    async def submit(self, batch: Sequence[WorkflowSubmission], *, most: Most | None = None) -> list[SubmittedWorkflow]:
        most = self._most if most is None else most
        waiting = [self._commits[self._number(one.id)].submit(one, most) for one in batch]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        answers = []
        for known in found:
            if isinstance(known, BaseException):
                raise known
            answers.append(await self._answer(known.id, is_new=known.is_new))
        return answers

    async def view(self, workflow_id: bytes, *, results: bool = False) -> WorkflowView:
        return await self._readers[self._number(workflow_id)].view(workflow_id, results=results)

    async def row(self, workflow_id: bytes) -> WorkflowRow:
        (row,) = await self._readers[self._number(workflow_id)].rows([workflow_id])
        if row is None:
            raise no_such_workflow(workflow_id)
        return row

    async def pause(self, workflow_id: bytes) -> WorkflowStatus:
        return await self._steering[self._number(workflow_id)].pause(workflow_id)

    async def resume(self, workflow_id: bytes) -> WorkflowStatus:
        return await self._steering[self._number(workflow_id)].resume(workflow_id)

    async def cancel(self, workflow_id: bytes) -> WorkflowStatus:
        return await self._steering[self._number(workflow_id)].cancel(workflow_id)

    async def retry(self, workflow_id: bytes, *, most: Most | None = None) -> WorkflowStatus:
        await self._retrying[self._number(workflow_id)].retry(workflow_id, most or self._most)
        return "running"

    async def fork(
        self, workflow_id: bytes, fork: Fork, prepare: Prepare, *, most: Most | None = None
    ) -> SubmittedWorkflow:
        known = await self._forking[self._number(workflow_id)].fork(workflow_id, fork, prepare, most or self._most)
        return await self._answer(known.id, is_new=known.is_new)

    async def page(
        self, wanted: WorkflowFilter = ANY_WORKFLOW, *, limit: int = 50, cursor: str | None = None
    ) -> WorkflowPage:
        before = None if cursor is None else _read(cursor)
        found = await gather_all(reader.ids(wanted, before, LOOKED_AT) for reader in self._readers)
        ids = sorted((job_id for part in found for job_id in part), reverse=True)[:LOOKED_AT]
        rows: list[WorkflowRow] = []
        for start in range(0, len(ids), limit):
            part = ids[start : start + limit]
            for job_id, row in zip(part, await self._rows(part), strict=True):
                if row is not None and _fits(row, wanted):
                    rows.append(row)
                    if len(rows) == limit:
                        return WorkflowPage(rows, format_id(job_id))
        return WorkflowPage(rows, format_id(ids[-1]) if len(ids) == LOOKED_AT else None)

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        for link in self._links:
            link.connection.abandon()

    async def close(self) -> None:
        """Ends the connections. Callers that still wait for an answer get StoreUnavailable."""
        for link in self._links:
            await link.connection.close()
        for commit in self._commits:
            await commit.close()

    async def _answer(self, workflow_id: bytes, *, is_new: bool) -> SubmittedWorkflow:
        if is_new:
            return SubmittedWorkflow(workflow_id)
        (row,) = await self._readers[self._number(workflow_id)].rows([workflow_id])
        return SubmittedWorkflow(workflow_id, row.status if row else "completed", replayed=True)

    async def _rows(self, ids: Sequence[bytes]) -> list[WorkflowRow | None]:
        """In their order, of all shards."""
        found: dict[bytes, WorkflowRow | None] = {}
        for number, reader in enumerate(self._readers):
            own = [job_id for job_id in ids if self._number(job_id) == number]
            if own:
                found |= zip(own, await reader.rows(own), strict=True)
        return [found[job_id] for job_id in ids]

    def _number(self, workflow_id: bytes) -> int:
        return shard_of(workflow_id, len(self._links))


def _fits(row: WorkflowRow, wanted: WorkflowFilter) -> bool:
    return wanted.status in (None, row.status) and wanted.name in (None, row.name)


def _read(cursor: str) -> bytes:
    try:
        return parse_id(cursor)
    except ValueError:
        raise foreign_cursor() from None
