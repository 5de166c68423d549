"""Finds jobs in state waiting that nothing wakes: their time is over, or the event that they wait for is there, or it
would not reach them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ironforge.doctor.consistency import shown
from ironforge.doctor.finding import Finding
from ironforge.doctor.looks import seen_every_time
from ironforge.formats.numbers import counted
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.steps.waits import WAITS, Wait
from ironforge.store.retention import milliseconds, readable, score_ms

SAMPLE: Final = 1_000
# Nodes look at what is due several times a second.
LATE_SECONDS: Final = 10.0
CHECK: Final = "waiting"
NODE_WAKES: Final = "ironforge node APP"
# What stands for workflows waits for no moment.
_JOBS_WAIT: Final = tuple(what for what in WAITS if what != "workflow")
KEEP: Final = "cancel it and submit it again, and report it: this must not happen"


async def waiters(connection: Connection, keys: Keys) -> list[Finding]:
    """Of the first of them in one shard. Raises what redis-py raises."""
    seen = await seen_every_time(lambda: _stranded(connection, keys))
    findings = [*await _late(connection, keys), *seen]
    if findings:
        return findings
    total = sum(await connection.pipeline([["ZCARD", keys.waiting(what)] for what in _JOBS_WAIT]))
    return [Finding("ok", CHECK, f"{counted(total, 'job')} in state waiting, and what they wait for wakes them")]


async def _late(connection: Connection, keys: Keys) -> list[Finding]:
    """What nodes would have done long ago."""
    asked: list[Command] = [["ZRANGE", key, 0, 0, "WITHSCORES"] for key in (*map(keys.waiting, _JOBS_WAIT), keys.wake)]
    *firsts, time = await connection.pipeline([*asked, ["TIME"]])
    late_seconds = max((milliseconds(time) - score_ms(first[1])) / 1000 if first else 0.0 for first in firsts)
    if late_seconds <= LATE_SECONDS:
        return []
    message = f"what a waiting job waits for has been there for {late_seconds:.0f} s: no node has it go on"
    return [Finding("warn", CHECK, message, NODE_WAKES)]


async def _stranded(connection: Connection, keys: Keys) -> list[Finding]:
    """Jobs that wait for an event that is there, or that do not stand among those that it will wake."""
    pending, ids = await connection.pipeline([["ZCARD", keys.wake], ["ZRANGE", keys.waiting("event"), 0, SAMPLE - 1]])
    if pending or not ids:  # else a node is about to wake them
        return []
    records = await connection.call("HMGET", keys.parked, *ids)
    jobs = [(job.id, job.wait) for job in map(readable, records) if job and job.wait and job.wait.event]
    if not jobs:
        return []
    return await _unheard(connection, keys, jobs)


async def _unheard(connection: Connection, keys: Keys, jobs: Sequence[tuple[bytes, Wait]]) -> list[Finding]:
    asked: list[Command] = [["TIME"]]
    for job_id, wait in jobs:
        event, told = keys.event(wait.event), keys.event_waiters(wait.event)
        asked += (["EXISTS", event], ["SISMEMBER", told, job_id], ["ZSCORE", keys.waiting("event"), job_id])
    time, *replies = await connection.pipeline(asked)
    findings = []
    for at, (job_id, wait) in enumerate(jobs):
        is_there, is_told, due = replies[3 * at : 3 * at + 3]
        if due is None or score_ms(due) <= milliseconds(time):  # it goes on by itself
            continue
        what = "which is there" if is_there else "which would not reach it"
        if is_there or not is_told:
            message = f"job {shown(job_id)} waits for event {wait.event}, {what}"
            findings.append(Finding("fail", CHECK, message, KEEP))
    return findings
