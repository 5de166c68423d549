"""Whether the index, the streams, the schedule and the dead letter of a namespace tell the same story.

Scripts and transactions keep them equal, so a difference is a bug or a foreign write, never a passing state.
What moved between two reads is read again before it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ironforge.doctor.families import torn_families
from ironforge.doctor.looks import LOOKS
from ironforge.formats import numbers
from ironforge.job.record import format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import ID_BYTES, Keys
from ironforge.redis.location import Location
from ironforge.redis.replies import pairs
from ironforge.steps.waits import WAITS
from ironforge.store.queue_names import queue_names

SAMPLE: Final = 200

Entry = tuple[bytes, bytes]  # job id, location


async def inconsistencies(connection: Connection, keys: Keys) -> list[str]:
    """What does not fit, in words; empty when all is well. Raises what redis-py raises."""
    found = [*await _counts(connection, keys), *await _sample(connection, keys)]
    return [*found, *await torn_families(connection, keys)]


async def _counts(connection: Connection, keys: Keys) -> list[str]:
    for _ in range(LOOKS):
        names = queue_names(await connection.call("SMEMBERS", keys.queues))
        streams, lines = keys.streams(names), keys.lines(names)
        counted: list[Command] = [
            ["HLEN", keys.index],
            ["HLEN", keys.parked],
            ["ZCARD", keys.scheduled],
            ["ZCARD", keys.dead],
            ["SCARD", keys.queues],
            *(["ZCARD", keys.waiting(what)] for what in WAITS),
            *(["XLEN", key] for key in streams),
            *(["ZCARD", key] for key in lines),
        ]
        index, parked, scheduled, dead, queues, *lengths = await _at_once(connection, counted)
        aside, lengths = sum(lengths[: len(WAITS)]), lengths[len(WAITS) :]
        waiting = sum(lengths[len(streams) :])
        if queues == len(names):
            break
    problems = []
    if index != scheduled + aside + dead + sum(lengths):
        places = f"{sum(lengths) - waiting} in streams, {waiting} waiting for their turn, "
        places += f"{scheduled} scheduled, {aside} in state waiting, {dead} dead"
        problems.append(f"the index knows {numbers.counted(index, 'job')}, but there are {places}")
    if parked != scheduled + aside + dead + waiting:
        jobs = f"{scheduled} scheduled, {waiting + aside} waiting and {dead} dead jobs"
        problems.append(f"{numbers.counted(parked, 'record')} for {jobs}, which are parked")
    return problems


async def _at_once(connection: Connection, commands: Sequence[Command]) -> list[Any]:
    replies = await connection.pipeline([["MULTI"], *commands, ["EXEC"]])
    result: list[Any] = replies[-1]
    return result


async def _sample(connection: Connection, keys: Keys) -> list[str]:
    flat = await connection.call("HRANDFIELD", keys.index, SAMPLE, "WITHVALUES")
    suspects: list[Entry] = list(pairs(flat))
    for _ in range(LOOKS):
        suspects = await _missing(connection, keys, suspects)
        if not suspects:
            return []
        now = await connection.call("HMGET", keys.index, *(job_id for job_id, _ in suspects))
        suspects = [(job_id, raw) for (job_id, _), raw in zip(suspects, now, strict=True) if raw is not None]
    return [
        f"job {shown(job_id)} is not where the index says: {raw.decode(errors='replace')}" for job_id, raw in suspects
    ]


def shown(job_id: bytes) -> str:
    return format_id(job_id) if len(job_id) == ID_BYTES else repr(job_id[:ID_BYTES])


async def _missing(connection: Connection, keys: Keys, entries: Sequence[Entry]) -> list[Entry]:
    """Those that are not where the index says, at the moment of looking."""
    asked = [_look(keys, job_id, Location(raw)) for job_id, raw in entries]
    commands = [command for look in asked for command in look]
    replies = iter(await connection.pipeline(commands) if commands else [])
    told = [[next(replies) for _ in look] for look in asked]
    return [
        entry
        for entry, (record, *places) in zip(entries, told, strict=True)
        if all(place in (None, []) for place in places) or not record
    ]


def _look(keys: Keys, job_id: bytes, location: Location) -> list[Command]:
    """Questions: is there a record, then is the job in its place, or in one of these."""
    if location.entry:
        key = keys.stream(location.stream)
        return [["EXISTS", key], ["XRANGE", key, location.entry, location.entry]]
    shelves = {
        "l": [keys.line(location.line)],
        "d": [keys.dead],
        "f": [keys.fair(location.stream)],
        "k": [keys.declined(location.stream)],
        "w": [keys.waiting(what) for what in WAITS],
    }.get(location.place, [keys.scheduled])
    places: list[Command] = [["ZSCORE", shelf, location.member(job_id)] for shelf in shelves]
    return [["HEXISTS", keys.parked, job_id], *places]
