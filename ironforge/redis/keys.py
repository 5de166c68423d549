"""Every key of a namespace in the server: its name, type and lifetime, what it holds, and what is lost without it.

One hash tag for a whole namespace and shard, so that every script and every transaction touches one slot: the same
code runs on one server, behind Sentinel and in a cluster.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Final, Literal

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from ironforge.job.record import Priority, alone_streams_of, created_ms_of, stream_name, streams_of
from ironforge.redis.key_spec import EXPIRES, STAYS, WITH_LEASE, Key, KeyFamily
from ironforge.redis.keys_of.declined import DeclinedKeys
from ironforge.redis.keys_of.limits import LimitKeys
from ironforge.redis.keys_of.schedules import ScheduleKeys
from ironforge.redis.ring_keys import RingKeys
from ironforge.redis.workflow_keys import WorkflowKeys

GROUP: Final = "nodes"
# The consumer that holds what was in a stream when its group had been destroyed. No node has such a name.
LOST: Final = "lost-group"
MINUTE_MS: Final = 60_000
ID_BYTES: Final = 16
# What comes behind a queue's name in the names of its streams, in their order, and in those of its lines.
STREAM_ENDINGS: Final = (*streams_of([""]), *alone_streams_of([""]))
LINE_ENDINGS: Final = tuple(stream_name("", priority) for priority in Priority)

Bucket = Literal["done", "kept"]


class Keys(DeclinedKeys, LimitKeys, ScheduleKeys, WorkflowKeys):
    """The keys of one namespace and shard. Job ids are the raw 16 bytes, everywhere in the server."""

    stream = KeyFamily(
        "q:<queue>:<priority>",
        "stream",
        STAYS,
        "group `nodes`; the record itself, field `j`; never trimmed. `…r` is its redelivery stream, for jobs that came "
        "back, which is read first; `…a` holds those that run alone, whose run is announced by being pending there",
        "none can be submitted there, nodes that serve the queue take none, and what it held is gone",
    )
    fair = KeyFamily(
        "fair:<queue>:<priority>",
        "zset",
        STAYS,
        "ids of jobs with a fairness key that wait, by turn",
        "none with a fairness key can be submitted there, nodes that serve the queue take none, and those are gone",
    )
    turns = KeyFamily(
        "turns:<queue>:<priority>",
        "zset",
        STAYS,
        "fairness key → end of its last turn, where ahead of the turn that was taken last, which is the score of the "
        "empty member; `-` stands for jobs without a key; gone when nothing waits",
        "none with a fairness key can be submitted there; while some wait, nodes that serve the queue take none",
    )
    index = Key(
        "index",
        "hash",
        STAYS,
        "job id → location; absent: terminal or unknown",
        "no job can be submitted, found, cancelled or retried, and none ends",
    )
    scheduled = Key(
        "scheduled",
        "zset",
        STAYS,
        "job id by due time (ms): delays and retries",
        "no job can be submitted, retries wait in their nodes, nothing becomes due",
    )
    delayed = Key(
        "delayed",
        "hash",
        STAYS,
        "queue → how many of its jobs are in `scheduled` or `waiting`",
        "no job can be submitted, retries wait in their nodes, nothing becomes due",
    )
    expiries = Key(
        "expiries",
        "zset",
        STAYS,
        "job id by when it expires (ms), if it has not started; of one that has, or has ended, until then",
        "no job that expires can be submitted, and those that wait are not cancelled; too late none starts",
    )
    parked = Key(
        "parked",
        "hash",
        STAYS,
        "records of jobs that are in no stream: scheduled, with a turn or a limit to wait for, declined, waiting, dead",
        "no job can be submitted, retries and dead letters wait in their nodes",
    )
    dead = Key(
        "dead",
        "zset",
        STAYS,
        "job id by time of death (ms)",
        "jobs that give up wait in their nodes, dead letters cannot be listed or retried",
    )
    done = KeyFamily(
        "done:<minute>",
        "hash",
        EXPIRES,
        "terminal records by creation minute",
        "jobs that were created in this minute do not end, and those that had ended cannot be read",
    )
    kept = KeyFamily(
        "kept:<minute>",
        "hash",
        EXPIRES,
        "those with a longer retention than the default, so that they do not hold back the many",
        "jobs of this minute with a longer retention do not end, and those that had ended cannot be read",
    )
    buckets = Key(
        "buckets",
        "zset",
        STAYS,
        "names of those hashes by expiry (ms)",
        "no job ends, and those that have ended cannot be listed",
    )
    nodes = Key(
        "nodes",
        "zset",
        STAYS,
        "node → end of its lease (ms), by the server's clock",
        "no node can join, renew its lease or be taken over; those that run go on",
    )
    roster = Key(
        "roster",
        "hash",
        STAYS,
        "node → what it said of itself when it joined: queues, concurrency, version, time",
        "no node can join or be taken over, and nodes cannot be listed",
    )
    announced = Key(
        "announced",
        "hash",
        STAYS,
        "node → the kinds that it runs, each with the digest of its definition (JSON)",
        "no node can join or be taken over, kinds and statistics cannot be read, and doors go by what they knew",
    )
    kinds = Key(
        "kinds",
        "hash",
        STAYS,
        "in shard 0: kind → its last definitions, the newest in front (JSON); the empty field changes with them",
        "no node can join, kinds and statistics cannot be read, and doors go by what they knew",
    )
    fence = KeyFamily(
        "fence:<node>",
        "string",
        WITH_LEASE,
        "the node's epoch; a bumped one expires",
        "this node does nothing, then begins anew under another name",
    )
    epoch = Key(
        "epoch",
        "string",
        STAYS,
        "the highest epoch ever given",
        "no node can join or be taken over; those that run go on",
    )
    alone = Key(
        "alone",
        "string",
        STAYS,
        "in shard 0: the node whose turn it is to run a job with nothing beside it",
        "jobs that may have killed nodes wait, and no node can be taken over",
    )
    blocked = KeyFamily(
        "blocked:<node>",
        "string",
        EXPIRES,
        "the job that holds up a node's event loop (16 bytes), and where",
        "what this node held cannot be taken over",
    )
    idempotency = KeyFamily(
        "idem:<digest>",
        "string",
        EXPIRES,
        "the first answer to an idempotency key: 16 bytes, and 17 for each job of its batch; or, where its jobs lie in "
        "another shard, the route there: `<generation>:<shard>`",
        "a submission with this idempotency key is refused",
    )
    unique = KeyFamily(
        "unique:<kind>:<key>",
        "set",
        STAYS,
        "the job that holds this unique key (16 bytes), and nothing when it has ended; expires where it has a window",
        "a submission with this unique key is refused, and jobs that hold it do not end",
    )
    queues = Key(
        "queues",
        "set",
        STAYS,
        "queues in use: with a job, a node or a pause; others are forgotten",
        "no job can be submitted, no node can join, statistics and lists cannot be read",
    )
    paused = Key(
        "paused",
        "set",
        STAYS,
        "queues that nodes take nothing of; the same in every shard",
        "no node takes a job, no queue can be paused or resumed, statistics cannot be read",
    )
    totals = Key(
        "totals",
        "hash",
        STAYS,
        "counters since the namespace exists",
        "no job can be submitted or ends, statistics cannot be read",
    )
    groups = Key(
        "groups",
        "set",
        STAYS,
        "streams that have had their group since they are there: of one without it the group was destroyed",
        "no node can join, and no queue is forgotten",
    )
    shards = Key(
        "shards",
        "string",
        STAYS,
        "in shard 0: how many shards the namespace has, when more than one",
        "no process can start",
    )
    quarantine = Key(
        "quarantine",
        "stream",
        STAYS,
        "bytes that are no job, records of a newer version, due jobs without a place; never trimmed",
        "nothing becomes due, none with a fairness key is taken, and a node that meets a record it cannot read waits",
    )
    lock = KeyFamily("lock:<name>", "string", EXPIRES, "the holder of a distributed lock", "this lock cannot be had")
    lock_fence = KeyFamily("lockfence:<name>", "string", EXPIRES, "the last fence of a lock", "this lock cannot be had")
    rate = KeyFamily(
        "rate:<bucket>",
        "hash",
        EXPIRES,
        "tokens of a quota on submissions, and their time",
        "submissions that this quota is for are refused",
    )
    audit = Key(
        "audit",
        "stream",
        STAYS,
        "the audit trail, capped; only with authentication",
        "what is done is in the log alone, which says so",
    )
    audit_head = Key(
        "audithead",
        "string",
        STAYS,
        "number and seal of its newest entry",
        "what is done is in the log alone, which says so",
    )

    def __init__(self, namespace: str, shard: int = 0, shards: int = 1) -> None:
        self.prefix = f"if:{{{tag_of(namespace, shard, shards)}}}:"
        self.signals = self.prefix + "signals"  # a channel of PUBLISH, and no key

    def streams(self, queues: Sequence[str]) -> list[str]:
        """The keys of all streams of these queues, in a stable order."""
        return [self.stream(queue + ending) for queue in queues for ending in STREAM_ENDINGS]

    def lines(self, queues: Sequence[str]) -> list[str]:
        """The keys `fair`, `behind` and `declined` of all priorities of these queues: what waits, each job in one."""
        names = [queue + ending for ending in LINE_ENDINGS for queue in queues]
        return [*map(self.fair, names), *map(self.behind, names), *map(self.declined, names)]

    def turns_of(self, queues: Sequence[str]) -> list[str]:
        """The keys `turns` of all priorities of these queues."""
        return [self.turns(queue + ending) for ending in LINE_ENDINGS for queue in queues]

    def bucket_of(self, job_id: bytes, bucket: Bucket) -> str:
        return (self.done if bucket == "done" else self.kept)(str(minute_of(job_id)))


# The type of every key by the first word behind its prefix.
TYPES: Final = {word: spec.type for space in (Keys, RingKeys) for word, spec in space.specs().items()}


def minute_of(job_id: bytes) -> int:
    """The minute of its creation, which names its bucket."""
    return created_ms_of(job_id) // MINUTE_MS


@functools.cache
def tag_of(namespace: str, shard: int, shards: int) -> str:
    """The hash tag of a shard: one whose slot lies in the shard's own part of all slots.

    Primaries usually hold a range each, and the checksum that makes slots of tags is linear: names that only count up
    would put all of two shards on one of two primaries, always. No name has a tilde, so no two namespaces share a tag.
    """
    tags = itertools.chain((f"{namespace}.{shard}",), (f"{namespace}.{shard}~{more}" for more in itertools.count()))
    return next(tag for tag in tags if key_slot(tag.encode()) * shards // REDIS_CLUSTER_HASH_SLOTS == shard)
