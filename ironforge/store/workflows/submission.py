"""Accepting workflows: those that arrive while a call is on its way share the next one.

Each is accepted for itself, in one script; a large one is written in parts before, which go by themselves if it never
comes to that. So any submission may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError

from ironforge.errors import StoreUnavailable
from ironforge.job.record import format_id
from ironforge.redis.connection import COMMAND_SECONDS, Command
from ironforge.redis.outages import fail_all
from ironforge.redis.scripts import SUBMIT_WORKFLOWS
from ironforge.settings import Settings
from ironforge.store.contract import Most
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.contract import WorkflowSubmission
from ironforge.store.workflows.graph_fields import fields_of, size_of
from ironforge.store.workflows.staging import BYTES_AT_ONCE, FIELDS_AT_ONCE, Fields, parts_of, stage
from ironforge.store.workflows.submit_call import Accepted, submit_words, workflow_refusal
from ironforge.workflows.program import begun


class Known(NamedTuple):
    """`is_new`: it was not there before; else the id is that of the one that was."""

    id: bytes
    is_new: bool


class Start(NamedTuple):
    """How a workflow begins: what it is made of, how far it is, and how many results of nodes it has already."""

    fields: Fields
    cells: bytes
    results: int = 0


class _Pending(NamedTuple):
    one: WorkflowSubmission
    fields: Fields
    size: int
    cells: bytes
    results: int
    most: Most
    answer: asyncio.Future[Known]

    @property
    def is_large(self) -> bool:
        return len(self.fields) > FIELDS_AT_ONCE or self.size > BYTES_AT_ONCE


class WorkflowCommit:
    """One connection to one shard: at most one call is under way."""

    def __init__(self, settings: Settings, link: ShardLink, shards: int) -> None:
        self._settings = settings
        self._link = link
        self._shards = shards
        self._waiting: list[_Pending] = []
        self._flushing: asyncio.Task[None] | None = None

    def submit(self, one: WorkflowSubmission, most: Most, start: Start | None = None) -> asyncio.Future[Known]:
        """Done once the write has met the durability mode. Without `start` it begins with its roots. Raises
        InvalidJob."""
        if start is None:
            start = Start(fields_of(one, self._shards), begun(one.prepared.graph))
        fields, cells, results = start
        answer: asyncio.Future[Known] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Pending(one, fields, size_of(fields), cells, results, most, answer))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="store-workflows")
        return answer

    async def close(self) -> None:
        """Callers that still wait for an answer get StoreUnavailable, once the connection is closed."""
        if self._flushing:
            await self._flushing

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group = self._take()
                try:
                    await self._link.admission.check(self._link.connection)
                    await self._commit(group)
                except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
                    fail_all([one.answer for one in group], error)
        finally:
            self._flushing = None

    def _take(self) -> list[_Pending]:
        """Those of one call, with the same bounds."""
        group: list[_Pending] = []
        fields = size = 0
        for one in self._waiting:
            fields, size = fields + len(one.fields), size + one.size
            if group and (fields > FIELDS_AT_ONCE or size > BYTES_AT_ONCE or one.most != group[0].most):
                break
            group.append(one)
        del self._waiting[: len(group)]
        return group

    async def _commit(self, group: Sequence[_Pending]) -> None:
        staged = [await self._stage(one) if one.is_large else one.fields for one in group]
        names, arguments = self._call(group, staged)
        replies, shortfall, repeated = await self._send(group, names, arguments)
        if isinstance(replies, Exception):
            raise replies
        for one, reply in zip(group, replies, strict=True):
            if one.answer.done():
                continue
            refused = workflow_refusal(reply)
            if refused is not None:
                one.answer.set_exception(refused)
            elif shortfall:
                one.answer.set_exception(_unconfirmed(shortfall, reply or one.one.id))
            else:
                is_new = not reply or (repeated and reply == one.one.id)
                one.answer.set_result(Known(reply or one.one.id, is_new))

    async def _stage(self, one: _Pending) -> Fields:
        """All but the last part, which goes with the rest."""
        *parts, last = parts_of(one.fields)
        await stage(self._link, one.one.id, parts)
        return last

    def _call(self, group: Sequence[_Pending], staged: Sequence[Fields]) -> tuple[list[str], Command]:
        accepted = [
            Accepted(each.one, fields, each.cells, len(each.fields) if each.is_large else 0, each.results)
            for each, fields in zip(group, staged, strict=True)
        ]
        return submit_words(self._link.keys, self._settings, group[0].most.queues, accepted)

    async def _send(self, group: Sequence[_Pending], names: Sequence[str], arguments: Command) -> tuple[Any, str, bool]:
        """The replies, what keeps the writes from being as durable as was asked, and whether it was sent twice."""
        for repeated in (False, True):
            try:
                replies, shortfall = await self._try(group, names, arguments)
            except Disconnected:
                if repeated:
                    raise
            else:
                return replies, shortfall, repeated
        raise AssertionError

    async def _try(self, group: Sequence[_Pending], names: Sequence[str], arguments: Command) -> tuple[Any, str]:
        connection, admission = self._link.connection, self._link.admission
        size, jobs = sum(one.size for one in group), sum(len(one.fields) for one in group)
        patience = COMMAND_SECONDS + jobs / 1_000
        for make in (SUBMIT_WORKFLOWS.by_hash, SUBMIT_WORKFLOWS.by_text):
            commands = [make(names, arguments), *admission.questions(jobs, size)]
            replies, *said = await connection.exchange(commands, timeout_seconds=patience)
            if not isinstance(replies, NoScriptError):
                break
        return replies, admission.shortfall(said)


def _unconfirmed(shortfall: str, workflow_id: bytes) -> StoreUnavailable:
    return StoreUnavailable(
        f"{shortfall}: workflow {format_id(workflow_id)} is stored, but not yet as safely as was asked; submit "
        "the same again with the same id or idempotency key, nothing will be stored twice",
        code="durability_not_confirmed",
    )
