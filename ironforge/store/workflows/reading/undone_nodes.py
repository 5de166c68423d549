"""How far the undoing of each node is, of a workflow that has failed or was cancelled."""

from __future__ import annotations

import itertools
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import decode
from ironforge.job.tracebacks import why
from ironforge.redis.connection import Connection
from ironforge.redis.family_keys import results_of
from ironforge.redis.keys import Keys
from ironforge.store.workflows.contract import CompensationView
from ironforge.store.workflows.graph_fields import undo_field
from ironforge.store.workflows.nodes import decode_held
from ironforge.store.workflows.undoing import Undone, undo_member, undoing_of
from ironforge.workflows.states import FAILURES, NodeState

# Jobs of one read: they have the payloads of their nodes.
JOBS_AT_ONCE: Final = 50


async def compensations_of(
    keys: Keys, connection: Connection, workflow: bytes, generation: int, undone: Undone
) -> dict[int, CompensationView]:
    """By the number of the node, of those that have succeeded and have something to undo them. Raises what the
    connection raises."""
    undoing = await undoing_of(keys, connection, workflow, generation, undone)
    ids = await _jobs(keys, connection, workflow, [*undoing.undone])
    # Nothing is undone beyond one that could not be.
    left = NodeState.SKIPPED if undoing.how in FAILURES else NodeState.PENDING
    found = {number: CompensationView(left) for number in undoing.order}
    for number, state in undoing.undone.items():
        reason = ""
        if state in FAILURES:
            member = undo_member(number, generation)
            ended = await connection.call("HGET", results_of(keys, workflow), member)
            if ended:
                job = decode(ended)
                reason = why(job.reason, job.errors)
        found[number] = CompensationView(state, ids.get(number), reason)
    return found


async def _jobs(keys: Keys, connection: Connection, workflow: bytes, numbers: list[int]) -> dict[int, bytes]:
    """The ids of the jobs that undo these, as far as they can be read."""
    found: dict[int, bytes] = {}
    rest = iter(numbers)
    while part := [*itertools.islice(rest, JOBS_AT_ONCE)]:
        values = await connection.call("HMGET", keys.graph(workflow.hex()), *map(undo_field, part))
        for number, value in zip(part, values, strict=True):
            try:
                found[number] = decode_held(value or b"").id
            except IncompatibleRecord:
                continue
    return found
