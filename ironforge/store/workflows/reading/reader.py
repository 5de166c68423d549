"""Looking at workflows of one shard: one with its nodes, and lists of many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ironforge.job.record import Job, decode
from ironforge.job.tracebacks import why
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.steps.waits import member_of
from ironforge.store.retention import readable, terminal_record
from ironforge.store.workflows.contract import (
    SHOWN_RESULT_BYTES,
    NodeView,
    WorkflowFilter,
    WorkflowRow,
    WorkflowView,
    no_such_workflow,
)
from ironforge.store.workflows.coordinator import summary_of
from ironforge.store.workflows.graph_fields import DOCUMENT, TAILS, UNDONE_LAST, decode_document, moved_field
from ironforge.store.workflows.nodes import node_id_by
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.store.workflows.reading.map_items import counts_of
from ironforge.store.workflows.reading.undone_nodes import compensations_of
from ironforge.store.workflows.undoing import Undone
from ironforge.workflows.definition import Workflow
from ironforge.workflows.program import HEAD, Head, decode_head
from ironforge.workflows.states import FAILURES, NodeState, WorkflowStatus

# Of one read.
RECORDS_AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# Of all records of a view, and of one with large results.
VIEW_BYTES: Final = 32 * 1024 * 1024
RESULTS_BYTES: Final = 64 * 1024 * 1024
_ENDED: Final[dict[str, WorkflowStatus]] = {"completed": "completed", "cancelled": "cancelled", "dead": "failed"}
_bucket: Final = re.compile(r"(done|kept):(\d+)$")
_member: Final = re.compile(rb"\n(\d+)\.(\d+)")


class _Ended(NamedTuple):
    """What is known of the job of a node, in its last generation: the name of its record and how large that is."""

    generation: int
    member: str
    size: int


class WorkflowReader:
    def __init__(self, settings: Settings, keys: Keys, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._connection = connection

    async def find(self, workflow_id: bytes) -> tuple[Job, Head]:
        """The record that stands for it, and how far it is. Raises WorkflowNotFound."""
        (found,) = await self._coordinators([workflow_id])
        if found is None:
            raise no_such_workflow(workflow_id)
        return found

    async def view(self, workflow_id: bytes, *, results: bool) -> WorkflowView:
        keys, name = self._keys, workflow_id.hex()
        job, _ = await self.find(workflow_id)
        (document, tails, last), progress, members, order = await self._connection.pipeline(
            [
                ["HMGET", keys.graph(name), DOCUMENT, TAILS, UNDONE_LAST],
                ["GET", keys.progress(name)],
                ["HKEYS", keys.results(name)],
                ["LRANGE", keys.order(name), 0, -1],
            ]
        )
        known = read_progress(progress)
        if known is None:
            raise no_such_workflow(workflow_id)  # it has expired meanwhile, or nodes are to find out how far it is
        head, states = known
        decoded = Workflow(name=job.kind, nodes=()) if document is None else decode_document(document)
        states = states[: len(decoded.nodes)]
        ended = await self._ended(name, states, members)
        records = await self._records(name, ended, results=results)
        generations = {number: head.generation for number, state in enumerate(states) if state is NodeState.RUNNING}
        generations |= {number: one.generation for number, one in ended.items() if number not in records}
        moved = await self._moved(name, [*generations])
        ids = {
            number: moved.get(number) or node_id_by(tails, workflow_id, number, generation)
            for number, generation in generations.items()
        }
        nodes = _nodes(decoded, states, records, ids, results=results)
        maps = {number: ids[number] for number, node in enumerate(decoded.nodes) if node.map and number in generations}
        for number, items in (await counts_of(keys, self._connection, maps)).items():
            nodes[number] = nodes[number]._replace(items=items)
        if decoded.nodes and order and (head.stopped or head.failed):
            undone = Undone(order, last)
            found = await compensations_of(keys, self._connection, workflow_id, head.generation, undone)
            for number, compensation in found.items():
                nodes[number] = nodes[number]._replace(compensation=compensation)
        summary = summary_of(job)
        about = workflow_id, job.kind, _status(job, head), job.created_ms, job.ended_ms, _reason(job, head)
        return WorkflowView(*about, decoded, nodes, summary.queues, summary.by, head.generation, job.tick)

    async def ids(self, wanted: WorkflowFilter, before: bytes | None, most: int) -> list[bytes]:
        """The newest that may be wanted, of those before this id; fewer than `most`: there are no more."""
        till = b"+" if before is None else b"(" + before
        living = wanted.status in (None, "running", "paused"), self._keys.waiting("workflow")
        dead = wanted.status in (None, "failed"), self._keys.workflows("dead")
        ask: list[Command] = [_newest(key, till, most) for is_wanted, key in (living, dead) if is_wanted]
        found = [job_id for ids in await self._connection.pipeline(ask) for job_id in ids] if ask else []
        found = sorted(found, reverse=True)[:most]
        if wanted.status in (None, "completed", "cancelled"):
            found += await self._in_buckets(till, before, most, found)
        return sorted(found, reverse=True)[:most]

    async def rows(self, ids: Sequence[bytes]) -> list[WorkflowRow | None]:
        """None: it has gone."""
        found = await self._coordinators(ids)
        return [None if one is None else _row(*one) for one in found]

    async def _in_buckets(self, till: bytes, before: bytes | None, most: int, others: Sequence[bytes]) -> list[bytes]:
        """Of those that have ended, as far as they are not all older than enough others."""
        last = others[-1] if len(others) == most else b""
        minutes: dict[int, list[str]] = {}
        for name in await self._connection.call("ZRANGE", self._keys.buckets, 0, -1):
            match = _bucket.search(name.decode(errors="replace"))
            if match and (before is None or int(match[2]) <= _minute(before)):
                minutes.setdefault(int(match[2]), []).append(match[0])
        found: list[bytes] = []
        for minute in sorted(minutes, reverse=True):
            if len(found) >= most or (last and minute < _minute(last)):
                break
            ask = [_newest(self._keys.workflows(name), till, most) for name in minutes[minute]]
            found += [job_id for ids in await self._connection.pipeline(ask) for job_id in ids]
        return found

    async def _coordinators(self, ids: Sequence[bytes]) -> list[tuple[Job, Head] | None]:
        keys = self._keys
        ask: list[Command] = []
        for job_id in ids:
            ask += (
                ["HGET", keys.parked, job_id],
                ["HGET", keys.bucket_of(job_id, "done"), job_id],
                ["HGET", keys.bucket_of(job_id, "kept"), job_id],
                ["GETRANGE", keys.progress(job_id.hex()), 0, HEAD.size - 1],
            )
        replies = await self._connection.pipeline(ask)
        return [self._coordinator(*replies[at : at + 4]) for at in range(0, len(replies), 4)]

    def _coordinator(
        self, parked: bytes | None, done: bytes | None, kept: bytes | None, head: bytes
    ) -> tuple[Job, Head] | None:
        job = readable(parked) or terminal_record(done or kept, self._settings)
        if job is None or not job.is_workflow or len(head) < HEAD.size:
            return None
        return job, decode_head(head)

    async def _ended(self, name: str, states: Sequence[NodeState], members: Sequence[bytes]) -> dict[int, _Ended]:
        """Of the nodes that have ended by now, the newest that is known of each."""
        newest: dict[int, int] = {}
        for member in members:
            match = _member.fullmatch(member)
            if match and int(match[1]) < len(states) and states[int(match[1])].has_ended:
                newest[int(match[1])] = max(int(match[2]), newest.get(int(match[1]), 0))
        named = {number: member_of("", number, generation) for number, generation in sorted(newest.items())}
        key = self._keys.results(name)
        ask: list[Command] = [["HSTRLEN", key, member] for member in named.values()]
        sizes = await self._connection.pipeline(ask) if ask else []
        return {
            number: _Ended(newest[number], member, size)
            for (number, member), size in zip(named.items(), sizes, strict=True)
        }

    async def _records(self, name: str, ended: Mapping[int, _Ended], *, results: bool) -> dict[int, Job]:
        """Of so many as a view may have."""
        key, found, most = self._keys.results(name), dict[int, Job](), RESULTS_BYTES if results else VIEW_BYTES
        part: list[int] = []
        size = total = 0
        for number in (*ended, -1):
            one = ended.get(number)
            if one is not None and total + one.size > most:
                continue
            if part and (one is None or len(part) >= RECORDS_AT_ONCE or size + one.size > BYTES_AT_ONCE):
                stored = await self._connection.call("HMGET", key, *(ended[each].member for each in part))
                found |= {each: decode(record) for each, record in zip(part, stored, strict=True) if record}
                part, size = [], 0
            if one is not None:
                part.append(number)
                size, total = size + one.size, total + one.size
        return found

    async def _moved(self, name: str, numbers: Sequence[int]) -> dict[int, bytes]:
        """Of these nodes, ids of jobs that are stored under others than their own."""
        if not numbers:
            return {}
        ids = await self._connection.call("HMGET", self._keys.graph(name), *map(moved_field, numbers))
        return {number: job_id for number, job_id in zip(numbers, ids, strict=True) if job_id}


def _row(job: Job, head: Head) -> WorkflowRow:
    summary = summary_of(job)
    about = job.id, job.kind, _status(job, head), job.created_ms, job.ended_ms, _reason(job, head)
    return WorkflowRow(*about, summary.nodes, head.left, summary.queues, summary.by, job.tick)


def _status(job: Job, head: Head) -> WorkflowStatus:
    return _ENDED.get(job.ended) or ("paused" if head.paused else "running")


def _reason(job: Job, head: Head) -> str:
    """Why it has ended so, or is paused though nobody asked for it."""
    return job.reason if job.ended or head.paused else ""


def _nodes(
    document: Workflow,
    states: Sequence[NodeState],
    records: Mapping[int, Job],
    ids: Mapping[int, bytes],
    *,
    results: bool,
) -> list[NodeView]:
    nodes = []
    for number, (node, state) in enumerate(zip(document.nodes, states, strict=True)):
        job = records.get(number)
        if job is None:
            truncated = state is NodeState.SUCCEEDED
            nodes.append(NodeView(node.id, node.kind, state, ids.get(number), truncated=truncated))
            continue
        result = job.result if state is NodeState.SUCCEEDED else None
        truncated = result is not None and len(result) > SHOWN_RESULT_BYTES and not results
        times = job.started_ms, job.ended_ms
        shown = None if truncated else result
        reason = why(job.reason, job.errors) if state in FAILURES else job.reason
        nodes.append(NodeView(node.id, node.kind, state, job.id, shown, truncated, reason, *times))
    return nodes


def _newest(key: str, till: bytes, most: int) -> Command:
    return ["ZRANGE", key, till, "-", "BYLEX", "REV", "LIMIT", 0, most]


def _minute(job_id: bytes) -> int:
    return int.from_bytes(job_id[:6], "big") // 60_000
