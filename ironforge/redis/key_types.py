"""The type that each key has, what follows when somebody has put another one there, and how to find such keys.

A key of the wrong type is an outage of what needs that key and of nothing else: scripts look before they write, nodes
wait with what they cannot do, and nothing is written over, because it may be somebody's data.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import TYPES

SCAN: Final = 1_000
# A server may hold millions of other keys: what is not found within these rounds is met by whoever needs it.
ROUNDS: Final = 100

# By the first word behind the prefix: what does not work meanwhile.
CONSEQUENCES: Final = {
    "q": "jobs cannot be submitted to this queue at this priority, and what it held is gone; other queues go on",
    "fair": "jobs with a fairness key cannot go to this queue and priority, those that waited are gone; others go on",
    "turns": "jobs with a fairness key cannot go to this queue and priority, those that wait stay; others go on",
    "index": "no job can be submitted, found, cancelled or retried; nodes complete what they have",
    "scheduled": "nothing with a delay can be submitted, retries wait in their nodes, nothing becomes due",
    "delayed": "queues whose jobs are all scheduled do not count as used until those are due",
    "parked": "nothing with a delay can be submitted, retries and dead letters wait in their nodes",
    "dead": "jobs that give up wait in their nodes, dead letters cannot be listed, revived or dropped",
    "done": "results of jobs that were created in this minute cannot be stored or read; the jobs run",
    "kept": "results of jobs that were created in this minute cannot be stored or read; the jobs run",
    "buckets": "ended jobs cannot be listed, and are not dropped early when memory is short",
    "nodes": "no node can join, renew its lease or be taken over; those that run go on",
    "roster": "nodes are shown without what they serve, and no queue is forgotten",
    "fence": "this node begins anew under another name",
    "epoch": "no node can join or be taken over; those that run go on",
    "alone": "jobs that may have killed nodes wait; others go on",
    "blocked": "a job that is dead as poison does not say what its handler was seen to do",
    "idem": "a submission with this idempotency key is refused",
    "queues": "nodes look after their own queues only, statistics and lists cannot be read",
    "paused": "no queue can be paused or resumed, nodes keep to what they know, new ones to nothing; no statistics",
    "totals": "nothing is counted, statistics cannot be read",
    "quarantine": "records that cannot be read stay where they are",
    "lock": "this lock cannot be had",
    "lockfence": "this lock cannot be had",
    "rate": "submissions that this quota is for are refused",
    "audit": "what is done is in the log alone, which says so",
    "audithead": "what is done is in the log alone, which says so",
}


class Misfit(NamedTuple):
    key: str
    found: str
    wanted: str
    consequence: str


def word_of(key: str, prefix: str) -> str:
    """What kind of key this is: the first word behind the prefix; empty for one that is none of ours."""
    return key.removeprefix(prefix).partition(":")[0] if key.startswith(prefix) else ""


async def misfits(connection: Connection, keys: Keys) -> list[Misfit]:
    """The keys of the wrong type, sorted by name. Raises what redis-py raises."""
    named = {keys.prefix + word for word in TYPES}
    cursor = b"0"
    for _ in range(ROUNDS):
        cursor, found = await connection.call("SCAN", cursor, "MATCH", _literal(keys.prefix) + "*", "COUNT", SCAN)
        named.update(key.decode(errors="replace") for key in found)
        if cursor == b"0":
            break
    ours = sorted(key for key in named if word_of(key, keys.prefix) in TYPES)
    problems: list[Misfit] = []
    for start in range(0, len(ours), SCAN):
        part = ours[start : start + SCAN]
        asked: list[Command] = [["TYPE", key] for key in part]
        for key, reply in zip(part, await connection.pipeline(asked), strict=True):
            word, kind = word_of(key, keys.prefix), reply.decode()
            if kind not in ("none", TYPES[word]):
                problems.append(Misfit(key, kind, TYPES[word], CONSEQUENCES[word]))
    return problems


def _literal(text: str) -> str:
    """For a pattern of SCAN."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in text)
