"""Finding out how far a workflow is of which that was lost, or damaged. Its nodes have told how they ended, and of
those that run there are jobs. Whether it was paused, or cancelled, nobody knows: where nodes are still to start it is
paused, and whoever resumes or cancels it decides. Where its document is gone it fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import Job, decode, encode, format_id
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import Command
from ironforge.redis.family_keys import results_of
from ironforge.redis.scripts import REBUILD_WORKFLOW
from ironforge.steps.waits import member_of
from ironforge.store.node_contract import Lease
from ironforge.store.steps.links import ShardLinks
from ironforge.store.workflows.again.ended import newest_of
from ironforge.store.workflows.coordinator import coordinator_of, summary_of
from ironforge.store.workflows.graph_fields import DOCUMENT, TAILS, decode_document, moved_field
from ironforge.store.workflows.nodes import job_in, node_id_by
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import graph_of
from ironforge.workflows.program import CELL, LETTERS, Head, encode_progress
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState

PAUSED: Final = "how far it was had been lost: resume it to run what has not ended, or cancel it"
# Read at once; of ends, which have results, fewer.
JOBS_AT_ONCE: Final = 500
ENDS_AT_ONCE: Final = 20

_HOW: Final = {"completed": NodeState.SUCCEEDED, "dead": NodeState.FAILED}

log = get_logger("ironforge.store")


class Rebuilder:
    """Of one shard, under one lease."""

    def __init__(self, lease: Lease, links: ShardLinks) -> None:
        self._lease = lease
        self._links = links
        self._keys, self._connection, _ = links.own

    async def rebuild(self, workflow: bytes, record: bytes | None, stored: bytes | None) -> None:
        """`record`: that stands for it, if any; `stored`: what is known of how far it is. Raises IncompatibleRecord
        for one of which neither that record nor its document is there, and what the connection raises."""
        digits = workflow.hex()
        if await self._connection.call("HGET", self._keys.index, workflow) is None:
            return
        document, tails = await self._connection.call("HMGET", self._keys.graph(digits), DOCUMENT, TAILS)
        try:
            known = decode_document(document)
        except IncompatibleRecord:
            if record is None:
                raise
            job = decode(record)
            count = summary_of(job).nodes
            cells = CELL.pack(LETTERS[NodeState.CANCELLED], 0, 0) * count
            becomes, is_paused = Head(0, "failed", failed=True).encoded() + cells, False
        else:
            jobs = await self._jobs(workflow, len(known.nodes))
            job = decode(record) if record else _coordinator(workflow, known, jobs.values())
            becomes, is_paused = await self._found_out(workflow, known, jobs, tails)
        if stored is not None and read_progress(stored) is not None:  # only that record was lost
            becomes, is_paused = stored, False
        job = msgspec.structs.replace(job, reason=PAUSED if is_paused else "")
        names = REBUILD_WORKFLOW.keys(self._keys, fence=self._keys.fence(self._lease.node))
        words: Command = (self._lease.epoch, workflow, stored or b"", becomes, encode(job))
        if await self._connection.run(REBUILD_WORKFLOW, names, words):
            log.error("workflow_rebuilt", workflow_id=format_id(workflow), paused=is_paused)

    async def _found_out(
        self, workflow: bytes, document: Workflow, jobs: Mapping[int, Job], tails: bytes | None
    ) -> tuple[bytes, bool]:
        """What `progress` has to have, and whether it is paused by that."""
        graph = graph_of(document)
        names = await self._connection.call("HKEYS", results_of(self._keys, workflow))
        generations = [job.parent.generation for job in jobs.values() if job.parent]
        generation = max([0, *generations, *newest_of(names).values()])
        running = await self._running(workflow, len(graph), generation, tails)
        # Whatever of these ends after that is heard of later.
        names = await self._connection.call("HKEYS", results_of(self._keys, workflow))
        states = [NodeState.RUNNING if number in running else NodeState.PENDING for number in range(len(graph))]
        for number, how in (await self._ends(workflow, newest_of(names))).items():
            if number < len(states):
                states[number] = how
        nodes = zip(graph.nodes, states, strict=True)
        is_stopped = any(
            node.on_failure == "fail" and state in (NodeState.FAILED, NodeState.CANCELLED) for node, state in nodes
        )
        if is_stopped:
            states = [NodeState.CANCELLED if state is NodeState.PENDING else state for state in states]
        progress = Progress(graph, states, stopped="failed" if is_stopped else "")
        progress.paused = not is_stopped and any(not state.has_ended for state in progress.states)
        return encode_progress(progress, generation), progress.paused

    async def _jobs(self, workflow: bytes, count: int) -> dict[int, Job]:
        """Those of nodes, as they were made."""
        key, found = self._keys.graph(workflow.hex()), dict[int, Job]()
        for start in range(0, count, JOBS_AT_ONCE):
            numbers = range(start, min(count, start + JOBS_AT_ONCE))
            names = [f"{letter}{number}" for number in numbers for letter in "rR"]
            values = await self._connection.call("HMGET", key, *names)
            for name, value in zip(names, values, strict=True):
                try:
                    found |= {int(name[1:]): job_in(name, value).job} if value else {}
                except (IncompatibleRecord, ValueError):
                    continue
        return found

    async def _running(self, workflow: bytes, count: int, generation: int, tails: bytes | None) -> set[int]:
        """Nodes whose jobs are somewhere, and not dead."""
        places: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        for start in range(0, count, JOBS_AT_ONCE):
            numbers = range(start, min(count, start + JOBS_AT_ONCE))
            moved = await self._connection.call(
                "HMGET", self._keys.graph(workflow.hex()), *(moved_field(number) for number in numbers)
            )
            for number, other in zip(numbers, moved, strict=True):
                job_id = other or node_id_by(tails, workflow, number, generation)
                places[self._links.number_of(job_id)][number] = job_id
        found: set[int] = set()
        for shard, ids in places.items():
            keys, connection, _ = self._links.shards[shard]
            for part in _parts([*ids], JOBS_AT_ONCE):
                said = await connection.call("HMGET", keys.index, *(ids[number] for number in part))
                found |= {number for number, place in zip(part, said, strict=True) if place not in (None, b"d")}
        return found

    async def _ends(self, workflow: bytes, newest: Mapping[int, int]) -> dict[int, NodeState]:
        found: dict[int, NodeState] = {}
        for part in _parts([*newest], ENDS_AT_ONCE):
            names = [member_of("", number, newest[number]) for number in part]
            records = await self._connection.call("HMGET", results_of(self._keys, workflow), *names)
            for number, record in zip(part, records, strict=True):
                if record is not None:
                    found[number] = _HOW.get(decode(record).ended, NodeState.CANCELLED)
        return found


def _coordinator(workflow: bytes, document: Workflow, jobs: Iterable[Job]) -> Job:
    """As it began, but for who submitted it."""
    return coordinator_of(workflow, document, tuple(sorted({job.queue for job in jobs})), "")


def _parts(numbers: Sequence[int], most: int) -> Iterable[Sequence[int]]:
    return (numbers[start : start + most] for start in range(0, len(numbers), most))
