"""The shards that a process works with."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ironforge.redis.keys import Keys
from ironforge.settings import Settings, shares_of


def shards_of(settings: Settings) -> list[Keys]:
    """The keys of every shard of the namespace."""
    return [Keys(settings.namespace, shard, settings.shards) for shard in range(settings.shards)]


class NamespaceShard(NamedTuple):
    """One shard of one namespace that a node serves, by its number."""

    namespace: str
    shard: int
    keys: Keys
    weight: int


def namespace_shards_of(settings: Settings) -> list[NamespaceShard]:
    """What a node serves, in the order by which deliveries name it."""
    return [
        NamespaceShard(share.namespace, shard, Keys(share.namespace, shard, settings.shards), share.weight)
        for share in shares_of(settings)
        for shard in range(settings.shards)
    ]


@functools.cache
def part_of(stream: str) -> int:
    """The place in `namespace_shards_of` of what a delivery came from, by its stream: 2 for `2/default:1`, 0 without a
    number."""
    part, slash, _ = stream.partition("/")
    return int(part) if slash else 0
