"""How many jobs of the items of a map have ended, while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import JobState, decode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import children_of, results_of
from ironforge.redis.keys import Keys
from ironforge.redis.step_keys import journal_of
from ironforge.steps.children import ChildrenState, decode_state
from ironforge.steps.journal import decode as decode_entry
from ironforge.store.workflows.contract import ItemCounts
from ironforge.workflows.jobs import ITEMS_STEP

# Of all maps of a view: to tell how many items have failed, the records of their ends are read, as many as that.
MOST_READ: Final = 1_000
MOST_BYTES: Final = 4 * 1024 * 1024


async def counts_of(keys: Keys, connection: Connection, maps: Mapping[int, bytes]) -> dict[int, ItemCounts]:
    """By the number of the node, of these jobs of maps; of one that has submitted nothing yet, or that cannot be read,
    none. Raises what the connection raises."""
    ask: list[Command] = []
    for job_id in maps.values():
        ask += (
            ["HGET", journal_of(keys, job_id), ITEMS_STEP],
            ["HLEN", children_of(keys, job_id)],
            ["HLEN", results_of(keys, job_id)],
        )
    replies = await connection.pipeline(ask) if ask else []
    left, found = MOST_READ, dict[int, ItemCounts]()
    for (number, job_id), entry, open_, kept in zip(
        maps.items(), replies[::3], replies[1::3], replies[2::3], strict=True
    ):
        state = _state(entry)
        if state is None:
            continue
        failed = None
        if kept <= left:
            left -= kept
            failed = await _failed(keys, connection, job_id, state.generation)
        found[number] = ItemCounts(state.count, max(0, state.submitted - open_), failed)
    return found


def _state(entry: bytes | None) -> ChildrenState | None:
    try:
        return None if entry is None else decode_state(decode_entry(entry).result)
    except IncompatibleRecord:
        return None


async def _failed(keys: Keys, connection: Connection, job_id: bytes, generation: int) -> int | None:
    """In this generation. None: what tells so is too large to be read for it."""
    key, behind = results_of(keys, job_id), f".{generation}".encode()
    members = [member for member in await connection.call("HKEYS", key) if member.endswith(behind)]
    ask: list[Command] = [["HSTRLEN", key, member] for member in members]
    if not members or sum(await connection.pipeline(ask)) > MOST_BYTES:
        return None if members else 0
    records = await connection.call("HMGET", key, *members)
    return sum(decode(record).ended != JobState.COMPLETED for record in records if record)
