"""Finds workflows that nothing moves on: a node that runs has no job, or one that may start is not started."""

from __future__ import annotations

from typing import Final

from ironforge.doctor.finding import Finding
from ironforge.formats.numbers import counted
from ironforge.job.record import format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import FIND_STRANDED
from ironforge.store.retention import milliseconds, readable, score_ms
from ironforge.store.workflows.looks import Look, looks_at
from ironforge.store.workflows.open_nodes import read_head
from ironforge.workflows.program import HEAD

SAMPLE: Final = 200
# Of each, in each state.
NODES: Final = 50
LOOKS: Final = 3
# Nodes look at what is to be done several times a second.
LATE_SECONDS: Final = 10.0
CHECK: Final = "workflows"
NODE_MOVES: Final = "ironforge node APP"
NODE_FINDS_OUT: Final = "start a node, which finds out within a minute: what is still to start is paused then"
NODE_MENDS: Final = "start a node, which mends it within a minute, and report it: this must not happen"


async def workflows_that_stand_still(connection: Connection, keys: Keys) -> list[Finding]:
    """Among some of them in one shard; nothing where there are none. Raises what redis-py raises."""
    going_on = await connection.call("ZCARD", keys.waiting("workflow"))
    seen = await _stranded(connection, keys) if going_on else []
    for _ in range(LOOKS - 1):
        if seen:  # one whose job was just about to come is seen once
            again = set(await _stranded(connection, keys))
            seen = [look for look in seen if look in again]
    findings = await _late(connection, keys) + (await _halted(connection, keys) if going_on else [])
    findings += [Finding("fail", CHECK, str(look), NODE_FINDS_OUT if look.is_unread else NODE_MENDS) for look in seen]
    if findings or not going_on:
        return findings
    return [Finding("ok", CHECK, f"{counted(going_on, 'workflow')} going on, and something moves each of them")]


async def _late(connection: Connection, keys: Keys) -> list[Finding]:
    """What nodes would have done long ago."""
    moves = keys.advance, keys.ready, keys.stopping, keys.finishing
    asked: list[Command] = [["ZRANGE", key, 0, 0, "WITHSCORES"] for key in moves]
    *firsts, time = await connection.pipeline([*asked, ["TIME"]])
    late_seconds = max((milliseconds(time) - score_ms(first[1])) / 1000 if first else 0.0 for first in firsts)
    if late_seconds <= LATE_SECONDS:
        return []
    message = f"a workflow could have gone on for {late_seconds:.0f} s: no node moves it on"
    return [Finding("warn", CHECK, message, NODE_MOVES)]


async def _halted(connection: Connection, keys: Keys) -> list[Finding]:
    """What was paused by a node that found out how far it is, and waits for somebody to decide."""
    workflows = await connection.call("ZRANGE", keys.waiting("workflow"), 0, SAMPLE - 1)
    records = await connection.call("HMGET", keys.parked, *workflows) if workflows else []
    heads: list[Command] = [["GETRANGE", keys.progress(one.hex()), 0, HEAD.size - 1] for one in workflows]
    found = await connection.pipeline(heads, tolerate=("WRONGTYPE",)) if heads else []
    findings = []
    for workflow, record, stored in zip(workflows, records, found, strict=True):
        job, head = readable(record), read_head(stored)
        if job is not None and job.reason and head is not None and head.paused:
            name = format_id(workflow)
            fix = f"ironforge workflows resume {name}, or: ironforge workflows cancel {name}"
            findings.append(Finding("warn", CHECK, f"workflow {name} is paused: {job.reason}", fix))
    return findings


async def _stranded(connection: Connection, keys: Keys) -> list[Look]:
    """Jobs with another last byte than their workflow's may lie in another shard, and are not looked for."""
    workflows = await connection.call("ZRANGE", keys.waiting("workflow"), 0, SAMPLE - 1)
    looks = await looks_at(connection, keys, workflows, NODES)
    looks = [look for look in looks if look.job_id[-1:] in (b"", look.workflow[-1:])]
    words = [word for look in looks for word in look.words]
    if not words:
        return []
    return [looks[number] for number in await connection.run(FIND_STRANDED, FIND_STRANDED.keys(keys), words)]
