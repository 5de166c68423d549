"""Every key that IronForge has in the server, its type and who lets it go.

One hash tag for a whole namespace and shard, so that every script and every transaction touches one slot: the same
code runs on one server, behind Sentinel and in a cluster.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from ironforge.errors import InvalidJob
from ironforge.job.checks import check_queue
from ironforge.job.record import Priority, alone_streams_of, created_ms_of, stream_name, streams_of
from ironforge.settings import Settings, shares_of

GROUP: Final = "nodes"
# The consumer that holds what was in a stream when its group had been destroyed. No node has such a name.
LOST: Final = "lost-group"
MINUTE_MS: Final = 60_000
ID_BYTES: Final = 16
# What comes behind a queue's name in the names of its streams, in their order, and in those of its lines.
STREAM_ENDINGS: Final = (*streams_of([""]), *alone_streams_of([""]))
LINE_ENDINGS: Final = tuple(stream_name("", priority) for priority in Priority)

Shelf = Literal["done", "kept"]

# Keys that stay by design, as glob patterns behind the prefix. Every other key has a time to live.
PERMANENT: Final = (
    "q:*",
    "fair:*",
    "turns:*",
    "index",
    "scheduled",
    "delayed",
    "parked",
    "dead",
    "nodes",
    "roster",
    "fence:*",  # of nodes that hold a lease; a fence that was bumped expires
    "epoch",
    "queues",
    "paused",
    "groups",
    "totals",
    "buckets",
    "quarantine",
    "audit",
    "audithead",
    "shards",
    "alone",
)


class Keys:
    """The keys of one namespace and shard. Job ids are the raw 16 bytes, everywhere in the server."""

    def __init__(self, namespace: str, shard: int = 0, shards: int = 1) -> None:
        self.prefix = f"if:{{{tag_of(namespace, shard, shards)}}}:"
        self.index = self.prefix + "index"  # hash: job id -> location; absent: terminal or unknown
        self.scheduled = self.prefix + "scheduled"  # zset: job id by due time, ms
        self.delayed = self.prefix + "delayed"  # hash: queue -> how many of its jobs are in `scheduled`
        self.parked = self.prefix + "parked"  # hash: job id -> record, of jobs outside streams
        self.dead = self.prefix + "dead"  # zset: job id by time of death, ms
        self.nodes = self.prefix + "nodes"  # zset: node by the end of its lease, ms
        self.roster = self.prefix + "roster"  # hash: node -> what it said of itself when it joined, JSON
        self.epoch = self.prefix + "epoch"  # string: counter; the highest epoch ever given
        self.queues = self.prefix + "queues"  # set: names of queues with a job, a node or a pause; others are forgotten
        self.paused = self.prefix + "paused"  # set: names of queues that nodes take nothing of; in every shard
        self.groups = self.prefix + "groups"  # set: names of streams that have had their group since they are there
        self.alone = self.prefix + "alone"  # string, in shard 0: the node that may run a job with nothing beside it
        self.shards = self.prefix + "shards"  # string, in shard 0: how many shards the namespace has
        self.totals = self.prefix + "totals"  # hash: counters since the namespace exists
        self.buckets = self.prefix + "buckets"  # zset: names of buckets by their expiry, ms
        self.quarantine = self.prefix + "quarantine"  # stream: bytes that are no job here
        self.audit = self.prefix + "audit"  # stream, capped: who did what; exists only with authentication
        self.audit_head = self.prefix + "audithead"  # string: number and hash of its newest entry
        self.signals = self.prefix + "signals"  # pub/sub channel, no key

    def stream(self, name: str) -> str:
        """Stream: the records of one queue and priority, field `j`, with the group `nodes`. Never trimmed.

        Each has a twin, `<name>r`, for jobs that were handed back or taken over; it is read first. And `<name>a` is for
        those that run alone: what is pending there is announced by it, so that this ends with the run or the lease.
        """
        return f"{self.prefix}q:{name}"

    def streams(self, queues: Sequence[str]) -> list[str]:
        """The keys of all streams of these queues, in a stable order."""
        return [self.stream(queue + ending) for queue in queues for ending in STREAM_ENDINGS]

    def blocked(self, node: str) -> str:
        """String, expires: the job whose handler blocks the event loop of a node, 16 bytes, and where, as text."""
        return f"{self.prefix}blocked:{node}"

    def fair(self, name: str) -> str:
        """Zset: jobs with a fairness key that wait for the stream `name`, by the turn at which each may be taken."""
        return f"{self.prefix}fair:{name}"

    def turns(self, name: str) -> str:
        """Zset: the end of the last turn of each fairness key that is ahead of what was taken last, which is the
        empty member's score; `-` stands for jobs without a key. Gone when nothing waits."""
        return f"{self.prefix}turns:{name}"

    def lines(self, queues: Sequence[str]) -> list[str]:
        """The keys `fair` and `turns` of all priorities of these queues."""
        names = [queue + ending for ending in LINE_ENDINGS for queue in queues]
        return [key for name in names for key in (self.fair(name), self.turns(name))]

    def fence(self, node: str) -> str:
        """String: the epoch of a node."""
        return f"{self.prefix}fence:{node}"

    def bucket(self, shelf: Shelf, minute: int) -> str:
        """Hash, expires as a whole: terminal records of one creation minute.

        `kept` holds those with a longer retention than the default, so that they do not hold back the many.
        """
        return f"{self.prefix}{shelf}:{minute}"

    def bucket_of(self, job_id: bytes, shelf: Shelf) -> str:
        return self.bucket(shelf, minute_of(job_id))

    def rate(self, name: str) -> str:
        """Hash, expires: tokens and time of a bucket that limits submissions."""
        return f"{self.prefix}rate:{name}"

    def idempotency(self, digest: str) -> str:
        """String, expires: id and first state of each job that came first with this key, and their fingerprint."""
        return f"{self.prefix}idem:{digest}"


