"""Whether jobs that have children, and those, know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ironforge.doctor.looks import seen_every_time
from ironforge.job.record import format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import children_of
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs

PARENTS: Final = 200
CHILDREN: Final = 20


async def torn_families(connection: Connection, keys: Keys) -> list[str]:
    """What does not fit among some of them, in words; empty when all is well. Raises what redis-py raises."""
    parents = await connection.call("ZRANGE", keys.families, 0, 0, "BYSCORE", "LIMIT", 0, PARENTS)
    return await seen_every_time(lambda: _look(connection, keys, parents)) if parents else []


async def _look(connection: Connection, keys: Keys, parents: Sequence[bytes]) -> list[str]:
    """All at one moment."""
    asked: list[Command] = [["XLEN", keys.quarantine], ["HMGET", keys.index, *parents]]
    asked += [["ZMSCORE", name, *parents] for name in (keys.families, keys.wake, keys.waiting("children"))]
    asked += [["HRANDFIELD", children_of(keys, parent), CHILDREN, "WITHVALUES"] for parent in parents]
    replies = await connection.pipeline([["MULTI"], *asked, ["EXEC"]])
    put_aside, places, scores, woken, waiting, *opened = replies[-1]
    problems: list[str] = []
    children: list[tuple[bytes, bytes]] = []
    for at, parent in enumerate(parents):
        if scores[at] != b"0":
            continue
        if places[at] is None and not put_aside:
            problems.append(f"job {format_id(parent)} is no more, and its children go on")
        if waiting[at] is not None and not opened[at] and woken[at] is None:
            problems.append(f"job {format_id(parent)} waits for children, of which none is open, and nothing wakes it")
        # What has another last byte may lie in another shard.
        children += [(parent, job_id) for _, job_id in pairs(opened[at]) if job_id[-1] == parent[-1]]
    return problems if put_aside or not children else problems + await _nowhere(connection, keys, children)


async def _nowhere(connection: Connection, keys: Keys, children: Sequence[tuple[bytes, bytes]]) -> list[str]:
    places = await connection.call("HMGET", keys.index, *(job_id for _, job_id in children))
    return [
        f"job {format_id(parent)} waits for its child {format_id(job_id)}, which is nowhere"
        for (parent, job_id), place in zip(children, places, strict=True)
        if place is None
    ]
