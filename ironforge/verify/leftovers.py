"""Finds what is still in the store when every job has ended and every node has left: only ended jobs may be.

It looks at the keys themselves, because a forgotten one shows in no view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ironforge.doctor.consistency import inconsistencies
from ironforge.redis.connection import Command, Connection, DoorConnection, all_keys
from ironforge.redis.key_spec import STAYS
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.outages import ABSENT
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store.queue_names import queue_names

COUNTED = ("completed", "cancelled")
ENDS = (*COUNTED, "dead")

T = TypeVar("T")


async def leftovers(settings: Settings) -> list[str]:
    """In words; empty when there are none. Raises StoreError."""
    return [what for found in await _in_each_shard(settings, _leftovers) for what in found]


async def orphan_consumers(settings: Settings) -> set[str]:
    """Consumers that are no nodes: a node has to forget them yet."""
    return {name for found in await _in_each_shard(settings, _orphans) for name in found}


async def _in_each_shard(settings: Settings, look: Callable[[Connection, Keys], Awaitable[T]]) -> list[T]:
    found: list[T] = []
    for keys in shards_of(settings):
        async with DoorConnection(settings.redis_url, keys.prefix) as connection:
            found.append(await look(connection, keys))
    return found


async def _leftovers(connection: Connection, keys: Keys) -> list[str]:
    found = await inconsistencies(connection, keys)
    found += [f"{pending} pending entries of {name}" for name, pending in (await consumers(connection, keys)).items()]
    streams = await _streams(connection, keys)
    lengths = await connection.pipeline([["XLEN", key] for key in streams]) if streams else []
    found += [f"{length} entries in {key}" for key, length in zip(streams, lengths, strict=True) if length]
    queues = queue_names(await connection.call("SMEMBERS", keys.queues))
    lines = [*keys.lines(queues), *keys.turns_of(queues), keys.unserved]
    counts = await connection.pipeline([["ZCARD", key] for key in lines]) if lines else []
    # Also turns that no job waits for: the next job would have to wait for them.
    found += [f"{count} members of {key}" for key, count in zip(lines, counts, strict=True) if count]
    found += [f"the lease of {node.decode()}" for node in await connection.call("ZRANGE", keys.nodes, 0, -1)]
    if lost := await connection.call("HGET", keys.totals, "lost_unique_keys"):
        found.append(f"{int(lost)} unique keys that jobs had kept when they ended, until others took them")
    return found + await _balance(connection, keys) + await _keys_that_stay(connection, keys)


async def _orphans(connection: Connection, keys: Keys) -> set[str]:
    nodes = {node.decode() for node in await connection.call("ZRANGE", keys.nodes, 0, -1)}
    return set(await consumers(connection, keys)) - nodes


async def consumers(connection: Connection, keys: Keys) -> Counter[str]:
    """Every consumer of the group, and how many entries it has pending."""
    commands: list[Command] = [["XINFO", "CONSUMERS", key, GROUP] for key in await _streams(connection, keys)]
    # Absent: no node has served this queue.
    replies = await connection.pipeline(commands, tolerate=ABSENT) if commands else []
    found: Counter[str] = Counter()
    for reply in replies:
        for consumer in reply if isinstance(reply, list) else ():
            found[consumer[1].decode()] += consumer[3]
    return found


async def _streams(connection: Connection, keys: Keys) -> list[str]:
    return keys.streams(queue_names(await connection.call("SMEMBERS", keys.queues)))


async def _balance(connection: Connection, keys: Keys) -> list[str]:
    """Of the dead those count that lie there: the same one may die more than once, where its workflow is retried."""
    totals: Command = ["HMGET", keys.totals, "submitted", *COUNTED]
    lie: list[Command] = [["ZCARD", keys.dead], ["ZCARD", keys.workflows("dead")]]
    found, dead, workflows = await connection.pipeline([totals, *lie])
    submitted, *ends = (int(count or 0) for count in found)
    ends.append(dead - workflows)
    told = ", ".join(f"{count} {name}" for count, name in zip(ends, ENDS, strict=True))
    return [] if submitted == sum(ends) else [f"totals that do not add up: {submitted} submitted, {told}"]


async def _keys_that_stay(connection: Connection, keys: Keys) -> list[str]:
    """Keys without a time to live that are not meant to stay. A fence stays only as long as its node."""
    suspects = [
        name
        async for name in all_keys(connection, keys.prefix)
        if not (spec := keys.spec_of(name.decode())) or spec.lifetime != STAYS
    ]
    lives = await connection.pipeline([["TTL", name] for name in suspects]) if suspects else []
    return [f"{name.decode()} for ever" for name, seconds in zip(suspects, lives, strict=True) if seconds == -1]
