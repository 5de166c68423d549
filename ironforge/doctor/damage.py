"""Finds damage in a namespace: bytes that are no job, jobs that the index knows elsewhere, names of nothing.

It looks at the oldest of everything, because damage stays where it is while jobs move on, and it reports what it has
seen several times in a row: a job that moved between two reads is seen once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from ironforge.doctor.consistency import shown
from ironforge.doctor.finding import Finding
from ironforge.doctor.holders import places_of_nobody, unique_keys_of_nobody
from ironforge.doctor.looks import seen_every_time
from ironforge.errors import IncompatibleRecord, NewerRecord
from ironforge.job.record import decode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import ID_BYTES, Keys
from ironforge.redis.location import IN_STREAM
from ironforge.redis.replies import pairs
from ironforge.redis.server_info import DIGITS
from ironforge.steps.waits import WAITS
from ironforge.store.consumer.quarantine import id_in
from ironforge.store.inspector.census import TOTALS
from ironforge.store.queue_names import queue_names

SAMPLE: Final = 200
BUCKETS: Final = 10

PUT_ASIDE: Final = "a running node puts it aside in the quarantine: ironforge node APP"
BRING_BACK: Final = "a running node puts it aside and brings back what it can read: ironforge node APP"
KEEP: Final = "keep a copy of the server's data, and report it: this must not happen"

_NODE: Final = re.compile(rb"[!-~]+")


def damage(message: str, fix: str = KEEP) -> Finding:
    return Finding("fail", "data", message, fix)


async def damages(connection: Connection, keys: Keys) -> list[Finding]:
    """All that is seen every time. Raises what redis-py raises."""
    looks: list[Callable[[Connection, Keys], Awaitable[list[Finding]]]] = [
        *(_names, _streams, _parked, _buckets),
        *(places_of_nobody, unique_keys_of_nobody),
    ]
    found = []
    for look in looks:
        found += await seen_every_time(partial(look, connection, keys))
    return found


async def _names(connection: Connection, keys: Keys) -> list[Finding]:
    """Members and fields by which others find their keys."""
    asked: list[Command] = [["SMEMBERS", keys.queues], ["ZRANGE", keys.nodes, 0, -1], ["ZRANGE", keys.buckets, 0, -1]]
    queues, nodes, buckets, totals = await connection.pipeline([*asked, ["HGETALL", keys.totals]])
    bucket = re.compile(re.escape(keys.prefix).encode() + rb"(done|kept):[0-9]{1,15}")
    odd = [
        *((keys.queues, "queue", "SREM", member) for member in queues if not queue_names([member])),
        *((keys.nodes, "node", "ZREM", member) for member in nodes if not _NODE.fullmatch(member)),
        *((keys.buckets, "minute's records", "ZREM", member) for member in buckets if not bucket.fullmatch(member)),
    ]
    found = [
        damage(f"{key} holds {member[:100]!r}, which is the name of no {what}", f"take it out with {command} {key}")
        for key, what, command, member in odd
    ]
    known = [name.encode() for name in TOTALS]
    for name, count in pairs(totals):
        if name not in known or not count.isdigit() or len(count) > DIGITS:
            message = f"{keys.totals} holds {name[:100]!r} with {count[:100]!r}, which is no counter"
            found.append(damage(message, f"take it out with HDEL {keys.totals}"))
    return found


async def _streams(connection: Connection, keys: Keys) -> list[Finding]:
    found = []
    names = queue_names(await connection.call("SMEMBERS", keys.queues))
    for key in keys.streams(names):
        entries = await connection.call("XRANGE", key, "-", "+", "COUNT", SAMPLE)
        places = {}
        for entry, fields in entries:
            where = f"entry {entry.decode()} of {key}"
            if fields[0] != b"j":
                found.append(damage(f"{where} has the field {fields[0][:100]!r} where a record should be", PUT_ASIDE))
                continue
            job_id, damaged = _read(fields[1], where)
            found += damaged
            if job_id:
                places[job_id] = f"{key.removeprefix(keys.stream(''))}:{entry.decode()}"
        indexed = await connection.call("HMGET", keys.index, *places) if places else []
        for (job_id, place), said in zip(places.items(), indexed, strict=True):
            if said not in [f"{letter}:{place}".encode() for letter in IN_STREAM]:
                found.append(damage(f"job {shown(job_id)} is in {key}, but the index says {_said(said)}"))
    return found


async def _parked(connection: Connection, keys: Keys) -> list[Finding]:
    found = []
    waits = keys.lines(queue_names(await connection.call("SMEMBERS", keys.queues)))
    parked = [(keys.waiting(what), b"w") for what in WAITS]
    for key, letters in ((keys.scheduled, b"s"), (keys.dead, b"d"), *((key, b"flk") for key in waits), *parked):
        members = await connection.call("ZRANGE", key, 0, SAMPLE - 1)
        if not members:
            continue
        ids = [member[-ID_BYTES:] for member in members]  # of a declined job it stands behind its kind
        indexed, records = await connection.pipeline([["HMGET", keys.index, *ids], ["HMGET", keys.parked, *ids]])
        for job_id, said, record in zip(ids, indexed, records, strict=True):
            name = f"job {shown(job_id)}"
            if said is None or said[:1] not in letters:
                found.append(damage(f"{name} is in {key}, but the index says {_said(said)}", PUT_ASIDE))
            if record is None:
                found.append(damage(f"{name} is in {key}, but its record is not in {keys.parked}", PUT_ASIDE))
            else:
                found += _read(record, f"the record of {name} in {keys.parked}")[1]
    return found


async def _buckets(connection: Connection, keys: Keys) -> list[Finding]:
    found = []
    for bucket in await connection.call("ZRANGE", keys.buckets, 0, BUCKETS - 1, "REV"):
        _, flat = await connection.call("HSCAN", bucket, 0, "COUNT", SAMPLE)
        for job_id, record in pairs(flat):
            where = f"the record of job {shown(job_id)} in {bucket.decode(errors='replace')}"
            found += _read(record, where)[1]
    return found


def _read(record: bytes, where: str) -> tuple[bytes, list[Finding]]:
    """The id in a record, if it is one."""
    try:
        return decode(record).id, []
    except IncompatibleRecord as error:
        legible = id_in(record)
        name = f" (job {shown(legible)})" if legible else ""
        fix = BRING_BACK if isinstance(error, NewerRecord) else PUT_ASIDE
        return b"", [damage(f"{where}{name}: {error}", fix)]


def _said(place: bytes | None) -> str:
    return "nothing" if place is None else repr(place[:100])
