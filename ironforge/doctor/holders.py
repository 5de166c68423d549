"""Finds what is held for jobs that are gone: places of limits, and unique keys. What ends a job gives them back."""

from __future__ import annotations

from typing import Final

from ironforge.doctor.consistency import shown
from ironforge.doctor.finding import Finding
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.wrong_types import keys_of

SAMPLE: Final = 1_000
NODE_MENDS: Final = "a running node gives it to the next job: ironforge node APP"
SUBMISSION_MENDS: Final = "the next submission with this key takes it, so only report it: this must not happen"


async def places_of_nobody(connection: Connection, keys: Keys) -> list[Finding]:
    """Of the first keys in use. Raises what redis-py raises, as the other one does."""
    _, claims = await connection.call("HSCAN", keys.in_use, 0, "COUNT", SAMPLE)
    names = [claim.decode(errors="replace") for claim in claims[::2]]
    # A dead job that a key waits for is in front, below 0: its retention may be over.
    asked: list[Command] = [["ZRANGE", keys.holders(name), 0, "+inf", "BYSCORE", "LIMIT", 0, SAMPLE] for name in names]
    holders = await connection.pipeline(asked) if asked else []
    places = [(name, job_id) for name, ids in zip(names, holders, strict=True) for job_id in ids]
    known = await connection.call("HMGET", keys.index, *(job_id for _, job_id in places)) if places else []
    return [
        Finding("fail", "limits", f"{_claim(name)} has a place for job {shown(job_id)}, which is gone", NODE_MENDS)
        for (name, job_id), place in zip(places, known, strict=True)
        if place is None
    ]


async def unique_keys_of_nobody(connection: Connection, keys: Keys) -> list[Finding]:
    """Those without a time: others go by themselves. None while jobs are put aside, which may have them."""
    names = [key async for key in keys_of(connection, keys.unique(""))]
    asked: list[Command] = [["XLEN", keys.quarantine]]
    for name in names:
        asked += (["SMEMBERS", name], ["PTTL", name])
    aside, *replies = await connection.pipeline(asked)
    held = [
        (name, next(iter(ids)))
        for name, ids, left_ms in zip(names, replies[::2], replies[1::2], strict=True)
        if ids and left_ms == -1
    ]
    known = await connection.call("HMGET", keys.index, *(job_id for _, job_id in held)) if held and not aside else []
    return [
        Finding(
            "fail",
            "unique",
            f"unique key {name.removeprefix(keys.unique(''))[:100]!r} is held by job {shown(job_id)}, which is gone",
            SUBMISSION_MENDS,
        )
        for (name, job_id), place in zip(held, known, strict=False)
        if place is None
    ]


def _claim(name: str) -> str:
    limit, _, key = name.partition("\n")
    return f"limit {limit}, key {key!r}"
