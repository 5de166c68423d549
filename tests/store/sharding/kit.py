"""Texts by the shard where keys of that text lie, and jobs with such keys."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from ironforge.job.limits import LimitUse
from ironforge.job.record import Job, decode, tail_of
from ironforge.job.uniqueness import OnConflict, UniqueUse
from ironforge.redis.shards import shards_of
from ironforge.store.node_contract import Delivery
from tests.store.kit import Cluster, Node, job

SHARDS = 3


def text_in(shard: int, begins: str = "") -> str:
    """The first text that begins like this and whose keys lie in this shard."""
    texts = (f"{begins}{number}" for number in itertools.count())
    return next(text for text in texts if tail_of(text) % SHARDS == shard)


def unique(key: str, on_conflict: OnConflict = "return", **fields: Any) -> Job:
    return msgspec.structs.replace(job(**fields), version=2, unique=UniqueUse(key, on_conflict=on_conflict))


def limited(key: str, name: str = "one", **fields: Any) -> Job:
    return job(limits=(LimitUse(name, key),), **fields)


async def fetched(node: Node, count: int, *, want: int = 10) -> list[Delivery]:
    """At least so many, and at most `want`: a shard that answers late is heard in a later round."""
    held: list[Delivery] = []
    while len(held) < count:
        held += await node.work.fetch(want - len(held))
    return held


def lengths(cluster: Cluster) -> list[int]:
    """Jobs by shard."""
    return [cluster.raw.hlen(keys.index) for keys in shards_of(cluster.settings)]


def stored(cluster: Cluster) -> list[list[Job]]:
    """Jobs that wait, by shard."""
    found = []
    for keys in shards_of(cluster.settings):
        entries = [fields[b"j"] for key in cluster.raw.keys(keys.stream("*")) for _, fields in cluster.raw.xrange(key)]
        found.append([decode(record) for record in entries + cluster.raw.hvals(keys.parked)])
    return found