class RingKeys:
    """The keys of all namespaces together: who may call. No namespace can have this name."""

    def __init__(self) -> None:
        self.prefix = "if:{@auth}:"
        self.records = self.prefix + "keys"  # hash: id of an API key -> its record
        self.used = self.prefix + "used"  # hash: id of an API key -> time of its last use, ms
        self.makers = self.prefix + "makers"  # hash: id of an API key -> ids of those that it comes from
        self.quotas = self.prefix + "quotas"  # hash: namespace -> its quota

    def of(self, namespace: str) -> str:
        """Hash: the ids of a namespace's API keys -> expiry and name."""
        return f"{self.prefix}of:{namespace}"


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


def shards_of(settings: Settings) -> list[Keys]:
    """The keys of every shard of the namespace."""
    return [Keys(settings.namespace, shard, settings.shards) for shard in range(settings.shards)]


class NamespaceShard(NamedTuple):
    """One shard of one namespace that a node serves."""

    namespace: str
    keys: Keys
    weight: int


def namespace_shards_of(settings: Settings) -> list[NamespaceShard]:
    """What a node serves, in the order by which deliveries name it."""
    return [
        NamespaceShard(share.namespace, Keys(share.namespace, shard, settings.shards), share.weight)
        for share in shares_of(settings)
        for shard in range(settings.shards)
    ]


def queue_names(members: Iterable[bytes]) -> list[str]:
    """The queues in `queues`, sorted. What is no queue's name was put there by somebody else, and is passed over."""
    names = []
    for member in members:
        with contextlib.suppress(InvalidJob):
            names.append(check_queue(member.decode(errors="replace")))
    return sorted(names)


class Location:
    """Where a job is, as the index says it.

    `q:<queue>:<priority>:<entry>` in a stream, with `c:` instead when cancellation was asked for while it ran;
    `s:<queue>:<priority>` scheduled, `f:<queue>:<priority>` waiting for its turn, both followed by
    `:<weight>:<fairness key>` for a job that has one; `d` dead.
    """

    __slots__ = ("entry", "place", "raw", "stream")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.place = raw[:1].decode(errors="replace")
        rest = raw[2:].decode(errors="replace")
        self.stream, self.entry = ":".join(rest.split(":")[:2]), ""
        if self.place in ("q", "c"):
            self.stream, _, self.entry = rest.rpartition(":")
