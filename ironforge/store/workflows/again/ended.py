"""A workflow that has ended, as it can be begun again or forked: all that is known of it at one moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import Job, decode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import results_of
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.steps.waits import member_of
from ironforge.store.retention import terminal_record
from ironforge.store.workflows.contract import no_such_workflow
from ironforge.store.workflows.graph_fields import DOCUMENT, UNDONE_LAST, decode_document
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.store.workflows.undoing import Undone, undoing_of
from ironforge.workflows.again import not_over
from ironforge.workflows.compensation import Compensation
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.program import Head
from ironforge.workflows.progress import Progress

_member: Final = re.compile(rb"\n(\d+)\.(\d+)")


class EndedWorkflow(NamedTuple):
    """`record`: the one that stands for it, in `bucket` (empty: it lies dead). `newest`: in which generation the end is
    that is known of a node, or of what undid one, by number; `results`: names of all these ends."""

    job: Job
    record: bytes
    bucket: str
    head: Head
    document: Workflow
    progress: Progress
    newest: dict[int, int]
    results: Sequence[bytes]

    def members(self, numbers: Sequence[int]) -> dict[int, str]:
        """What the ends of these are called, as far as there is one."""
        return {number: member_of("", number, self.newest[number]) for number in numbers if number in self.newest}


async def read_ended(
    settings: Settings, keys: Keys, connection: Connection, workflow: bytes, what: str
) -> EndedWorkflow:
    """To be `retried` or `forked`. Raises WorkflowNotFound, and InvalidState for one that goes on."""
    digits = workflow.hex()
    buckets = keys.bucket_of(workflow, "done"), keys.bucket_of(workflow, "kept")
    look: list[Command] = [
        ["MULTI"],
        ["HGET", keys.index, workflow],
        ["HGET", keys.parked, workflow],
        ["HGET", buckets[0], workflow],
        ["HGET", buckets[1], workflow],
        ["GET", keys.progress(digits)],
        ["HMGET", keys.graph(digits), DOCUMENT, UNDONE_LAST],
        ["LRANGE", keys.order(digits), 0, -1],
        ["HKEYS", results_of(keys, workflow)],
        ["EXEC"],
    ]
    *_, replies = await connection.pipeline(look)
    location, parked, done, kept, stored, (document, last), order, names = replies
    record, bucket = (parked, "") if location else (done, buckets[0]) if done else (kept, buckets[1])
    found = read_progress(stored)
    job = decode(record) if location and record else terminal_record(record, settings)
    if job is None or not job.is_workflow or found is None or document is None:
        raise no_such_workflow(workflow)
    head, states = found
    if location != b"d" and location is not None:
        raise not_over("paused" if head.paused else "running", what)
    undoing = await undoing_of(keys, connection, workflow, head.generation, Undone(order, last))
    decoded = decode_document(document)
    compensation = Compensation(decoded.nodes, undoing.order, undoing.undone)
    progress = Progress(Graph(decoded.nodes), states, compensation=compensation, stopped=head.stopped)
    if progress.outcome is None:
        raise IncompatibleRecord(f"workflow {job.text_id} has ended, and some of its nodes have not")
    newest = newest_of(names)
    return EndedWorkflow(job, record, bucket.removeprefix(keys.prefix), head, decoded, progress, newest, names)


def newest_of(names: Sequence[bytes]) -> dict[int, int]:
    """In which generation the last end is, by number, of these names of ends."""
    found: dict[int, int] = {}
    for name in names:
        if match := _member.fullmatch(name):
            number, generation = int(match[1]), int(match[2])
            found[number] = max(generation, found.get(number, 0))
    return found
